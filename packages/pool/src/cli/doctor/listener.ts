/** The doctor's check of the port that gateways connect to. */
import { randomInt } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";
import { type DatumCrypto, decodePublicKey, GatewayChannel, generateSessionKeys, longTermKeysFromSeeds } from "@openprime/datum";
import { reachableHost } from "../api/url.js";
import { codeOf, messageOf, todoOf } from "../errors.js";
import { type Check, fail, ok } from "./report.js";

const TIMEOUT_MS = 5000;

export interface Listener {
  readonly host: string;
  readonly port: number;
}

/**
 * Whether the port can be taken. Where it is taken already, a handshake with our own public key tells whether by this very pool.
 *
 * @param publicKey the pool's, 128 hex digits; undefined when the key file can't be read
 */
export async function checkListener(listener: Listener, publicKey: string | undefined, crypto: DatumCrypto): Promise<Check> {
  const name = "listen";
  const where = `${listener.host} port ${listener.port}`;
  const refused = await tryListen(listener);
  if (refused === undefined) return ok(name, `${where} is free`);
  if (codeOf(refused) === "EADDRINUSE") {
    if (publicKey !== undefined && (await answersWithKey(listener, publicKey, crypto))) {
      return ok(name, `this pool is running: ${where} answers with its key`);
    }
    return fail(name, `another process has ${where}`, "stop it, or set listen.port to another port");
  }
  return fail(name, `can't listen on ${where}: ${messageOf(refused)}`, todoOf(refused) ?? "correct listen.host and listen.port");
}

/** @returns the error, undefined when listening worked */
export function tryListen({ host, port }: Listener): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/**
 * The doctor's identity as a gateway, known to everybody and the same for ever: a pool remembers each gateway that greets it, so all visits of all
 * doctors leave one line in its books and no more.
 */
const DOCTOR_SEED = new TextEncoder().encode("openprime doctor, not a gateway.");

/** Shakes hands as a gateway would, and leaves. */
function answersWithKey({ host, port }: Listener, publicKey: string, crypto: DatumCrypto): Promise<boolean> {
  const channel = new GatewayChannel({
    crypto,
    poolPublicKey: decodePublicKey(publicKey),
    longTermKeys: longTermKeysFromSeeds(crypto, DOCTOR_SEED, DOCTOR_SEED),
    sessionKeys: generateSessionKeys(crypto),
    version: "openprime-doctor",
    nk: randomInt(2 ** 32),
  });
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: reachableHost(host), port, timeout: TIMEOUT_MS });
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    // A socket's own timeout starts anew with each byte; this one doesn't.
    const timer = setTimeout(end, TIMEOUT_MS, false);
    socket.on("connect", () => socket.write(channel.hello()));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("data", (chunk) => {
      try {
        channel.receive(chunk);
        if (channel.next() !== undefined) end(true);
      } catch {
        // Whatever it speaks, it has not our key: that is the answer.
        end(false);
      }
    });
  });
}
