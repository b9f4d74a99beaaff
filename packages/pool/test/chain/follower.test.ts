import { NodeError, sha256d } from "@openprime/bitcoin";
import * as fc from "fast-check";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChainFollower, type ChainFollowerOptions } from "../../src/chain/index.js";
import {
  expectedBooks,
  type ModelBlock,
  ModelBooks,
  ModelNode,
  Pauses,
  POOL_SCRIPT,
  readPrimeId,
  STRANGER,
  transaction,
} from "./follower-model.js";
import { type LogLines, logLines } from "./log-lines.js";

const OPTIONS: ChainFollowerOptions = { pollMs: 10_000, retryMs: 1000, fallenBackMs: 120_000, knownBefore: 0 };
const START = 20;

class World {
  readonly node = new ModelNode(START);
  readonly books = new ModelBooks();
  readonly pauses = new Pauses();
  readonly logs: LogLines = logLines();
  readonly registry = new Registry();
  readonly events: string[] = [];
  follower: ChainFollower;

  constructor() {
    this.follower = this.make();
  }

  make(options: ChainFollowerOptions = OPTIONS): ChainFollower {
    this.registry.clear();
    const { node, books, pauses, registry } = this;
    const follower = new ChainFollower(options, {
      node,
      books,
      readPrimeId,
      log: this.logs.log,
      metrics: registry,
      monotonic: () => pauses.now,
      delay: pauses.delay,
    });
    follower.onBlock(({ height }, { outcome }) => this.events.push(`+${height} ${outcome}`));
    follower.onDisconnect(({ height }, { poolBlock }) => this.events.push(`-${height}${poolBlock ? " poolBlock" : ""}`));
    this.follower = follower;
    return follower;
  }

  /** New books at the node's tip. */
  async started(): Promise<void> {
    await this.follower.start();
    expect(await this.pauses.reached()).toBe(OPTIONS.pollMs);
  }

  /** Pokes, and lets pauses pass until the follower has nothing left to do. */
  async settle(tries = 60): Promise<void> {
    this.follower.follow();
    for (let i = 0; i < tries; i++) {
      // A poke ends the pause in a later microtask.
      await new Promise(setImmediate);
      if ((await this.pauses.reached()) === OPTIONS.pollMs) return;
      this.pauses.pass();
    }
    throw new Error(`not settled: ${JSON.stringify(this.logs.lines.at(-1))}`);
  }

  /** Pokes and waits for the next pause. @returns its milliseconds */
  async once(): Promise<number> {
    this.follower.follow();
    await new Promise(setImmediate);
    return this.pauses.reached();
  }

  async figure(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
    const { values } = (await this.registry.getSingleMetric(name)!.get()) as {
      values: { value: number; labels: Record<string, string> }[];
    };
    return values.find((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))?.value;
  }

  inStep(first = START): void {
    expect({ chain: this.books.chain(), coins: [...this.books.coins].sort() }).toEqual(expectedBooks(this.node, first));
  }
}

let world: World;

beforeEach(() => {
  world = new World();
});

afterEach(async () => {
  await world.follower.stop();
});

const pool = { value: 50n, script: POOL_SCRIPT };
const internal = (hash: string): Uint8Array => new Uint8Array(Buffer.from(hash, "hex").reverse());
/** The tip of a chain that has only its first block in common with the node's. */
function otherChain(): ModelBlock {
  const other = new ModelNode();
  for (let i = 0; i < 50; i++) other.mine({ primeId: 200 });
  return other.tip;
}
const rpc = (message: string, code = -1): NodeError => new NodeError("rpc", "getblock", message, code);
const down = (): never => {
  throw new NodeError("unreachable", "getblock", "no connection to the node (ECONNREFUSED)");
};

