/**
 * A pool whose operator changes the scheme, again and again, with work, shares taken back and blocks in between, on a real database: every share is paid
 * once, by its segment or by the window, as a list of all shares says that is kept beside the pool; and the published files say the same.
 */
import { NETWORKS, sha256d, targetFromBits } from "@openprime/bitcoin";
import { type Earnings, perShare, pplns, type Scheme, tides, type WindowWeights, windowSize } from "@openprime/rewards";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { publishedFiles } from "../../../src/cli/audit/published-files.js";
import { inSnapshot } from "../../../src/ledger/check/snapshot.js";
import {
  Blocks,
  type BlockWorth,
  type ChainBlock,
  type ChainPosition,
  type ChainReader,
  checkMoney,
  type Database,
  MoneyBook,
  openDatabase,
  Publisher,
  Sessions,
  ShareCredits,
  ShareLog,
  SplitBook,
} from "../../../src/ledger/index.js";
import { windowAt } from "../../../src/ledger/money/window-at.js";
import { Auditor } from "../../../src/proofs/index.js";
import { HashSet } from "../../../src/work/index.js";
import { divide, type StoredShare, weigh } from "../../pool/support/plain-split.js";
import {
  append,
  externalServer,
  hash,
  MemoryLogger,
  OPERATOR,
  script,
  share,
  temporaryDatabase,
  temporaryDirectory,
  until,
} from "../support.js";
import { BEGIN, START } from "./world.js";

const server = await externalServer();

const { difficultyOne } = NETWORKS.regtest;
/** 64 times difficulty one; so a window of TIDES weighs 512. */
const BITS = 0x2001ffff;
const TARGETS = { difficultyOne, target: targetFromBits(BITS) };
const SUBSIDY = 100_003n;
const PPM = 1_000_000n;

const SCHEMES = { tides: tides(), blocks: pplns({ blocks: 2 }), pps: perShare("pps"), fpps: perShare("fpps") } as const;
type Name = keyof typeof SCHEMES;

/** A share as the test knows it. */
interface Known extends StoredShare {
  readonly position: bigint;
  readonly parent: string;
  voidedAt: bigint | undefined;
}
/** A block that was found, and is not on the chain yet. */
interface Found {
  readonly pin: bigint;
  readonly scheme: Scheme;
}
type Amounts = Map<string, bigint>;

/** A block whose coinbase pays the pool alone, with the bytes that a node has of it. */
function blockAfter(parent: ChainPosition, value: bigint, primeId: number): { block: ChainBlock; raw: Buffer } {
  const height = parent.height + 1;
  const time = 1_790_000_000 + height;
  const amount = Buffer.alloc(8);
  amount.writeBigUInt64LE(value);
  const coinbase = Buffer.concat([
    Buffer.from(`0200000001${"00".repeat(32)}ffffffff0401${height.toString(16).padStart(2, "0")}0101ffffffff01`, "hex"),
    ...[amount, Uint8Array.of(OPERATOR.length), OPERATOR, Buffer.alloc(4)],
  ]);
  const txid = sha256d(coinbase);
  const header = Buffer.alloc(80);
  header.writeUInt32LE(0x2000_0000);
  header.set(parent.hash, 4);
  header.set(txid, 36);
  header.writeUInt32LE(time, 68);
  header.writeUInt32LE(BITS, 72);
  const outputs = [{ script: OPERATOR, value }];
  const block = { height, hash: sha256d(header), prevhash: parent.hash, time, bits: BITS, transactions: [] };
  return {
    block: { ...block, coinbase: { txid, raw: coinbase, outputs, primeId } },
    raw: Buffer.concat([header, Uint8Array.of(1), coinbase]),
  };
}

