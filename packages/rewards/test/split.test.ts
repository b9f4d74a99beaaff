import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Claims, MAX_BLOB, MAX_LEGACY_OUTPUTS, MAX_OUTPUTS, type Output, type Payee, type SplitPolicy, split } from "../src/index.js";

const payee = (length = 22, changes: Partial<Payee> = {}): Payee => ({
  script: new Uint8Array(length),
  dustLimit: 294n,
  legacySigops: false,
  ...changes,
});
const claims = (amounts: readonly bigint[]): Claims => ({ accounts: amounts.map((_, i) => i + 1), amounts });
const policy = (changes: Partial<SplitPolicy> = {}): SplitPolicy => ({ value: 10n ** 9n, dust: 546n, payee: () => payee(), ...changes });
const sum = (outputs: readonly Output[]) => outputs.reduce((total, { value }) => total + value, 0n);

describe("split", () => {
  const payees = fc.array(
    fc.record({
      amount: fc.oneof(fc.bigInt({ min: 0n, max: 2000n }), fc.bigInt({ min: 0n, max: 10n ** 8n })),
      length: fc.integer({ min: 2, max: 64 }),
      legacySigops: fc.boolean(),
      dustLimit: fc.constantFrom(294n, 330n, 546n, 1500n),
      paid: fc.boolean(),
    }),
    { maxLength: 700 },
  );

  test("keeps every bound, pays nobody twice, nobody more than the claim, and goes by size where nothing is due", () => {
    fc.assert(
      fc.property(payees, fc.bigInt({ min: 0n, max: 10n ** 10n }), fc.bigInt({ min: 0n, max: 2000n }), (list, value, dust) => {
        const outputs = split(
          claims(list.map(({ amount }) => amount)),
          policy({ value, dust, payee: (id) => (list[id - 1]?.paid ? payee(list[id - 1]?.length, list[id - 1]) : undefined) }),
        );
        expect(sum(outputs) <= value).toBe(true);
        expect(outputs.length).toBeLessThanOrEqual(MAX_OUTPUTS);
        expect(outputs.reduce((bytes, { script }) => bytes + 9 + script.length, 1)).toBeLessThanOrEqual(MAX_BLOB);
        expect(outputs.filter(({ account }) => list[account - 1]?.legacySigops).length).toBeLessThanOrEqual(MAX_LEGACY_OUTPUTS);
        expect(new Set(outputs.map(({ account }) => account)).size).toBe(outputs.length);
        for (const [i, { account, value: paid }] of outputs.entries()) {
          const to = list[account - 1];
          expect(to?.paid && paid > 0n && paid >= dust && paid >= to.dustLimit && paid <= to.amount).toBe(true);
          const last = outputs[i - 1];
          if (last !== undefined) expect((list[last.account - 1]?.amount ?? 0n) >= (to?.amount ?? 0n)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("permuting the claims changes nothing", () => {
    fc.assert(
      fc.property(
        fc
          .array(fc.tuple(fc.bigInt({ min: 0n, max: 3000n }), fc.option(fc.bigInt({ min: 1n, max: 9n }), { nil: undefined })), {
            maxLength: 100,
          })
          .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const of = (some: typeof list): Claims => ({
            accounts: some.map((entry) => list.indexOf(entry) + 1),
            amounts: some.map(([amount]) => amount),
            dueSince: some.map(([, since]) => since),
          });
          expect(split(of(shuffled), policy({ value: 50_000n }))).toEqual(split(of(list), policy({ value: 50_000n })));
        },
      ),
    );
  });

  test("all that can be paid is paid when there is room", () => {
    const outputs = split(claims([1000n, 545n, 546n, 3000n, 0n]), policy());
    expect(outputs.map(({ account, value }) => [account, value])).toEqual([
      [4, 3000n],
      [1, 1000n],
      [3, 546n],
    ]);
  });

  test("ties go by account, a script's own dust limit holds, an account that is not to be paid is passed over", () => {
    const outputs = split(
      claims([600n, 600n, 700n, 700n]),
      policy({ payee: (id) => (id === 3 ? undefined : payee(22, { dustLimit: id === 4 ? 701n : 294n })) }),
    );
    expect(outputs.map(({ account }) => account)).toEqual([1, 2]);
  });

  test("at most 512 outputs, the largest", () => {
    const outputs = split(claims(Array.from({ length: 2000 }, (_, i) => 1000n + BigInt(i))), policy());
    expect(outputs.length).toBe(MAX_OUTPUTS);
    expect(outputs.at(-1)?.value).toBe(1000n + 2000n - 512n);
  });

  test("legacy claims past the 90th give way to others", () => {
    const outputs = split(
      claims(Array.from({ length: 200 }, (_, i) => 10_000n - BigInt(i))),
      policy({ payee: (id) => payee(25, { legacySigops: id <= 150 }) }),
    );
    expect(outputs.map(({ account }) => account)).toEqual([
      ...Array.from({ length: 90 }, (_, i) => i + 1),
      ...Array.from({ length: 50 }, (_, i) => i + 151),
    ]);
  });

  test("the blob is filled to its last byte and no further", () => {
    // 448 × (9 + 64) = 32704; with the id 32705, so 62 bytes are left: one output of a 53-byte script, not of a 54-byte one.
    const amounts = Array.from({ length: 450 }, (_, i) => 10_000n - BigInt(i));
    const lengths = (id: number) => (id <= 448 ? 64 : id === 449 ? 54 : 53);
    const outputs = split(claims(amounts), policy({ payee: (id) => payee(lengths(id)) }));
    expect(outputs.at(-1)?.account).toBe(450);
    expect(outputs.reduce((bytes, { script }) => bytes + 9 + script.length, 1)).toBe(MAX_BLOB);
  });

  test("claims over the value are paid as far as it goes, the last in part", () => {
    const outputs = split(claims([5000n, 4000n, 3000n]), policy({ value: 8000n }));
    expect(outputs.map(({ value }) => value)).toEqual([5000n, 3000n]);
    expect(split(claims([5000n, 4000n, 800n]), policy({ value: 5500n })).map(({ value }) => value)).toEqual([5000n]);
    expect(split(claims([5000n]), policy({ value: 0n }))).toEqual([]);
  });

  test("a claim under its account's threshold waits", () => {
    const outputs = split(claims([5000n, 4000n, 3000n]), policy({ threshold: (account) => (account === 1 ? 5001n : 4000n) }));
    expect(outputs.map(({ account }) => account)).toEqual([2]);
  });

  test("by turns the largest and the one due longest; ties by amount, then account; by size where nothing is due any more", () => {
    const order = (dueSince: readonly (bigint | undefined)[], amounts: readonly bigint[], changes: Partial<SplitPolicy> = {}) =>
      split({ ...claims(amounts), dueSince }, policy(changes)).map(({ account }) => account);
    const amounts = [9000n, 8000n, 7000n, 6000n, 5000n, 4000n, 3000n];
    expect(order([undefined, undefined, undefined, 9n, undefined, 5n, 2n], amounts)).toEqual([1, 7, 2, 6, 3, 4, 5]);
    // The largest are due longest too: each once, and the next one's turn is the next one's.
    expect(order([1n, 2n, 3n, undefined, undefined, undefined, 4n], amounts)).toEqual([1, 2, 3, 7, 4, 5, 6]);
    expect(order([4n, 4n, 4n, 4n, 0n], [1000n, 2000n, 2000n, 3000n, 600n])).toEqual([4, 5, 2, 3, 1]);
    // A claim that is passed over takes no turn.
    expect(order([undefined, undefined, 7n, 1n, 2n], amounts.slice(0, 5), { payee: (id) => (id === 4 ? undefined : payee()) })).toEqual([
      1, 5, 2, 3,
    ]);
  });

  test("refuses a negative value or dust", () => {
    expect(() => split(claims([1n]), policy({ value: -1n }))).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
    expect(() => split(claims([1n]), policy({ dust: -1n }))).toThrow(expect.objectContaining({ code: "rewards.invalidPolicy" }));
  });
});
