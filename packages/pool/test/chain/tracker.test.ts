import { randomBytes } from "node:crypto";
import { fromReverseHex, NETWORKS, type NetworkName, reverseHex } from "@openprime/bitcoin";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ChainTracker, type ChainTrackerModules, type ChainTrackerOptions, type OwnTemplate } from "../../src/chain/index.js";
import type { Parent } from "../../src/work/index.js";
import { FakeNode } from "./fake-node.js";
import { type LogLines, logLines } from "./log-lines.js";

let node: FakeNode;
let logs: LogLines;
let clock: number;
let registry: Registry;
const trackers: ChainTracker[] = [];

beforeEach(async () => {
  node = await FakeNode.start();
  logs = logLines();
  clock = 1_000_000;
  registry = new Registry();
});

afterEach(async () => {
  for (const tracker of trackers.splice(0)) await tracker.stop();
  await node.close();
});

function make(options: Partial<ChainTrackerOptions> = {}, modules: Partial<ChainTrackerModules> = {}): ChainTracker {
  const tracker = new ChainTracker(
    { network: NETWORKS.regtest, pollMs: 2, ...options },
    { node: node.client(), log: logs.log, metrics: registry, now: () => clock, monotonic: () => clock, ...modules },
  );
  trackers.push(tracker);
  return tracker;
}

async function started(options: Partial<ChainTrackerOptions> = {}, modules: Partial<ChainTrackerModules> = {}): Promise<ChainTracker> {
  const tracker = make(options, modules);
  await tracker.start();
  return tracker;
}

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 2 });
const isTip = (tracker: ChainTracker, hash: string): Promise<void> => until(() => expect(reverseHex(tracker.tip()!.hash)).toBe(hash));

describe("start", () => {
  it("knows the tip, with the template's bits", async () => {
    node.mine();
    node.template!.bits = "1e7fffff";
    const tracker = await started();
    expect(tracker.reachable).toBe(true);
    expect(tracker.tip()).toEqual({
      hash: fromReverseHex(node.best),
      state: "tip",
      height: 1,
      childBits: 0x1e7fffff,
      medianTime: node.headers.get(node.best)!.mediantime,
      staleSince: undefined,
    });
  });

  it("works the bits out where the node gives no template", async () => {
    node.template = undefined;
    node.headers.get(node.best)!.bits = "1f00ffff";
    const tracker = await started();
    expect(tracker.tip()!.childBits).toBe(0x1f00ffff);
  });

  it.each([
    ["wrongNetwork", "main", "regtest", "regtest", "main"],
    ["wrongGenesis", "regtest", "regtest", node_genesis(), "ab".repeat(32)],
  ])("refuses: %s", async (code, chain, network, expected, got) => {
    node.chain = chain;
    if (code === "wrongGenesis") node.genesis = got;
    const tracker = make({ network: NETWORKS[network as NetworkName] });
    await expect(tracker.start()).rejects.toMatchObject({ code, expected, got });
    expect(tracker.reachable).toBe(false);
  });

  it("waits for a node that does not answer, and says so every half minute", async () => {
    node.down = true;
    const tracker = make();
    const start = tracker.start();
    await until(() => expect(logs.saying("waiting for the Bitcoin node")).toHaveLength(1));
    expect(tracker.reachable).toBe(false);
    expect(tracker.tip()).toBeUndefined();
    expect(tracker.maxValue(randomBytes(32))).toBe(0n);
    clock += 30_000;
    await until(() => expect(logs.saying("waiting for the Bitcoin node")).toHaveLength(2));
    node.down = false;
    await start;
    expect(tracker.reachable).toBe(true);
  });

  it("waits for a node that is synchronising", async () => {
    node.synchronising = true;
    const tracker = make();
    const start = tracker.start();
    await until(() => expect(logs.lines.some((line) => String(line.waitingFor).includes("synchronising: block 0 of 500"))).toBe(true));
    expect(tracker.tip()).toBeUndefined();
    node.synchronising = false;
    await start;
    expect(tracker.tip()!.height).toBe(0);
  });

  it("can be stopped while it waits", async () => {
    node.down = true;
    const tracker = make();
    const start = tracker.start();
    await until(() => expect(logs.saying("waiting for")).toHaveLength(1));
    await tracker.stop();
    await expect(start).rejects.toMatchObject({ code: "stopped" });
  });

  it("can be stopped while the node takes calls and answers none, before the start and after it", async () => {
    let answer = (): void => undefined;
    const hanging = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const tracker = await started();
    node.hanging = hanging;
    const waiting = make({}, { metrics: new Registry() });
    const start = waiting.start();
    tracker.poke();
    await until(() => expect(node.held).toBeGreaterThanOrEqual(2));
    await waiting.stop();
    await tracker.stop();
    await expect(start).rejects.toMatchObject({ code: "stopped" });
    expect(logs.saying("does not answer")).toEqual([]);
    answer();
  }, 4000);
});

