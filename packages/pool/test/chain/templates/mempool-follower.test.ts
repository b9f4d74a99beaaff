import { NodeError, type NodeNotices, parseTransaction, type subscribeNotices, ZmqError } from "@openprime/bitcoin";
import { ShortIdMatcher } from "@openprime/datum";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { MempoolFollower, type MempoolFollowerOptions, type MempoolNode } from "../../../src/chain/templates/mempool-follower.js";
import { keyOf, MempoolStore } from "../../../src/chain/templates/mempool-store.js";
import { madeTransaction } from "../../../src/cli/bench/made-transaction.js";

const matcher = await ShortIdMatcher.create();
const txid = (number: number) => parseTransaction(madeTransaction(number)).txid;
const display = (number: number) => Buffer.from(txid(number)).reverse().toString("hex");
const ids = (number: number) => ({ txid: keyOf(txid(number)), wtxid: keyOf(parseTransaction(madeTransaction(number)).wtxid) });

/** A node whose mempool is a list of numbers. */
class ListNode implements MempoolNode {
  numbers: number[] = [];
  failing: Error | undefined;
  fees = new Map<number, bigint>();
  readonly asked: string[] = [];
  readonly batches: number[] = [];
  /** Called when the ids were read and before they are answered. */
  meanwhile: () => void = () => undefined;

  async mempoolIds(): Promise<string[]> {
    this.#ask("mempoolIds");
    const answer = this.numbers.map(display);
    this.meanwhile();
    return answer;
  }

  async rawTransactions(txids: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    this.#ask("rawTransactions");
    this.batches.push(txids.length);
    const numbers = new Map(this.numbers.map((number) => [display(number), number]));
    return txids.map((id) => (numbers.has(id) ? madeTransaction(numbers.get(id)!) : undefined));
  }

  async mempoolFees(txids: readonly string[]): Promise<(bigint | undefined)[]> {
    this.#ask(`mempoolFees ${txids.length}`);
    return txids.map((id) => [...this.fees].find(([number]) => display(number) === id)?.[1]);
  }

  #ask(what: string): void {
    this.asked.push(what);
    if (this.failing !== undefined) throw this.failing;
  }
}

const away = () => new NodeError("unreachable", "getrawmempool", "no connection to the node");

function follow(node: ListNode, options: Partial<MempoolFollowerOptions> = {}, subscribe?: typeof subscribeNotices) {
  const store = new MempoolStore({ transactions: 10_000, rawBytes: 10_000_000, keepGoneMs: 1000 }, matcher);
  const said: string[] = [];
  let time = 0;
  const follower = new MempoolFollower(
    { pollMs: 1, ...options },
    { node, store, now: () => time, say: (level, _, text) => said.push(`${level}: ${text}`), ...(subscribe && { subscribe }) },
  );
  onTestFinished(() => follower.stop());
  const pass = (ms: number) => {
    time += ms;
  };
  return { follower, store, said, pass };
}

const has = (store: MempoolStore, ...numbers: number[]) => numbers.filter((number) => store.has(ids(number).txid));
const soon = { timeout: 5000, interval: 5 };

describe("polling", () => {
  it("enters what is new in bounded batches, and lets go of what left after its time", async () => {
    const node = new ListNode();
    node.numbers = Array.from({ length: 450 }, (_, i) => i);
    const { follower, store, said, pass } = follow(node);
    await follower.start();
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    expect(store.size).toBe(450);
    expect(node.batches).toEqual([200, 200, 50]);
    expect(said).toEqual(["info: the node's mempool is known"]);

    node.numbers = [1, 2, 1000];
    await vi.waitFor(() => expect(has(store, 1000)).toEqual([1000]), soon);
    expect(store.size).toBe(451);
    await nextPoll(node);
    pass(1000);
    await vi.waitFor(() => expect(store.size).toBe(3), soon);
    expect(has(store, 0, 1, 2, 1000)).toEqual([1, 2, 1000]);
    expect(node.batches.at(-1)).toBe(1);
  });

  it("a node that is away takes nothing with it, and is said once", async () => {
    const node = new ListNode();
    node.numbers = [1, 2];
    const { follower, store, said, pass } = follow(node);
    await follower.start();
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    node.failing = away();
    await nextPoll(node);
    pass(100_000);
    await nextPoll(node);
    expect(has(store, 1, 2)).toEqual([1, 2]);
    expect(await follower.raw([ids(1), ids(7)])).toEqual([madeTransaction(1), undefined]);
    expect(await follower.fees([ids(1).txid])).toEqual([undefined]);
    // It starts with an empty mempool and reads the old one from its disk.
    node.failing = undefined;
    node.numbers = [];
    await vi.waitFor(() => expect(said.at(-1)).toMatch(/again/), soon);
    await nextPoll(node);
    node.numbers = [1, 2];
    await nextPoll(node);
    pass(1000);
    await nextPoll(node);
    expect(has(store, 1, 2)).toEqual([1, 2]);
    expect(said.filter((line) => line.startsWith("warn"))).toHaveLength(1);
  });

  it("reads past a transaction that is none", async () => {
    const node = new ListNode();
    node.numbers = [1, 2];
    vi.spyOn(node, "rawTransactions").mockResolvedValueOnce([new Uint8Array(3), madeTransaction(2)]);
    const { follower, store, said } = follow(node, { pollMs: 3_600_000 });
    await follower.start();
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    expect(has(store, 1, 2)).toEqual([2]);
    expect(said[0]).toBe("warn: the node gave a transaction that can't be read");
  });

  it("a poll that takes long is not followed by another at once", async () => {
    const node = new ListNode();
    const { follower, pass } = follow(node, { pollMs: 0 });
    node.meanwhile = () => pass(1_000_000);
    await follower.start();
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    await follower.stop();
    expect(node.asked).toEqual(["mempoolIds"]);
  });

  /** Once a poll that began after now has ended. */
  async function nextPoll(node: ListNode): Promise<void> {
    const polls = () => node.asked.filter((what) => what === "mempoolIds").length;
    const before = polls();
    await vi.waitFor(() => expect(polls()).toBeGreaterThanOrEqual(before + 2), soon);
  }
});

