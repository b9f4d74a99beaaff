import { fromReverseHex, NETWORKS, reverseHex, sha256d } from "@openprime/bitcoin";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ChainTracker, NodeGroup, type NodeGroupOptions } from "../../../src/chain/index.js";
import { FakeNode, RpcFailure } from "../fake-node.js";
import { type LogLines, logLines } from "../log-lines.js";

let a: FakeNode;
let b: FakeNode;
let logs: LogLines;
let clock: number;
let registry: Registry;

beforeEach(async () => {
  a = await FakeNode.start();
  b = await FakeNode.start();
  logs = logLines();
  clock = 1_000_000;
  registry = new Registry();
  a.mine();
  b.follow(a);
});

afterEach(async () => {
  await a.close();
  await b.close();
});

function make(options: Partial<NodeGroupOptions> = {}, nodes = [a, b], monotonic = () => clock): NodeGroup {
  const [first, ...others] = nodes.map((node, i) => ({ name: "abc"[i]!, client: node.client() }));
  return new NodeGroup(
    { network: NETWORKS.regtest, ...options },
    { nodes: [first!, ...others], log: logs.log, metrics: registry, monotonic },
  );
}

const states = (group: NodeGroup): string[] =>
  group.statuses().map(({ name, state, followed }) => `${name} ${state}${followed ? ", followed" : ""}`);
const until = (check: () => unknown): Promise<unknown> => vi.waitFor(check, { timeout: 10_000, interval: 2 });

/** A group that has looked at all its nodes, `a` followed. */
async function looked(options: Partial<NodeGroupOptions> = {}): Promise<NodeGroup> {
  const group = make(options);
  await settle(group, ["a good, followed", "b good"]);
  return group;
}

/** Looks until the nodes stand so. */
async function settle(group: NodeGroup, expected: string[]): Promise<void> {
  await until(async () => {
    await group.bestBlockHash().catch(() => undefined);
    expect(states(group)).toEqual(expected);
  });
}

describe("one node", () => {
  it("is asked what is wanted and nothing else", async () => {
    const group = make({}, [a]);
    expect(await group.bestBlockHash()).toBe(a.best);
    expect(await group.blockHash(0)).toBe(a.genesis);
    expect((await group.view().blockchainInfo()).bestblockhash).toBe(a.best);
    expect(a.calls).toEqual(["getbestblockhash", "getblockhash", "getblockchaininfo"]);
    expect(states(group)).toEqual(["a good, followed"]);
    a.down = true;
    await expect(group.bestBlockHash()).rejects.toMatchObject({ code: "unreachable", method: "getbestblockhash" });
    expect(states(group)).toEqual(["a unreachable, followed"]);
  });
});

describe("the best chain", () => {
  it("is followed at whichever node it comes first, and of equals the one that was followed", async () => {
    const group = await looked();
    let changes = 0;
    group.onChange(() => {
      changes += 1;
    });
    const first = b.mine();
    await settle(group, ["a good", "b good, followed"]);
    expect(await group.bestBlockHash()).toBe(first);
    expect(changes).toBe(1);
    a.follow(b);
    await settle(group, ["a good", "b good, followed"]);
    a.mine();
    await settle(group, ["a good, followed", "b good"]);
    expect(await group.bestBlockHash()).toBe(a.best);
    // A rival of the same height is no reason to go over.
    b.mine();
    await settle(group, ["a good, followed", "b good"]);
    expect(await group.bestBlockHash()).toBe(a.best);
    expect(logs.saying("follows another of its nodes")).toHaveLength(2);
    expect(await registry.metrics()).toContain("openprime_node_switches_total 2");
    expect(await registry.metrics()).toContain('openprime_node_state{node="a",state="good"} 1');
  });

  it("is found by headers alone where the first node does not tell its work", async () => {
    a.claimedWork = "";
    const group = await looked();
    b.mine();
    await settle(group, ["a good", "b good, followed"]);
    a.learn(b);
    a.mine(a.block(b.best));
    await settle(group, ["a good, followed", "b good"]);
    expect(await group.bestBlockHash()).toBe(a.best);
  });

  it("costs one question a look while nothing changes", async () => {
    const group = await looked();
    await until(() => expect(group.statuses()[1]!.height).toBe(1));
    const before = [a.calls.length, b.calls.length];
    for (let i = 0; i < 5; i++) await group.bestBlockHash();
    expect(a.calls.slice(before[0])).toEqual(Array.from({ length: 5 }, () => "getblockchaininfo"));
    expect(new Set(b.calls.slice(before[1]))).toEqual(new Set(["getblockchaininfo"]));
  });

  it("is followed through a reorganisation that goes deeper than the start of the pool", async () => {
    const group = await looked();
    let at = b.genesis;
    for (let i = 0; i < 3; i++) at = b.mine(at);
    await settle(group, ["a good", "b good, followed"]);
    expect(await group.bestBlockHash()).toBe(at);
  });

  it("is found by a pool that was asleep for many blocks", async () => {
    const group = await looked();
    for (let i = 0; i < 300; i++) b.mine();
    await settle(group, ["a good", "b good, followed"]);
    expect(await group.bestBlockHash()).toBe(b.best);
  });
});