function node_genesis(): string {
  return "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";
}

describe("tips", () => {
  it("turns the old tip stale in place and calls back", async () => {
    const tracker = await started();
    const seen: [Parent, Parent | undefined][] = [];
    tracker.onTip((tip, previous) => seen.push([tip, previous]));
    const old = tracker.tip()!;
    clock = 2_000_000;
    await isTip(tracker, node.mine());
    expect(old).toMatchObject({ state: "stale", staleSince: 2_000_000 });
    expect(seen).toEqual([[tracker.tip(), old]]);
    expect(tracker.parent(old.hash, 77)).toBe(old);
  });

  it("follows a reorganisation: a stale parent becomes the tip again, as the same object", async () => {
    const tracker = await started();
    const base = node.best;
    const first = node.mine(base);
    await isTip(tracker, first);
    const parent = tracker.tip()!;
    const rival = node.mine(base);
    await isTip(tracker, rival);
    const rivalParent = tracker.tip()!;
    expect(parent.state).toBe("stale");
    node.best = first;
    await isTip(tracker, first);
    expect(tracker.tip()).toBe(parent);
    expect(parent).toMatchObject({ state: "tip", staleSince: undefined });
    expect(rivalParent.state).toBe("stale");
    expect(logs.saying("another branch").length).toBe(2);
  });

  it("of one height are both good until the chain passes them", async () => {
    const tracker = await started();
    const base = node.best;
    await isTip(tracker, node.mine(base));
    const first = tracker.tip()!;
    clock = 2_000_000;
    await isTip(tracker, node.mine(base));
    const second = tracker.tip()!;
    expect(first).toMatchObject({ state: "stale", staleSince: undefined });
    clock = 3_000_000;
    await isTip(tracker, node.mine(reverseHex(first.hash)));
    expect(first).toMatchObject({ state: "stale", staleSince: 3_000_000 });
    expect(second).toMatchObject({ state: "stale", staleSince: 3_000_000 });
    // The chain falls back to their height: the other may win again.
    node.best = reverseHex(second.hash);
    await until(() => expect(tracker.tip()).toBe(second));
    expect(first).toMatchObject({ state: "stale", staleSince: undefined });
  });

  it("that the node calls invalid are left as such, with all down to the fork", async () => {
    const tracker = await started();
    const base = node.best;
    const parents: Parent[] = [];
    for (let i = 0; i < 3; i++) {
      await isTip(tracker, node.mine());
      parents.push(tracker.tip()!);
    }
    node.invalid = new Set([node.best]);
    node.best = base;
    await until(() => expect(parents.map(({ state }) => state)).toEqual(["invalid", "invalid", "invalid"]));
    expect(parents.map(({ staleSince }) => staleSince)).toEqual([undefined, undefined, undefined]);
    // Reconsidered: it is the tip again, as the same object.
    node.best = reverseHex(parents[2]!.hash);
    await until(() => expect(tracker.tip()).toBe(parents[2]));
    expect(parents[2]!.state).toBe("tip");
  });

  it("that a node merely does not have yet stay good until the chain has passed them", async () => {
    const tracker = await started();
    const base = node.best;
    await isTip(tracker, node.mine());
    const left = tracker.tip()!;
    node.best = base;
    await isTip(tracker, base);
    await until(() => expect(node.calls).toContain("getchaintips"));
    expect(left).toMatchObject({ state: "stale", staleSince: undefined });
  });

  it("sees a block between two polls as stale when work on it comes", async () => {
    const tracker = await started();
    const between = node.block();
    await isTip(tracker, node.mine(between));
    const parent = tracker.parent(fromReverseHex(between), 1)!;
    await until(() => expect(parent.state).toBe("stale"));
    expect(parent).toMatchObject({ height: 1, childBits: 0x207fffff, medianTime: node.headers.get(between)!.mediantime });
  });

  it("is told by ZMQ at once", async () => {
    let told: (hash: Uint8Array) => void = () => undefined;
    let ended = false;
    const tracker = await started(
      { pollMs: 3_600_000, zmqHashBlocks: ["tcp://node"] },
      {
        subscribe: (endpoint, onHash) => {
          expect(endpoint).toBe("tcp://node");
          told = onHash;
          return Promise.resolve(() => {
            ended = true;
          });
        },
      },
    );
    const hash = node.mine();
    told(fromReverseHex(hash));
    await isTip(tracker, hash);
    await tracker.stop();
    expect(ended).toBe(true);
  });

  it("does not let one listener's fault keep another from the tip", async () => {
    const tracker = await started();
    const seen: string[] = [];
    tracker.onTip(() => {
      throw new Error("of no use");
    });
    tracker.onTip((tip) => seen.push(reverseHex(tip.hash)));
    const hash = node.mine();
    await until(() => expect(seen).toEqual([hash]));
    expect(logs.saying("a listener of the chain failed")).toHaveLength(1);
  });
});

