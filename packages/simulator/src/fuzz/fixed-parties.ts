/** The two sides of the fuzzed conversations: fixed keys, so that an input is the same thing every time. */
import {
  type DatumCrypto,
  decodePublicKey,
  encodePublicKey,
  GatewayChannel,
  type GatewayEvent,
  LARGEST_PAYLOAD,
  loadCrypto,
  longTermKeysFromSeeds,
  PoolChannel,
  type PoolEvent,
  sessionKeysFromSeeds,
} from "@openprime/datum";

const seed = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

export const crypto: DatumCrypto = await loadCrypto();
export const NK = 0x12345678;
export const KEYS = {
  gateway: longTermKeysFromSeeds(crypto, seed(1), seed(2)),
  gatewaySession: sessionKeysFromSeeds(crypto, seed(3), seed(4)),
  pool: longTermKeysFromSeeds(crypto, seed(5), seed(6)),
  poolSession: sessionKeysFromSeeds(crypto, seed(7), seed(8)),
};

export function poolChannel(): PoolChannel {
  const channel = new PoolChannel({ crypto, longTermKeys: [KEYS.pool], sessionKeys: KEYS.poolSession, motd: "fuzzed" });
  channel.maxPayload = LARGEST_PAYLOAD;
  return channel;
}

export const gatewayChannel = (): GatewayChannel =>
  new GatewayChannel({
    crypto,
    poolPublicKey: decodePublicKey(encodePublicKey(KEYS.pool)),
    longTermKeys: KEYS.gateway,
    sessionKeys: KEYS.gatewaySession,
    version: "v0.4.1-beta/fuzz",
    nk: NK,
    padding: () => ({ length: 3, byte: 0xaa }),
  });

/** HELLO and its answer, whole frames. */
export function handshake(): { readonly hello: Uint8Array; readonly response: Uint8Array } {
  const pool = poolChannel();
  const hello = gatewayChannel().hello();
  pool.receive(hello);
  if (pool.next()?.type !== "hello") throw new Error("the fixed HELLO is not read");
  return { hello, response: pool.accept() };
}

/** Feeds a channel in pieces that depend on the bytes alone. What it throws goes through. */
export function feed<T extends GatewayEvent | PoolEvent>(
  channel: { receive(chunk: Uint8Array): void; next(): T | undefined },
  stream: Uint8Array,
  seen: (event: T) => void,
): void {
  let piece = 1 + ((stream[7] ?? 0) ^ (stream.length & 0xff));
  for (let from = 0; from < stream.length; from += piece) {
    piece = 1 + ((piece * 31 + from) % 1500);
    // A piece of its own: the channel keeps views of it.
    channel.receive(stream.slice(from, from + piece));
    for (let event = channel.next(); event !== undefined; event = channel.next()) seen(event);
  }
}