describe("a node that can't be relied on", () => {
  it("does not answer: another is followed at the same look, and it is taken back", async () => {
    const group = await looked();
    a.down = true;
    expect(await group.bestBlockHash()).toBe(b.best);
    expect(states(group)).toEqual(["a unreachable", "b good, followed"]);
    const tip = b.mine();
    expect(await group.bestBlockHash()).toBe(tip);
    expect(logs.saying("a node is set aside")).toHaveLength(1);
    a.down = false;
    a.follow(b);
    await settle(group, ["a good", "b good, followed"]);
    expect(logs.saying("a node is good")).toHaveLength(3);
  });

  it("hangs: it is given up after a while, and not asked again meanwhile", async () => {
    const group = make({ silentMs: 60 }, [a, b], () => performance.now());
    await settle(group, ["a good, followed", "b good"]);
    let release = (): void => undefined;
    a.hanging = new Promise((resolve) => {
      release = resolve;
    });
    expect(await group.bestBlockHash()).toBe(b.best);
    const calls = a.calls.length;
    for (let i = 0; i < 5; i++) await group.bestBlockHash();
    expect(a.calls.length).toBe(calls);
    expect(states(group)).toEqual(["a unreachable", "b good, followed"]);
    a.hanging = undefined;
    release();
    await settle(group, ["a good", "b good, followed"]);
  });

  it("is slow, and the only one left: its late answers are waited for, and it is set aside once", async () => {
    const group = make({ silentMs: 60 }, [a, b], () => performance.now());
    b.down = true;
    await settle(group, ["a good, followed", "b unreachable"]);
    let release = (): void => undefined;
    const hang = (): void => {
      a.hanging = new Promise((resolve) => {
        release = resolve;
      });
    };
    hang();
    const first = group.bestBlockHash();
    await until(() => expect(states(group)).toEqual(["a unreachable, followed", "b unreachable"]));
    release();
    expect(await first).toBe(a.best);
    hang();
    const second = group.bestBlockHash();
    const since = performance.now();
    await until(() => expect(performance.now() - since).toBeGreaterThan(120));
    expect(states(group)).toEqual(["a good, followed", "b unreachable"]);
    release();
    expect(await second).toBe(a.best);
    expect(logs.saying("a node is set aside").filter(({ node }) => node === "a")).toHaveLength(1);
  });

  it("lags: it is set aside after 30 s, said once, and taken back when it has caught up", async () => {
    const group = await looked();
    a.mine();
    await settle(group, ["a good, followed", "b good"]);
    clock += 29_999;
    await settle(group, ["a good, followed", "b good"]);
    clock += 1;
    await settle(group, ["a good, followed", "b lagging"]);
    a.mine();
    clock += 60_000;
    await settle(group, ["a good, followed", "b lagging"]);
    expect(logs.saying("a node is set aside")).toMatchObject([{ node: "b", state: "lagging" }]);
    // It is not followed when the better one goes: it is known to be wrong.
    a.down = true;
    await expect(group.bestBlockHash()).rejects.toThrow(/no node can be followed: a is unreachable .*; b is lagging/);
    b.follow(a);
    await settle(group, ["a unreachable", "b good, followed"]);
  });

  it.each<[string, string, (node: FakeNode) => void, (node: FakeNode) => void]>([
    ["is in initial block download", "synchronising", (node) => (node.synchronising = true), (node) => (node.synchronising = false)],
    ["is on another network", "wrongChain", (node) => (node.chain = "main"), (node) => (node.chain = "regtest")],
    [
      "claims work that its headers lack",
      "lying",
      (node) => (node.claimedWork = "ff".repeat(16)),
      (node) => (node.claimedWork = undefined),
    ],
    ["claims work that is no number", "lying", (node) => (node.claimedWork = "x"), (node) => (node.claimedWork = undefined)],
  ])("%s: followed or not, it is set aside, said once, and taken back", async (_, state, spoil, mend) => {
    const group = await looked();
    spoil(b);
    await settle(group, ["a good, followed", `b ${state}`]);
    mend(b);
    await settle(group, ["a good, followed", "b good"]);
    spoil(a);
    await settle(group, [`a ${state}`, "b good, followed"]);
    await settle(group, [`a ${state}`, "b good, followed"]);
    expect(await group.bestBlockHash()).toBe(b.best);
    expect(logs.saying("a node is set aside").map((line) => line.node)).toEqual(["b", "a"]);
    mend(a);
    await settle(group, ["a good", "b good, followed"]);
  });

  it.each<[string, (node: FakeNode, hash: string) => void, RegExp]>([
    ["a header of another block", (node, hash) => node.raw.set(hash, node.raw.get(node.block())!), /hashes to/],
    ["a header that was changed", (node, hash) => node.raw.set(hash, `ff${node.raw.get(hash)!.slice(2)}`), /hashes to/],
    [
      "no header",
      (node) => {
        vi.spyOn(node.raw, "get").mockImplementation(() => {
          throw new RpcFailure(-5, "Block not found");
        });
      },
      /does not give its header/,
    ],
    ["something else for a header", (node, hash) => node.raw.set(hash, "zz"), /not 80 bytes in hex/],
  ])("names a best block with %s: it lies", async (_, spoil, why) => {
    const group = await looked();
    const claimed = b.block();
    spoil(b, claimed);
    b.best = claimed;
    await settle(group, ["a good, followed", "b lying"]);
    expect(group.statuses()[1]!.why).toMatch(why);
    expect(await group.bestBlockHash()).toBe(a.best);
    expect(logs.saying("a node is set aside")).toMatchObject([{ level: 50, node: "b" }]);
  });

  it("has a best block without proof of work: it lies", async () => {
    const group = await looked();
    const raw = Buffer.from(b.raw.get(b.block())!, "hex");
    // A target that no hash meets by chance.
    raw.writeUInt32LE(0x1d00ffff, 72);
    const hash = reverseHex(sha256d(raw));
    b.raw.set(hash, raw.toString("hex"));
    b.add(hash, b.best, 2);
    b.best = hash;
    await settle(group, ["a good, followed", "b lying"]);
    expect(group.statuses()[1]!.why).toContain("does not meet its own target");
  });
});

