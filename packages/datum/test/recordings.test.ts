/** Conversations of a real gateway: every frame decodes, field by field, and what its pool sent is what this library sends. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type CoinbaserRequest,
  type CoinbaserResponse,
  type Configuration,
  crosscheck,
  type DatumCrypto,
  decodeGatewayMessage,
  decodePoolMessage,
  decodePublicKey,
  encodeGatewayMessage,
  encodePoolMessage,
  encodePublicKey,
  feedback,
  type GatewayMessage,
  type Hello,
  type JobSection,
  LARGEST_PAYLOAD,
  longTermKeysFromSeeds,
  type PaddingSource,
  PoolChannel,
  type PoolMessage,
  readHeader,
  type Share,
  sessionKeysFromSeeds,
  shortId,
  shortIdKey,
} from "../src/index.js";
import { BOTH, hex, native, readJson, toJson, unhex } from "./support.js";

interface RecordedFrame {
  readonly dir: "gateway>pool" | "pool>gateway";
  readonly wire: string;
  readonly cmd: number;
  readonly plain: string;
}
interface Recording {
  readonly poolLongTermSeed: string;
  readonly poolSessionSeed: string;
  readonly poolPublicKey: string;
  readonly config: { readonly payoutHex: string; readonly tag: string; readonly primeId: number; readonly minDiff: string };
  readonly connections: readonly { readonly frames: readonly RecordedFrame[] }[];
}

/** What is known of each file from its README, or was counted in the recorded bytes themselves. */
const EXPECTED = {
  ordinary: {
    shares: 154,
    coinbases: { 0: 15, 1: 27, 2: 28, 3: 28, 4: 29, 5: 27 },
    flags: { 0: 154 },
    jobs: { 1: 15, 2: 25, 3: 26, 4: 26, 5: 27, 6: 26, 7: 9 },
    requests: 10,
    outputs: 40,
    pings: 2,
    validation: ["shortIds 300", "transactionsByIndex 2", "fullSet 300"],
  },
  "new-blocks": {
    shares: 40,
    coinbases: { 0: 5, 1: 4, 2: 7, 3: 7, 4: 7, 5: 7, 255: 3 },
    flags: { 1: 37, 3: 3 },
    jobs: { 0: 1, 1: 14, 3: 10, 4: 1, 5: 8, 6: 2, 7: 4 },
    requests: 15,
    outputs: 25,
    pings: 2,
    validation: ["shortIds 0", "transactionsByIndex badRequest", "fullSet 0"],
  },
  quickdiff: {
    shares: 205,
    coinbases: { 0: 185, 4: 20 },
    flags: { 0: 121, 4: 84 },
    jobs: { 1: 185, 2: 20 },
    requests: 2,
    outputs: 500,
    pings: 0,
    validation: ["shortIds 300", "transactionsByIndex 2"],
  },
} as const;

interface Replayed {
  readonly recording: Recording;
  readonly hello: Hello;
  readonly fromGateway: readonly { readonly message: GatewayMessage; readonly plain: Uint8Array }[];
  readonly fromPool: readonly { readonly message: PoolMessage; readonly recorded: string; readonly sent: string }[];
}

/** Plays a recording against a PoolChannel with the recorded seeds. */
function replay(crypto: DatumCrypto, name: string): Replayed {
  const recording = readJson<Recording>(`recordings/${name}.json`);
  const longTerm = unhex(recording.poolLongTermSeed);
  const session = unhex(recording.poolSessionSeed);
  const longTermKeys = longTermKeysFromSeeds(crypto, longTerm, longTerm);
  expect(encodePublicKey(longTermKeys)).toBe(recording.poolPublicKey);
  const connection = recording.connections[0];
  if (connection === undefined) throw new Error("an empty recording");
  const sessionKeys = sessionKeysFromSeeds(crypto, session, session);
  const channel = new PoolChannel({ crypto, longTermKeys: [longTermKeys], sessionKeys, motd: "recorded by probe" });
  channel.maxPayload = LARGEST_PAYLOAD;
  const fromGateway: Replayed["fromGateway"][number][] = [];
  const fromPool: Replayed["fromPool"][number][] = [];
  let hello: Hello | undefined;
  for (const { dir, wire, cmd, plain } of connection.frames) {
    if (dir === "pool>gateway") {
      if (cmd === 2) {
        // Sealed with a random key: only its size is the same.
        expect(channel.accept()).toHaveLength(wire.length / 2);
        continue;
      }
      const message = cmd === 1 ? ({ type: "ping" } as const) : decodePoolMessage(unhex(plain));
      if (message.type !== "ping") expect(hex(encodePoolMessage(message))).toBe(plain);
      fromPool.push({ message, recorded: wire, sent: hex(channel.send(message)) });
      continue;
    }
    channel.receive(unhex(wire));
    const event = channel.next();
    if (event === undefined) throw new Error(`the frame ${plain.slice(0, 40)} did not decode`);
    expect(channel.next()).toBeUndefined();
    if (event.type === "hello") {
      ({ hello } = event);
      checkHello(event.hello, unhex(plain), connection.frames);
    } else {
      fromGateway.push({ message: event.message, plain: unhex(plain) });
    }
  }
  if (hello === undefined) throw new Error("no HELLO");
  return { recording, hello, fromGateway, fromPool };
}

