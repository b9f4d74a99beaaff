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
            const floor = (id: AccountId, earns: boolean) => {
              const to = payee(id);
              if (to === undefined) return undefined;
              return [threshold(id, earns), to.dustLimit, DUST].reduce((most, least) => (least > most ? least : most));
            };
            const shortfalls = new Shortfalls({ accounts: working, balances: known, floor });
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