describe("unknown parents", () => {
  it("one that becomes the tip is known, once", async () => {
    const tracker = await started();
    const known: Parent[] = [];
    tracker.onParentKnown((parent) => known.push(parent));
    const hash = node.block();
    node.headers.delete(hash);
    const parent = tracker.parent(fromReverseHex(hash), 41)!;
    expect(parent).toMatchObject({ state: "unknown", height: 41, childBits: undefined, medianTime: undefined });
    expect(tracker.parent(fromReverseHex(hash), 99)).toBe(parent);
    node.add(hash, node.best, 1);
    node.best = hash;
    await isTip(tracker, hash);
    expect(tracker.tip()).toBe(parent);
    expect(parent).toMatchObject({ state: "tip", height: 1 });
    expect(known).toEqual([parent]);
  });

  it("one off the best chain is known and stale", async () => {
    const tracker = await started();
    await isTip(tracker, node.mine());
    const known: Parent[] = [];
    tracker.onParentKnown((parent) => known.push(parent));
    const fork = node.block(node.genesis);
    const parent = tracker.parent(fromReverseHex(fork), 1)!;
    await until(() => expect(known).toEqual([parent]));
    // A rival of the tip: whether it or the tip wins is open.
    expect(parent).toMatchObject({ state: "stale", staleSince: undefined });
    clock += 1000;
    await isTip(tracker, node.mine());
    expect(parent).toMatchObject({ state: "stale", staleSince: clock });
    const uncle = node.block(node.genesis);
    const deep = tracker.parent(fromReverseHex(uncle), 1)!;
    clock += 1000;
    await until(() => expect(deep).toMatchObject({ state: "stale", staleSince: clock }));
  });

  it("a rival that the node calls invalid is invalid, and its tentative shares are void", async () => {
    const tracker = await started();
    await isTip(tracker, node.mine());
    const rival = node.block(node.genesis);
    node.invalid = new Set([rival]);
    const invalid: Parent[] = [];
    tracker.onParentInvalid((parent) => invalid.push(parent));
    const parent = tracker.parent(fromReverseHex(rival), 1)!;
    await until(() => expect(invalid).toEqual([parent]));
    expect(parent.state).toBe("invalid");
    expect(logs.saying("calls this parent invalid")).toHaveLength(1);
  });

  it("one that lies deep is stale for longer than any grace", async () => {
    const tracker = await started();
    const deep = node.mine();
    for (let i = 0; i < 5; i++) node.mine();
    await isTip(tracker, node.best);
    const parent = tracker.parent(fromReverseHex(deep), 1)!;
    await until(() => expect(parent).toMatchObject({ state: "stale", staleSince: 0 }));
  });

  it("are not entered by being looked for", async () => {
    const tracker = await started();
    const hash = randomBytes(32);
    expect(tracker.known(hash)).toBeUndefined();
    const parent = tracker.parent(hash, 1);
    expect(tracker.known(hash)).toBe(parent);
    expect(tracker.known(tracker.tip()!.hash)).toBe(tracker.tip());
  });

  it("one the node never has is invalid after 60 s, and not before", async () => {
    const tracker = await started();
    const invalid: Parent[] = [];
    tracker.onParentInvalid((parent) => invalid.push(parent));
    const parent = tracker.parent(randomBytes(32), 1)!;
    await until(() => expect(node.calls).toContain("getblockheader"));
    clock += 59_999;
    const polls = node.calls.length;
    await until(() => expect(node.calls.length).toBeGreaterThan(polls + 3));
    expect(parent.state).toBe("unknown");
    clock += 1;
    await until(() => expect(parent.state).toBe("invalid"));
    expect(invalid).toEqual([parent]);
    expect(logs.saying("never had this parent")).toHaveLength(1);
    expect(await registry.metrics()).toContain("openprime_parents_invalid_total 1");
  });

  it("don't hold up the next tip while the node takes its time over one", async () => {
    const tracker = await started({}, { node: node.client(60_000) });
    const hash = "cd".repeat(32);
    const asked = (): number => node.calls.filter((method) => method === "getblockheader").length;
    const before = asked();
    tracker.parent(fromReverseHex(hash), 41);
    await until(() => expect(asked()).toBe(before + 1));
    let answer = (): void => undefined;
    node.withheld = { hash, until: new Promise((resolve) => (answer = resolve)) };
    clock += 5000;
    await until(() => expect(asked()).toBe(before + 2));
    await isTip(tracker, node.mine());
    answer();
  });

  it("one whose header is above the tip stays unknown until the node builds on it", async () => {
    const tracker = await started();
    const known: Parent[] = [];
    tracker.onParentKnown((parent) => known.push(parent));
    const headerOnly = node.block();
    const parent = tracker.parent(fromReverseHex(headerOnly), 1)!;
    await until(() => expect(node.calls.filter((call) => call === "getblockheader").length).toBeGreaterThanOrEqual(2));
    const polls = node.calls.length;
    await until(() => expect(node.calls.length).toBeGreaterThan(polls + 3));
    expect(parent.state).toBe("unknown");
    node.best = headerOnly;
    await until(() => expect(known).toEqual([parent]));
    expect(parent.state).toBe("tip");
  });

  it("are bounded, with room that strangers can't take, and room is made when some are settled", async () => {
    const tracker = await started();
    for (let i = 0; i < 64; i++) expect(tracker.parent(randomBytes(32), 1)).toBeDefined();
    expect(tracker.parent(randomBytes(32), 1)).toBeUndefined();
    for (let i = 0; i < 64; i++) expect(tracker.parent(randomBytes(32), 1, true)).toBeDefined();
    expect(tracker.parent(randomBytes(32), 1, true)).toBeUndefined();
    clock += 60_000;
    await until(() => expect(tracker.parent(randomBytes(32), 1)).toBeDefined());
  });
});

