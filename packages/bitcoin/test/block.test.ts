import { describe, expect, test } from "vitest";
import {
  assembleBlock,
  blockWeight,
  isWitnessCommitment,
  parseBlock,
  parseCoinbase,
  parseTransaction,
  TransactionError,
} from "../src/index.js";
import { bytes, data, hex, thrown } from "./support.js";

const template = data<{ transactions: string[] }>("template").transactions.map(bytes);
const header = Uint8Array.from({ length: 80 }, (_, i) => i);
const commitment = `6a24aa21a9ed${"22".repeat(32)}`;
const coinbaseStart = `02000000`;
const coinbaseBody = (outputs: string) => `01${"00".repeat(32)}ffffffff025151ffffffff${outputs}`;
const plain = bytes(`${coinbaseStart}${coinbaseBody("0100f2052a010000000151")}00000000`);
const committedBody = coinbaseBody(`0200f2052a010000000151000000000000000026${commitment}`);
const committed = bytes(`${coinbaseStart}${committedBody}07000000`);

describe("assembleBlock", () => {
  test("adds the witness reserved value where the coinbase commits to witnesses", () => {
    const block = assembleBlock(header, committed, []);
    expect(hex(block)).toBe(`${hex(header)}01${coinbaseStart}0001${committedBody}0120${"00".repeat(32)}07000000`);
    expect(parseTransaction(parseBlock(block).transactions[0]).txid).toEqual(parseTransaction(committed).txid);
  });

  test("leaves a coinbase without commitment as it is", () => {
    expect(hex(assembleBlock(header, plain, []))).toBe(`${hex(header)}01${hex(plain)}`);
  });

  test.each([0, 251, 252, 300])("comes apart again with %i transactions of a real template", (count) => {
    const others = template.slice(0, count);
    const block = parseBlock(assembleBlock(header, committed, others));
    expect(block.header).toEqual(header);
    expect(block.transactions.slice(1)).toEqual(others);
    // BIP141: three times the block without witnesses, and once the whole.
    const parsed = others.map((raw) => parseTransaction(raw));
    const whole = assembleBlock(header, committed, others).length;
    const witnesses = 36 + parsed.reduce((sum, { size, weight }) => sum + (4 * size - weight) / 3, 0);
    const weight = parsed.reduce((sum, one) => sum + one.weight, 0);
    expect(blockWeight(committed.length, true, count, weight)).toBe(4 * whole - 3 * witnesses);
    expect(parseCoinbase(block.transactions[0]).outputs).toEqual(parseCoinbase(committed).outputs);
  });

  test("comes apart with more transactions than two bytes count", () => {
    const others = Array.from({ length: 65_536 }, () => plain.subarray());
    const block = assembleBlock(header, plain, others);
    expect(hex(block.subarray(80, 85))).toBe("fe01000100");
    // Over four million bytes: the node's to refuse, and the parser's.
    expect(thrown(TransactionError, () => parseBlock(block)).code).toBe("tooLarge");
  });

  test("refuses what is no header, no coinbase, or a coinbase with its witness", () => {
    expect(thrown(TransactionError, () => assembleBlock(header.subarray(1), plain, [])).code).toBe("badHeader");
    expect(thrown(TransactionError, () => assembleBlock(header, template[0]!, [])).code).toBe("notCoinbase");
    expect(thrown(TransactionError, () => assembleBlock(header, new Uint8Array(), [])).code).toBe("truncated");
    const [withWitness] = parseBlock(assembleBlock(header, committed, [])).transactions;
    expect(thrown(TransactionError, () => assembleBlock(header, withWitness, [])).code).toBe("notCoinbase");
  });
});

describe("isWitnessCommitment", () => {
  test("takes at least 38 bytes that begin as BIP141 says", () => {
    expect(isWitnessCommitment(bytes(commitment))).toBe(true);
    expect(isWitnessCommitment(bytes(`${commitment}00`))).toBe(true);
    expect(isWitnessCommitment(bytes(commitment).subarray(0, 37))).toBe(false);
    expect(isWitnessCommitment(bytes(commitment.replace("aa21", "aa20")))).toBe(false);
  });
});

describe("parseBlock", () => {
  const block = assembleBlock(header, committed, template.slice(0, 3));

  test("cut anywhere, or longer by a byte, it is refused", () => {
    for (let length = 0; length < block.length; length++) thrown(TransactionError, () => parseBlock(block.subarray(0, length)));
    expect(thrown(TransactionError, () => parseBlock(block.subarray(0, 79))).code).toBe("badHeader");
    expect(thrown(TransactionError, () => parseBlock(Uint8Array.of(...block, 0))).code).toBe("trailingBytes");
    expect(thrown(TransactionError, () => parseBlock(Uint8Array.of(...header, 0))).code).toBe("badStructure");
  });
});
