/** Random settlements for property tests. */
import fc from "fast-check";
import type { Settlement, SettlementEntry, SettlementLine } from "../../src/proofs/index.js";

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const script = fc.uint8Array({ minLength: 1, maxLength: 40 });
const amount = fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n });
const signed = fc.bigInt({ min: -2_100_000_000_000_000n, max: 2_100_000_000_000_000n });
const weight = fc.bigInt({ min: 0n, max: 1n << 130n });
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const byScript = (a: { script: Uint8Array }, b: { script: Uint8Array }): number => Buffer.compare(a.script, b.script);
const unique = <T extends { script: Uint8Array }>(item: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<T[]> =>
  fc.uniqueArray(item, { maxLength, selector: (one) => Buffer.from(one.script).toString("hex") }).map((list) => list.sort(byScript));

const line = fc.record({
  account: fc.integer({ min: 1, max: 0x7fff_ffff }),
  script,
  weight,
  netWeight: weight,
  before: signed,
  earned: amount,
  fee: amount,
  paid: amount,
  balance: signed,
});

/** Lines in order, as of a settlement. */
export const lines: fc.Arbitrary<SettlementLine[]> = unique(line, 12);

const entry: fc.Arbitrary<SettlementEntry> = fc.record({
  id: fc.bigInt({ min: 1n, max: (1n << 62n) - 1n }),
  kind: fc.constantFrom("receipt", "spend", "credit", "reversal"),
  block: optional(hash),
  txid: optional(hash),
  amounts: unique(fc.record({ script, amount: signed }), 4),
});

const scheme: fc.Arbitrary<Settlement["scheme"]> = fc.oneof(
  fc.record({ name: fc.constant("tides" as const), multiplier: fc.bigInt({ min: 1n, max: 100n }) }),
  fc.record({ name: fc.constant("pplns" as const), multiplier: fc.bigInt({ min: 1n, max: 100n }) }),
  fc.record({ name: fc.constant("pplns" as const), blocks: fc.integer({ min: 1, max: 100 }) }),
  fc.constantFrom({ name: "solo" as const }, { name: "pps" as const }, { name: "fpps" as const }),
);

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const int32 = fc.integer({ min: 1, max: 0x7fff_ffff });

/** A document's values without any sense: what the format must carry. */
export const settlements: fc.Arbitrary<Omit<Settlement, "root">> = fc
  .record({
    number: int32,
    kind: fc.constantFrom("settlement", "reversal"),
    previous: hash,
    network: fc.constantFrom("mainnet", "testnet", "testnet4", "signet", "regtest"),
    block: fc.record({
      hash,
      prevhash: hash,
      height: int32,
      bits: uint32,
      time: uint32,
      coinbase: fc.uint8Array({ minLength: 60, maxLength: 90 }),
    }),
    scheme,
    feePpm: fc.integer({ min: 0, max: 1_000_000 }),
    value: amount,
    received: amount,
    poolScripts: unique(fc.record({ script }), 3).map((list) => list.map((one) => one.script)),
    pin: amount,
    split: optional(fc.record({ id: amount, value: amount, outputs: fc.array(fc.record({ script, value: amount }), { maxLength: 4 }) })),
    finder: optional(script),
    window: fc.record({
      size: weight,
      weight,
      netWeight: weight,
      denominator: weight,
      firstSegment: int32,
      lastSegment: int32,
      logWeight: weight,
      blockWeights: fc.array(weight, { maxLength: 3 }),
      logHash: optional(hash),
    }),
    entries: fc.uniqueArray(entry, { maxLength: 3, selector: ({ id }) => id }).map((list) => list.sort((a, b) => (a.id < b.id ? -1 : 1))),
    lines,
  })
  .map((settlement) => (settlement.kind === "settlement" ? settlement : { ...settlement, lines: settlement.lines.map(negated) }));

function negated(one: SettlementLine): SettlementLine {
  return { ...one, earned: -one.earned, fee: -one.fee, paid: -one.paid };
}