function checkHello(hello: Hello, plain: Uint8Array, frames: readonly RecordedFrame[]): void {
  const keys = [hello.longTermSignKey, hello.longTermBoxKey, hello.sessionSignKey, hello.sessionBoxKey];
  expect(hex(Buffer.concat(keys))).toBe(hex(plain.subarray(0, 128)));
  expect(hello.version).toBe("v0.4.1-beta/de0c348a282fbf0580b53b35d21119b636f53cc0+");
  const afterText = 128 + hello.version.length + 1;
  expect(plain[afterText]).toBe(0xfe);
  expect(Buffer.from(plain).readUInt32LE(afterText + 1)).toBe(hello.nk);
  const padding = plain.subarray(afterText + 5, plain.length - 64);
  expect(new Set(padding).size).toBe(1);
  // Each direction's second header opens with the key that nk gives.
  for (const [dir, start] of [
    ["gateway>pool", hello.nk],
    ["pool>gateway", ~hello.nk >>> 0],
  ] as const) {
    const first = frames.find((frame) => frame.dir === dir && frame.cmd !== 1);
    if (first === undefined) throw new Error("no frame");
    const word = Buffer.from(unhex(first.wire)).readUInt32LE(0) ^ feedback(start);
    expect(readHeader(word >>> 0)).toMatchObject({ length: first.wire.length / 2 - 4, command: first.cmd });
  }
}

/** Encodes again with the recorded padding, and holds that padding to what gateways send: one repeated byte, as many as allowed. */
function reencode(message: GatewayMessage, plain: Uint8Array): string {
  const bare = encodeGatewayMessage(message, () => ({ length: 0, byte: 0 }));
  const padding: PaddingSource = (least, most) => {
    const bytes = plain.subarray(bare.length);
    expect(new Set(bytes).size).toBe(1);
    expect(bytes.length).toBeGreaterThanOrEqual(least);
    expect(bytes.length).toBeLessThanOrEqual(most);
    return { length: bytes.length, byte: bytes[0] as number };
  };
  return hex(encodeGatewayMessage(message, padding));
}