describe("nodes that disagree about what is valid", () => {
  it("go by the first: the chain that it calls invalid is left", async () => {
    const group = await looked();
    const good = a.best;
    const bad = b.mine();
    await settle(group, ["a good", "b good, followed"]);
    a.learn(b);
    a.invalid = new Set([bad]);
    clock += 5000;
    await settle(group, ["a good, followed", "b disagrees"]);
    expect(await group.bestBlockHash()).toBe(good);
    expect(logs.saying("nodes disagree")).toMatchObject([{ level: 50, hash: bad, invalidBy: "a", validBy: "b" }]);
    // Its chain grows: still disputed. The first's grows past it: all agree again.
    b.mine();
    await settle(group, ["a good, followed", "b disagrees"]);
    for (let i = 0; i < 3; i++) a.mine();
    b.follow(a);
    await settle(group, ["a good, followed", "b good"]);
    expect(logs.saying("nodes disagree")).toHaveLength(1);
  });

  it("go by the first: another that calls the best block invalid is set aside", async () => {
    const group = await looked();
    const best = a.mine();
    b.learn(a);
    b.invalid = new Set([best]);
    await settle(group, ["a good, followed", "b good"]);
    clock += 5000;
    await settle(group, ["a good, followed", "b disagrees"]);
    expect(group.statuses()[1]!.why).toContain(best);
    b.invalid.clear();
    b.best = best;
    await settle(group, ["a good, followed", "b good"]);
  });
});

