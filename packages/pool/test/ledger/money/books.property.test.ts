/** Random lives of the books: blocks of every kind join and leave, and after each step the books are whole, and the same when they are read anew. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ChainBlock,
  type ChainReader,
  type ChainTransaction,
  checkMoney,
  type Outpoint,
  type SplitOutput,
} from "../../../src/ledger/index.js";
import { externalServer, hash, OPERATOR, script } from "../support.js";
import { BEGIN, type BlockParts, blockAfter, output, type Session, toPool, World } from "./world.js";

const server = await externalServer();

type Step =
  | { readonly kind: "mine"; readonly account: number; readonly weight: bigint; readonly feePpm: number }
  | { readonly kind: "segment" }
  | { readonly kind: "empty" }
  | { readonly kind: "found"; readonly value: bigint; readonly shown: number; readonly claimed: boolean }
  | { readonly kind: "unclaimed"; readonly value: bigint }
  | { readonly kind: "claim"; readonly place: number }
  | { readonly kind: "gift"; readonly value: bigint }
  | { readonly kind: "spend"; readonly to: readonly number[]; readonly part: number; readonly keep: boolean }
  | { readonly kind: "credit"; readonly account: number; readonly amount: bigint }
  | { readonly kind: "back"; readonly blocks: number; readonly again: boolean };

const account = fc.integer({ min: 1, max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("mine" as const),
      account,
      weight: fc.bigInt(1n, 4000n),
      feePpm: fc.integer({ min: 0, max: 50_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("segment" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("empty" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("found" as const),
      value: fc.bigInt(1n, 100_000n),
      shown: fc.integer({ min: 0, max: 31 }),
      claimed: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("unclaimed" as const), value: fc.bigInt(1n, 100_000n) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("claim" as const), place: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("gift" as const), value: fc.bigInt(1n, 9999n) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("spend" as const),
      to: fc.array(account, { maxLength: 4 }),
      part: fc.integer({ min: 0, max: 100 }),
      keep: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("credit" as const), account, amount: fc.bigInt(-500n, 500n).filter((n) => n !== 0n) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("back" as const), blocks: fc.integer({ min: 1, max: 4 }), again: fc.boolean() }) },
);

class Life {
  readonly #chain: ChainBlock[] = [];
  /** Blocks without a split that nobody has handed in yet, on the chain or off it. */
  readonly #unclaimed: ChainBlock[] = [];
  #salt = 0;

  constructor(
    private readonly world: World,
    private readonly session: Session,
  ) {}

  async run(one: Step): Promise<void> {
    const { world } = this;
    switch (one.kind) {
      case "mine":
        return world.mine(one.account, one.weight, { feePpm: one.feePpm });
      case "segment":
        await world.log.openSegment(world.cursor.hash);
        return;
      case "empty":
        return this.#join({});
      case "found":
        return this.#found(one);
      case "unclaimed":
        await this.#join({ outputs: [toPool(one.value)], primeId: this.session.primeId });
        this.#unclaimed.push(this.#chain.at(-1) as ChainBlock);
        return;
      case "claim":
        return this.#claim(one.place);
      case "gift":
        return this.#join({ transactions: [{ txid: this.#txid(), spends: [], outputs: [toPool(one.value)] }] });
      case "spend":
        return this.#spend(one);
      case "credit": {
        const [to, from] = [await world.accountId(script(one.account)), 1];
        if (to === 0) return;
        const postings = [
          { book: "balance" as const, account: to, reason: "credited" as const, amount: one.amount },
          { book: "balance" as const, account: from, reason: "funded" as const, amount: -one.amount },
        ];
        await world.book.post({ key: `credit:1:${this.#salt++}`, kind: "credit", segment: 1, postings });
        return;
      }
      case "back":
        return this.#back(one.blocks, one.again);
    }
  }

  async #join(parts: BlockParts): Promise<void> {
    const block = blockAfter(this.world.cursor, { ...parts, salt: String(this.#salt++) });
    await this.world.book.connect(block);
    this.#chain.push(block);
  }

  /** A split pays every account that has a balance, and the block shows some of its outputs. */
  async #found({ value, shown, claimed }: Extract<Step, { kind: "found" }>): Promise<void> {
    const { world, session } = this;
    const rows = await world.rows<{ script: Buffer }>("SELECT script FROM accounts WHERE kind = 'miner' ORDER BY id");
    const each = value / BigInt(rows.length + 1);
    const outputs = each === 0n ? [] : rows.map((row) => output(Uint8Array.from(row.script), each));
    const taken = outputs.filter((_, i) => (shown >> i) & 1);
    const rest = value - each * BigInt(taken.length);
    const all: SplitOutput[] = [...taken, toPool(rest)];
    const parts = { outputs: all, primeId: session.primeId, salt: String(this.#salt++) };
    const block = blockAfter(world.cursor, parts);
    const split = await world.offer(session, world.cursor.hash, value, outputs);
    if (claimed) await world.claim(block, session, split);
    const connected = await world.book.connect(block);
    expect(connected).toEqual({ outcome: "paid", received: rest, paid: value - rest, claimed });
    this.#chain.push(block);
  }

  async #claim(place: number): Promise<void> {
    const { world, session } = this;
    const [block] = this.#unclaimed.splice(place % Math.max(1, this.#unclaimed.length), 1);
    if (block === undefined) return;
    await world.claim(block, session, undefined);
    const waiting = await world.book.claimedReceipts();
    const connected = await world.book.attribute(block);
    if (waiting.length > 0) expect(connected).toMatchObject({ outcome: "paid", paid: 0n, claimed: true });
    expect(await world.book.claimedReceipts()).toEqual([]);
  }

  async #spend({ to, part, keep }: Extract<Step, { kind: "spend" }>): Promise<void> {
    const coins = await this.world.rows<{ txid: Buffer; vout: number; value: string }>(
      "SELECT txid, vout, value FROM coins WHERE spent_by IS NULL ORDER BY height, txid, vout LIMIT 2",
    );
    if (coins.length === 0) return;
    const total = coins.reduce((sum, { value }) => sum + BigInt(value), 0n);
    const each = (total * BigInt(part)) / 100n / BigInt(to.length + 1);
    const outputs = to.map((account) => output(script(account), each));
    if (keep) outputs.push(toPool(each));
    const spends = coins.map(({ txid, vout }) => ({ txid: Uint8Array.from(txid), vout }));
    const first: ChainTransaction = { txid: this.#txid(), spends, outputs };
    const chained = keep && each > 0n && part % 2 === 0;
    const second: ChainTransaction = { txid: this.#txid(), spends: [{ txid: first.txid, vout: outputs.length - 1 }], outputs: [] };
    await this.#join({ transactions: chained ? [first, second] : [first] });
  }

  async #back(blocks: number, again: boolean): Promise<void> {
    const left: ChainBlock[] = [];
    for (let i = 0; i < blocks; i++) {
      const block = this.#chain.pop();
      if (block === undefined) break;
      await this.world.book.disconnect(block);
      left.unshift(block);
    }
    if (!again) return;
    for (const block of left) {
      await this.world.book.connect(block);
      this.#chain.push(block);
    }
  }

  /** A node that has these blocks. */
  reader(): ChainReader {
    const named = ({ txid, vout }: Outpoint) => `${Buffer.from(txid).toString("hex")}:${vout}`;
    const unspent = new Map<string, SplitOutput & Outpoint & { height: number }>();
    for (const { height, coinbase, transactions } of this.#chain) {
      for (const { txid, outputs, spends } of [{ ...coinbase, spends: [] }, ...transactions]) {
        for (const spent of spends) unspent.delete(named(spent));
        for (const [vout, one] of outputs.entries()) if (one.value > 0n) unspent.set(named({ txid, vout }), { ...one, txid, vout, height });
      }
    }
    const tip = this.#chain.at(-1) ?? BEGIN;
    return {
      tip: async () => tip,
      hashAt: async (height) => (height === BEGIN.height ? BEGIN : this.#chain[height - BEGIN.height - 1])?.hash,
      coinbase: async (of) => {
        const block = this.#chain.find((one) => Buffer.compare(one.hash, of) === 0);
        return block === undefined ? undefined : { ...block.coinbase, time: block.time };
      },
      unspent: async (outpoint) => unspent.get(named(outpoint)),
      scan: async () => ({
        height: tip.height,
        outputs: [...unspent.values()].filter((one) => Buffer.compare(one.script, OPERATOR) === 0),
      }),
    };
  }

  #txid(): Uint8Array {
    return hash(`transaction ${this.#salt++}`);
  }
}

describe.skipIf(server === undefined)("random lives of the books", () => {
  test("they are whole after every step, and the same when read anew", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const world = await World.make(server as string);
        try {
          await world.book.begin(BEGIN);
          const life = new Life(world, await world.session("alice"));
          for (const one of steps) {
            await life.run(one);
            expect(await world.check()).toEqual([]);
            const before = world.shown();
            await world.reopen();
            expect(world.shown()).toEqual(before);
          }
          const { differences } = await checkMoney(world.database, life.reader(), { scan: true, pause: async () => undefined });
          // Random spends and reorganisations may well leave somebody in debt.
          expect(differences.filter(({ kind }) => kind !== "negativeBalance" && kind !== "insolvent")).toEqual([]);
          const documents = await world.settlements();
          expect(documents.map(({ number }) => number)).toEqual(documents.map((_, i) => i + 1));
          const carried = new Map<string, bigint>();
          for (const { lines, entries } of documents) {
            const add = (to: Uint8Array, amount: bigint) => {
              const key = Buffer.from(to).toString("hex");
              carried.set(key, (carried.get(key) ?? 0n) + amount);
            };
            for (const { amounts } of entries) for (const { script: to, amount } of amounts) add(to, amount);
            for (const line of lines) {
              expect(carried.get(Buffer.from(line.script).toString("hex")) ?? 0n).toBe(line.before);
              add(line.script, line.balance - line.before);
            }
            const told = new Set(lines.map((line) => Buffer.from(line.script).toString("hex")));
            expect([...carried].filter(([key, amount]) => amount !== 0n && !told.has(key))).toEqual([]);
          }
        } finally {
          await world.close();
        }
      }),
      { numRuns: 8 },
    );
  });
});