describe("new books", () => {
  it("begin at the node's tip, and take every block after it", async () => {
    await world.started();
    expect(world.books.chain()).toEqual([world.node.tip.hash]);
    for (let i = 0; i < 3; i++) world.node.mine();
    await world.settle();
    world.inStep();
    expect(world.events).toEqual(["+21 none", "+22 none", "+23 none"]);
    expect(world.node.calls).not.toContain("getblockheader");
  });

  it("wait for a node that is down or synchronising, and for the database", async () => {
    const { node, books, follower, pauses, logs } = world;
    node.before = down;
    const start = follower.start();
    expect(await pauses.reached()).toBe(1000);
    node.before = () => undefined;
    node.synchronising = true;
    pauses.pass();
    await new Promise(setImmediate);
    expect(await pauses.reached()).toBe(2000);
    expect(logs.saying("do not follow").at(-1)).toMatchObject({ reason: "nodeBehind", error: expect.stringContaining("block 20 of 500") });
    node.synchronising = false;
    books.before = () => Promise.reject(new Error("the database is away"));
    pauses.pass();
    await new Promise(setImmediate);
    expect(await pauses.reached()).toBe(4000);
    expect(books.cursor()).toBeUndefined();
    books.before = () => undefined;
    pauses.pass();
    await start;
    expect(books.cursor()?.height).toBe(START);
  });

  it("can be stopped while they wait", async () => {
    world.node.before = down;
    const start = world.follower.start();
    const refused = expect(start).rejects.toMatchObject({ name: "ChainError", code: "stopped" });
    await world.pauses.reached();
    await world.follower.stop();
    await refused;
    expect(world.books.calls).toEqual([]);
  });

  it("that were begun before go on where they are", async () => {
    await world.started();
    await world.follower.stop();
    for (let i = 0; i < 5; i++) world.node.mine();
    await world.make().start();
    await world.settle();
    world.inStep();
    expect(world.books.calls.filter((call) => call === "begin")).toHaveLength(1);
  });
});

describe("what a block is to the books", () => {
  it("comes with its prime id, its coins and what spends them", async () => {
    await world.started();
    const { node, books } = world;
    const paid = node.mine({ primeId: 2, outputs: [pool, { value: 9n, script: STRANGER }] });
    node.mine({ primeId: 99, outputs: [pool] });
    await world.settle();
    const made = books.blocks[0]!.coinbase;
    expect(made.primeId).toBe(2);
    const receipt = transaction([{ txid: new Uint8Array(32).fill(5), vout: 0 }], [pool]);
    const spend = transaction(
      [
        { txid: made.txid, vout: 0 },
        { txid: sha256d(receipt), vout: 0 },
      ],
      [{ value: 3n, script: STRANGER }, pool],
    );
    node.mine({ transactions: [receipt, spend] });
    await world.settle();
    world.inStep();
    expect(books.blocks[2]!.transactions.map(({ spends }) => spends.length)).toEqual([0, 2]);
    expect(world.events).toEqual(["+21 paid", "+22 receipt", "+23 none"]);
    expect(await world.figure("openprime_pool_blocks_total", { life: "paid" })).toBe(1);
    expect(await world.figure("openprime_receipts_unattributed_total")).toBe(1);
    expect(world.logs.saying("has joined the best chain")).toMatchObject([{ height: 21, hash: paid.hash }]);
    // The other branch never had them; back on the first one they are booked again.
    const top = node.tip;
    node.branch(3, 4);
    await world.settle();
    world.inStep();
    expect(books.coins.size).toBe(0);
    expect(await world.figure("openprime_pool_blocks_total", { life: "orphaned" })).toBe(1);
    expect(await world.figure("openprime_books_reorged_blocks_total")).toBe(3);
    node.tip = top;
    await world.settle();
    world.inStep();
    expect(world.events.slice(3)).toEqual([
      ..."-23 -22".split(" "),
      "-21 poolBlock",
      ..."+21 +22 +23 +24".split(" ").map((event) => `${event} none`),
      ..."-24 -23 -22 -21".split(" "),
      "+21 paid",
      "+22 receipt",
      "+23 none",
    ]);
    expect(await world.figure("openprime_pool_blocks_total", { life: "paid" })).toBe(2);
  });
});

