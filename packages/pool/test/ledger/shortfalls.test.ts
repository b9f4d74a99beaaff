/** The quick way to a split's claims against the plain one: every claim, with thresholds looked at one by one. */
import { type AccountId, type Claims, type Earnings, largestRemainder, split } from "@openprime/rewards";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Balance } from "../../src/ledger/index.js";
import { type Earn, Shortfalls } from "../../src/ledger/shortfalls.js";
import { script } from "./support.js";

const DUST = 546n;
const payee = (account: AccountId) =>
  account % 7 === 0 ? undefined : { script: script(account), dustLimit: account % 2 === 0 ? 294n : 700n, legacySigops: account % 3 === 0 };

const account = fc.record({
  weight: fc.bigInt(0n, 1000n),
  balance: fc.option(fc.bigInt(-100_000n, 100_000n), { nil: undefined }),
  threshold: fc.bigInt(0n, 60_000n),
});

/** All claims, from plain earnings and balances. */
function plainClaims(earned: Pick<Earnings, "accounts" | "amounts">, balances: ReadonlyMap<AccountId, Balance> | undefined): Claims {
  const plain = new Map(earned.accounts.map((id, i) => [id, earned.amounts[i] as bigint]));
  for (const [id, { balance }] of balances ?? []) plain.set(id, (plain.get(id) ?? 0n) + balance);
  return {
    accounts: [...plain.keys()],
    amounts: [...plain.values()],
    dueSince: [...plain.keys()].map((id) => balances?.get(id)?.dueSince),
  };
}

test.each(["answers for those asked for only", "answers for all"])(
  "for every value the split is that of all claims, with a scheme that %s",
  (how) => {
    fc.assert(
      fc.property(
        fc.array(account, { minLength: 1, maxLength: 40 }),
        fc.array(fc.bigInt(1n, 3_000_000n), { maxLength: 5 }),
        fc.boolean(),
        fc.option(fc.nat(39), { nil: undefined }),
        (all, values, windowed, finder) => {
          const working = windowed ? all.flatMap(({ weight }, id) => (weight > 0n ? [id] : [])) : [];
          const weights = working.map((id) => all[id]?.weight ?? 0n);
          const total = weights.reduce((sum, weight) => sum + weight, 0n);
          const balances = new Map<AccountId, Balance>();
          for (const [id, { balance }] of all.entries()) {
            if (balance !== undefined) balances.set(id, { balance, dueSince: balance > 0n ? balance : undefined, lastEarned: undefined });
          }
          const earn: Earn = (value, only) => {
            if (working.length === 0) {
              return finder === undefined ? { fee: value, accounts: [], amounts: [] } : { fee: 0n, accounts: [finder], amounts: [value] };
            }
            const amounts = largestRemainder(value, weights, total);
            if (only === undefined || how === "answers for all") return { fee: 0n, accounts: working, amounts };
            return {
              fee: 0n,
              accounts: only.map((place) => working[place] as number),
              amounts: only.map((place) => amounts[place] as bigint),
            };
          };
          for (const known of [balances, undefined]) {
            // Who earns nothing is paid from another floor.
            const threshold = (id: AccountId, earns: boolean) => ((all[id]?.threshold ?? 0n) * (earns ? 2n : 1n)) / 2n;
            const terms = (id: AccountId, earns: boolean) => {
              const to = payee(id);
              if (to === undefined) return undefined;
              const floor = [threshold(id, earns), to.dustLimit, DUST].reduce((most, least) => (least > most ? least : most));
              return { floor, payee: to };
            };
            const shortfalls = new Shortfalls({ accounts: working, balances: known, terms });
            for (const value of values) {
              const earned = earn(value);
              const claims = shortfalls.claims(value, earn);
              for (const [i, id] of claims.accounts.entries()) expect(claims.dueSince?.[i]).toBe(known?.get(id)?.dueSince);
              const policy = { value, dust: DUST, payee };
              const plain = split(plainClaims(earned, known), {
                ...policy,
                threshold: (id) => threshold(id, earned.accounts.includes(id)),
              });
              expect(split(claims, policy)).toEqual(plain);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  },
);

test("who has hundreds ahead of him in both queues is left out, and the split is the same", () => {
  const one = fc.record({
    weight: fc.bigInt(1n, 2000n),
    balance: fc.bigInt(-3000n, 6000n),
    since: fc.option(fc.bigInt(1n, 900n), { nil: undefined }),
    threshold: fc.constantFrom(0n, 546n, 3000n, 8000n),
    legacySigops: fc.boolean(),
    scriptBytes: fc.constantFrom(22, 34, 42),
  });
  const values = fc.array(fc.double({ min: 0.6, max: 1.2, noNaN: true }), { minLength: 1, maxLength: 4 });
  let leftOut = 0;
  fc.assert(
    fc.property(fc.array(one, { minLength: 700, maxLength: 1600 }), values, fc.boolean(), fc.boolean(), (all, factors, rich, long) => {
      // The last ones have no part in the window.
      const working = all.slice(0, -300).map((_, id) => id);
      const weights = working.map((id) => all[id]!.weight);
      const total = weights.reduce((sum, weight) => sum + weight, 0n);
      const balances = new Map<AccountId, Balance>(
        all.map(({ balance, since }, id) => [id, { balance, dueSince: balance > 0n ? since : undefined, lastEarned: undefined }]),
      );
      const payees = all.map(({ legacySigops, scriptBytes }, id) => ({
        ...{ script: new Uint8Array(long && id === 5 ? 64 : scriptBytes).fill(id), dustLimit: 294n, legacySigops },
      }));
      const floor = (id: AccountId) => (all[id]!.threshold > DUST ? all[id]!.threshold : DUST);
      const shortfalls = new Shortfalls({
        accounts: working,
        balances,
        terms: (id) => ({ floor: floor(id), payee: payees[id]! }),
      });
      const earn: Earn = (value, only) => {
        const amounts = largestRemainder(value, weights, total);
        if (only === undefined) return { fee: 0n, accounts: working, amounts };
        return { fee: 0n, accounts: [...only], amounts: only.map((place) => amounts[place]!) };
      };
      // Who leads is not looked at before some have asked.
      for (let asked = 0; asked < 8; asked++) shortfalls.claims(rich ? 3_000_000n : 600_000n, earn);
      for (const factor of [1, ...factors]) {
        const value = BigInt(Math.round(factor * (rich ? 3_000_000 : 600_000)));
        const policy = { value, dust: DUST, payee: (id: AccountId) => payees[id]! };
        const claims = shortfalls.claims(value, earn);
        const plain = plainClaims(earn(value), balances);
        leftOut += plain.amounts.filter((amount, i) => amount >= floor(plain.accounts[i]!)).length - claims.accounts.length;
        expect(split(claims, policy)).toEqual(split(plain, { ...policy, threshold: floor }));
      }
    }),
    { numRuns: 25 },
  );
  expect(leftOut).toBeGreaterThan(0);
});
