/**
 * A small pool on regtest and what it published: three segments of the log with shares taken back, a block, a block that left the chain, and one in its place.
 * Everything is worked out the plain way, share by share, so that the audit has something to be compared with.
 */
import { createHash } from "node:crypto";
import { fromReverseHex, merkleRoot, NETWORKS, reverseHex, sha256d, targetFromBits } from "@openprime/bitcoin";
import { createScheme, type SchemeOptions, type WindowWeights, windowSize } from "@openprime/rewards";
import {
  type AuditNode,
  encodeIndex,
  encodeLogEnd,
  encodeLogEntry,
  encodeLogHeader,
  encodeSettlement,
  type IndexedSettlement,
  type LogVoid,
  logFile,
  ProofError,
  type ProofSource,
  type Settlement,
  type SettlementEntry,
  type SettlementLine,
  settlementFile,
} from "../../src/proofs/index.js";

export const REGTEST = NETWORKS.regtest;
/** Eight times the network's difficulty at this target is a window of 64. */
export const BITS = 0x200f_ffff;

/** P2WPKH scripts by name; the pool's own sorts in the middle. */
export const SCRIPTS = {
  ann: Buffer.from(`0014${"11".repeat(20)}`, "hex"),
  bob: Buffer.from(`0014${"22".repeat(20)}`, "hex"),
  pool: Buffer.from(`0014${"33".repeat(20)}`, "hex"),
  cleo: Buffer.from(`0014${"44".repeat(20)}`, "hex"),
} as const;
export type Name = keyof typeof SCRIPTS;
const IDS: Readonly<Record<Name, number>> = { pool: 1, cleo: 2, bob: 3, ann: 4 };
export const NAMES = Object.keys(SCRIPTS) as Name[];

export interface TestShare {
  readonly who: Name;
  readonly weight: bigint;
  readonly feePpm: number;
  /** Of its job; null and 0 where they are not given. */
  readonly split?: bigint;
  readonly pin?: bigint;
  /** It is the first block. */
  readonly found?: boolean;
}
export type TestEntry = TestShare | { readonly takesBack: number; readonly reason?: LogVoid["reason"] };

/** Entries of each segment; positions count on from 1. */
const share = (who: Name, weight: number, feePpm = 10_000): TestShare => ({ who, weight: BigInt(weight), feePpm });
const SEGMENTS: readonly (readonly TestEntry[])[] = [
  [share("ann", 16), share("bob", 8), share("ann", 16, 0), share("bob", 8)],
  [
    share("cleo", 32),
    share("ann", 4),
    { takesBack: 2 },
    share("bob", 2),
    share("bob", 8),
    { takesBack: 6 },
    { ...share("ann", 16), split: 1n, pin: 9n, found: true },
  ],
  [
    share("cleo", 4),
    share("ann", 8),
    share("bob", 4),
    { takesBack: 9, reason: "template" },
    { ...share("cleo", 8), split: 2n, pin: 14n },
    share("ann", 4, 1_000_000),
  ],
];

/** What a test may change on the way. Whatever comes later is made from what was published, so links stay whole. */
export interface Tampering {
  readonly document?: (settlement: Omit<Settlement, "root">) => Omit<Settlement, "root">;
  /** Lines of a log file, without the ends of the lines. */
  readonly log?: (segment: number, lines: string[]) => string[];
  /** All files as they were written. */
  readonly files?: (files: Map<string, Buffer>) => void;
  /** Before the last block the chain has one that pays the pool, and that nothing tells of. */
  readonly hidden?: boolean;
  readonly scheme?: SchemeOptions;
  readonly feePpm?: number;
}

export interface TestChain {
  /** Hash in display order by height. */
  readonly best: Map<number, string>;
  /** Serialized blocks by hash in display order. */
  readonly blocks: Map<string, Buffer>;
}

export interface PoolHistory {
  readonly files: Map<string, Buffer>;
  readonly chain: TestChain;
  readonly source: ProofSource;
  readonly node: AuditNode;
  readonly settlements: readonly Settlement[];
}

