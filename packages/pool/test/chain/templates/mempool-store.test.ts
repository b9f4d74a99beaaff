import { parseTransaction } from "@openprime/bitcoin";
import { ShortIdMatcher, shortId } from "@openprime/datum";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyOf, type MempoolLimits, MempoolStore } from "../../../src/chain/templates/mempool-store.js";
import { madeTransaction } from "../../../src/cli/bench/made-transaction.js";

const matcher = await ShortIdMatcher.create();
const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const ROOMY: MempoolLimits = { transactions: 1000, rawBytes: 1_000_000, keepGoneMs: 100 };

const store = (limits: Partial<MempoolLimits> = {}) => new MempoolStore({ ...ROOMY, ...limits }, matcher);
const txidOf = (number: number) => keyOf(parseTransaction(madeTransaction(number)).txid);
const wtxidOf = (number: number) => keyOf(parseTransaction(madeTransaction(number)).wtxid);
const idsOf = (numbers: readonly number[]) =>
  Buffer.concat(numbers.map((number) => shortId(KEY, parseTransaction(madeTransaction(number)).wtxid)));

/** Which of the numbers the store finds by their short ids. */
function known(of: MempoolStore, numbers: readonly number[]): number[] {
  const { positions, wtxids } = of.match(KEY, idsOf(numbers));
  return numbers.filter((number, i) => {
    const at = positions[i]!;
    if (at >= 0) expect(keyOf(wtxids.subarray(32 * at, 32 * at + 32))).toBe(wtxidOf(number));
    return at >= 0;
  });
}