describe("reorganisations", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])("of %i blocks and back again", async (depth) => {
    await world.started();
    for (let i = 0; i < 12; i++) world.node.mine({ primeId: 1 + (i % 3), outputs: [pool] });
    await world.settle();
    const before = world.node.tip;
    world.node.branch(depth, depth + 1);
    await world.settle();
    world.inStep();
    expect(await world.figure("openprime_books_reorged_blocks_total")).toBe(depth);
    world.node.tip = before;
    world.node.mine();
    world.node.mine();
    await world.settle();
    world.inStep();
    expect(world.books.cursor()?.height).toBe(34);
  });

  it("of many blocks after a long time off-line take few questions, and two calls a block upwards", async () => {
    await world.started();
    for (let i = 0; i < 700; i++) world.node.mine();
    await world.settle();
    await world.follower.stop();
    world.node.branch(600, 900);
    await world.make().start();
    world.node.calls.length = 0;
    world.books.calls.length = 0;
    await world.settle();
    world.inStep();
    const counted = (method: string): number => world.node.calls.filter((call) => call === method).length;
    expect(counted("rawBlock")).toBeLessThanOrEqual(901);
    expect(counted("blockHash")).toBeLessThan(900 + 600 + 40);
    expect(world.books.calls.filter((call) => call === "hashAt").length).toBeLessThan(30);
    expect(counted("blockchainInfo")).toBeLessThanOrEqual(3);
  });

  it("that move the tip again while the books go down or up are followed", async () => {
    await world.started();
    const { node, books } = world;
    for (let i = 0; i < 8; i++) node.mine();
    await world.settle();
    const first = node.tip;
    node.branch(6, 8);
    let disconnects = 0;
    books.before = (method) => {
      // Half way down the node goes back to the first branch.
      if (method === "disconnect" && ++disconnects === 3) node.tip = first;
    };
    await world.settle();
    world.inStep();
    expect(disconnects).toBe(3);
    // Half way up it goes to a third one, and the block that was asked for is gone.
    books.before = () => undefined;
    let reads = 0;
    node.before = (method) => {
      if (method !== "rawBlock" || ++reads !== 2) return;
      for (let height = node.tip.height; height > first.height; height--) node.forget(node.at(height));
      node.branch(5, 9);
    };
    for (let i = 0; i < 4; i++) node.mine();
    await world.settle();
    world.inStep();
    expect(world.logs.saying("do not follow")).toEqual([]);
  });

  it("to another chain while the books go down end at the fork that was meant", async () => {
    await world.started();
    const { node, books } = world;
    for (let i = 0; i < 8; i++) node.mine();
    await world.settle();
    const meant = node.branch(6, 8);
    let disconnects = 0;
    books.before = (method) => {
      if (method === "disconnect" && ++disconnects === 2) node.tip = otherChain();
    };
    await world.once();
    expect(books.cursor()?.height).toBe(22);
    expect(await world.figure("openprime_books_stuck", { reason: "noCommonBlock" })).toBe(1);
    node.tip = meant;
    await world.settle();
    world.inStep();
  });

  it("to a shorter branch are followed at once; a node that only falls back is waited for", async () => {
    await world.started();
    const { node, pauses, logs } = world;
    for (let i = 0; i < 10; i++) node.mine();
    await world.settle();
    const top = node.tip;
    node.branch(5, 2);
    await world.settle();
    world.inStep();
    node.tip = top;
    await world.settle();
    // It was not shut down well, and comes up some blocks back.
    node.tip = node.at(25);
    expect(await world.once()).toBe(1000);
    expect(world.books.cursor()?.height).toBe(30);
    expect(await world.figure("openprime_books_stuck", { reason: "nodeBehind" })).toBe(1);
    expect(logs.saying("do not follow").at(-1)).toMatchObject({ reason: "nodeBehind", error: expect.stringContaining("ends at block 25") });
    pauses.now += 100_000;
    node.tip = top.parent!;
    expect(await world.once()).toBe(2000);
    pauses.now += 100_000;
    expect(await world.once()).toBe(4000);
    node.tip = top;
    await world.settle();
    expect(world.events.filter((event) => event.startsWith("-"))).toHaveLength(5 + 2);
    expect(await world.figure("openprime_books_stuck", { reason: "nodeBehind" })).toBeUndefined();
    // Somebody has told it that a block is invalid.
    node.tip = node.at(25);
    await world.once();
    pauses.now += 120_000;
    await world.settle();
    world.inStep();
    expect(world.books.cursor()?.height).toBe(25);
  });

  it("that take the first block of new books are followed down to what they know before it", async () => {
    world.make({ ...OPTIONS, knownBefore: 3 });
    await world.started();
    const { node, books } = world;
    expect(books.cursor()?.height).toBe(START);
    node.branch(2, 4);
    await world.settle();
    world.inStep(START - 3);
    expect(world.events.filter((event) => event.startsWith("-"))).toEqual([`-${START}`, `-${START - 1}`]);
    node.branch(7, 12);
    await world.once();
    expect(world.logs.saying("do not follow")).toMatchObject([{ reason: "noCommonBlock" }]);
  });

  it("below the books' first block, or to another chain, change nothing until the node is right again", async () => {
    await world.started();
    const { node, books, logs } = world;
    for (let i = 0; i < 4; i++) node.mine();
    await world.settle();
    const kept = books.chain();
    const top = node.tip;
    node.branch(5, 9);
    await world.once();
    const said = logs.saying("do not follow");
    expect(said).toMatchObject([
      { reason: "noCommonBlock", error: expect.stringContaining(`block 20 ${kept[0]}, the node has ${node.at(20).hash}`) },
    ]);
    expect(await world.figure("openprime_books_stuck", { reason: "noCommonBlock" })).toBe(1);
    node.tip = node.at(3);
    await world.once();
    expect(logs.saying("do not follow")).toHaveLength(1);
    node.tip = otherChain();
    await world.once();
    expect(books.calls).not.toContain("disconnect");
    expect(books.chain()).toEqual(kept);
    node.tip = top;
    node.mine();
    await world.settle();
    world.inStep();
    expect(logs.saying("follow the chain again")).toHaveLength(1);
    expect(await world.figure("openprime_books_stuck", { reason: "noCommonBlock" })).toBeUndefined();
  });
});

