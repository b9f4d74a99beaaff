import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addBalances, type CarriedBalance, type Claims } from "../src/index.js";

const amounts = fc.dictionary(fc.integer({ min: 1, max: 40 }).map(String), fc.bigInt({ min: 0n, max: 1000n }), { maxKeys: 30 });
const carried = fc.uniqueArray(
  fc.tuple(
    fc.integer({ min: 1, max: 40 }),
    fc.record({
      balance: fc.bigInt({ min: -1200n, max: 1200n }),
      dueSince: fc.option(fc.bigInt({ min: 1n, max: 9n }), { nil: undefined }),
    }),
  ),
  { selector: ([account]) => account, maxLength: 30 },
);

const earningsOf = (of: Readonly<Record<string, bigint>>): Claims => {
  const accounts = Object.keys(of)
    .map(Number)
    .sort((a, b) => a - b);
  return { accounts, amounts: accounts.map((account) => of[account] as bigint) };
};

describe("earnings and balances together", () => {
  test("are each account's sum, ascending, without those that have nothing to claim", () => {
    fc.assert(
      fc.property(amounts, carried, (earned, list) => {
        const balances = new Map<number, CarriedBalance>(list);
        const expected = [...Array(41).keys()]
          .map((account) => {
            const { balance, dueSince } = balances.get(account) ?? { balance: 0n, dueSince: undefined };
            return { account, amount: (earned[account] ?? 0n) + balance, dueSince };
          })
          .filter(({ amount }) => amount > 0n);
        expect(addBalances(earningsOf(earned), balances)).toEqual({
          accounts: expected.map(({ account }) => account),
          amounts: expected.map(({ amount }) => amount),
          dueSince: expected.map(({ dueSince }) => dueSince),
        });
      }),
    );
  });

  test("in whatever order balances come", () => {
    fc.assert(
      fc.property(
        amounts,
        carried.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        (earned, [list, shuffled]) => {
          expect(addBalances(earningsOf(earned), shuffled)).toEqual(addBalances(earningsOf(earned), list));
        },
      ),
    );
  });

  test("one account with two balances is refused", () => {
    const balance = { balance: 1n, dueSince: undefined };
    expect(() =>
      addBalances(earningsOf({}), [
        [4, balance],
        [2, balance],
        [4, balance],
      ]),
    ).toThrow(expect.objectContaining({ code: "rewards.invalidAmount" }));
  });
});
