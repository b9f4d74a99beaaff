/** Arbitrary valid messages, each type of both roles. */
import fc from "fast-check";
import {
  type CoinbaseSection,
  type GatewayMessage,
  type JobSection,
  MAX_SCRIPT_BYTES,
  MAX_TAG_BYTES,
  MAX_USERNAME_BYTES,
  type PoolMessage,
  type ShortIdsReply,
  type ValidationError,
} from "../src/index.js";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const job = fc.integer({ min: 0, max: 7 });
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength, size: "max" });
const hash = bytes(32, 32);

const output = fc.record({ value: fc.bigInt({ min: 0n, max: 21_000_000n * 100_000_000n }), script: bytes(2, MAX_SCRIPT_BYTES) });
/** Outputs and a value that they don't pass: a gateway stops reading where they do. */
const split = fc
  .tuple(fc.array(output, { maxLength: 40 }), fc.bigInt({ min: 0n, max: 2n ** 56n }))
  .map(([outputs, rest]) => ({ outputs, value: outputs.reduce((sum, { value }) => sum + value, rest) }));
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be in it
const infoText = fc.string({ unit: "binary", maxLength: 80 }).filter((text) => !/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text));

/** One arbitrary per type of PoolMessage. */
export const POOL_MESSAGES: { readonly [T in PoolMessage["type"]]: fc.Arbitrary<Extract<PoolMessage, { type: T }>> } = {
  configuration: fc.record({
    type: fc.constant("configuration"),
    payoutScript: bytes(1, MAX_SCRIPT_BYTES),
    primeId: fc.integer({ min: 1, max: 0xffff_ffff }),
    tag: bytes(0, MAX_TAG_BYTES).map((tag) => tag.map((byte) => (byte === 0 || byte === 0x0f ? 0x41 : byte))),
    minimumDifficulty: fc.integer({ min: 0, max: 63 }).map((bits) => 1n << BigInt(bits)),
  }),
  coinbaser: fc
    .tuple(
      fc.integer({ min: 1, max: 255 }),
      fc.oneof(
        split,
        u64.map((value) => ({ value, outputs: [] })),
      ),
    )
    .map(([coinbaserId, { value, outputs }]) => ({ type: "coinbaser" as const, value, coinbaserId, outputs })),
  shortIdsRequest: fc.record({ type: fc.constant("shortIdsRequest"), jobId: job }),
  transactionsByIndexRequest: fc.record({
    type: fc.constant("transactionsByIndexRequest"),
    jobId: job,
    indices: fc.uniqueArray(fc.integer({ min: 0, max: 16383 }), { minLength: 1, maxLength: 60 }),
  }),
  fullSetRequest: fc.record({ type: fc.constant("fullSetRequest"), jobId: job }),
  shareResponse: fc.record({
    type: fc.constant("shareResponse"),
    status: fc.constantFrom("accepted", "tentative", "rejected"),
    reason: u16,
    nonce: u32,
    targetByte: u8,
    jobId: u8,
  }),
  blockNotify: fc.record({ type: fc.constant("blockNotify") }),
  ping: fc.record({ type: fc.constant("ping") }),
  info: fc.record({ type: fc.constant("info"), text: infoText }),
};

const jobSection: fc.Arbitrary<JobSection> = fc.record({
  prevhash: hash,
  targetByteIndex: u16,
  nbits: u32,
  coinbaserId: u8,
  height: u32,
  coinbaseValue: u64,
  transactionCount: u32,
  totalWeight: u32,
  totalSize: u32,
  totalSigops: u32,
  branches: fc.integer({ min: 0, max: 14 }).chain((count) => bytes(32 * count, 32 * count)),
});

const coinbaseSection: fc.Arbitrary<CoinbaseSection> = fc.record({ coinbaseId: u8, coinb1: bytes(0, 200), coinb2: bytes(0, 1200) });

const share = fc
  .record(
    {
      type: fc.constant("share" as const),
      jobId: u8,
      coinbaseId: u8,
      isBlock: fc.boolean(),
      subsidyOnly: fc.boolean(),
      quickdiff: fc.boolean(),
      unknownFlags: u8.map((flags) => flags & ~7),
      targetByte: u8,
      ntime: u32,
      nonce: u32,
      version: u32,
      extranonce: fc.oneof(bytes(12, 12), bytes(0, 255)),
      username: bytes(0, MAX_USERNAME_BYTES).map((name) => name.map((byte) => byte || 0x2e)),
      reserved: u32,
      job: jobSection,
      coinbase: coinbaseSection,
    },
    {
      requiredKeys: [
        "type",
        "jobId",
        "coinbaseId",
        "isBlock",
        "subsidyOnly",
        "quickdiff",
        "unknownFlags",
        "targetByte",
        "ntime",
        "nonce",
        "version",
        "extranonce",
        "username",
        "reserved",
      ],
    },
  )
  .map((value) => value as Extract<GatewayMessage, { type: "share" }>);

const error = fc.constantFrom<ValidationError>("noJob", "noTemplate", "tooManyTransactions", "badJobIndex", "badRequest");
const none = fc.constant(new Uint8Array(0));

const shortIds: fc.Arbitrary<ShortIdsReply> = fc.oneof(
  fc.record({ type: fc.constant("shortIds"), jobId: u8, error, ids: none }),
  fc.record({ type: fc.constant("shortIds"), jobId: u8, ids: none }),
  fc.record({
    type: fc.constant("shortIds"),
    jobId: u8,
    ids: fc.integer({ min: 1, max: 50 }).chain((count) => bytes(6 * count, 6 * count)),
    crosscheck: hash,
  }),
);

const transactions = <T extends "transactionsByIndex" | "fullSet">(type: T) =>
  fc.oneof(
    fc.record({ type: fc.constant(type), jobId: u8, error, transactions: fc.constant([]) }),
    fc.record({ type: fc.constant(type), jobId: u8, transactions: fc.array(bytes(0, 300), { maxLength: 12 }) }),
  );

/** One arbitrary per type of GatewayMessage. */
export const GATEWAY_MESSAGES: { readonly [T in GatewayMessage["type"]]: fc.Arbitrary<GatewayMessage> } = {
  coinbaserRequest: fc.record({ type: fc.constant("coinbaserRequest"), value: u64, prevhash: hash }),
  share,
  shortIds,
  transactionsByIndex: transactions("transactionsByIndex"),
  fullSet: transactions("fullSet"),
  jobAnnouncement: fc.record({
    type: fc.constant("jobAnnouncement"),
    jobId: u8,
    job: jobSection,
    coinbases: fc.array(coinbaseSection, { maxLength: 7 }),
  }),
};

export const anyPoolMessage: fc.Arbitrary<PoolMessage> = fc.oneof(...(Object.values(POOL_MESSAGES) as fc.Arbitrary<PoolMessage>[]));
export const anyGatewayMessage: fc.Arbitrary<GatewayMessage> = fc.oneof(...Object.values(GATEWAY_MESSAGES));