export const display = (bytes: Uint8Array): string => reverseHex(bytes);
const sha = (data: string | Uint8Array): Buffer => createHash("sha256").update(data).digest();

/** The block before the pool's first, at height 100. */
export const GENESIS = sha("genesis");

/** A share's hash, low enough for any weight up to 128. */
export function shareHash(position: number): Buffer {
  const hash = sha(`share ${position}`);
  hash[31] = 0;
  return hash;
}

/** Lines of a segment's file. */
function logText(segment: number, prevhash: Buffer, after: number, previous: Uint8Array, block: Buffer): string[] {
  const entries = SEGMENTS[segment - 1] ?? [];
  const rows = entries.map((entry, i) => {
    const position = BigInt(after + i + 1);
    if ("takesBack" in entry) {
      const { who, weight, feePpm, segment: of } = shareAt(entry.takesBack);
      const hash = shareHash(entry.takesBack);
      const taken = {
        share: BigInt(entry.takesBack),
        hash,
        script: SCRIPTS[who],
        weight,
        feePpm,
        segment: of,
        reason: entry.reason ?? "parent",
      };
      return encodeLogEntry({ kind: "void", position, ...taken });
    }
    const { who, weight, feePpm, split, pin = 0n, found = false } = entry;
    const job = { split, pin, primeId: 1, targetByte: 0, coinbaseId: 1, ntime: 1_700_000_000 };
    const work = { time: 1_700_000_000_000, hash: found ? block : shareHash(after + i + 1), prevhash, height: 99 + segment, worker: "" };
    return encodeLogEntry({ kind: "share", position, ...work, script: SCRIPTS[who], weight, feePpm, ...job });
  });
  const voids = entries.filter((entry) => "takesBack" in entry).length;
  const last = BigInt(after + entries.length);
  return [
    encodeLogHeader({ network: "regtest", segment, prevhash, after: BigInt(after), previous, perShare: false }),
    ...rows,
    encodeLogEnd({ last, shares: entries.length - voids, voids }),
  ];
}

/** Position by position, with the segment. */
const LOG = SEGMENTS.flatMap((entries, i) => entries.map((entry) => ({ entry, segment: i + 1 })));

function shareAt(position: number): TestShare & { readonly segment: number } {
  const { entry, segment } = LOG[position - 1] ?? {};
  if (entry === undefined || segment === undefined || "takesBack" in entry) throw new Error(`no share at ${position}`);
  return { ...entry, segment };
}

/** The window at a pin, share by share. */
export function plainWindow(
  pin: number,
  size: bigint,
): { weights: Map<Name, bigint>; net: Map<Name, bigint>; denominator: bigint; first: number } {
  const gone = new Set(LOG.slice(0, pin).flatMap(({ entry }) => ("takesBack" in entry ? [entry.takesBack] : [])));
  const live = LOG.slice(0, pin).flatMap(({ entry, segment }, i) =>
    "takesBack" in entry || gone.has(i + 1) ? [] : [{ ...entry, segment }],
  );
  const sum = (segment: number): bigint => live.reduce((total, one) => (one.segment === segment ? total + one.weight : total), 0n);
  let newer = 0n;
  let first = SEGMENTS.length;
  while (first > 0 && newer + sum(first) < size) newer += sum(first--);
  const denominator = first === 0 ? 1n : sum(first);
  const weights = new Map<Name, bigint>();
  const net = new Map<Name, bigint>();
  for (const { who, weight, feePpm, segment } of live) {
    const part = segment > first ? weight * denominator : segment === first ? weight * (size - newer) : 0n;
    if (part === 0n) continue;
    weights.set(who, (weights.get(who) ?? 0n) + part);
    net.set(who, (net.get(who) ?? 0n) + part * BigInt(1_000_000 - feePpm));
  }
  return { weights, net, denominator, first: Math.max(first, 1) };
}

/** Weight of the whole log up to a pin. */
function plainLogWeight(pin: number): bigint {
  const { weights } = plainWindow(pin, 1n << 60n);
  return [...weights.values()].reduce((sum, weight) => sum + weight, 0n);
}

