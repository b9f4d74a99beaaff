import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assembleBlock,
  type BlockInterest,
  foldBranches,
  merkleBranches,
  merkleRoot,
  parseBlock,
  parseCoinbase,
  parseTransaction,
  type ScannedBlock,
  scanBlock,
  sha256d,
  TransactionError,
} from "../src/index.js";
import { bytes, data, hex, thrown } from "./support.js";

const template = data<{ transactions: string[] }>("template").transactions.map(bytes);
const commitment = `6a24aa21a9ed${"22".repeat(32)}`;
const coinbase = bytes(`0200000001${"00".repeat(32)}ffffffff03025151ffffffff0200f2052a010000000151000000000000000026${commitment}07000000`);

const nobody: BlockInterest = { pays: () => false, spends: () => false };

function scan(raw: Uint8Array, interest: Partial<BlockInterest> = {}): ScannedBlock {
  return steps(raw, interest).block;
}

/** The scan, and how often it paused. */
function steps(raw: Uint8Array, interest: Partial<BlockInterest> = {}): { block: ScannedBlock; pauses: number } {
  const scanning = scanBlock(raw, { ...nobody, ...interest });
  for (let pauses = 0; ; pauses++) {
    const step = scanning.next();
    if (step.done === true) return { block: step.value, pauses };
  }
}

/** A block over these transactions with a true merkle root. */
function block(others: readonly Uint8Array[], first = coinbase): Uint8Array {
  const header = Uint8Array.from({ length: 80 }, (_, i) => i);
  header.set(merkleRoot([sha256d(first), ...others.map((raw) => parseTransaction(raw).txid)]), 36);
  return assembleBlock(header, first, others);
}

/** A transaction without witness. */
function transaction(inputs: readonly { txid: Uint8Array; vout: number }[], scripts: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(1, 0, 0, 0, inputs.length)];
  for (const { txid, vout } of inputs) parts.push(txid, Uint8Array.of(vout, 0, 0, 0, 1, 0x51, 255, 255, 255, 255));
  parts.push(Uint8Array.of(scripts.length));
  for (const script of scripts) parts.push(Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, script.length), script);
  parts.push(new Uint8Array(4));
  return new Uint8Array(Buffer.concat(parts));
}

const txidOf = (raw: Uint8Array): Uint8Array => parseTransaction(raw).txid;
const script = (name: number): Uint8Array => Uint8Array.of(0x51, 1, name);