/** The pool, and beside it what was done: every share, every segment's worth, every block. */
class Life {
  readonly #folder = temporaryDirectory();
  readonly #chain: { block: ChainBlock; raw: Buffer }[] = [];
  readonly #shares: Known[] = [];
  /** Of the segments whose shares are paid one by one. */
  readonly #worths = new Map<number, BlockWorth>();
  readonly #found: Found[] = [];
  /** Weight of the windows' log at the pins of the blocks on the chain. */
  readonly #blockWeights: bigint[] = [];
  readonly #earned: Amounts = new Map();
  #fee = 0n;
  #clock = START;
  #primeId = 0;
  #session = 0n;
  #scheme: Scheme = tides();
  #log!: ShareLog;
  #publisher!: Publisher;
  #book!: MoneyBook;
  #credits!: ShareCredits;
  #splits: SplitBook | undefined;

  private constructor(
    readonly database: Database,
    readonly logger: MemoryLogger,
    private readonly remove: () => Promise<void>,
  ) {}

  static async begin(scheme: Name): Promise<Life> {
    const { url, remove } = await temporaryDatabase(server as string);
    const logger = new MemoryLogger();
    const life = new Life(await openDatabase({ url }, { log: logger }), logger, remove);
    const session = await new Sessions(life.database, () => START).open(hash("gateway"), "v1");
    life.#primeId = session.primeId;
    life.#session = session.id;
    await life.#start(SCHEMES[scheme]);
    await life.#book.begin(BEGIN);
    return life;
  }

  async #start(scheme: Scheme): Promise<void> {
    const { database, logger } = this;
    this.#scheme = scheme;
    const now = (): number => this.#clock++;
    const log = await ShareLog.open(database, { operatorScript: OPERATOR });
    this.#log = log;
    this.#publisher = new Publisher({ dir: this.#folder.path, network: "regtest" }, { database, logger });
    log.follow(this.#publisher);
    this.#book = await MoneyBook.open(
      { network: "regtest", threshold: 1n, feePpm: 10_000 },
      {
        ...{ database, log, scheme, now, logger },
        targets: () => TARGETS,
        logHash: (segment) => this.#publisher.logs.hashForSettlement(segment),
      },
    );
    // Opened before the tip, so that the segment which the last scheme left open is read too.
    this.#splits =
      scheme.window.kind === "none"
        ? undefined
        : await SplitBook.open(
            { dust: 1n, threshold: 1n, inactiveBlocks: 1000, mode: "direct", feePpm: 10_000, snapshotMs: 0 },
            {
              ...{ log, scheme, now, logger, balances: this.#book },
              targets: () => TARGETS,
              maxValue: () => 10n * SUBSIDY,
              payee: () => ({ dustLimit: 1n, legacySigops: false }),
            },
          );
    this.#credits = await ShareCredits.open(
      { reserve: scheme.credit === undefined ? undefined : 10n ** 15n, operatorScript: OPERATOR },
      { database, log, money: this.#book, targets: () => TARGETS, logger },
    );
    await this.tip(0n);
  }

