/** A judge, a chain, a gateway's session and a way to make shares, with everything held still. */
import { NETWORKS, type Network } from "@openprime/bitcoin";
import type { JobSection, Share } from "@openprime/datum";
import {
  type JudgeOptions,
  type OfferedSplit,
  type Parent,
  type Prover,
  ShareJudge,
  type SplitOutput,
  type TemplateDesk,
  WorkSession,
} from "../../../src/work/index.js";
import { FakeChain } from "./chain.js";
import { type BuilderJob, type BuiltJob, buildJob } from "./gateway-builder.js";
import { ReferenceProver } from "./reference-prover.js";

export const POOL_SCRIPT = Buffer.from(`0014${"aa".repeat(20)}`, "hex");
export const TAG = Buffer.from("OpenPrime");
export const PRIME_ID = 0x01020304;
export const NOW = 1_795_000_000_000;
export const HEIGHT = 900_000;
export const VALUE = 312_500_000n + 4_000_000n;
/** On regtest a block of this takes 2^24 times the work of difficulty one: out of reach. */
export const HARD_BITS = 0x1d7fffff;
/** BIP173's test vector: version 0 of 20 bytes. */
export const ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

export function payee(index: number, value: bigint, bytes = 22): SplitOutput {
  const script = Buffer.alloc(bytes, index & 0xff);
  script.writeUInt16LE(index & 0xffff, 0);
  return { value, script };
}

export interface World {
  readonly judge: ShareJudge;
  readonly session: WorkSession;
  readonly chain: FakeChain;
  readonly prover: ReferenceProver;
  readonly tip: Parent;
  readonly clock: { now: number };
  readonly head: { position: bigint };
}

/** @param instead judges in place of the reference prover, which then is idle */
export function world(options: Partial<JudgeOptions> = {}, instead?: Prover, templates?: TemplateDesk): World {
  const clock = { now: NOW };
  const head = { position: 50n };
  const chain = new FakeChain();
  const tip = chain.enter({
    hash: Buffer.alloc(32, 0x11),
    state: "tip",
    height: HEIGHT - 1,
    childBits: HARD_BITS,
    medianTime: NOW / 1000 - 3600,
    staleSince: undefined,
  });
  const prover = new ReferenceProver();
  const judge = new ShareJudge(
    {
      network: NETWORKS.regtest,
      payoutScript: POOL_SCRIPT,
      tag: TAG,
      feePpm: 20_000,
      staleGraceMs: 5000,
      limits: { accountsPerSession: 5, workersPerSession: 5 },
      ...options,
    },
    { chain, prover: instead ?? prover, templates, now: () => clock.now },
  );
  const session = new WorkSession({ sessionId: 7n, primeId: PRIME_ID, minimumTargetByte: 0, head: () => head.position });
  return { judge, session, chain, prover, tip, clock, head };
}

export function split(coinbaserId: number, outputs: readonly SplitOutput[], changes: Partial<OfferedSplit> = {}): OfferedSplit {
  return {
    id: 900n + BigInt(coinbaserId),
    coinbaserId,
    value: VALUE,
    prevhash: Buffer.alloc(32, 0x11),
    outputs,
    position: 30n,
    ...changes,
  };
}

export function builderJob(changes: Partial<BuilderJob> = {}): BuilderJob {
  return {
    height: HEIGHT,
    primaryTag: TAG,
    secondaryTag: Buffer.from("a gateway"),
    uniqueId: 0x5566,
    primeId: PRIME_ID,
    prefix: Buffer.from([0xb1, 0x0c]),
    value: VALUE,
    poolScript: POOL_SCRIPT,
    split: [],
    ...changes,
  };
}

export function section(built: BuiltJob, job: BuilderJob, changes: Partial<JobSection> = {}): JobSection {
  return {
    prevhash: Buffer.alloc(32, 0x11),
    targetByteIndex: built.targetByteIndex,
    nbits: HARD_BITS,
    coinbaserId: 0,
    height: job.height,
    coinbaseValue: job.value,
    transactionCount: 3,
    totalWeight: 4000,
    totalSize: 1000,
    totalSigops: 8,
    branches: Buffer.alloc(64, 0x77),
    ...changes,
  };
}

export interface ShareChanges extends Partial<Share> {
  /** What the gateway built; `jobChanges` and `coins` alter what it says of it. */
  readonly built?: BuilderJob;
  readonly jobChanges?: Partial<JobSection>;
  /** Replaces the bytes of the coinbase. */
  readonly coins?: { readonly coinb1: Uint8Array; readonly coinb2: Uint8Array };
}

/** A share with both sections, not yet mined. */
export function share(changes: ShareChanges = {}): Share {
  const { built: job = builderJob(), jobChanges, coins, ...fields } = changes;
  const built = buildJob(job);
  const coinbaseId = fields.coinbaseId ?? 0;
  const coinbase = coins ?? built.coinbases.get(coinbaseId);
  return {
    type: "share",
    jobId: 0,
    coinbaseId,
    isBlock: false,
    subsidyOnly: coinbaseId === 255,
    quickdiff: false,
    unknownFlags: 0,
    targetByte: 0,
    ntime: NOW / 1000,
    nonce: 0,
    version: 0x20000000,
    extranonce: Buffer.from("000102030405060708090a0b", "hex"),
    username: Buffer.from(`${ADDRESS}.rig1`),
    reserved: 0,
    job: section(built, job, jobChanges),
    ...(coinbase === undefined ? {} : { coinbase: { coinbaseId, coinb1: coinbase.coinb1, coinb2: coinbase.coinb2 } }),
    ...fields,
  };
}

/** The share without its sections. */
export function bare(from: Share): Share {
  const { job: _job, coinbase: _coinbase, ...rest } = from;
  return rest;
}

/** Number of a hash, as targets count. */
export function hashNumber(hash: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(hash).reverse().toString("hex")}`);
}

/** The hash of a share whose sections are `from`'s. */
export function hashOf(from: Share, parts: Share = from): Uint8Array {
  const { job, coinbase } = parts;
  if (job === undefined || coinbase === undefined) throw new Error("the share has no sections");
  const { coinb1, coinb2 } = coinbase;
  const { prevhash, nbits, branches, targetByteIndex } = job;
  return new Uint8Array(new ReferenceProver().prove({ ...from, coinb1, coinb2, prevhash, nbits, branches, targetByteIndex }));
}

/** Try nonces until the hash pleases, so that a test does not depend on luck. */
export function mine(from: Share, pleases: (hash: bigint) => boolean, parts: Share = from): Share {
  for (let nonce = from.nonce; nonce < from.nonce + 200_000; nonce++) {
    const tried = { ...from, nonce };
    if (pleases(hashNumber(hashOf(tried, parts)))) return tried;
  }
  throw new Error("no nonce pleases");
}

/** Mine for the share's own difficulty in a network's unit. */
export function good(from: Share, network: Network = NETWORKS.regtest, parts: Share = from): Share {
  return mine(from, (hash) => hash <= network.difficultyOne >> BigInt(from.targetByte), parts);
}