describe("scanBlock", () => {
  test.each([0, 1, 2, 3, 6, 251, 252, 300])(
    "reads header, coinbase and merkle root of a block with %i transactions of a real template",
    (count) => {
      const raw = block(template.slice(0, count));
      const scanned = scan(raw);
      const parsed = parseCoinbase(coinbase);
      expect(hex(scanned.hash)).toBe(hex(sha256d(raw.subarray(0, 80))));
      expect(hex(scanned.prevhash)).toBe(hex(raw.subarray(4, 36)));
      expect([scanned.time, scanned.bits]).toEqual([0x47464544, 0x4b4a4948]);
      expect(scanned.merkleRootMatches).toBe(true);
      expect(hex(scanned.coinbase.raw)).toBe(hex(coinbase));
      expect(hex(scanned.coinbase.txid)).toBe(hex(sha256d(coinbase)));
      expect(hex(scanned.coinbase.scriptSig)).toBe(hex(parsed.scriptSig));
      expect(scanned.coinbase.outputs.map(({ value, script }) => [value, hex(script)])).toEqual(
        parsed.outputs.map(({ value, script }) => [value, hex(script)]),
      );
      expect(scanned.transactions).toEqual([]);
    },
  );

  test("asks for every input and output but the coinbase's input, and gives back all of what is wanted, as the parser reads it", () => {
    const asked: string[] = [];
    const scanned = scan(block(template.slice(0, 40)), {
      pays: (one) => asked.push(hex(one)) > 0,
      spends: (txid, vout) => asked.push(`${hex(txid)}:${vout}`) > 0,
    });
    const parsed = template.slice(0, 40).map(parseTransaction);
    const all = parsed.flatMap(({ inputs, outputs }) => [
      ...inputs.map((input) => `${hex(input.previousTxid)}:${input.previousIndex}`),
      ...outputs.map((output) => hex(output.script)),
    ]);
    expect(asked).toEqual([...parseCoinbase(coinbase).outputs.map((output) => hex(output.script)), ...all]);
    expect(scanned.transactions).toHaveLength(40);
    for (const [i, { txid, spends, outputs }] of scanned.transactions.entries()) {
      expect(hex(txid)).toBe(hex(parsed[i]!.txid));
      expect(spends.map((one) => `${hex(one.txid)}:${one.vout}`)).toEqual(
        parsed[i]!.inputs.map((input) => `${hex(input.previousTxid)}:${input.previousIndex}`),
      );
      expect(outputs.map((one) => [one.value, hex(one.script)])).toEqual(parsed[i]!.outputs.map((one) => [one.value, hex(one.script)]));
    }
  });

  test("finds coins that are made and spent in the block itself, and nothing else", () => {
    const pool = script(1);
    const held = { txid: new Uint8Array(32).fill(7), vout: 3 };
    const stranger = { txid: new Uint8Array(32).fill(8), vout: 3 };
    const makes = transaction([stranger], [script(2), pool]);
    const spendsTheOther = transaction([{ txid: txidOf(makes), vout: 0 }], [script(3)]);
    const spendsIt = transaction([stranger, { txid: txidOf(makes), vout: 1 }], [script(3)]);
    const spendsHeld = transaction([held, stranger], [script(4), script(5)]);
    const scanned = scan(block([makes, spendsTheOther, spendsIt, spendsHeld]), {
      pays: (one) => hex(one) === hex(pool),
      spends: (txid, vout) => txid[0] === 7 && vout === 3,
    });
    expect(scanned.transactions.map(({ txid, spends }) => [hex(txid), spends])).toEqual([
      [hex(txidOf(makes)), []],
      [hex(txidOf(spendsIt)), [{ txid: Uint8Array.from(txidOf(makes)), vout: 1 }]],
      [hex(txidOf(spendsHeld)), [held]],
    ]);
  });

  test("what it gives keeps nothing of the block's bytes", () => {
    const raw = block(template.slice(0, 2));
    const scanned = scan(raw, { pays: () => true, spends: () => true });
    const before = JSON.stringify(scanned, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    raw.fill(0);
    expect(JSON.stringify(scanned, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))).toBe(before);
  });

  test("tells a merkle root of other transactions", () => {
    const raw = block(template.slice(0, 3));
    const other = assembleBlock(raw.subarray(0, 80), coinbase, [template[0]!, template[2]!, template[1]!]);
    expect(scan(other).merkleRootMatches).toBe(false);
    expect(scan(assembleBlock(raw.subarray(0, 80), coinbase, template.slice(0, 2))).merkleRootMatches).toBe(false);
  });

  test("tells transactions that are repeated at the end, though the root is the same (CVE-2012-2459)", () => {
    for (const [count, repeated] of [
      [2, 1],
      [4, 1],
      [5, 2],
    ] as const) {
      const honest = template.slice(0, count);
      const raw = block(honest);
      expect(scan(raw).merkleRootMatches).toBe(true);
      const mangled = [...honest, ...honest.slice(count - repeated)];
      const txids = mangled.map(txidOf);
      expect(hex(foldBranches(sha256d(coinbase), merkleBranches(txids)))).toBe(hex(raw.subarray(36, 68)));
      expect(scan(assembleBlock(raw.subarray(0, 80), coinbase, mangled)).merkleRootMatches).toBe(false);
    }
  });

  test("cut anywhere, or longer by a byte, it is refused as the parser refuses it", () => {
    const raw = block(template.slice(0, 3));
    for (let length = 0; length < raw.length; length++) thrown(TransactionError, () => scan(raw.subarray(0, length)));
    expect(thrown(TransactionError, () => scan(raw.subarray(0, 79))).code).toBe("badHeader");
    expect(thrown(TransactionError, () => scan(Uint8Array.of(...raw, 0))).code).toBe("trailingBytes");
    expect(thrown(TransactionError, () => scan(Uint8Array.of(...raw.subarray(0, 80), 0))).code).toBe("badStructure");
    expect(thrown(TransactionError, () => scan(Uint8Array.of(...raw.subarray(0, 80), 1, ...template[0]!))).code).toBe("notCoinbase");
    expect(thrown(TransactionError, () => scan(new Uint8Array(4_000_001))).code).toBe("tooLarge");
  });

  test("refuses a mangled block wherever the parser does, and never throws anything else", () => {
    const raw = block(template.slice(0, 4));
    fc.assert(
      fc.property(fc.integer({ min: 80, max: raw.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const mangled = Uint8Array.from(raw);
        mangled[at]! ^= change;
        let parsed = true;
        try {
          parseBlock(mangled);
        } catch {
          parsed = false;
        }
        try {
          const { transactions } = scan(mangled, { pays: () => true });
          expect(transactions.length + 1).toBe(parseBlock(mangled).transactions.length);
        } catch (error) {
          expect(error).toBeInstanceOf(TransactionError);
          // The scanner reads no amounts and knows what a coinbase is; otherwise the two agree.
          if (parsed) expect((error as TransactionError).code).toBe("notCoinbase");
        }
      }),
      { numRuns: 500 },
    );
  });

  test("pauses within a transaction as large as a block", () => {
    const scripts = Array.from({ length: 200 }, (_, i) => script(i));
    const large = transaction([{ txid: new Uint8Array(32), vout: 0 }], scripts);
    expect(steps(block([large])).pauses).toBeGreaterThanOrEqual(3);
    expect(steps(block([])).pauses).toBe(0);
  });
});
