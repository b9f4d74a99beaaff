/**
 * The mempool's thread with real nodes: the simulator's, which is polled, and a bitcoind that OPENPRIME_BITCOIND names, which also tells by
 * ZMQ; left out, aloud, without one. The thread runs the compiled program.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { fromReverseHex, NodeClient, parseTransaction, type TemplateTransaction } from "@openprime/bitcoin";
import { shortId } from "@openprime/datum";
import { type NodePair, startBitcoindPair, startSimulatedPair } from "@openprime/simulator";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { NodeMempool, type NodeMempoolOptions } from "../../../src/chain/index.js";
import { madeTransaction } from "../../../src/cli/bench/made-transaction.js";
import { logLines } from "../log-lines.js";

const bitcoind = process.env.OPENPRIME_BITCOIND;
if (bitcoind === undefined) console.warn("no real bitcoind in these tests: set OPENPRIME_BITCOIND to the path of one");

const KEY = Uint8Array.from({ length: 16 }, (_, i) => 3 * i);
const soon = { timeout: 20_000, interval: 20 };
const idsOf = (wtxids: readonly Uint8Array[]) => Buffer.concat(wtxids.map((wtxid) => shortId(KEY, wtxid)));
const wtxidsOf = (transactions: readonly TemplateTransaction[]) => transactions.map(({ hash }) => fromReverseHex(hash));
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");

function open(options: NodeMempoolOptions) {
  const lines = logLines();
  const metrics = new Registry();
  const mempool = new NodeMempool(options, { log: lines.log, metrics });
  onTestFinished(() => mempool.stop());
  return { mempool, lines, metrics };
}

/** Follows a node that nobody runs. */
const alone = () => open({ node: { url: "http://127.0.0.1:9" } });

const nodes: [string, (dir: string) => Promise<NodePair>][] = [["the simulator's node", () => startSimulatedPair(0x207fffff)]];
if (bitcoind !== undefined) nodes.push(["bitcoind", (dir) => startBitcoindPair(bitcoind, dir)]);

describe.each(nodes)("%s", (_, start) => {
  let dir: string;
  let pair: NodePair;
  let client: NodeClient;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "openprime-mempool-"));
    pair = await start(dir);
    client = new NodeClient(pair.pools);
  });

  afterAll(async () => {
    await client?.close();
    await pair?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const follow = () => open({ node: pair.pools, pollMs: 50 });

  it("has its transactions, their fees and bytes, and those that come later", async () => {
    await pair.send(120, 3);
    const { mempool, metrics } = follow();
    await vi.waitFor(() => expect(mempool.loaded).toBe(true), soon);
    const { transactions } = await client.blockTemplate();
    expect(transactions.length).toBe(120);
    expect(mempool.size).toBe(120);

    const stranger = parseTransaction(madeTransaction(1)).wtxid;
    const asked = [...wtxidsOf(transactions), stranger];
    const found = await mempool.match(KEY, idsOf(asked));
    expect(found.pop()).toBeUndefined();
    const known = found.map((one) => one!);
    expect(known.map(({ txid, weight, size }) => ({ txid: hex(txid), weight, size }))).toEqual(
      transactions.map(({ txid, weight, data }) => ({ txid: hex(fromReverseHex(txid)), weight, size: data.length / 2 })),
    );
    expect((await mempool.raw(known)).map(hex)).toEqual(transactions.map(({ data }) => data));
    expect(await mempool.fees(known)).toEqual(transactions.map(({ fee }) => fee));
    // Told once, they come with the transactions.
    expect((await mempool.match(KEY, idsOf(asked))).map((one) => one?.fee)).toEqual([...transactions.map(({ fee }) => fee), undefined]);
    expect(await metrics.metrics()).toMatch(/openprime_mempool_match_seconds_count 2\n/);

    await pair.send(30, 0);
    await vi.waitFor(() => expect(mempool.size).toBe(150), soon);
    const raws = await client.rawTransactions(await client.mempoolIds());
    expect(mempool.rawBytes).toBe(raws.reduce((sum, raw) => sum + raw!.length, 0));
    expect(await metrics.metrics()).toMatch(/openprime_mempool_transactions 150\n/);
  });

  it("keeps what a gateway showed, and bytes that memory let go of come from the node", async () => {
    const { transactions } = await client.blockTemplate();
    const rawBytes = 5 * madeTransaction(7).length;
    const { mempool } = open({ node: pair.pools, pollMs: 50, limits: { rawBytes } });
    await vi.waitFor(() => expect(mempool.loaded).toBe(true), soon);
    expect(mempool.size).toBeGreaterThanOrEqual(transactions.length);
    expect(mempool.rawBytes).toBeLessThanOrEqual(rawBytes);
    const shown = parseTransaction(madeTransaction(7));
    mempool.learn([madeTransaction(7), new Uint8Array(9)]);
    const known = await mempool.match(KEY, idsOf([shown.wtxid, ...wtxidsOf(transactions)]));
    expect(hex(known[0]!.txid)).toBe(hex(shown.txid));
    expect((await mempool.raw([known[5]!, known[0]!])).map(hex)).toEqual([transactions[4]!.data, hex(madeTransaction(7))]);
    expect(await mempool.fees([known[0]!, known[1]!])).toEqual([undefined, transactions[0]!.fee]);
  });

  it("takes fees from a template", async () => {
    const { transactions } = await client.blockTemplate();
    const { mempool } = follow();
    await vi.waitFor(() => expect(mempool.loaded).toBe(true), soon);
    mempool.learnFees(transactions.slice(0, 2).map(({ txid }, i) => ({ txid: fromReverseHex(txid), fee: BigInt(i + 1) })));
    const found = await mempool.match(KEY, idsOf(wtxidsOf(transactions.slice(0, 3))));
    expect(found.map((one) => one?.fee)).toEqual([1n, 2n, undefined]);
  });

  it("is told by ZMQ at once", async ({ skip }) => {
    if (pair.poolsZmq === undefined) skip("this node has no ZMQ");
    const zmq = { rawtx: pair.poolsZmq, sequence: pair.poolsZmq };
    const { mempool } = open({ node: pair.pools, pollMs: 3_600_000, zmq });
    await vi.waitFor(() => expect(mempool.loaded).toBe(true), soon);
    const before = mempool.size;
    // A subscriber hears nothing of what was sent before its subscription arrived; how long that takes nobody tells.
    await vi.waitFor(
      async () => {
        await pair.send(1, 0);
        expect(mempool.size).toBeGreaterThan(before);
      },
      { timeout: 20_000, interval: 500 },
    );
  });
});