describe("a node that goes away", () => {
  it("is not reachable, gives unknown parents their time back, and is followed again", async () => {
    const tracker = await started();
    const parent = tracker.parent(randomBytes(32), 1)!;
    node.down = true;
    await until(() => expect(tracker.reachable).toBe(false));
    expect(logs.saying("nothing is judged stale")).toHaveLength(1);
    expect(tracker.tip()!.state).toBe("tip");
    clock += 600_000;
    const hash = node.mine();
    node.down = false;
    await isTip(tracker, hash);
    await until(() => expect(tracker.reachable).toBe(true));
    const polls = node.calls.length;
    await until(() => expect(node.calls.length).toBeGreaterThan(polls + 3));
    expect(parent.state).toBe("unknown");
    clock += 60_000;
    await until(() => expect(parent.state).toBe("invalid"));
  });

  it("is not believed when it comes back on another chain, or far behind", async () => {
    const tracker = await started();
    await isTip(tracker, node.mine());
    node.down = true;
    await until(() => expect(tracker.reachable).toBe(false));
    const tip = tracker.tip()!;
    node.synchronising = true;
    node.best = node.genesis;
    clock += 30_000;
    node.down = false;
    await until(() => expect(logs.lines.some((line) => String(line.waitingFor).includes("synchronising"))).toBe(true));
    expect(tracker.reachable).toBe(false);
    expect(tip.state).toBe("tip");
    node.synchronising = false;
    node.chain = "test";
    clock += 30_000;
    await until(() => expect(logs.lines.some((line) => String(line.waitingFor).includes("its node is on test"))).toBe(true));
    expect(tracker.reachable).toBe(false);
    node.chain = "regtest";
    await isTip(tracker, node.genesis);
    await until(() => expect(tracker.reachable).toBe(true));
  });
});

