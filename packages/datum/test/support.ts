/** What the tests of this package share: both implementations of the cryptography, fixed keys, a channel pair, values as JSON. */
import { readFileSync } from "node:fs";
import {
  type DatumCrypto,
  DatumError,
  decodePublicKey,
  encodePublicKey,
  GatewayChannel,
  type GatewayEvent,
  LARGEST_PAYLOAD,
  type LongTermKeys,
  loadCrypto,
  longTermKeysFromSeeds,
  type PaddingSource,
  PoolChannel,
  type PoolEvent,
  type SessionKeys,
  sessionKeysFromSeeds,
} from "../src/index.js";

export const native = await loadCrypto("native");
export const wasm = await loadCrypto("wasm");
export const BOTH: readonly DatumCrypto[] = [native, wasm];

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
/** A seed that says who it is for: 32 times one byte. */
export const seed = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

/** Reads a data file beside the tests. */
export const readJson = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8")) as T;

// Values as JSON: bytes are hex, amounts are decimal strings. Field names tell which is which.
const AMOUNTS = new Set(["value", "coinbaseValue", "minimumDifficulty"]);
const BYTES = new Set([
  "payoutScript",
  "tag",
  "script",
  "prevhash",
  "branches",
  "coinb1",
  "coinb2",
  "extranonce",
  "username",
  "ids",
  "crosscheck",
]);

/** The JSON text of a message, the same for equal messages. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (key, field: unknown) => {
    if (typeof field === "bigint") return String(field);
    if (key === "transactions") return (field as Uint8Array[]).map((bytes) => (typeof bytes === "string" ? bytes : hex(bytes)));
    // JSON.stringify has turned a Buffer into an object of its own by now.
    if (BYTES.has(key) || key.endsWith("Key")) return typeof field === "string" ? field : hex(asBytes(field));
    return field;
  });
}

function asBytes(field: unknown): Uint8Array {
  if (field instanceof Uint8Array) return field;
  return Uint8Array.from((field as { data: number[] }).data);
}

/** The message that such JSON stands for. */
export function fromJson<T>(text: string): T {
  return JSON.parse(text, (key, field: unknown) => {
    if (typeof field === "string" && AMOUNTS.has(key)) return BigInt(field);
    if (typeof field === "string" && BYTES.has(key)) return unhex(field);
    if (key === "transactions") return (field as string[]).map(unhex);
    return field;
  }) as T;
}

/** Seeds of the fixed conversation; docs/protocol.md names the same ones. */
export const SEEDS = { gateway: [1, 2], gatewaySession: [3, 4], pool: [5, 6], poolSession: [7, 8] } as const;
export const NK = 0x12345678;
export const VERSION = "v0.4.1-beta/0123456789";
export const MOTD = "hello, gateway";
export const fixedPadding: PaddingSource = () => ({ length: 3, byte: 0xaa });

export interface Parties {
  readonly gateway: LongTermKeys;
  readonly gatewaySession: SessionKeys;
  readonly pool: LongTermKeys;
  readonly poolSession: SessionKeys;
}

export function parties(crypto: DatumCrypto): Parties {
  const [a, b] = SEEDS.gateway;
  const [c, d] = SEEDS.gatewaySession;
  const [e, f] = SEEDS.pool;
  const [g, h] = SEEDS.poolSession;
  return {
    gateway: longTermKeysFromSeeds(crypto, seed(a), seed(b)),
    gatewaySession: sessionKeysFromSeeds(crypto, seed(c), seed(d)),
    pool: longTermKeysFromSeeds(crypto, seed(e), seed(f)),
    poolSession: sessionKeysFromSeeds(crypto, seed(g), seed(h)),
  };
}

export function poolChannel(crypto: DatumCrypto, keys = parties(crypto)): PoolChannel {
  const channel = new PoolChannel({ crypto, longTermKeys: [keys.pool], sessionKeys: keys.poolSession, motd: MOTD });
  channel.maxPayload = LARGEST_PAYLOAD;
  return channel;
}

export function gatewayChannel(crypto: DatumCrypto, keys = parties(crypto), padding: PaddingSource = fixedPadding): GatewayChannel {
  return new GatewayChannel({
    crypto,
    poolPublicKey: decodePublicKey(encodePublicKey(keys.pool)),
    longTermKeys: keys.gateway,
    sessionKeys: keys.gatewaySession,
    version: VERSION,
    nk: NK,
    padding,
  });
}

/** Two channels with the handshake behind them. */
export function connected(
  crypto: DatumCrypto,
  padding?: PaddingSource,
): { pool: PoolChannel; gateway: GatewayChannel; hello: Uint8Array; response: Uint8Array } {
  const keys = parties(crypto);
  const pool = poolChannel(crypto, keys);
  const gateway = gatewayChannel(crypto, keys, padding);
  const hello = gateway.hello();
  pool.receive(hello);
  if (pool.next()?.type !== "hello") throw new Error("the pool did not read HELLO");
  const response = pool.accept();
  gateway.receive(response);
  if (gateway.next()?.type !== "accepted") throw new Error("the gateway did not read the response");
  return { pool, gateway, hello, response };
}

/** All events there are now. */
export function drain<T extends GatewayEvent | PoolEvent>(channel: { next(): T | undefined }): T[] {
  const events: T[] = [];
  for (let event = channel.next(); event !== undefined; event = channel.next()) events.push(event);
  return events;
}

/** The DatumError that a call throws; fails when it throws none, or another error. */
export function datumError(call: () => unknown): DatumError {
  try {
    call();
  } catch (error) {
    if (error instanceof DatumError) return error;
    throw error;
  }
  throw new Error("expected a DatumError, nothing was thrown");
}

/** Cuts bytes at the given places (taken modulo the length). */
export function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const result: Uint8Array[] = [];
  let from = 0;
  for (const place of [...places, bytes.length]) {
    result.push(bytes.slice(from, place));
    from = place;
  }
  return result;
}
