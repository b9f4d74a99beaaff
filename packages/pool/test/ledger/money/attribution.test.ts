/** Whose a block is: every way in which its coinbase can agree with what the pool knows, and not. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SplitOutput, StoredSplit } from "../../../src/ledger/index.js";
import { type Attribution, type AttributionInput, attribute } from "../../../src/ledger/money/attribution.js";
import { spendPostings } from "../../../src/ledger/money/postings.js";
import { hash, OPERATOR, script } from "../support.js";
import { BEGIN, blockAfter, output, toPool } from "./world.js";

const split = (changes: Partial<StoredSplit> = {}): StoredSplit => ({
  id: 5n,
  sessionId: 1n,
  coinbaserId: 1,
  position: 50n,
  prevhash: BEGIN.hash,
  value: 100n,
  outputs: [output(script(1), 30n), output(script(2), 20n), output(script(1), 30n)],
  finder: undefined,
  feePpm: 0,
  scheme: undefined,
  offeredAt: 0,
  ...changes,
});

const judge = (outputs: readonly SplitOutput[], changes: Partial<AttributionInput> = {}): Promise<Attribution> =>
  attribute({
    block: blockAfter(BEGIN, { outputs }),
    isPoolScript: (to) => Buffer.compare(to, OPERATOR) === 0,
    session: 1n,
    claim: undefined,
    splits: [],
    sharesPin: async () => undefined,
    ...changes,
  });

describe("attribution", () => {
  test("any in-order choice of a split's outputs is the pool's, with the rest to its script; no other choice is", async () => {
    const { outputs } = split();
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 0, max: 2 })), async (places) => {
        const payees = places.map((i) => outputs[i] as SplitOutput);
        const rest = 100n - payees.reduce((sum, { value }) => sum + value, 0n);
        const result = await judge([output(Uint8Array.of(0x6a), 0n), ...payees, toPool(rest)], { splits: [split()] });
        // The first and the last output are the same.
        const values = places.map((i) => (i === 1 ? "b" : "a")).join("");
        expect(result.kind).toBe(["", "a", "b", "aa", "ab", "ba", "aba"].includes(values) ? "pool" : "foreign");
        if (result.kind === "pool") expect(result).toMatchObject({ pin: 50n, received: rest, payees, claimed: false });
      }),
      { numRuns: 60 },
    );
  });

  test("the split must be the session's, for this parent, and for what the coinbase pays in all", async () => {
    const paying = [output(script(1), 30n), toPool(70n)];
    expect((await judge(paying, { splits: [split()] })).kind).toBe("pool");
    for (const changes of [{ sessionId: 2n }, { prevhash: hash("another") }, { value: 101n }, { outputs: [output(script(1), 31n)] }]) {
      expect(await judge(paying, { splits: [split(changes)] })).toMatchObject({ kind: "foreign", received: 70n });
    }
    expect(await judge(paying, { splits: [split()], session: undefined })).toMatchObject({
      kind: "foreign",
      why: expect.stringContaining("prime id"),
    });
    expect((await judge([], { splits: [split({ value: 0n })] })).kind).toBe("foreign");
  });

  test("among splits that fit: the claim's, else the lowest; work without a split goes by its claim's pin, or by its session's shares", async () => {
    const splits = [split({ id: 7n, position: 70n }), split({ id: 6n, position: 60n, finder: 9 })];
    const paying = [output(script(1), 30n), toPool(70n)];
    const claim = { splitId: 7n, pin: 70n, finder: 3 };
    expect(await judge(paying, { splits })).toMatchObject({ pin: 60n, finder: 9 });
    expect(await judge(paying, { splits, claim })).toMatchObject({ pin: 70n, finder: 3, claimed: true });
    expect(await judge(paying, { splits, claim: { ...claim, splitId: 8n } })).toMatchObject({ pin: 60n });
    const without = { ...claim, splitId: undefined, pin: 66n };
    expect(await judge(paying, { splits, claim: without })).toMatchObject({ pin: 60n });
    expect(await judge([toPool(100n)], { splits, claim: without })).toMatchObject({ pin: 66n, split: undefined, finder: 3 });
    expect(await judge([toPool(100n)], { splits })).toMatchObject({ pin: 60n, split: { id: 6n } });
    expect(await judge([toPool(99n)], { splits, claim })).toMatchObject({ pin: 70n, split: undefined });
    expect(await judge([toPool(99n)], { splits, sharesPin: async () => 44n })).toMatchObject({ pin: 44n, split: undefined });
    expect(await judge([toPool(99n)], { splits })).toMatchObject({ kind: "foreign", received: 99n });
    expect(await judge([output(script(5), 99n)], { claim: without, sharesPin: async () => 44n })).toMatchObject({
      kind: "foreign",
      received: 0n,
    });
  });
});

test("spends sum to zero, and pay out no more than is owed", () => {
  fc.assert(
    fc.property(
      fc.bigInt(1n, 1000n),
      fc.bigInt(0n, 2000n),
      fc.array(fc.record({ account: fc.integer({ min: 2, max: 4 }), amount: fc.bigInt(0n, 500n) })),
      fc.array(fc.bigInt(-100n, 500n), { minLength: 3, maxLength: 3 }),
      (spent, change, payments, balances) => {
        const balance = (account: number): bigint => balances[account - 2] ?? 0n;
        const postings = spendPostings({ spent, change, payments, balance, operator: 1 });
        expect(postings.reduce((sum, { amount }) => sum + amount, 0n)).toBe(0n);
        for (const account of [2, 3, 4]) {
          const to = payments.reduce((sum, one) => (one.account === account ? sum + one.amount : sum), 0n);
          const owed = balance(account) > 0n ? balance(account) : 0n;
          const withdrawn = postings.reduce((sum, one) => (one.book === "balance" && one.account === account ? sum - one.amount : sum), 0n);
          expect(withdrawn).toBe(to < owed ? to : owed);
        }
      },
    ),
  );
});