describe("the node's own template", () => {
  it("is told with its transactions, at the start and at each tip", async () => {
    node.template = { bits: "207fffff", fees: [5, 7], subsidy: 1000 };
    const tracker = make();
    const told: OwnTemplate[] = [];
    const end = tracker.onOwnTemplate((template) => told.push(template));
    await tracker.start();
    expect(told).toMatchObject([{ prevhash: fromReverseHex(node.best), height: 1, value: 1012n, weight: 800 }]);
    expect(told[0]!.transactions.map(({ fee, weight }) => [fee, weight])).toEqual([
      [5n, 400],
      [7n, 400],
    ]);
    const hash = node.mine();
    await isTip(tracker, hash);
    expect(told.at(-1)!.prevhash).toEqual(fromReverseHex(hash));
    end();
    const { length } = told;
    await isTip(tracker, node.mine());
    expect(told.length).toBe(length);
  });
});

describe("what a split goes by", () => {
  it("is a parent's own height and target while it is near the tip, and the tip's for all others", async () => {
    node.headers.get(node.genesis)!.bits = "1f00ffff";
    const tracker = await started();
    const { hash: deep } = tracker.tip()!;
    tracker.tip()!.childBits = 0x1e00ffff;
    await isTip(tracker, node.mine());
    expect(tracker.childBits(deep)).toBe(0x1e00ffff);
    expect(tracker.maxValue(deep)).toBe(tracker.subsidy(1) + 20_000_000n);
    await isTip(tracker, node.mine());
    expect(tracker.childBits(deep)).toBe(tracker.tip()!.childBits);
    expect(tracker.childBits(deep)).not.toBe(0x1e00ffff);
  });
});

describe("plausible values", () => {
  it("are the subsidy and twice the highest recent fees, with a floor", async () => {
    const tracker = await started();
    const floor = 10_000_000n;
    expect(tracker.highestFees()).toBe(floor);
    expect(tracker.maxValue(tracker.tip()!.hash)).toBe(5_000_000_000n + 2n * floor);
    node.template!.fees = [30_000_000, 12];
    node.mine();
    await until(() => expect(tracker.highestFees()).toBe(30_000_012n));
    // A later template with fewer fees lowers nothing: those were recent.
    node.template!.fees = [];
    await isTip(tracker, node.mine());
    expect(tracker.maxValue(tracker.tip()!.hash)).toBe(5_000_000_000n + 2n * 30_000_012n);
    // On a parent nobody knows the tip's height counts.
    expect(tracker.maxValue(randomBytes(32))).toBe(tracker.maxValue(tracker.tip()!.hash));
  });

  it("takes the fees of blocks from before the start where the node has them", async () => {
    node.stats = new Map([[node.mine(), 44_000_000]]);
    for (let i = 0; i < 3; i++) node.stats.set(node.mine(), 1000);
    const tracker = await started();
    await until(() => expect(tracker.highestFees()).toBe(44_000_000n));
  });

  it("believes a test node's template about the subsidy, and halves by the rule elsewhere", async () => {
    let parent = node.genesis;
    node.add("aa".repeat(32), parent, 299);
    parent = "aa".repeat(32);
    node.best = parent;
    const tracker = await started();
    expect(tracker.subsidy(300)).toBe(5_000_000_000n);
    expect(tracker.subsidy(450)).toBe(625_000_000n);
  });
});