describe("what is asked by hash", () => {
  it("is known when any good node knows it", async () => {
    const group = await looked();
    const hash = b.block();
    expect((await group.blockHeader(hash)).hash).toBe(hash);
    await expect(group.blockHeader("ab".repeat(32))).rejects.toMatchObject({ notFound: true });
    b.synchronising = true;
    await settle(group, ["a good, followed", "b synchronising"]);
    await expect(group.blockHeader(hash)).rejects.toMatchObject({ notFound: true });
  });

  it("as blocks is had from the node that still keeps them", async () => {
    const group = await looked();
    b.blocks.set(b.best, "abcd");
    expect(await group.view().rawBlock(b.best)).toEqual(Uint8Array.of(0xab, 0xcd));
    b.blocks.clear();
    await expect(group.view().rawBlock(b.best)).rejects.toThrow("pruned data");
  });
});

describe("a view", () => {
  it("stays with one node from one look to the next, so that two chains are never mixed", async () => {
    const group = await looked();
    const view = group.view();
    await view.blockchainInfo();
    const onA = a.mine(a.genesis);
    const onB = b.mine(b.block());
    await settle(group, ["a good", "b good, followed"]);
    expect(await view.blockHash(1)).toBe(onA);
    expect((await view.blockchainInfo()).bestblockhash).toBe(onB);
    expect(await view.blockHash(1)).not.toBe(onA);
    b.down = true;
    a.mine(onA);
    await settle(group, ["a good, followed", "b unreachable"]);
    await expect(view.blockHash(1)).rejects.toMatchObject({ code: "unreachable" });
    expect((await view.blockchainInfo()).bestblockhash).toBe(a.best);
  });
});

describe("the tracker on two nodes", () => {
  it("goes on with the other when one fails, and comes to know a parent by the node that has it", async () => {
    const group = make();
    const tracker = new ChainTracker(
      { network: NETWORKS.regtest, pollMs: 2 },
      { node: group, log: logs.log, metrics: registry, now: () => clock, monotonic: () => clock },
    );
    group.onChange(() => tracker.poke());
    try {
      a.down = true;
      await tracker.start();
      expect(reverseHex(tracker.tip()!.hash)).toBe(b.best);
      a.down = false;
      await until(() => expect(states(group)).toEqual(["a good", "b good, followed"]));
      const rival = a.block(a.genesis);
      const parent = tracker.parent(fromReverseHex(rival), 1)!;
      await until(() => expect(parent).toMatchObject({ state: "stale", staleSince: undefined }));
      b.down = true;
      const tip = a.mine();
      await until(() => expect(reverseHex(tracker.tip()!.hash)).toBe(tip));
      expect(tracker.reachable).toBe(true);
      expect(logs.saying("does not answer: nothing is judged stale")).toEqual([]);
      a.down = true;
      await until(() => expect(tracker.reachable).toBe(false));
      b.follow(a);
      b.down = false;
      await until(() => expect(tracker.reachable).toBe(true));
    } finally {
      await tracker.stop();
    }
  });

  it("ends its start when all nodes are on another network, and waits for one that catches up", async () => {
    const tracker = (): ChainTracker =>
      new ChainTracker(
        { network: NETWORKS.regtest, pollMs: 2 },
        { node: make(), log: logs.log, metrics: registry, now: () => clock, monotonic: () => clock },
      );
    a.chain = "main";
    b.chain = "main";
    await expect(tracker().start()).rejects.toMatchObject({ code: "wrongNetwork" });
    a.chain = "regtest";
    a.synchronising = true;
    registry = new Registry();
    const waiting = tracker();
    const start = waiting.start();
    await until(() => expect(logs.saying("waiting for the Bitcoin node")).not.toEqual([]));
    a.synchronising = false;
    await start;
    await waiting.stop();
  });
});