describe("a node that is not to be trusted", () => {
  const changed = (raw: Uint8Array, at: number): Uint8Array => {
    raw[at]! ^= 1;
    return raw;
  };

  it.each<[string, (raw: Uint8Array, node: ModelNode) => Uint8Array]>([
    ["another block", (_, node) => node.at(5).raw],
    ["another header", (raw) => changed(raw, 70)],
    ["another amount", (raw) => changed(raw, raw.length - 45)],
    ["half a block", (raw) => raw.subarray(0, raw.length / 2)],
    ["nothing", () => new Uint8Array()],
  ])("gives %s: nothing is booked, and it is asked again", async (_, mangle) => {
    await world.started();
    const { node, books, pauses } = world;
    node.mine({ primeId: 1, outputs: [pool] });
    node.mangle = (raw) => mangle(raw, node);
    expect(await world.once()).toBe(1000);
    expect(await world.figure("openprime_books_stuck", { reason: "wrongBlock" })).toBe(1);
    expect(books.calls).not.toContain("connect");
    node.mangle = (raw) => raw;
    pauses.pass();
    await new Promise(setImmediate);
    await pauses.reached();
    world.inStep();
  });

  it("tells of a block that does not follow its own chain", async () => {
    await world.started();
    const { node, books } = world;
    const honest = node.mine();
    const elsewhere = node.make(node.at(10));
    node.tip = { ...elsewhere, height: 21, parent: node.at(20) };
    expect(await world.once()).toBe(1000);
    expect(world.logs.saying("do not follow")).toMatchObject([{ reason: "wrongBlock", error: expect.stringContaining("follows another") }]);
    expect(books.calls).not.toContain("connect");
    node.tip = honest;
    await world.settle();
    world.inStep();
  });

  it("gives hashes that are none", async () => {
    await world.started();
    const { node } = world;
    const { tip } = node;
    node.tip = { hash: "no hash", height: 21, parent: tip, raw: tip.raw };
    expect(await world.once()).toBe(1000);
    expect(world.logs.saying("do not follow")).toMatchObject([{ reason: "node" }]);
    node.tip = tip;
    await world.settle();
    world.inStep();
  });

  it("has pruned the block that is next: it says what to do, and goes on when the block is there", async () => {
    await world.started();
    const { node } = world;
    node.mine();
    node.before = (method) => {
      if (method === "rawBlock") throw rpc("Block not available (pruned data)");
    };
    expect(await world.once()).toBe(1000);
    expect(world.logs.saying("do not follow")).toMatchObject([
      { reason: "blockUnavailable", error: expect.stringMatching(/block 21 .*pruned data.*getblockfrompeer/) },
    ]);
    expect(await world.figure("openprime_books_stuck", { reason: "blockUnavailable" })).toBe(1);
    node.before = () => undefined;
    await world.settle();
    world.inStep();
  });
});

