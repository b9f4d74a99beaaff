import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldBranches, merkleBranches, merkleRoot, parseTransaction, sha256d } from "../src/index.js";
import { bytes, data, hex } from "./support.js";

/** The tree as the whitepaper draws it: every level in full, an odd one's last node twice. */
function wholeTree(txids: readonly Uint8Array[]): Uint8Array {
  let level = [...txids];
  while (level.length > 1) {
    if (level.length % 2 === 1) level.push(level.at(-1)!);
    level = level.flatMap((left, i) => (i % 2 === 0 ? [sha256d(Buffer.concat([left, level[i + 1]!]))] : []));
  }
  return level[0]!;
}

const txid = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("merkle branches", () => {
  test("lead to the root of the whole tree, ceil(log2(transactions)) of them", () => {
    fc.assert(
      fc.property(txid, fc.array(txid, { maxLength: 40 }), (coinbase, others) => {
        const branches = merkleBranches(others);
        expect(branches.length / 32).toBe(Math.ceil(Math.log2(others.length + 1)));
        expect(foldBranches(coinbase, branches)).toEqual(wholeTree([coinbase, ...others]));
        expect(merkleRoot([coinbase, ...others])).toEqual(wholeTree([coinbase, ...others]));
      }),
    );
  });

  test("are those that a real gateway made of its template", () => {
    const template = data<{ transactions: string[]; branches: string }>("template");
    expect(hex(merkleBranches(template.transactions.map((raw) => parseTransaction(bytes(raw)).txid)))).toBe(template.branches);
  });

  test("of block 100000 lead to its root", () => {
    const reversed = (text: string) => bytes(text).reverse();
    const root = merkleRoot([
      reversed("8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87"),
      reversed("fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4"),
      reversed("6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4"),
      reversed("e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d"),
    ]);
    expect(hex(root.reverse())).toBe("f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766");
  });
});