describe("raw transactions and fees", () => {
  it("come from memory, else from the node, which is asked for each fee once", async () => {
    const node = new ListNode();
    node.numbers = [1, 2, 3];
    node.fees = new Map([
      [1, 100n],
      [2, 200n],
    ]);
    const { follower } = follow(node, { pollMs: 3_600_000 });
    await follower.start();
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    node.numbers.push(4);
    expect(await follower.raw([ids(4), ids(9), ids(2)])).toEqual([madeTransaction(4), undefined, madeTransaction(2)]);
    // The node is not asked for what it does not have.
    expect(await follower.fees([1, 8, 2, 3].map((number) => ids(number).txid))).toEqual([100n, undefined, 200n, undefined]);
    expect(await follower.fees([2, 1].map((number) => ids(number).txid))).toEqual([200n, 100n]);
    expect(node.asked).toEqual(["mempoolIds", "rawTransactions", "rawTransactions", "mempoolFees 3"]);
  });

  it("of another witness than the one asked for are not the transaction", async () => {
    const node = new ListNode();
    node.numbers = [1];
    const { follower } = follow(node);
    const other = keyOf(parseTransaction(madeTransaction(1, 20)).wtxid);
    expect(await follower.raw([{ txid: ids(1).txid, wtxid: other }])).toEqual([undefined]);
  });
});

describe("ZMQ", () => {
  /** Endpoints that were subscribed to, with their listeners. */
  function subscriptions() {
    const taken: { endpoint: string; notices: NodeNotices }[] = [];
    const subscribe: typeof subscribeNotices = async (endpoint, notices) => {
      taken.push({ endpoint, notices });
      return () => undefined;
    };
    return { taken, subscribe };
  }

  it("tells of transactions at once, and a poll that was under way does not take them back", async () => {
    const node = new ListNode();
    const { taken, subscribe } = subscriptions();
    const { follower, store, pass } = follow(node, { pollMs: 1, zmq: { rawtx: "tcp://node", sequence: "tcp://node" } }, subscribe);
    let added = false;
    node.meanwhile = () => {
      if (added) return;
      added = true;
      taken[0]!.notices.rawtx!(madeTransaction(1));
      taken[0]!.notices.sequence!({ kind: "added", hash: txid(1) });
      node.numbers = [1];
    };
    await follower.start();
    expect(taken.map(({ endpoint, notices }) => [endpoint, Object.keys(notices)])).toEqual([["tcp://node", ["rawtx", "sequence"]]]);
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    await follower.stop();
    pass(1000);
    store.sweep(1000);
    expect(has(store, 1)).toEqual([1]);
    expect(node.batches).toEqual([]);
    taken[0]!.notices.sequence!({ kind: "removed", hash: txid(1) });
    store.sweep(2000);
    expect(has(store, 1)).toEqual([]);
  });

  it("of sequence alone has the node asked for what is new", async () => {
    const node = new ListNode();
    const { taken, subscribe } = subscriptions();
    const { follower, store } = follow(node, { pollMs: 3_600_000, zmq: { sequence: "tcp://node" } }, subscribe);
    await follower.start();
    await vi.waitFor(() => expect(follower.loaded).toBe(true), soon);
    node.numbers = [5];
    taken[0]!.notices.sequence!({ kind: "added", hash: txid(5) });
    await vi.waitFor(() => expect(has(store, 5)).toEqual([5]), soon);
    expect(node.asked).toEqual(["mempoolIds", "rawTransactions"]);
  });

  it("that is had only after the end is given back", async () => {
    const node = new ListNode();
    const unsubscribe = vi.fn();
    let subscribed: (end: () => void) => void = () => undefined;
    const subscription = new Promise<() => void>((resolve) => {
      subscribed = resolve;
    });
    const { follower } = follow(node, { zmq: { rawtx: "tcp://node" } }, () => subscription);
    const started = follower.start();
    await follower.stop();
    subscribed(unsubscribe);
    await started;
    expect(unsubscribe).toHaveBeenCalledOnce();
    expect(node.asked).toEqual([]);
  });

  it("at two places is two subscriptions; one that can't be had leaves the polls", async () => {
    const node = new ListNode();
    node.numbers = [1];
    const endpoints: string[] = [];
    const { follower, store, said } = follow(node, { zmq: { rawtx: "tcp://one", sequence: "tcp://other" } }, async (endpoint) => {
      endpoints.push(endpoint);
      throw new ZmqError("zmqUnavailable", "no zeromq here");
    });
    await follower.start();
    await vi.waitFor(() => expect(has(store, 1)).toEqual([1]), soon);
    expect(endpoints).toEqual(["tcp://one", "tcp://other"]);
    expect(said.slice(0, 2)).toEqual(Array(2).fill("warn: ZMQ mempool: the node is polled all the same"));
  });
});
