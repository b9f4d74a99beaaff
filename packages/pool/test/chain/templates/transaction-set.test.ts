import { merkleRoot, parseTransaction, sha256d, TransactionError } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { SetReader, setKey, type TransactionSet } from "../../../src/chain/templates/transaction-set.js";
import { makeJob, simpleTransactions } from "./made-job.js";

const fresh = () => new SetReader(() => undefined);

describe("reading a set", () => {
  it("tells what a job and a coinbase say of it", async () => {
    const raw = simpleTransactions(450);
    const { set, kept } = await fresh().read(raw);
    const parsed = raw.map(parseTransaction);
    expect(kept).toBe(false);
    expect(set).toMatchObject({ raw, hasWitness: true, sigopsCost: 0, fault: undefined });
    const { job } = makeJob(raw);
    expect([set.size, set.weight, Buffer.from(set.branches)]).toEqual([job.totalSize, job.totalWeight, Buffer.from(job.branches)]);
    expect(set.weights).toEqual(parsed.map(({ weight }) => weight));
    const root = merkleRoot([new Uint8Array(32), ...parsed.map(({ wtxid }) => wtxid)]);
    expect(Buffer.from(set.commitment)).toEqual(Buffer.from(sha256d(Buffer.concat([root, Buffer.alloc(32)]))));
  });

  it("gives the one that is in memory, by the order of its wtxids", async () => {
    const raw = simpleTransactions(3);
    const { set } = await fresh().read(raw);
    const reader = new SetReader((key): TransactionSet | undefined => (key === set.key ? set : undefined));
    const again = await reader.read(raw.map((one) => new Uint8Array(one)));
    expect([again.set === set, again.kept]).toEqual([true, true]);
    expect((await reader.read([...raw].reverse())).kept).toBe(false);
    expect(set.key).toBe(setKey(set.wtxids));
  });

  it("is done one at a time, in order, and a bad one holds up nobody", async () => {
    const reader = fresh();
    const done: string[] = [];
    const read = (name: string, raw: readonly Uint8Array[]) =>
      reader.read(raw).then(
        () => done.push(name),
        (error: unknown) => done.push(`${name}: ${(error as TransactionError).code}`),
      );
    await Promise.all([read("long", simpleTransactions(900)), read("bad", [Uint8Array.of(1)]), read("short", [])]);
    expect(done).toEqual(["long", "bad: truncated", "short"]);
    await expect(reader.read([Uint8Array.of(1)])).rejects.toBeInstanceOf(TransactionError);
  });
});
