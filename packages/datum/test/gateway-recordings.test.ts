/**
 * The recordings from the gateway's side. The real gateway's secrets are not in them, so the two things that only it could compute are taken
 * from elsewhere: the plaintext of the handshake response from the recording, the channel's key from the pool's seeds. All else, from headers
 * and nonces to the pool's signatures, is this library's GatewayChannel reading what a real gateway read.
 */
import { describe, expect, it } from "vitest";
import {
  type DatumCrypto,
  decodePublicKey,
  encodePoolMessage,
  GatewayChannel,
  type LongTermKeys,
  longTermKeysFromSeeds,
  PoolChannel,
  type SessionKeys,
  sessionKeysFromSeeds,
} from "../src/index.js";
import { BOTH, drain, hex, readJson, seed, unhex } from "./support.js";

interface Recording {
  readonly poolSessionSeed: string;
  readonly poolLongTermSeed: string;
  readonly poolPublicKey: string;
  readonly connections: readonly { readonly frames: readonly { dir: string; wire: string; cmd: number; plain: string }[] }[];
}

/** Keys with the gateway's public halves; their secret halves are never used. */
function publicOnly<T extends LongTermKeys | SessionKeys>(keys: T, sign: Uint8Array, box: Uint8Array): T {
  return { ...keys, sign: { ...keys.sign, publicKey: sign }, box: { ...keys.box, publicKey: box } };
}

function replay(crypto: DatumCrypto, name: string) {
  const recording = readJson<Recording>(`recordings/${name}.json`);
  const frames = recording.connections[0]?.frames ?? [];
  const poolSeed = unhex(recording.poolLongTermSeed);
  const poolSession = sessionKeysFromSeeds(crypto, unhex(recording.poolSessionSeed), unhex(recording.poolSessionSeed));
  const pool = new PoolChannel({
    crypto,
    longTermKeys: [longTermKeysFromSeeds(crypto, poolSeed, poolSeed)],
    sessionKeys: poolSession,
    motd: "",
  });
  pool.receive(unhex(frames[0]?.wire ?? ""));
  pool.next();
  const hello = pool.hello;
  const response = frames.find(({ cmd, dir }) => cmd === 2 && dir === "pool>gateway");
  if (hello === undefined || response === undefined) throw new Error("no handshake in the recording");
  // The recording keeps the response without its signature. It is made again by the pool's own key, as Ed25519 has one signature a message.
  const body = unhex(response.plain);
  const signature = crypto.sign(body, longTermKeysFromSeeds(crypto, poolSeed, poolSeed).sign.secretKey);
  const standIn: DatumCrypto = {
    ...crypto,
    openSealed: () => Buffer.concat([body, signature]),
    sharedKey: () => crypto.sharedKey(hello.sessionBoxKey, poolSession.box.secretKey),
  };
  const gateway = new GatewayChannel({
    crypto: standIn,
    poolPublicKey: decodePublicKey(recording.poolPublicKey),
    longTermKeys: publicOnly(longTermKeysFromSeeds(crypto, seed(0), seed(0)), hello.longTermSignKey, hello.longTermBoxKey),
    sessionKeys: publicOnly(sessionKeysFromSeeds(crypto, seed(0), seed(0)), hello.sessionSignKey, hello.sessionBoxKey),
    version: hello.version,
    nk: hello.nk,
  });
  return { gateway, frames: frames.filter(({ dir }) => dir === "pool>gateway") };
}

describe.each(["ordinary", "new-blocks", "quickdiff"])("recording %s, by a gateway's channel", (name) => {
  it.each(BOTH)("every frame of the pool is read, and is the message that was sent ($name)", (crypto) => {
    const { gateway, frames } = replay(crypto, name);
    expect(frames.length).toBeGreaterThan(40);
    for (const { wire, cmd, plain } of frames) {
      gateway.receive(unhex(wire));
      const [event, ...more] = drain(gateway);
      expect(more).toEqual([]);
      if (cmd === 2) {
        expect(event).toMatchObject({ type: "accepted", motd: "recorded by probe" });
      } else {
        if (event?.type !== "message") throw new Error(`no message in the frame ${wire}`);
        const { message } = event;
        if (message.type === "ping" || message.type === "info") expect([message.type, cmd, plain]).toEqual(["ping", 1, ""]);
        else expect(hex(encodePoolMessage(message))).toBe(plain);
      }
    }
  });

  it.each(BOTH)("the same stream in pieces of one byte gives as many messages ($name)", (crypto) => {
    const { gateway, frames } = replay(crypto, name);
    let events = 0;
    for (const byte of Buffer.concat(frames.map(({ wire }) => unhex(wire)))) {
      gateway.receive(Uint8Array.of(byte));
      events += drain(gateway).length;
    }
    expect(events).toBe(frames.length);
  });
});