const count = (values: readonly (string | number)[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
};

const sha256d = (bytes: Uint8Array): Buffer => createHash("sha256").update(createHash("sha256").update(bytes).digest()).digest();

interface Work {
  readonly job: JobSection;
  readonly coinbases: Map<number, { readonly coinb1: Uint8Array; readonly coinb2: Uint8Array }>;
}

/** The header hash of a share as a number, from the job and coinbase that were sent: docs/protocol.md, "From a share to a hash". */
function shareHash(share: Share, { job, coinbases }: Work): bigint {
  const parts = coinbases.get(share.coinbaseId);
  if (parts === undefined) throw new Error(`coinbase ${share.coinbaseId} was never sent`);
  const coinb1 = Buffer.from(parts.coinb1);
  if (share.quickdiff) {
    const marked = coinb1.readUInt16BE(coinb1.length - 2) === 0x4451;
    coinb1.writeUInt16BE(marked ? 0xbbae : 0x4451, coinb1.length - 2);
  }
  const coinbase = Buffer.concat([coinb1, share.extranonce, parts.coinb2]);
  expect(coinbase[job.targetByteIndex - 1]).toBe(0x07);
  expect(coinbase[job.targetByteIndex]).toBe(0xff);
  coinbase[job.targetByteIndex] = share.targetByte;
  let root = sha256d(coinbase);
  for (let at = 0; at < job.branches.length && !share.subsidyOnly; at += 32) {
    root = sha256d(Buffer.concat([root, job.branches.subarray(at, at + 32)]));
  }
  const header = Buffer.alloc(80);
  header.writeUInt32LE(share.version, 0);
  header.set(job.prevhash, 4);
  header.set(root, 36);
  header.writeUInt32LE(share.ntime, 68);
  header.writeUInt32LE(job.nbits, 72);
  header.writeUInt32LE(share.nonce, 76);
  return BigInt(`0x${Buffer.from(sha256d(header)).reverse().toString("hex")}`);
}

/** Keeps the sections of shares, and gives the work that each share is for. */
function follow(): (share: Share) => Work {
  const jobs = new Map<number, Work>();
  return (share) => {
    if (share.job !== undefined) jobs.set(share.jobId, { job: share.job, coinbases: new Map() });
    const work = jobs.get(share.jobId);
    if (work === undefined) throw new Error(`job ${share.jobId} was never sent`);
    if (share.coinbase !== undefined) work.coinbases.set(share.coinbase.coinbaseId, share.coinbase);
    return work;
  };
}

describe.each(Object.keys(EXPECTED) as (keyof typeof EXPECTED)[])("recording %s", (name) => {
  const expected = EXPECTED[name];

  describe.each(BOTH)("by the $name implementation", (crypto) => {
    const played = replay(crypto, name);

    it("every frame of the pool is the one that was recorded", () => {
      expect(played.fromPool.length).toBeGreaterThan(40);
      for (const { sent, recorded } of played.fromPool) expect(sent).toBe(recorded);
    });

    it("every message of the gateway encodes to its plaintext again", () => {
      for (const { message, plain } of played.fromGateway) expect(reencode(message, plain)).toBe(hex(plain));
    });
  });

  const { recording, hello, fromGateway, fromPool } = replay(native, name);
  const shares = fromGateway.flatMap(({ message }) => (message.type === "share" ? [message] : []));

  it("has the configuration that its pool sent", () => {
    const { payoutHex, tag, primeId, minDiff } = recording.config;
    const sent = fromPool.flatMap(({ message }) => (message.type === "configuration" ? [message] : []));
    const configuration: Configuration = {
      type: "configuration",
      payoutScript: unhex(payoutHex),
      primeId,
      tag: new TextEncoder().encode(tag),
      minimumDifficulty: BigInt(minDiff),
    };
    expect(sent.map(toJson)).toEqual([toJson(configuration)]);
  });

  it("has the shares that were counted in it", () => {
    expect(shares).toHaveLength(expected.shares);
    expect(count(shares.map((share) => share.coinbaseId))).toEqual(expected.coinbases);
    expect(count(shares.map((share) => share.jobId))).toEqual(expected.jobs);
    const flags = shares.map((share) => Number(share.isBlock) + 2 * Number(share.subsidyOnly) + 4 * Number(share.quickdiff));
    expect(count(flags)).toEqual(expected.flags);
    for (const share of shares) {
      expect(share).toMatchObject({ reserved: 0, unknownFlags: 0 });
      expect(share.extranonce).toHaveLength(12);
      expect(Buffer.from(share.username).toString()).toMatch(/^tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx\.rig[1-5]$/);
      expect(share.coinbase?.coinbaseId ?? share.coinbaseId).toBe(share.coinbaseId);
    }
  });

  it("has shares whose hash meets the target of their byte", () => {
    const workOf = follow();
    for (const share of shares) {
      const work = workOf(share);
      // Difficulty one of these recordings is 2^31 times easier than the usual one.
      const target = (0xffffn << (208n + 31n)) >> BigInt(share.targetByte);
      expect(shareHash(share, work) <= target).toBe(true);
      expect(work.job.branches.length / 32).toBe(Math.ceil(Math.log2(work.job.transactionCount + 1)));
      const coinbase = work.coinbases.get(share.coinbaseId);
      expect(hex(coinbase?.coinb1 ?? new Uint8Array(0)).includes("50524f4245")).toBe(true);
    }
  });

  it("has an answer to every share, naming its nonce, target byte and job", () => {
    const answers = fromPool.flatMap(({ message }) => (message.type === "shareResponse" ? [message] : []));
    expect(answers.length).toBeGreaterThanOrEqual(shares.length - 1);
    answers.forEach((answer, i) => {
      const { nonce, targetByte, jobId } = shares[i] as Share;
      expect(answer).toEqual({ type: "shareResponse", status: "accepted", reason: 0, nonce, targetByte, jobId });
    });
  });

  it("has an answer to every coinbaser request, with its value and the split that was set up", () => {
    const requests = fromGateway.flatMap(({ message }) => (message.type === "coinbaserRequest" ? [message] : []));
    const answers = fromPool.flatMap(({ message }) => (message.type === "coinbaser" ? [message] : []));
    expect(requests).toHaveLength(expected.requests);
    expect(answers.map((answer) => answer.value)).toEqual(requests.map((request: CoinbaserRequest) => request.value));
    answers.forEach((answer: CoinbaserResponse) => {
      expect(answer.outputs).toHaveLength(expected.outputs);
      answer.outputs.forEach(({ script, value }) => {
        expect(hex(script)).toMatch(/^0014([0-9a-f]{2})\1{19}$/);
        expect(value).toBe(answer.outputs[0]?.value);
      });
      expect(answer.outputs.reduce((sum, { value }) => sum + value, 0n)).toBeLessThanOrEqual(answer.value);
    });
    const prevhashes = new Set(requests.map((request) => hex(request.prevhash)));
    for (const { job } of shares) if (job !== undefined) expect(prevhashes.has(hex(job.prevhash))).toBe(true);
  });

  it("has the pings and the job validation that its README tells of", () => {
    expect(fromPool.filter(({ message }) => message.type === "ping")).toHaveLength(expected.pings);
    const replies = fromGateway.flatMap(({ message }) => {
      if (message.type === "shortIds") return [`shortIds ${message.error ?? message.ids.length / 6}`];
      if (message.type === "fullSet" || message.type === "transactionsByIndex") {
        return [`${message.type} ${message.error ?? message.transactions.length}`];
      }
      return [];
    });
    expect(replies).toEqual(expected.validation);
  });

  it("has short ids and a check that follow from the transactions themselves", () => {
    const key = shortIdKey(hello.longTermSignKey, decodePublicKey(recording.poolPublicKey).sign);
    let ids: Uint8Array | undefined;
    let check: Uint8Array | undefined;
    let full: readonly Uint8Array[] | undefined;
    let byIndex: readonly Uint8Array[] = [];
    for (const { message } of fromGateway) {
      if (message.type === "shortIds") ({ ids, crosscheck: check } = message);
      if (message.type === "transactionsByIndex") byIndex = message.transactions;
      if (message.type === "fullSet") full = message.transactions;
    }
    const known = full ?? byIndex;
    // The wtxid is the hash of a transaction as it is sent, witness included.
    const wtxids = known.map(sha256d);
    expect(hex(ids?.subarray(0, 6 * known.length) ?? new Uint8Array(0))).toBe(
      hex(Buffer.concat(wtxids.map((wtxid) => shortId(key, wtxid)))),
    );
    // Indices 0 and 1 were asked for.
    expect(byIndex.map(hex)).toEqual(known.slice(0, byIndex.length).map(hex));
    if (full === undefined) return;
    expect(check === undefined ? undefined : hex(check)).toBe(full.length === 0 ? undefined : hex(crosscheck(wtxids)));
  });
});

describe("real-work.plain.txt", () => {
  const lines = readFileSync(new URL("recordings/real-work.plain.txt", import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map(unhex);
  const messages = lines.map((plain) => ({ plain, message: decodeGatewayMessage(plain) }));

  it("decodes whole and encodes again to the same lines", () => {
    expect(count(messages.map(({ message }) => message.type))).toEqual({ coinbaserRequest: 9, share: 4 });
    for (const { message, plain } of messages) expect(reencode(message, plain)).toBe(hex(plain));
  });

  it("has four shares with 32 zero bits, each of them a block", () => {
    const workOf = follow();
    const difficultyOne = 0xffffn << 208n;
    for (const { message } of messages) {
      if (message.type !== "share") continue;
      expect(message).toMatchObject({ isBlock: true, subsidyOnly: false, quickdiff: false, targetByte: 0 });
      expect(shareHash(message, workOf(message)) <= difficultyOne).toBe(true);
    }
  });
});