describe("failures", () => {
  it("are tried again with longer and longer pauses, and said once in half a minute", async () => {
    await world.started();
    const { node, pauses, logs } = world;
    node.mine();
    node.before = down;
    pauses.taken.length = 0;
    await world.once();
    for (let i = 0; i < 9; i++) {
      pauses.pass();
      await new Promise(setImmediate);
      await pauses.reached();
    }
    expect(pauses.taken).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30, 30].map((seconds) => seconds * 1000));
    // At 0, 31, 61, 91, 121, 151, 181 s.
    expect(logs.saying("do not follow")).toHaveLength(6);
    expect(await world.figure("openprime_books_stuck", { reason: "node" })).toBe(1);
    node.before = () => undefined;
    await world.settle();
    world.inStep();
  });

  /** A life with everything in it: blocks, spends, reorganisations, a restart. */
  async function life(world: World): Promise<void> {
    const { node, books } = world;
    void world.follower.start();
    await world.settle();
    node.mine({ primeId: 1, outputs: [pool] });
    node.mine({ primeId: 9, outputs: [pool, pool] });
    await world.settle();
    const coin = { txid: books.blocks.at(-1)!.coinbase.txid, vout: 1 };
    node.mine({ transactions: [transaction([coin], [pool])] });
    await world.settle();
    const top = node.tip;
    node.branch(2, 4);
    await world.settle();
    await world.follower.stop();
    node.tip = top;
    await world.make().start();
    await world.settle();
    node.mine({ primeId: 2, outputs: [pool] });
    await world.settle();
  }

  it("of any one call, before it or after it is done, change nothing in the end", async () => {
    const smooth = new World();
    await life(smooth);
    await smooth.follower.stop();
    const end = [smooth.books.chain(), [...smooth.books.coins].sort()];
    const nodeCalls = smooth.node.calls.length;
    const booksCalls = smooth.books.calls.length;
    expect(booksCalls).toBeGreaterThan(15);
    const failing = async (prepare: (world: World) => void): Promise<void> => {
      const rough = new World();
      prepare(rough);
      await life(rough);
      expect([rough.books.chain(), [...rough.books.coins].sort()]).toEqual(end);
      expect(rough.logs.saying("do not follow")).toHaveLength(1);
      await rough.follower.stop();
    };
    const once = (at: number, error: Error): (() => void) => {
      let call = 0;
      return () => {
        if (call++ === at) throw error;
      };
    };
    for (let at = 0; at < nodeCalls; at++) {
      await failing(({ node }) => (node.before = once(at, new NodeError("timeout", "getblock", "expected an answer, got none"))));
    }
    for (let at = 0; at < booksCalls; at++) {
      await failing(({ books }) => (books.before = once(at, new Error("the database is away"))));
      await failing(({ books }) => (books.after = once(at, new Error("the connection broke at the commit"))));
    }
  });

  it("of a listener are its own", async () => {
    await world.started();
    world.follower.onBlock(() => {
      throw new Error("no matter");
    });
    const end = world.follower.onBlock(() => world.events.push("again"));
    world.node.mine();
    await world.settle();
    end();
    world.node.mine();
    await world.settle();
    world.inStep();
    expect(world.events).toEqual(["+21 none", "again", "+22 none"]);
    expect(world.logs.saying("a listener of the books failed")).toHaveLength(2);
  });
});

