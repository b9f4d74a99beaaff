/** How long a gateway waits for its split: one connection that asks, waits and asks again. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { type DatumCrypto, decodePublicKey, GatewayChannel, generateLongTermKeys, generateSessionKeys } from "@openprime/datum";

export interface CoinbaserFigures {
  readonly outputs: number;
  /** Milliseconds from handing the request to the socket to the answer. */
  readonly median: number;
  readonly p99: number;
}

/**
 * Asks `count` times for a split, each time of another value (another job), so that no answer is one that was made before.
 *
 * @param value satoshis of the first request
 */
export async function askForSplits(
  crypto: DatumCrypto,
  pool: { readonly host: string; readonly port: number; readonly publicKey: string },
  request: { readonly value: bigint; readonly prevhash: Uint8Array },
  count: number,
): Promise<CoinbaserFigures> {
  const channel = new GatewayChannel({
    crypto,
    poolPublicKey: decodePublicKey(pool.publicKey),
    longTermKeys: generateLongTermKeys(crypto),
    sessionKeys: generateSessionKeys(crypto),
    version: "bench",
    nk: randomBytes(4).readUInt32LE(),
  });
  const socket = connect({ host: pool.host, port: pool.port, noDelay: true });
  const times: number[] = [];
  let outputs = 0;
  let askedAt = 0;
  const ask = (): void => {
    askedAt = performance.now();
    socket.write(channel.send({ type: "coinbaserRequest", value: request.value - BigInt(times.length), prevhash: request.prevhash }));
  };
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => socket.write(channel.hello()));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the pool closed the connection")));
    socket.on("data", (chunk) => {
      channel.receive(chunk);
      for (let event = channel.next(); event !== undefined; event = channel.next()) {
        if (event.type === "accepted") continue;
        if (event.message.type === "coinbaser") {
          times.push(performance.now() - askedAt);
          outputs = event.message.outputs.length;
        }
        if (times.length === count) resolve();
        else if (event.message.type !== "ping") ask();
      }
    });
  }).finally(() => socket.destroy());
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN;
  return { outputs, median: at(0.5), p99: at(0.99) };
}