function coinbaseOf(height: number, outputs: readonly { who: Name; value: bigint }[], salt: number): Buffer {
  const all = [
    ...outputs.map(({ who, value }) => ({ script: SCRIPTS[who] as Uint8Array, value })),
    { script: Uint8Array.of(0x6a), value: 0n },
  ];
  return Buffer.concat([
    Buffer.from(`02000000${"01"}${"00".repeat(32)}ffffffff`, "hex"),
    Uint8Array.of(4, 1, height, 1, salt),
    Buffer.from("ffffffff", "hex"),
    outputBytes(all),
    Buffer.alloc(4),
  ]);
}

interface TestBlock {
  readonly hash: Buffer;
  readonly prevhash: Buffer;
  readonly height: number;
  readonly time: number;
  readonly coinbase: Buffer;
  readonly raw: Buffer;
}

/** A transaction of one input that pays these. */
export function paymentOf(outputs: readonly { who: Name; value: bigint }[], salt: number): Buffer {
  return Buffer.concat([
    Buffer.from(`0200000001${String(salt).padStart(2, "0").repeat(32)}0000000000ffffffff`, "hex"),
    outputBytes(outputs.map(({ who, value }) => ({ script: SCRIPTS[who], value }))),
    Buffer.alloc(4),
  ]);
}

function outputBytes(outputs: readonly { script: Uint8Array; value: bigint }[]): Buffer {
  const u64 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
  };
  const each = outputs.flatMap(({ script, value }) => [u64(value), Uint8Array.of(script.length), script]);
  return Buffer.concat([Uint8Array.of(outputs.length), ...each]);
}

function blockOf(height: number, prevhash: Buffer, coinbase: Buffer, others: readonly Buffer[]): TestBlock {
  const time = 1_700_000_000 + height;
  const header = Buffer.alloc(80);
  header.writeUInt32LE(0x2000_0000);
  prevhash.copy(header, 4);
  header.set(merkleRoot([sha256d(coinbase), ...others.map(sha256d)]), 36);
  header.writeUInt32LE(time, 68);
  header.writeUInt32LE(BITS, 72);
  // Low enough for a share too.
  while (sha256d(header)[31] !== 0) header.writeUInt32LE(header.readUInt32LE(76) + 1, 76);
  const raw = Buffer.concat([header, Uint8Array.of(1 + others.length), coinbase, ...others]);
  return { hash: Buffer.from(sha256d(header)), prevhash, height, time, coinbase, raw };
}

