/** Payees of a coinbase against the split: what a gateway builds is right, whatever its budget; anything else is refused. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkOutputs, type OutputsQuery, outputBudget, type SplitOutput } from "../../src/work/index.js";
import { COMMITMENT } from "./support/gateway-builder.js";
import { POOL_SCRIPT, payee } from "./support/world.js";

const commitment: SplitOutput = { value: 0n, script: COMMITMENT };
const dummy: SplitOutput = { value: 0n, script: Buffer.from("6a0100", "hex") };
const extranonce: SplitOutput = { value: 0n, script: Buffer.from(`6a0eb10c${"00".repeat(12)}`, "hex") };
const pool = (value: bigint): SplitOutput => ({ value, script: POOL_SCRIPT });

/** What a gateway with so many bytes takes from a split, by its rules and nothing else. */
function greedy(split: readonly SplitOutput[], budget: number, value: bigint): number[] {
  const taken: number[] = [];
  let left = budget;
  let paid = 0n;
  for (const [index, { script, value: sats }] of split.entries()) {
    if (script.length + 9 > left || paid + sats > value) continue;
    left -= script.length + 9;
    paid += sats;
    taken.push(index);
    if (left < 30 || paid >= value) break;
  }
  return taken;
}

function coinbase(split: readonly SplitOutput[], taken: readonly number[], value: bigint): SplitOutput[] {
  const payees = taken.flatMap((index) => split[index] ?? []);
  const rest = payees.reduce((sum, { value: sats }) => sum - sats, value);
  return [...payees, rest === 0n && payees.length > 0 ? dummy : pool(rest), commitment];
}

function query(changes: Partial<OutputsQuery>): OutputsQuery {
  return { coinbaseId: 1, outputs: [], extranonceOutput: -1, value: 10_000n, poolScript: POOL_SCRIPT, split: [], budget: 300, ...changes };
}

/** Splits of scripts of every length there is, few values so that equal outputs turn up. */
const splits = fc
  .array(fc.record({ id: fc.integer({ min: 0, max: 3 }), bytes: fc.integer({ min: 2, max: 64 }), value: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 9,
  })
  .map((list) => list.map(({ id, bytes, value }) => payee(id, BigInt(value), bytes)));

describe("what some budget yields", () => {
  test("is accepted for every budget up to the kind's, and for no smaller limit than its least", () => {
    fc.assert(
      fc.property(splits, fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 6 }), (split, budget, spare) => {
        const value = split.reduce((sum, { value: sats }) => sum + sats, BigInt(spare));
        const taken = greedy(split, budget, value);
        const outputs = coinbase(split, taken, value);
        expect(checkOutputs(query({ outputs, value, split, budget }))).toBeUndefined();
        expect(checkOutputs(query({ outputs, value, split, budget: 16_000 }))).toBeUndefined();
        const used = taken.reduce((sum, index) => sum + (split[index]?.script.length ?? 0) + 9, 0);
        if (used > 0) expect(checkOutputs(query({ outputs, value, split, budget: used - 1 }))).toMatch(/not what fits next/);
      }),
      { numRuns: 500 },
    );
  });

  test("is accepted, and every other choice refused: compared with trying each budget", () => {
    fc.assert(
      fc.property(splits, fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 511 }), (split, limit, bits) => {
        const value = split.reduce((sum, { value: sats }) => sum + sats, 5n);
        const taken = split.map((_, index) => index).filter((index) => (bits >> index) & 1);
        const outputs = coinbase(split, taken, value);
        const flat = (list: readonly SplitOutput[]) =>
          list.map(({ value: sats, script }) => `${sats} ${Buffer.from(script).toString("hex")}`).join();
        let possible = false;
        for (let budget = 0; budget <= limit && !possible; budget++) {
          possible = flat(coinbase(split, greedy(split, budget, value), value)) === flat(outputs);
        }
        expect(checkOutputs(query({ outputs, value, split, budget: limit })) === undefined).toBe(possible);
      }),
      { numRuns: 1000 },
    );
  });

  test("is refused after any change of a payee, an amount, the order, the pool or the number of outputs", () => {
    const change = fc.constantFrom("payee", "amount", "swap", "drop", "extra", "pool", "rest", "commitment", "double");
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 0, max: 11 }), change, (count, at, what) => {
        // All outputs differ and take the same space, so that a gateway with room for all must pay all.
        const split = Array.from({ length: count }, (_, index) => payee(index, BigInt(100 + index)));
        const value = 100_000n;
        const outputs = coinbase(
          split,
          split.map((_, index) => index),
          value,
        );
        const place = at % count;
        const there = outputs[place] ?? dummy;
        const next = outputs[(place + 1) % count] ?? dummy;
        const rest = outputs[count] ?? dummy;
        switch (what) {
          case "payee":
            outputs[place] = { value: there.value, script: payee(77, 0n).script };
            break;
          case "amount":
            outputs[place] = { value: there.value - 1n, script: there.script };
            outputs[count] = pool(rest.value + 1n);
            break;
          case "swap":
            outputs[place] = next;
            outputs[(place + 1) % count] = there;
            break;
          case "drop":
            // With the last one dropped a smaller budget explains it; any other one fits where its neighbour fits.
            outputs.splice(place === count - 1 ? 0 : place, 1);
            outputs[count - 1] = pool(rest.value + (place === count - 1 ? 100n : there.value));
            break;
          case "extra":
            outputs.splice(place, 0, { value: 0n, script: payee(88, 0n).script });
            break;
          case "pool":
            outputs[count] = { value: rest.value, script: payee(99, 0n).script };
            break;
          case "rest":
            outputs[count] = pool(rest.value - 1n);
            break;
          case "commitment":
            outputs[count + 1] = { value: 1n, script: COMMITMENT };
            break;
          case "double":
            outputs.splice(count, 0, pool(1n));
            outputs[count + 1] = pool(rest.value - 1n);
            break;
        }
        expect(checkOutputs(query({ outputs, value, split, budget: 5000 }))).toBeTypeOf("string");
      }),
      { numRuns: 300 },
    );
  });
});