  async #stop(): Promise<void> {
    await this.#credits.close();
    await this.#publisher.stop();
    await this.#book.close();
    await this.#log.close();
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.database.close();
    await this.remove();
    this.#folder.remove();
  }

  async change(scheme: Name, settled: boolean): Promise<void> {
    if (settled) await this.#credits.settled();
    await this.#stop();
    await this.#start(SCHEMES[scheme]);
  }

  /** A segment for the present scheme. */
  async tip(fees: bigint): Promise<void> {
    const worth = { bits: BITS, subsidy: SUBSIDY, averageFees: this.#scheme.name === "fpps" ? fees : 0n };
    const paying = this.#scheme.credit !== undefined;
    const segment = await this.#log.openSegment(hash("tip"), paying ? worth : { bits: BITS });
    if (paying) this.#worths.set(segment, worth);
  }

  async work(who: number, weight: bigint, feePpm: number, parent: string): Promise<void> {
    const id = hash(`scheme change ${this.#shares.length}`);
    // As low as its weight says.
    id[31] = 0;
    const { segment } = this.#log;
    const tentative = parent !== "known";
    const one = { hash: id, account: script(who), weight, feePpm, prevhash: hash(parent), tentative, sessionId: this.#session };
    expect(await append(this.#log, share("", one))).toBe("committed");
    const account = this.#log.directory.accountOf(script(who))?.id as number;
    this.#shares.push({ segment, account, weight, feePpm, parent, position: this.#log.head(), voidedAt: undefined });
  }

  async takeBack(parent: string): Promise<void> {
    let at = this.#log.head();
    for (const one of this.#shares) if (one.parent === parent && one.voidedAt === undefined) one.voidedAt = ++at;
    await this.#log.voidTentative(hash(parent));
    expect(this.#log.head()).toBe(at);
  }

  find(): void {
    this.#found.push({ pin: this.#log.head(), scheme: this.#scheme });
  }

  /** The oldest of the found blocks joins the chain. */
  async join(): Promise<void> {
    const found = this.#found.shift();
    if (found === undefined) return;
    const { pin, scheme } = found;
    await this.tip(0n);
    const value = SUBSIDY + BigInt(this.#chain.length);
    const made = blockAfter(this.#book.cursor() ?? BEGIN, value, this.#primeId);
    const { block } = made;
    await new Blocks(this.database, () => this.#clock, { scheme: scheme.options, feePpm: 10_000 }).record({
      ...{
        hash: block.hash,
        height: block.height,
        header: made.raw.subarray(0, 80),
        coinbase: block.coinbase.raw,
        parent: { hash: block.prevhash },
      },
      ...{ coinbaseValue: value, transactionCount: 1, sessionId: this.#session, splitId: undefined, pin, username: Buffer.from("miner") },
    });
    const { earned, fee } = this.#due(value, pin, scheme);
    expect(await this.#book.connect(block)).toMatchObject({ outcome: "paid", received: value });
    for (const [account, amount] of earned) add(this.#earned, account, amount);
    this.#fee += fee;
    this.#blockWeights.push(total(this.#inWindows(pin)));
    this.#chain.push(made);
  }

  /** Shares up to a position that no segment pays, without those that were taken back by then. */
  #inWindows(pin: bigint): Known[] {
    return this.#shares.filter(({ position, voidedAt, segment }) => {
      return position <= pin && (voidedAt === undefined || voidedAt > pin) && !this.#worths.has(segment);
    });
  }

  #size(pin: bigint, { window }: Scheme): bigint {
    return windowSize(window, { targets: TARGETS, logWeight: total(this.#inWindows(pin)), blockWeights: this.#blockWeights });
  }

  /** What a block earns everybody, share by share. */
  #due(value: bigint, pin: bigint, scheme: Scheme): { earned: Amounts; fee: bigint } {
    if (scheme.window.kind === "none") return { earned: new Map(), fee: value };
    const window = weigh(this.#inWindows(pin), this.#size(pin, scheme));
    const net = window.accounts.reduce((sum, { netWeight }) => sum + netWeight, 0n);
    if (net === 0n) return { earned: new Map(), fee: value };
    const fee = (value * (window.total * PPM - net)) / (window.total * PPM);
    const amounts = divide(
      value - fee,
      window.accounts.map(({ netWeight }) => netWeight),
      net,
    );
    return { fee, earned: new Map(window.accounts.map(({ account }, i) => [String(account), amounts[i] as bigint])) };
  }

  /** At every moment: the window in memory is that of the database, and earns what the shares do. */
  async check(): Promise<void> {
    const splits = this.#splits;
    if (splits === undefined) return;
    const pin = this.#log.head();
    for (const size of [1n, 7n, 100n, 512n, 1n << 40n]) {
      const weighed = splits.weigh(size);
      // What lies far behind the scheme's own window may have been let go.
      if (weighed.complete) expect(shown(weighed)).toEqual(shown(await this.#weights(pin, size)));
    }
    let found: Earnings | undefined;
    await until(() => {
      found = splits.earnings(SUBSIDY, hash("elsewhere"));
      return found !== undefined;
    }, "the window is read");
    const { accounts, amounts, fee: kept } = found as unknown as Earnings;
    const { earned, fee } = this.#due(SUBSIDY, pin, this.#scheme);
    expect(kept).toBe(fee);
    expect(nonZero(new Map(accounts.map((account, i) => [String(account), amounts[i] as bigint])))).toEqual(nonZero(earned));
  }

  async #weights(pin: bigint, size: bigint): Promise<WindowWeights> {
    const client = await this.database.connect();
    try {
      const query = { pin, rule: { kind: "difficulty" as const, size: () => size }, targets: TARGETS, blockWeights: [] };
      const { weights, logWeight } = await inSnapshot(client, () => windowAt(client, query));
      expect(logWeight).toBe(total(this.#inWindows(pin)));
      return weights;
    } finally {
      await client.end();
    }
  }

  /** The end: everything that is due is paid, once, and everybody can see it. */
  async settle(): Promise<void> {
    while (this.#found.length > 0) await this.join();
    // Under a window: what is still due for single shares is paid all the same.
    await this.change("tides", false);
    await this.check();
    await this.#credits.settled();
    // A block that says it in a document.
    this.find();
    await this.join();
    const credited: Amounts = new Map();
    for (const [segment, { subsidy, averageFees }] of this.#worths) {
      const own = this.#shares.filter((one) => one.segment === segment && one.voidedAt === undefined);
      for (const account of new Set(own.map((one) => one.account))) {
        const net = own.reduce((sum, one) => (one.account === account ? sum + one.weight * (PPM - BigInt(one.feePpm)) : sum), 0n);
        add(credited, String(account), (net * (subsidy + averageFees) * TARGETS.target) / (difficultyOne * PPM));
      }
    }
    expect(nonZero(await this.#posted("earned"))).toEqual(nonZero(this.#earned));
    expect(nonZero(await this.#posted("credited"))).toEqual(nonZero(credited));
    expect(total([...(await this.#posted("fee")).values()].map((weight) => ({ weight })))).toBe(this.#fee);

    const weights = await this.database.pool.query<{ log_weight: string }>("SELECT log_weight FROM settlements ORDER BY number");
    expect(weights.rows.map(({ log_weight }) => BigInt(log_weight))).toEqual(this.#blockWeights);
    // Whoever follows the log has understood all that it was told.
    expect(this.logger.lines.filter(({ level }) => level === "error")).toEqual([]);

    const options = { scan: true, reserve: 10n ** 15n, pause: async () => undefined };
    expect((await checkMoney(this.database, this.#reader(), options)).differences).toEqual([]);
    await this.#publisher.catchUp();
    const node = {
      network: async () => "regtest",
      blockHash: async (height: number) => this.#chain[height - BEGIN.height - 1]?.block.hash,
      rawBlock: async (wanted: Uint8Array) => this.#chain.find(({ block }) => Buffer.compare(block.hash, wanted) === 0)?.raw,
    };
    const auditor = await Auditor.open({ source: publishedFiles(this.#folder.path), node, seen: new HashSet() });
    expect(auditor.documents.index).toHaveLength(this.#chain.length);
    for (const { number } of auditor.documents.index) expect(await auditor.audit(number)).toMatchObject({ verdict: "PASS", unchecked: [] });
  }

  async #posted(reason: string): Promise<Amounts> {
    const { rows } = await this.database.pool.query<{ account: number; amount: string }>(
      "SELECT account, sum(amount) AS amount FROM postings WHERE reason = $1 GROUP BY account",
      [reason],
    );
    return new Map(rows.map(({ account, amount }) => [String(account), BigInt(amount)]));
  }

  #reader(): ChainReader {
    const at = (height: number) => this.#chain[height - BEGIN.height - 1]?.block;
    const coins = this.#chain.map(({ block: { height, coinbase } }) => ({ txid: coinbase.txid, vout: 0, height, ...coinbase.outputs[0]! }));
    const tip = this.#chain.at(-1)?.block ?? BEGIN;
    return {
      tip: async () => tip,
      hashAt: async (height) => (height === BEGIN.height ? BEGIN : at(height))?.hash,
      coinbase: async (of) => {
        const block = this.#chain.find((one) => Buffer.compare(one.block.hash, of) === 0)?.block;
        return block === undefined ? undefined : { ...block.coinbase, time: block.time };
      },
      unspent: async ({ txid }) => coins.find((coin) => Buffer.compare(coin.txid, txid) === 0),
      scan: async () => ({ height: tip.height, outputs: coins }),
    };
  }
}

const total = (list: readonly { readonly weight: bigint }[]): bigint => list.reduce((sum, { weight }) => sum + weight, 0n);
const add = (amounts: Amounts, key: string, amount: bigint): unknown => amounts.set(key, (amounts.get(key) ?? 0n) + amount);
const nonZero = (amounts: Amounts) => Object.fromEntries([...amounts].filter(([, amount]) => amount !== 0n));
const shown = ({ accounts, weights, netWeights, denominator, totalWeight, totalNetWeight, firstSegment, complete }: WindowWeights) => ({
  ...{ accounts, weights, netWeights, denominator, totalWeight, totalNetWeight, firstSegment, complete },
});

type Step =
  | { readonly kind: "work"; readonly who: number; readonly log2: number; readonly feePpm: number; readonly parent: string }
  | { readonly kind: "tip"; readonly fees: bigint }
  | { readonly kind: "void"; readonly parent: string }
  | { readonly kind: "find" }
  | { readonly kind: "join" }
  | { readonly kind: "change"; readonly scheme: Name; readonly settled: boolean };

const schemes = fc.constantFrom<Name>("tides", "blocks", "pps", "fpps");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("work" as const),
      who: fc.integer({ min: 1, max: 4 }),
      log2: fc.integer({ min: 0, max: 6 }),
      feePpm: fc.constantFrom(0, 20_000, 1_000_000),
      parent: fc.constantFrom("known", "known", "one", "two"),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("tip" as const), fees: fc.bigInt(0n, 50_000n) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("void" as const), parent: fc.constantFrom("one", "two") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("find" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("join" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("change" as const), scheme: schemes, settled: fc.boolean() }) },
);

async function live(first: Name, steps: readonly Step[]): Promise<void> {
  const life = await Life.begin(first);
  try {
    for (const one of steps) {
      if (one.kind === "work") await life.work(one.who, 1n << BigInt(one.log2), one.feePpm, one.parent);
      else if (one.kind === "tip") await life.tip(one.fees);
      else if (one.kind === "void") await life.takeBack(one.parent);
      else if (one.kind === "find") life.find();
      else if (one.kind === "join") await life.join();
      else await life.change(one.scheme, one.settled);
      await life.check();
    }
    await life.settle();
  } finally {
    await life.close();
  }
}

const work = (who: number, log2: number, parent = "known"): Step => ({ kind: "work", who, log2, feePpm: 20_000, parent });
const change = (scheme: Name, settled = false): Step => ({ kind: "change", scheme, settled });

describe.skipIf(server === undefined)("a scheme that changes pays every share once", () => {
  test("from pay-per-share to a window and back, with shares taken back on either side", async () => {
    await live("fpps", [
      ...[
        work(1, 6),
        work(2, 5, "one"),
        { kind: "tip", fees: 40_000n } as const,
        work(1, 4),
        work(3, 6, "two"),
        { kind: "find" } as const,
        work(1, 0),
      ],
      ...[change("tides"), work(2, 3), work(3, 2, "one"), { kind: "void", parent: "two" } as const, { kind: "find" } as const],
      ...[{ kind: "join" } as const, { kind: "join" } as const, work(4, 6, "two"), { kind: "find" } as const],
      ...[change("pps", true), work(4, 6), { kind: "void", parent: "one" } as const, { kind: "find" } as const, { kind: "join" } as const],
      ...[change("blocks"), { kind: "join" } as const, work(1, 1), { kind: "find" } as const, change("tides"), { kind: "join" } as const],
    ]);
  });

  test("whatever the operator does", async () => {
    const steps = fc.array(step, { minLength: 8, maxLength: 40 });
    await fc.assert(fc.asyncProperty(schemes, steps, live), { numRuns: 10 });
  });
});