describe("a claim that comes after its block", () => {
  const late = async (): Promise<ModelBlock> => {
    await world.started();
    const block = world.node.mine({ primeId: 99, outputs: [pool] });
    world.node.mine();
    await world.settle();
    expect(world.events).toEqual(["+21 receipt", "+22 none"]);
    return block;
  };
  const outcome = (): string | undefined => world.books.rows[1]?.outcome;
  const claim = async ({ hash }: ModelBlock, ours = true): Promise<void> => {
    world.books.claims.set(hash, ours);
    world.follower.expectClaim(Promise.resolve());
    await world.settle();
  };

  it("has the block looked at again, once, and what it is counted", async () => {
    const block = await late();
    await claim(block);
    expect(outcome()).toBe("paid");
    expect(await world.figure("openprime_pool_blocks_total", { life: "paid" })).toBe(1);
    expect(world.logs.saying("the claim of a block came after")).toMatchObject([{ height: 21, hash: block.hash, received: 1 }]);
    await world.settle();
    expect(world.books.calls.filter((call) => call === "attribute")).toHaveLength(1);
    // Nobody asks as long as no further claim comes.
    const asked = world.books.calls.filter((call) => call === "claimedReceipts").length;
    world.node.mine();
    await world.settle();
    expect(world.books.calls.filter((call) => call === "claimedReceipts")).toHaveLength(asked);
  });

  it("is nothing when the block is none of the pool's, or has left the chain", async () => {
    const block = await late();
    await claim(block, false);
    expect(outcome()).toBe("receipt");
    world.node.branch(2, 3);
    await claim(block);
    expect(world.books.calls.filter((call) => call === "attribute")).toHaveLength(1);
    world.inStep();
  });

  it("is found at the next start when the pool stopped before", async () => {
    const block = await late();
    world.books.claims.set(block.hash, true);
    await world.follower.stop();
    world.make();
    await world.started();
    expect(outcome()).toBe("paid");
  });

  it("is tried again when node or books fail, and given up when the node says that it has not the block", async () => {
    const block = await late();
    let failures = 2;
    world.books.after = (method) => {
      if (method === "attribute" && failures-- > 0) throw new Error("the answer was lost");
    };
    await claim(block);
    expect(outcome()).toBe("paid");
    expect(world.logs.saying("do not follow")).toHaveLength(1);

    const next = world.node.mine({ primeId: 99, outputs: [pool] });
    await world.settle();
    world.node.forget(next);
    await claim(next);
    expect(world.books.rows.at(-1)?.outcome).toBe("receipt");
    expect(world.logs.saying("stays nobody's")).toMatchObject([{ height: 23, error: expect.stringContaining("Block not found") }]);
    world.node.mine();
    await world.settle();
    expect(world.books.cursor()?.height).toBe(24);
  });
});

describe("before a block joins", () => {
  it("what was given to follow() is done; its failure is not the books'", async () => {
    await world.started();
    let done: () => void = () => undefined;
    world.node.mine();
    world.follower.follow(new Promise<void>((resolve) => (done = resolve)));
    world.follower.follow(Promise.reject(new Error("its owner has told")));
    world.follower.follow();
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    expect(world.books.calls).not.toContain("connect");
    done();
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    world.inStep();
    expect(world.logs.saying("do not follow")).toEqual([]);
  });

  it("what takes longer than half a minute is told", async () => {
    await world.started();
    const { node, pauses, logs } = world;
    let done: () => void = () => undefined;
    node.mine();
    world.follower.follow(new Promise<void>((resolve) => (done = resolve)));
    await new Promise(setImmediate);
    expect(await pauses.reached()).toBe(OPTIONS.pollMs);
    pauses.now += 30_000;
    expect(await world.once()).toBe(1000);
    expect(logs.saying("do not follow")).toMatchObject([{ reason: "books", err: { message: expect.stringContaining("before block 21") } }]);
    expect(await world.figure("openprime_books_stuck", { reason: "books" })).toBe(1);
    done();
    await world.settle();
    world.inStep();
    expect(await world.figure("openprime_books_stuck", { reason: "books" })).toBeUndefined();
  });
});

describe("stop", () => {
  it("comes through while the node hangs, or what must be done before", async () => {
    await world.started();
    world.node.mine();
    world.follower.follow(new Promise(() => undefined));
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    await world.follower.stop();
    for (const method of ["blockchainInfo", "blockHash", "rawBlock"]) {
      world.node.before = (called) => (called === method ? new Promise(() => undefined) : undefined);
      await world.make().start();
      for (let i = 0; i < 10; i++) await new Promise(setImmediate);
      expect(world.node.calls.at(-1)).toBe(method);
      await world.follower.stop();
    }
    expect(world.books.calls).not.toContain("connect");
    world.node.before = () => undefined;
    await world.make().start();
    await world.settle();
    world.inStep();
  });

  it.each(["connect", "disconnect"])("waits for a %s under way and does no more; the next start goes on", async (step) => {
    await world.started();
    const { node, books, follower } = world;
    for (let i = 0; i < 5; i++) node.mine();
    await world.settle();
    node.branch(4, 6);
    let go: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      books.before = (method) => {
        if (method !== step) return undefined;
        resolve();
        return new Promise<void>((release) => (go = release));
      };
    });
    follower.follow();
    await reached;
    let stopped = false;
    const stop = follower.stop().then(() => (stopped = true));
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect(stopped).toBe(false);
    const [calls, events] = [books.calls.length, world.events.length];
    go();
    await stop;
    expect([books.calls.length, world.events.length]).toEqual([calls, events]);
    expect(books.cursor()?.height).toBe(step === "connect" ? 22 : 24);
    books.before = () => undefined;
    await world.make().start();
    await world.settle();
    world.inStep();
  });
});