/** What is published of a pool, and the chain that it mined on. */
export function poolHistory(tampering: Tampering = {}): PoolHistory {
  const chain: TestChain = { best: new Map(), blocks: new Map() };
  const split = [
    { who: "cleo" as const, value: 400_000n },
    { who: "ann" as const, value: 300_001n },
    { who: "bob" as const, value: 200_000n },
  ];
  const mine = (height: number, prevhash: Buffer, paidTo: readonly number[], salt: number, others: readonly Buffer[] = []): TestBlock => {
    const outputs = [...paidTo.map((i) => split[i] as (typeof split)[number]), { who: "pool" as const, value: POOL_PART }];
    const block = blockOf(height, prevhash, coinbaseOf(height, outputs, salt), others);
    chain.blocks.set(display(block.hash), block.raw);
    return block;
  };

  const payout = paymentOf([{ who: "bob", value: 1000n }], 1);
  const first = mine(101, GENESIS, [0, 1], 1, [payout]);
  const second = mine(102, first.hash, [0, 2], 2, [payout]);
  const below = tampering.hidden === true ? mine(102, first.hash, [], 4) : first;
  const third = mine(below.height + 1, below.hash, [1], 3);
  const tips = [sha("before genesis"), GENESIS, first.hash];

  const files = new Map<string, Buffer>();
  const logHashes: Buffer[] = [];
  let after = 0;
  for (const [i, entries] of SEGMENTS.entries()) {
    const lines = logText(i + 1, tips[i] as Buffer, after, logHashes.at(-1) ?? Buffer.alloc(32), first.hash);
    const text = `${(tampering.log?.(i + 1, lines) ?? lines).join("\n")}\n`;
    files.set(logFile(i + 1), Buffer.from(text));
    logHashes.push(sha(text));
    after += entries.length;
  }

  const settlements: Settlement[] = [];
  const rows: IndexedSettlement[] = [];
  const balances = new Map<Name, bigint>();
  const live: bigint[] = [];
  const options = tampering.scheme ?? { name: "tides", multiplier: 8n };
  const scheme = createScheme(options);
  let previous: Uint8Array = new Uint8Array(32);
  let entries: SettlementEntry[] = [];

  const publish = (honest: Omit<Settlement, "root">): void => {
    const settlement = tampering.document?.(honest) ?? honest;
    const { text, hash, root } = encodeSettlement(settlement);
    const row: IndexedSettlement = {
      number: honest.number,
      kind: settlement.kind,
      height: settlement.block.height,
      block: settlement.block.hash,
      hash,
    };
    files.set(settlementFile(row), Buffer.from(text));
    rows.push(row);
    settlements.push({ ...settlement, root });
    previous = hash;
    entries = [];
  };

  const change = (entry: Omit<SettlementEntry, "amounts">, amounts: Partial<Record<Name, bigint>>): void => {
    const changed = NAMES.filter((name) => amounts[name] !== undefined);
    for (const name of changed) balances.set(name, (balances.get(name) ?? 0n) + (amounts[name] ?? 0n));
    const list = changed.map((name) => ({ script: SCRIPTS[name], amount: amounts[name] ?? 0n }));
    entries.push({ ...entry, amounts: list });
  };

  const settle = (
    block: TestBlock,
    pin: number,
    lastSegment: number,
    split: readonly { who: Name; value: bigint }[],
    paidTo: readonly number[],
  ): void => {
    const window = scheme.window;
    const blockWeights = window.kind === "blocks" ? live.slice(-window.count) : [];
    const logWeight = plainLogWeight(pin);
    const targets = { difficultyOne: REGTEST.difficultyOne, target: targetFromBits(BITS) };
    const size = windowSize(window, { targets, logWeight, blockWeights });
    const found = size === 0n ? undefined : plainWindow(pin, size);
    const weights: WindowWeights = weightsOf(found);
    const paid = new Map<Name, bigint>();
    for (const i of paidTo) {
      const { who, value } = split[i] as { who: Name; value: bigint };
      paid.set(who, value);
    }
    const received = block.coinbase.equals(Buffer.alloc(0)) ? 0n : POOL_PART;
    const value = received + [...paid.values()].reduce((sum, one) => sum + one, 0n);
    const feePpm = tampering.feePpm ?? 10_000;
    const earnings = scheme.earned({ value, feePpm, finder: IDS.bob }, weights);
    const lines = NAMES.map((name): SettlementLine => {
      const before = balances.get(name) ?? 0n;
      const at = earnings.accounts.indexOf(IDS[name]);
      const earned = earnings.amounts[at] ?? 0n;
      const fee = name === "pool" ? earnings.fee : 0n;
      const balance = before + earned + fee - (paid.get(name) ?? 0n);
      balances.set(name, balance);
      return {
        account: IDS[name],
        script: SCRIPTS[name],
        weight: found?.weights.get(name) ?? 0n,
        netWeight: found?.net.get(name) ?? 0n,
        before,
        earned,
        fee,
        paid: paid.get(name) ?? 0n,
        balance,
      };
    });
    live.push(logWeight);
    publish({
      number: settlements.length + 1,
      kind: "settlement",
      previous,
      network: "regtest",
      block: { hash: block.hash, prevhash: block.prevhash, height: block.height, bits: BITS, time: block.time, coinbase: block.coinbase },
      scheme: options,
      feePpm,
      value,
      received,
      poolScripts: [SCRIPTS.pool],
      pin: BigInt(pin),
      split: {
        id: BigInt(settlements.length + 1),
        value,
        outputs: split.map(({ who, value: amount }) => ({ script: SCRIPTS[who], value: amount })),
      },
      finder: window.kind === "none" ? SCRIPTS.bob : undefined,
      window: {
        size,
        weight: weights.totalWeight,
        netWeight: weights.totalNetWeight,
        denominator: weights.denominator,
        firstSegment: found?.first ?? 0,
        lastSegment: found === undefined ? 0 : lastSegment,
        logWeight,
        blockWeights,
        logHash: found === undefined ? undefined : logHashes[lastSegment - 1],
      },
      entries,
      lines: lines.filter(({ weight, before, earned, fee, paid: out }) => [weight, before, earned, fee, out].some((one) => one !== 0n)),
    });
  };

  const takeBack = (original: Settlement): void => {
    live.pop();
    const lines = original.lines.map((line): SettlementLine => {
      const name = NAMES.find((one) => SCRIPTS[one].equals(line.script)) as Name;
      const before = balances.get(name) ?? 0n;
      const balance = before - line.earned - line.fee + line.paid;
      balances.set(name, balance);
      return { ...line, before, earned: -line.earned, fee: -line.fee, paid: -line.paid, balance };
    });
    const { root: _, ...rest } = original;
    publish({ ...rest, number: settlements.length + 1, kind: "reversal", previous, entries, lines });
  };

  const spend = (block: TestBlock) => ({ block: block.hash, txid: Buffer.from(sha256d(payout)) });
  const gift = { block: first.hash, txid: sha("gift") };
  settle(first, 9, 2, split, [0, 1]);
  change({ id: 5n, kind: "receipt", ...gift }, {});
  change({ id: 6n, kind: "spend", ...spend(first) }, { bob: -1000n, pool: -10n });
  settle(second, 14, 3, split, [0, 2]);
  change({ id: 8n, kind: "spend", ...spend(second) }, { bob: -900n, pool: -110n });
  change({ id: 9n, kind: "reversal", ...spend(second) }, { bob: 900n, pool: 110n });
  takeBack(settlements[1] as Settlement);
  change({ id: 11n, kind: "reversal", ...gift }, {});
  settle(third, 17, 3, split, [1]);
  for (const block of [first, below, third]) chain.best.set(block.height, display(block.hash));
  files.set("index.json", Buffer.from(encodeIndex({ settlements: rows })));
  tampering.files?.(files);
  return { files, chain, settlements, source: sourceOf(files), node: nodeOf(chain) };
}