describe("MempoolStore", () => {
  it("finds transactions with their figures, in the order asked for", () => {
    const mempool = store();
    for (const number of [1, 2, 3]) mempool.add(madeTransaction(number, 50 + number), 0);
    mempool.setFee(keyOf(parseTransaction(madeTransaction(3, 53)).txid), 777n);
    const wanted = [3, 9, 1].map((number) => parseTransaction(madeTransaction(number, 50 + number)));
    const found = mempool.match(KEY, Buffer.concat(wanted.map(({ wtxid }) => shortId(KEY, wtxid))));
    expect([...found.positions]).toEqual([0, -1, 1]);
    expect([...found.sizes]).toEqual([wanted[0]!.size, wanted[2]!.size]);
    expect([...found.weights]).toEqual([wanted[0]!.weight, wanted[2]!.weight]);
    expect([...found.fees]).toEqual([777n, -1n]);
    expect(Buffer.from(found.txids)).toEqual(Buffer.concat([wanted[0]!.txid, wanted[2]!.txid]));
    expect(Buffer.from(found.wtxids)).toEqual(Buffer.concat([wanted[0]!.wtxid, wanted[2]!.wtxid]));
  });

  it("keeps what left the node for a while, and takes it back when it returns", () => {
    const mempool = store();
    for (const number of [1, 2, 3]) mempool.add(madeTransaction(number), 0);
    mempool.markAll(new Set([txidOf(2)]), 10);
    mempool.mark(txidOf(3), true, 50);
    mempool.sweep(109);
    expect(known(mempool, [1, 2, 3])).toEqual([1, 2, 3]);
    mempool.sweep(110);
    expect(known(mempool, [1, 2, 3])).toEqual([2, 3]);
    expect(mempool.has(txidOf(1))).toBe(false);
    expect(mempool.raw(wtxidOf(1))).toBeUndefined();
  });

  it("keeps raw bytes in bounds, those used last, and the ids of all", () => {
    const length = madeTransaction(0).length;
    const mempool = store({ rawBytes: 3 * length });
    for (const number of [1, 2, 3]) mempool.add(madeTransaction(number), 0);
    expect(mempool.raw(wtxidOf(1))).toEqual(madeTransaction(1));
    mempool.add(madeTransaction(4), 0);
    expect([1, 2, 3, 4].filter((number) => mempool.raw(wtxidOf(number)) !== undefined)).toEqual([1, 3, 4]);
    expect(mempool.rawBytes).toBe(3 * length);
    expect(known(mempool, [1, 2, 3, 4])).toEqual([1, 2, 3, 4]);
    // It comes back from the node.
    mempool.add(madeTransaction(2), 0);
    expect(mempool.raw(wtxidOf(2))).toEqual(madeTransaction(2));
    expect(mempool.size).toBe(4);
  });

  it("a full one lets go of what has been gone for longest, and refuses what the node has over it", () => {
    const mempool = store({ transactions: 4 });
    for (const number of [1, 2, 3, 4]) mempool.add(madeTransaction(number), 0);
    mempool.mark(txidOf(3), false, 10);
    mempool.mark(txidOf(2), false, 20);
    mempool.add(madeTransaction(5), 30);
    expect(known(mempool, [1, 2, 3, 4, 5])).toEqual([1, 2, 4, 5]);
    mempool.add(madeTransaction(6), 30);
    expect(mempool.add(madeTransaction(7), 30)).toBeUndefined();
    expect(known(mempool, [1, 2, 4, 5, 6, 7])).toEqual([1, 4, 5, 6]);
    expect(mempool.refused).toBe(1);
  });

  it("what gateways show pushes out only its like", () => {
    const length = madeTransaction(0).length;
    const mempool = store({ rawBytes: 8 * length });
    for (const number of [1, 2, 3, 4]) mempool.add(madeTransaction(number), 0);
    expect(
      mempool.learn(
        [10, 11, 12].map((number) => madeTransaction(number)),
        0,
      ),
    ).toBe(0);
    expect(known(mempool, [1, 2, 3, 4, 10, 11, 12])).toEqual([1, 2, 3, 4, 11, 12]);
    expect(mempool.raw(wtxidOf(1))).toEqual(madeTransaction(1));
    // Shown again, its time begins anew; the node's own is never a gateway's.
    mempool.learn([madeTransaction(11), madeTransaction(1)], 60);
    mempool.add(madeTransaction(12), 60);
    mempool.sweep(120);
    expect(known(mempool, [1, 11, 12])).toEqual([1, 11, 12]);
    mempool.sweep(160);
    expect(known(mempool, [1, 11, 12])).toEqual([1, 12]);
  });

  it("passes over what is no transaction", () => {
    expect(store().learn([new Uint8Array(3), madeTransaction(1)], 0)).toBe(1);
    expect(() => store().add(new Uint8Array(3), 0)).toThrow(expect.objectContaining({ name: "TransactionError" }));
  });

  it("one of the same txid with another witness takes the other's place", () => {
    const mempool = store();
    const [first, second] = [madeTransaction(1, 10), madeTransaction(1, 20)].map((raw) => parseTransaction(raw));
    mempool.add(madeTransaction(1, 10), 0);
    mempool.add(madeTransaction(1, 20), 0);
    expect(mempool.size).toBe(2);
    mempool.sweep(100);
    expect(mempool.raw(keyOf(first!.wtxid))).toBeUndefined();
    expect(mempool.raw(keyOf(second!.wtxid))).toEqual(madeTransaction(1, 20));
    expect(mempool.has(keyOf(second!.txid))).toBe(true);
  });

  it("never loses or invents one, whatever comes and goes", () => {
    const step = fc.record({ what: fc.constantFrom("add", "learn", "mark", "return", "sweep"), number: fc.nat(30), pass: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const mempool = store();
        /** Number → when it was gone; undefined while the node has it. */
        const model = new Map<number, { gone: number | undefined; node: boolean }>();
        let now = 0;
        for (const { what, number, pass } of steps) {
          now += pass;
          const entry = model.get(number);
          if (what === "add") {
            mempool.add(madeTransaction(number), now);
            model.set(number, { gone: undefined, node: true });
          } else if (what === "learn") {
            mempool.learn([madeTransaction(number)], now);
            if (entry === undefined) model.set(number, { gone: now, node: false });
            else if (entry.gone !== undefined) entry.gone = now;
          } else if (what === "mark" || what === "return") {
            mempool.mark(txidOf(number), what === "return", now);
            if (entry?.node === true) entry.gone = what === "return" ? undefined : (entry.gone ?? now);
          } else {
            mempool.sweep(now);
            for (const [one, { gone }] of model) if (gone !== undefined && now - gone >= 100) model.delete(one);
          }
        }
        const all = Array.from({ length: 31 }, (_, i) => i);
        expect(known(mempool, all)).toEqual(all.filter((number) => model.has(number)));
        expect(mempool.size).toBe(model.size);
        expect(all.filter((number) => mempool.raw(wtxidOf(number)) !== undefined)).toEqual(all.filter((number) => model.has(number)));
        expect(mempool.rawBytes).toBe(model.size * madeTransaction(0).length);
      }),
    );
  });
});