describe("single cases", () => {
  const split = [payee(1, 4000n), payee(2, 3000n), payee(3, 3000n)];

  test("the dummy stands for the pool only when nothing is left", () => {
    expect(checkOutputs(query({ split, outputs: [...split, dummy, commitment] }))).toBeUndefined();
    expect(checkOutputs(query({ split, outputs: [...split, pool(0n), commitment] }))).toMatch(/pool's script/);
    const two = split.slice(0, 2);
    expect(checkOutputs(query({ split, outputs: [...two, pool(3000n), commitment], budget: 62 }))).toBeUndefined();
    expect(checkOutputs(query({ split, outputs: [...two, dummy, commitment], budget: 62 }))).toMatch(/3000 are left/);
  });

  test("outputs past the value, and past the first 512, are never asked for", () => {
    const over = [payee(1, 9000n), payee(2, 2000n), payee(3, 1000n)];
    expect(checkOutputs(query({ split: over, outputs: [payee(1, 9000n), pool(1000n), commitment] }))).toBeUndefined();
    expect(checkOutputs(query({ split: over, outputs: [payee(1, 9000n), payee(3, 1000n), dummy, commitment] }))).toMatch(
      /not what fits next/,
    );
    const many = Array.from({ length: 513 }, (_, index) => payee(index, 1n));
    const budget = outputBudget(4, 22, 40, false) * 2;
    expect(
      checkOutputs(query({ split: many, budget, outputs: [...many.slice(0, 512), pool(10_000n - 512n), commitment] })),
    ).toBeUndefined();
    expect(checkOutputs(query({ split: many, budget, outputs: [...many, pool(10_000n - 513n), commitment] }))).toMatch(
      /not what fits next/,
    );
  });

  test("kind 2 has its extranonce output among the payees or after them, others have it first", () => {
    const outputs = (at: number) => {
      const list: SplitOutput[] = [...split, dummy, commitment];
      list.splice(at, 0, extranonce);
      return list;
    };
    for (const at of [0, 1, 2, 3]) {
      expect(checkOutputs(query({ coinbaseId: 2, split, outputs: outputs(at), extranonceOutput: at }))).toBeUndefined();
    }
    expect(checkOutputs(query({ coinbaseId: 2, split, outputs: outputs(4), extranonceOutput: 4 }))).toMatch(/extranonce/);
    expect(checkOutputs(query({ coinbaseId: 2, split, outputs: [...split, dummy, commitment] }))).toMatch(/extranonce/);
    expect(checkOutputs(query({ coinbaseId: 1, split, outputs: outputs(0), extranonceOutput: 0 }))).toBeUndefined();
    expect(checkOutputs(query({ coinbaseId: 1, split, outputs: outputs(1), extranonceOutput: 1 }))).toMatch(/extranonce/);
  });

  test("kinds 0 and 255 pay the pool alone; 255 has no commitment", () => {
    expect(checkOutputs(query({ coinbaseId: 0, split, outputs: [pool(10_000n), commitment], budget: 0 }))).toBeUndefined();
    expect(checkOutputs(query({ coinbaseId: 0, split, outputs: [...split, dummy, commitment] }))).toBeTypeOf("string");
    expect(checkOutputs(query({ coinbaseId: 255, outputs: [pool(10_000n)] }))).toBeUndefined();
    expect(checkOutputs(query({ coinbaseId: 255, outputs: [pool(10_000n), commitment] }))).toBeTypeOf("string");
    expect(checkOutputs(query({ coinbaseId: 255, outputs: [pool(9999n)] }))).toMatch(/10000 are left/);
    expect(checkOutputs(query({ coinbaseId: 0, outputs: [commitment] }))).toMatch(/too few/);
    expect(checkOutputs(query({ coinbaseId: 0, outputs: [pool(10_000n), payee(1, 0n)] }))).toMatch(/commitment/);
  });

  test("512 payees against 512 offered take one pass each", () => {
    const many = Array.from({ length: 512 }, (_, index) => payee(index, 1n));
    // The worst case: every output of the split is looked at and none is found.
    const outputs = [...many.map((_, index) => payee(1000 + index, 1n)), pool(10_000n - 512n), commitment];
    let compared = 0;
    const counted = many.map(({ script }) => ({
      script,
      get value() {
        compared++;
        return 1n;
      },
    }));
    expect(checkOutputs(query({ split: counted, budget: 16_000, outputs }))).toMatch(/not what fits next/);
    expect(compared).toBeLessThan(5 * 512);
  });
});