it("tells how far the books are, and of progress over many blocks", async () => {
  await world.started();
  const { node, books, pauses, logs } = world;
  for (let i = 0; i < 100; i++) node.mine();
  books.before = (method) => {
    if (method === "connect") pauses.now += 1000;
  };
  let behind: Promise<number | undefined> | undefined;
  node.before = () => {
    if (books.cursor()?.height === 60) behind ??= world.figure("openprime_books_blocks_behind");
  };
  await world.settle();
  expect(await behind).toBe(60);
  expect(await world.figure("openprime_books_height")).toBe(120);
  expect(await world.figure("openprime_books_blocks_behind")).toBe(0);
  expect(logs.saying("are catching up")).toMatchObject([
    { height: 50, top: 120, behind: 70 },
    { height: 80, top: 120, behind: 40 },
    { height: 110, top: 120, behind: 10 },
  ]);
});

describe("any history of the chain", () => {
  type Step =
    | { readonly do: "mine"; readonly primeId: number; readonly pays: boolean; readonly spend: boolean }
    | { readonly do: "branch"; readonly depth: number; readonly longer: number }
    | { readonly do: "return"; readonly to: number }
    | { readonly do: "nodeFails" | "booksFail" | "commitFails" | "tipMoves"; readonly after: number }
    | { readonly do: "follow" | "restart" };
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("mine"), primeId: fc.nat(4), pays: fc.boolean(), spend: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("branch"), depth: fc.integer({ min: 0, max: 9 }), longer: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("return"), to: fc.nat() }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom("nodeFails", "booksFail", "commitFails", "tipMoves"), after: fc.nat(12) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("follow", "restart") }) },
  ) as fc.Arbitrary<Step>;

  /** Spends the pool's newest coin on the node's chain. */
  function spending(node: ModelNode): Uint8Array[] {
    const coin = expectedBooks(node, START).coins.at(-1);
    if (coin === undefined) return [];
    const [txid = "", vout] = coin.split(":");
    return [transaction([{ txid: internal(txid), vout: Number(vout) }], [pool, { value: 1n, script: STRANGER }])];
  }

  it("ends with the books at the node's best chain", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const world = new World();
        const { node, books } = world;
        await world.started();
        const tips = [node.tip];
        const branch = (depth: number, longer: number): void => {
          const least = Math.min(depth, node.tip.height - START);
          tips.push(node.branch(least, least + longer));
        };
        for (const one of steps) {
          if (one.do === "mine") {
            const outputs = one.pays ? [pool, { value: 2n, script: STRANGER }] : undefined;
            const transactions = one.spend ? spending(node) : [];
            tips.push(node.mine({ primeId: one.primeId, transactions, ...(outputs === undefined ? {} : { outputs }) }));
          } else if (one.do === "branch") branch(one.depth, one.longer);
          else if (one.do === "return") node.tip = tips[one.to % tips.length]!;
          else if (one.do === "follow") await world.settle();
          else if (one.do === "restart") {
            await world.follower.stop();
            await world.make().start();
          } else if ("after" in one) {
            let left = one.after;
            const happens = (): boolean => left-- === 0;
            if (one.do === "nodeFails") node.before = () => (happens() ? down() : undefined);
            else if (one.do === "tipMoves") node.before = () => (happens() ? branch(one.after, 1) : undefined);
            else {
              books[one.do === "booksFail" ? "before" : "after"] = () => {
                if (happens()) throw new Error("the database is away");
              };
            }
          }
        }
        await world.settle();
        // The tip may have moved with the last question of that look.
        node.before = () => undefined;
        await world.settle();
        world.inStep();
        await world.follower.stop();
      }),
      { numRuns: 150 },
    );
  });
});
