import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MerkleSumProof, merkleSumProof, merkleSumRoot, type SettlementLine, verifyMerkleSumProof } from "../../src/proofs/index.js";
import { lines } from "./arbitrary.js";

const some = lines.filter((list) => list.length > 0);
const line = (script: number, change: Partial<SettlementLine> = {}): SettlementLine => ({
  account: 7,
  script: Uint8Array.of(script),
  weight: 5n,
  netWeight: 4n,
  before: 3n,
  earned: 10n,
  fee: 0n,
  paid: 2n,
  balance: 11n,
  ...change,
});

describe("the Merkle-sum tree", () => {
  it("adds up weights, what was earned and paid, and what is owed", () => {
    fc.assert(
      fc.property(lines, (list) => {
        const sum = (of: (one: SettlementLine) => bigint): bigint => list.reduce((total, one) => total + of(one), 0n);
        expect(merkleSumRoot(list).totals).toEqual({
          count: list.length,
          weight: sum((one) => one.weight),
          earned: sum((one) => one.earned),
          paid: sum((one) => one.paid),
          owed: sum((one) => (one.balance > 0n ? one.balance : 0n)),
        });
      }),
      { numRuns: 50 },
    );
  });

  it("proves each line to the one who knows the root and the totals", () => {
    fc.assert(
      fc.property(some, (list) => {
        const { root, totals } = merkleSumRoot(list);
        for (const [i, one] of list.entries()) expect(verifyMerkleSumProof(one, merkleSumProof(list, i), root, totals)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("proves no line that was changed, moved or put in from outside, and no other totals", () => {
    fc.assert(
      fc.property(some, fc.nat(), fc.bigInt({ min: 1n, max: 1000n }), (list, at, by) => {
        const { root, totals } = merkleSumRoot(list);
        const index = at % list.length;
        const one = list[index] as SettlementLine;
        const proof = merkleSumProof(list, index);
        const verify = (other: SettlementLine, p: MerkleSumProof = proof, sums = totals) => verifyMerkleSumProof(other, p, root, sums);
        for (const field of ["weight", "netWeight", "before", "earned", "fee", "paid", "balance"] as const) {
          expect(verify({ ...one, [field]: one[field] + by })).toBe(false);
        }
        expect(verify({ ...one, account: one.account - 1 })).toBe(false);
        expect(verify({ ...one, script: Buffer.concat([one.script, Uint8Array.of(0)]) })).toBe(false);
        for (const field of ["weight", "earned", "paid", "owed"] as const) {
          expect(verify(one, proof, { ...totals, [field]: totals[field] + by })).toBe(false);
        }
        expect(verify(one, proof, { ...totals, count: totals.count + 1 })).toBe(false);
        for (let other = 0; other < list.length; other++) if (other !== index) expect(verify(one, { ...proof, index: other })).toBe(false);
        expect(verify(one, { ...proof, siblings: [...proof.siblings, { hash: root, sums: totals }] })).toBe(false);
        for (const [i, sibling] of proof.siblings.entries()) {
          const change = (other: MerkleSumProof["siblings"][number]): MerkleSumProof => ({
            index,
            siblings: proof.siblings.with(i, other),
          });
          expect(verify(one, { index, siblings: proof.siblings.toSpliced(i, 1) })).toBe(false);
          expect(verify(one, change({ ...sibling, hash: Buffer.from(sibling.hash).fill(1, 0, 1).fill(2, 1, 2) }))).toBe(false);
          expect(verify(one, change({ ...sibling, sums: { ...sibling.sums, owed: sibling.sums.owed + by } }))).toBe(false);
          expect(verify(one, change({ ...sibling, sums: { ...sibling.sums, owed: -1n } }))).toBe(false);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("can't hide a debt by moving it between two children, as a tree could that hashed the sum of both", () => {
    const list = [line(1), line(2)];
    const { root, totals } = merkleSumRoot(list);
    const proof = merkleSumProof(list, 0);
    const [sibling] = proof.siblings;
    if (sibling === undefined) throw new Error("no sibling");
    const moved = { ...sibling, sums: { ...sibling.sums, owed: sibling.sums.owed + 1n } };
    expect(verifyMerkleSumProof(line(1, { balance: 10n }), { ...proof, siblings: [moved] }, root, totals)).toBe(false);
  });

  it("owes nothing to a negative balance, which so lowers no total, and counts a reversal's amounts as they were", () => {
    expect(merkleSumRoot([line(1), line(2, { balance: -100n })]).totals.owed).toBe(11n);
    expect(merkleSumRoot([line(1, { earned: -10n, paid: -2n })]).totals).toMatchObject({ earned: 10n, paid: 2n });
  });

  it("hashes the bytes that docs/proofs.md says", () => {
    const sha = (...parts: (string | Uint8Array)[]): Buffer => {
      const hash = createHash("sha256");
      for (const part of parts) hash.update(typeof part === "string" ? Buffer.from(part, "latin1") : part);
      return hash.digest();
    };
    const number = (value: number, bytes: number): Buffer => Buffer.from(value.toString(16).padStart(2 * bytes, "0"), "hex");
    const leaf = (script: number, balance: Buffer): Buffer =>
      sha(
        "openprime-settlement/1 leaf\0",
        Uint8Array.of(0, 0, 0, 7, 0, 1, script),
        number(5, 32),
        number(4, 32),
        number(3, 8),
        number(10, 8),
        number(0, 8),
        number(2, 8),
        balance,
      );
    const sums = (n: number, owed: number): Buffer =>
      Buffer.concat([number(5 * n, 32), number(10 * n, 8), number(2 * n, 8), number(owed, 8)]);
    const minusTwo = Buffer.from("fffffffffffffffe", "hex");
    const left = sha("openprime-settlement/1 node\0", leaf(1, number(11, 8)), sums(1, 11), leaf(2, minusTwo), sums(1, 0));
    const top = sha("openprime-settlement/1 node\0", left, sums(2, 11), leaf(3, number(11, 8)), sums(1, 11));
    const root = sha("openprime-settlement/1 root\0", number(3, 4), top, sums(3, 22));
    expect(Buffer.from(merkleSumRoot([line(1), line(2, { balance: -2n }), line(3)]).root)).toEqual(root);
    const empty = sha("openprime-settlement/1 root\0", number(0, 4), new Uint8Array(32), sums(0, 0));
    expect(Buffer.from(merkleSumRoot([]).root)).toEqual(empty);
  });

  it("refuses what its fixed widths can't hold", () => {
    const overflow = expect.objectContaining({ code: "proof.overflow" });
    expect(() => merkleSumRoot([line(1, { balance: 1n << 63n })])).toThrow(overflow);
    expect(() => merkleSumRoot([line(1, { weight: (1n << 256n) - 1n }), line(2)])).toThrow(overflow);
    expect(() => merkleSumRoot([line(1, { weight: -1n }), line(2)])).toThrow(overflow);
    const most = (1n << 63n) - 1n;
    expect(() => merkleSumRoot([1, 2, 3].map((script) => line(script, { earned: most })))).toThrow(overflow);
    expect(() => merkleSumProof([line(1)], 1)).toThrow(expect.objectContaining({ code: "proof.noSuchLine" }));
  });
});