/** What each coinbase pays the pool. */
const POOL_PART = 5_000_000n;

function weightsOf(found: ReturnType<typeof plainWindow> | undefined): WindowWeights {
  const names = [...(found?.weights.keys() ?? [])].sort((a, b) => IDS[a] - IDS[b]);
  const list = (of: Map<Name, bigint> | undefined): bigint[] => names.map((name) => of?.get(name) ?? 0n);
  const total = (values: bigint[]): bigint => values.reduce((sum, one) => sum + one, 0n);
  return {
    accounts: names.map((name) => IDS[name]),
    weights: list(found?.weights),
    netWeights: list(found?.net),
    totalWeight: total(list(found?.weights)),
    totalNetWeight: total(list(found?.net)),
    denominator: found?.denominator ?? 1n,
    firstSegment: found?.first,
    complete: true,
  };
}

function sourceOf(files: Map<string, Buffer>): ProofSource {
  return {
    index: async () => (await import("../../src/proofs/index.js")).decodeIndex(String(files.get("index.json"))),
    async *read(path) {
      const file = files.get(path);
      if (file === undefined) throw new ProofError("proof.unreadable", `there is no ${path}`);
      // In odd pieces: lines and characters are cut.
      for (let at = 0; at < file.length; at += 37) yield file.subarray(at, at + 37);
    },
  };
}

export function nodeOf({ best, blocks }: TestChain): AuditNode {
  return {
    network: async () => "regtest",
    blockHash: async (height) => {
      const hash = best.get(height);
      return hash === undefined ? undefined : fromReverseHex(hash);
    },
    rawBlock: async (hash) => blocks.get(display(hash)),
  };
}
