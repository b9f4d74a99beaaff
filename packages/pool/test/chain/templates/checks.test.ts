import { readFileSync } from "node:fs";
import { parseTransaction } from "@openprime/bitcoin";
import { crosscheck, type JobSection } from "@openprime/datum";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findFault, findMismatch, passesCrosscheck, type ValueFacts } from "../../../src/chain/templates/checks.js";
import type { TransactionSet } from "../../../src/chain/templates/transaction-set.js";
import {
  type CoinbaseNotes,
  FEE,
  type MadeJob,
  makeCoinbase,
  makeJob,
  makeTransactions,
  SUBSIDY,
  setOf,
  type TransactionNotes,
} from "./made-job.js";

interface Case {
  readonly name: string;
  readonly transactions: readonly TransactionNotes[];
  readonly coinbase?: CoinbaseNotes;
  readonly coinbaseHex?: string;
  readonly claims?: Partial<JobSection>;
  /** Places of what the gateway gives, where that is not what the job was made of. */
  readonly given?: readonly number[];
  readonly unknownFees?: readonly number[];
  readonly code?: string;
}

const cases = JSON.parse(readFileSync(new URL("./data/checks.json", import.meta.url), "utf8")) as Case[];

const facts = (count: number, unknown = 0): ValueFacts => ({
  knownFees: FEE * BigInt(count - unknown),
  allFeesKnown: unknown === 0,
  subsidy: SUBSIDY,
});
const fault = ({ job, coinbase }: MadeJob, set: TransactionSet, value = facts(set.raw.length)) =>
  findMismatch(job, set) ?? findFault(job, coinbase, set, value);

describe("a template", () => {
  it.each(cases.map((one) => [one.name, one.code ?? "sound", one] as const))("with %s is %s", async (_, __, one) => {
    const raw = makeTransactions(one.transactions);
    const made = makeJob(raw, one.coinbase, one.claims);
    const set = await setOf(one.given === undefined ? raw : one.given.map((place) => raw[place]!));
    const coinbase = one.coinbaseHex === undefined ? made.coinbase : Buffer.from(one.coinbaseHex, "hex");
    const found = fault({ ...made, coinbase }, set, facts(set.raw.length, one.unknownFees?.length));
    expect(found?.code).toBe(one.code);
    if (found !== undefined) expect(found.detail.length).toBeGreaterThan(10);
  });
});

/** Sets in which some spend others that stand before them. */
const anySet = fc
  .array(fc.record({ witness: fc.boolean(), child: fc.boolean(), parent: fc.nat(1000) }), { minLength: 2, maxLength: 24 })
  .map((list) => {
    const spent = new Set<number>();
    return list.map(({ witness, child, parent }, place): TransactionNotes => {
      const of = place === 0 ? 0 : parent % place;
      if (!child || place === 0 || spent.has(of)) return { spends: [`coin${place}:0`], witness };
      spent.add(of);
      return { spends: [`#${of}:0`, `coin${place}:0`], witness };
    });
  });

describe("any set", () => {
  it("is sound as it is", async () => {
    await fc.assert(
      fc.asyncProperty(anySet, async (notes) => {
        const raw = makeTransactions(notes);
        expect(fault(makeJob(raw), await setOf(raw))).toBeUndefined();
      }),
    );
  });

  const swapped = (list: readonly Uint8Array[], a: number, b: number): Uint8Array[] => {
    const copy = [...list];
    [copy[a], copy[b]] = [copy[b]!, copy[a]!];
    return copy;
  };
  /** What is done to a good template, and the code that names it. */
  const mutations: Record<string, (made: MadeJob, at: number) => [MadeJob, readonly Uint8Array[]]> = {
    countMismatch: (made, at) => [made, made.transactions.filter((_, place) => place !== at)],
    merkleMismatch: (made, at) => [made, swapped(made.transactions, at, (at + 1) % made.transactions.length)],
    totalsMismatch: (made, at) => [
      { ...made, job: { ...made.job, ...(at % 2 === 0 ? { totalSize: 7 } : { totalWeight: 7 }) } },
      made.transactions,
    ],
    commitmentMismatch: (made) => [{ ...made, coinbase: makeCoinbase(Buffer.alloc(32, 9), SUBSIDY) }, made.transactions],
    overpaid: (made) => {
      const { job, coinbase } = makeJob(made.transactions, { over: 1 });
      return [{ ...made, job, coinbase }, made.transactions];
    },
  };

  it.each(Object.entries(mutations))("with one thing changed is named %s", async (code, change) => {
    await fc.assert(
      fc.asyncProperty(anySet, fc.nat(1000), async (notes, place) => {
        const raw = makeTransactions(notes);
        const [made, given] = change(makeJob(raw), place % raw.length);
        expect(fault(made, await setOf(given))?.code).toBe(code);
      }),
    );
  });

  it("with a bit flipped anywhere in a transaction is never sound", async () => {
    await fc.assert(
      fc.asyncProperty(anySet, fc.nat(1000), fc.nat(100_000), async (notes, place, bit) => {
        const raw = makeTransactions(notes);
        const made = makeJob(raw);
        const given = raw.map((one) => new Uint8Array(one));
        const victim = given[place % given.length]!;
        const at = bit % (8 * victim.length);
        victim[at >> 3]! ^= 1 << (at & 7);
        let set: TransactionSet;
        try {
          set = await setOf(given);
        } catch {
          // Not even a transaction.
          return;
        }
        const found = fault(made, set)?.code;
        // Of a witness the merkle branches know nothing, but crosscheck and commitment do.
        expect(["merkleMismatch", "commitmentMismatch"]).toContain(found);
        expect(passesCrosscheck(set.wtxids, crosscheck(raw.map((one) => parseTransaction(one).wtxid)))).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("passes the crosscheck of its own wtxids alone", async () => {
    const { wtxids } = await setOf(makeTransactions([{ spends: ["a:0"] }, { spends: ["b:0"], witness: true }]));
    expect(passesCrosscheck(wtxids, crosscheck(wtxids))).toBe(true);
    expect(passesCrosscheck(wtxids.slice(1), crosscheck(wtxids))).toBe(false);
    expect(passesCrosscheck(wtxids, undefined)).toBe(false);
    expect(passesCrosscheck([], undefined)).toBe(true);
  });
});
