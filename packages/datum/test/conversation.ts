/** A short conversation with fixed keys: at least one message of each kind, both ways, as values and as frames. */
import { type DatumCrypto, type GatewayMessage, type PoolMessage, rejectText } from "../src/index.js";
import { connected, unhex } from "./support.js";

const prevhash = unhex("aec2cc66f1cdaa1b76f9d96b7a63887e7e673874de21113c6ca15b2607613f5e");
const address = new TextEncoder().encode("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.rig1");

export const POOL_SAYS: readonly PoolMessage[] = [
  {
    type: "configuration",
    payoutScript: unhex("0014751e76e8199196d454941c45d1b3a323f1433bd6"),
    primeId: 0xaabbccdd,
    tag: new TextEncoder().encode("OpenPrime"),
    minimumDifficulty: 65536n,
  },
  { type: "ping" },
  {
    type: "coinbaser",
    value: 312_500_000n,
    coinbaserId: 1,
    outputs: [
      { value: 200_000_000n, script: unhex("0014751e76e8199196d454941c45d1b3a323f1433bd6") },
      { value: 100_000_000n, script: unhex("51201111111111111111111111111111111111111111111111111111111111111111") },
    ],
  },
  { type: "info", text: "maintenance at noon" },
  { type: "shareResponse", status: "accepted", reason: 0, nonce: 0x01020304, targetByte: 16, jobId: 3 },
  { type: "shareResponse", status: "rejected", reason: 25, nonce: 0x05060708, targetByte: 16, jobId: 3 },
  { type: "shortIdsRequest", jobId: 3 },
  { type: "transactionsByIndexRequest", jobId: 3, indices: [1, 0] },
  { type: "fullSetRequest", jobId: 3 },
  { type: "blockNotify" },
  { type: "info", text: rejectText(29) },
  { type: "ping" },
];

export const GATEWAY_SAYS: readonly GatewayMessage[] = [
  { type: "coinbaserRequest", value: 312_500_000n, prevhash },
  {
    type: "share",
    jobId: 3,
    coinbaseId: 1,
    isBlock: false,
    subsidyOnly: false,
    quickdiff: true,
    unknownFlags: 0,
    targetByte: 16,
    ntime: 0x6b036343,
    nonce: 0x01020304,
    version: 0x20000000,
    extranonce: unhex("b10cf00d006b0360b2000001"),
    username: address,
    reserved: 0,
    job: {
      prevhash,
      targetByteIndex: 59,
      nbits: 0x1d00ffff,
      coinbaserId: 1,
      height: 840_000,
      coinbaseValue: 312_500_000n,
      transactionCount: 2,
      totalWeight: 1000,
      totalSize: 400,
      totalSigops: 8,
      branches: unhex("11".repeat(32) + "22".repeat(32)),
    },
    coinbase: { coinbaseId: 1, coinb1: unhex("01000000010203"), coinb2: unhex("04050600000000") },
  },
  {
    type: "share",
    jobId: 3,
    coinbaseId: 255,
    isBlock: true,
    subsidyOnly: true,
    quickdiff: false,
    unknownFlags: 0,
    targetByte: 16,
    ntime: 0x6b036344,
    nonce: 0x05060708,
    version: 0x3fffe000,
    extranonce: unhex("b10cf00d006b0360b2000002"),
    username: address,
    reserved: 0,
  },
  { type: "shortIds", jobId: 3, ids: unhex("010203040506111213141516"), crosscheck: unhex("33".repeat(32)) },
  { type: "shortIds", jobId: 4, ids: new Uint8Array(0) },
  { type: "transactionsByIndex", jobId: 3, transactions: [unhex("0200000000"), unhex("0100000000")] },
  { type: "fullSet", jobId: 3, transactions: [unhex("0100000000"), unhex("0200000000")] },
  { type: "fullSet", jobId: 255, error: "badJobIndex", transactions: [] },
  {
    type: "jobAnnouncement",
    jobId: 4,
    job: {
      prevhash,
      targetByteIndex: 59,
      nbits: 0x1d00ffff,
      coinbaserId: 0,
      height: 840_000,
      coinbaseValue: 312_500_000n,
      transactionCount: 0,
      totalWeight: 0,
      totalSize: 0,
      totalSigops: 0,
      branches: new Uint8Array(0),
    },
    coinbases: [
      { coinbaseId: 0, coinb1: unhex("0102"), coinb2: unhex("0304") },
      { coinbaseId: 5, coinb1: unhex("05"), coinb2: unhex("06") },
    ],
  },
];

/** The frames of the conversation, in order and by direction; the first of each is the handshake's. */
export function frames(
  crypto: DatumCrypto,
  poolSays: readonly PoolMessage[] = POOL_SAYS,
  gatewaySays: readonly GatewayMessage[] = GATEWAY_SAYS,
): { toPool: Uint8Array[]; toGateway: Uint8Array[] } {
  const { pool, gateway, hello, response } = connected(crypto);
  return {
    toPool: [hello, ...gatewaySays.map((message) => gateway.send(message))],
    toGateway: [response, ...poolSays.map((message) => pool.send(message))],
  };
}