describe("the thread", () => {
  it("that dies is said, fails what was asked, and is started again", async () => {
    const posted = vi.spyOn(Worker.prototype, "postMessage");
    onTestFinished(() => posted.mockRestore());
    const { mempool, lines, metrics } = alone();
    mempool.learn([madeTransaction(1)]);
    await vi.waitFor(() => expect(mempool.size).toBe(1), soon);
    const thread = posted.mock.contexts[0] as Worker;
    // It never reaches the thread: an answer could be quicker than the end.
    posted.mockImplementationOnce(() => undefined);
    const asked = mempool.fees([{ txid: new Uint8Array(32), wtxid: new Uint8Array(32), size: 1, weight: 4, fee: undefined }]);
    await Promise.all([expect(asked).rejects.toMatchObject({ name: "MempoolError", code: "threadEnded" }), thread.terminate()]);
    expect(mempool.size).toBe(0);
    await expect(mempool.match(KEY, new Uint8Array(6))).rejects.toMatchObject({ code: "threadEnded" });
    expect(lines.saying("started again")).toMatchObject([{ waiting: 1, againInMs: 1000 }]);
    await vi.waitFor(() => expect(mempool.match(KEY, new Uint8Array(6))).resolves.toEqual([undefined]), soon);
    expect(await metrics.metrics()).toMatch(/openprime_mempool_restarts_total 1\n/);
  });

  it("takes so many questions at a time and no more, and refuses one that makes no sense", async () => {
    const { mempool } = alone();
    await expect(mempool.match(new Uint8Array(3), new Uint8Array(6))).rejects.toMatchObject({ name: "MempoolError", code: "failed" });
    const answers = await Promise.allSettled(Array.from({ length: 65 }, () => mempool.match(KEY, new Uint8Array(6))));
    expect(answers.filter(({ status }) => status === "fulfilled").length).toBe(64);
    expect(answers[64]).toMatchObject({ status: "rejected", reason: { code: "busy" } });
  });

  it("says that the node can't be asked, and ends when told", async () => {
    const { mempool, lines } = alone();
    await vi.waitFor(() => expect(lines.saying("does not tell of its mempool")).toHaveLength(1), soon);
    await mempool.stop();
    await expect(mempool.match(KEY, new Uint8Array(6))).rejects.toMatchObject({ code: "threadEnded" });
    expect(lines.saying("started again")).toHaveLength(0);
  });
});
