import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { meetsTarget, merkleRoot, parseBlock, reverseHex, sha256d, targetBytes, targetFromBits } from "@openprime/bitcoin";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type BlockOutcome, type BlockStore, BlockSubmitter, type BlockSubmitterOptions } from "../../src/chain/index.js";
import { readSubmitAnswer } from "../../src/chain/submit-answer.js";
import type { RecordedBlock } from "../../src/ledger/index.js";
import type { BlockCandidate, Parent } from "../../src/work/index.js";
import { FakeNode, RpcFailure } from "./fake-node.js";
import { type LogLines, logLines } from "./log-lines.js";

let node: FakeNode;
let logs: LogLines;
let dataDir: string;
let registry: Registry;
let store: FakeStore;
const submitters: BlockSubmitter[] = [];

class FakeStore implements BlockStore {
  readonly events: string[] = [];
  readonly outcomes: BlockOutcome[] = [];
  readonly recorded: RecordedBlock[] = [];
  failures = 0;
  hangs = false;

  async record(block: RecordedBlock): Promise<void> {
    if (this.hangs) await new Promise(() => undefined);
    if (this.failures-- > 0) throw new Error("no database");
    this.recorded.push(block);
    this.events.push(`record ${reverseHex(block.hash)}`);
  }

  async outcome(hash: Uint8Array, outcome: BlockOutcome): Promise<void> {
    this.events.push(`outcome ${reverseHex(hash)} ${outcome.status}`);
    this.outcomes.push(outcome);
  }
}

beforeEach(async () => {
  node = await FakeNode.start();
  logs = logLines();
  dataDir = await mkdtemp(join(tmpdir(), "openprime-submitter-"));
  registry = new Registry();
  store = new FakeStore();
});

afterEach(async () => {
  for (const submitter of submitters.splice(0)) await submitter.stop();
  await node.close();
  await rm(dataDir, { recursive: true });
});

function make(poke = (): void => undefined): BlockSubmitter {
  const submitter = new BlockSubmitter(
    { dataDir, retryMs: 1 },
    { nodes: [{ name: "a", client: node.client() }], store, log: logs.log, metrics: registry, poke },
  );
  submitters.push(submitter);
  return submitter;
}

/** A transaction without witness: one input, one output. */
function transaction(): Uint8Array {
  return Buffer.concat([
    Buffer.from("0100000001", "hex"),
    randomBytes(36),
    Buffer.from("00ffffffff", "hex"),
    Buffer.from("01e8030000000000000151", "hex"),
    Buffer.alloc(4),
  ]);
}

function candidate(
  transactions: readonly Uint8Array[],
  parentState: Parent["state"] = "tip",
  jobSerial = 1,
  witnesses: Uint8Array = randomBytes(32),
): BlockCandidate {
  const commitment = Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), witnesses]);
  const coinbase = Buffer.concat([
    Buffer.from("0100000001", "hex"),
    Buffer.alloc(32),
    Buffer.from("ffffffff", "hex"),
    Buffer.from([12]),
    randomBytes(12),
    Buffer.from("ffffffff02", "hex"),
    Buffer.from("00f2052a010000000151", "hex"),
    Buffer.from("0000000000000000", "hex"),
    Buffer.from([commitment.length]),
    commitment,
    Buffer.alloc(4),
  ]);
  const root = merkleRoot([sha256d(coinbase), ...transactions.map((raw) => sha256d(raw))]);
  const header = Buffer.concat([Buffer.from("00000020", "hex"), randomBytes(32), root, randomBytes(12)]);
  return {
    hash: sha256d(header),
    header,
    coinbase,
    parent: {
      hash: header.subarray(4, 36),
      state: parentState,
      height: 9,
      childBits: 0x207fffff,
      medianTime: 0,
      staleSince: undefined,
    },
    height: 10,
    coinbaseValue: 5_000_000_000n,
    transactionCount: transactions.length,
    jobId: 3,
    jobSerial,
    sessionId: 1n,
    splitId: undefined,
    pin: 0n,
    username: Buffer.from("x"),
    finder: undefined,
  };
}

const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 10_000, interval: 2 });
const never = (): Promise<readonly Uint8Array[]> => Promise.reject(new Error("must not be asked"));
const files = async (): Promise<string[]> => (await readdir(join(dataDir, "blocks")).catch(() => [])).sort();

describe("a found block", () => {
  it("without transactions is recorded, then submitted at once", async () => {
    const submitted: string[] = [];
    let onDisk: Promise<string[]> | undefined;
    node.submit = (hex) => {
      submitted.push(hex);
      onDisk = files();
      return null;
    };
    let poked = 0;
    const submitter = make(() => {
      poked += 1;
    });
    const block = candidate([]);
    submitter.found(block, never);
    await submitter.idle();
    const hash = reverseHex(block.hash);
    expect(store.events).toEqual([`record ${hash}`, `outcome ${hash} accepted`]);
    expect(await onDisk).toEqual([`${hash}.claim.json`, `${hash}.hex`]);
    expect(await files()).toEqual([]);
    expect(poked).toBe(1);
    expect(await registry.metrics()).toContain('openprime_blocks_total{outcome="accepted"} 1');
    const parsed = parseBlock(Buffer.from(submitted[0]!, "hex"));
    expect(Buffer.from(parsed.header)).toEqual(block.header);
    // With the witness reserved value, since the coinbase carries a commitment.
    expect(parsed.transactions[0]!.length).toBe(block.coinbase.length + 2 + 34);
  });

  it("with transactions is put together from what the gateway gives", async () => {
    const transactions = [transaction(), transaction(), transaction()];
    const submitted: string[] = [];
    node.submit = (hex) => {
      submitted.push(hex);
      return null;
    };
    const submitter = make();
    submitter.found(candidate(transactions), () => Promise.resolve(transactions));
    await submitter.idle();
    expect(
      parseBlock(Buffer.from(submitted[0]!, "hex"))
        .transactions.slice(1)
        .map((raw) => Buffer.from(raw)),
    ).toEqual(transactions);
    expect(store.outcomes).toEqual([{ status: "accepted", detail: "accepted" }]);
  });

  it("may be one of many at once, without a warning about them", async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", note);
    let answer = (): void => undefined;
    node.hanging = new Promise((resolve) => {
      answer = resolve;
    });
    const submitter = make();
    for (let i = 0; i < 200; i++) submitter.found(candidate([]), never);
    await until(() => expect(node.held).toBeGreaterThan(0));
    node.hanging = undefined;
    answer();
    await submitter.idle();
    process.off("warning", note);
    expect(store.outcomes).toHaveLength(200);
    expect(warnings).toEqual([]);
  });

  it("does not hold the stop up while the node lets its submission hang", async () => {
    let answer = (): void => undefined;
    node.hanging = new Promise((resolve) => {
      answer = resolve;
    });
    const submitter = make();
    const block = candidate([]);
    submitter.found(block, never);
    await until(() => expect(node.held).toBe(1));
    const began = performance.now();
    await submitter.stop();
    // The client itself would have waited for 5 s.
    expect(performance.now() - began).toBeLessThan(4500);
    expect(await files()).toContain(`${reverseHex(block.hash)}.hex`);
    answer();
  });

  it("is handled once, however often its share comes", async () => {
    const submitter = make();
    const block = candidate([]);
    submitter.found(block, never);
    submitter.found(block, never);
    await submitter.idle();
    submitter.found(block, never);
    await submitter.idle();
    expect(node.calls.filter((call) => call === "submitblock")).toHaveLength(1);
  });

  it("shares the transactions of its job with the next block of that job", async () => {
    const transactions = [transaction()];
    let asked = 0;
    const fetch = (): Promise<readonly Uint8Array[]> => {
      asked += 1;
      return Promise.resolve(transactions);
    };
    const submitter = make();
    submitter.found(candidate(transactions), fetch);
    submitter.found(candidate(transactions), fetch);
    await submitter.idle();
    expect(asked).toBe(1);
    submitter.found(candidate(transactions, "tip", 2), fetch);
    await submitter.idle();
    expect(asked).toBe(2);
    expect(store.outcomes.map((outcome) => outcome.status)).toEqual(["accepted", "accepted", "accepted"]);
  });

  it("asks again when the gateway fails or answers with another job's transactions", async () => {
    const transactions = [transaction(), transaction()];
    const answers = [
      (): Promise<readonly Uint8Array[]> => Promise.reject(new Error("it left")),
      (): Promise<readonly Uint8Array[]> => Promise.resolve([transaction(), transaction()]),
      (): Promise<readonly Uint8Array[]> => Promise.resolve([Buffer.from("no transaction"), transaction()]),
      (): Promise<readonly Uint8Array[]> => Promise.resolve(transactions),
    ];
    const submitter = make();
    submitter.found(candidate(transactions), () => answers.shift()!());
    await submitter.idle();
    expect(store.outcomes.map((outcome) => outcome.status)).toEqual(["accepted"]);
    expect(logs.saying("transactions were not had")).toHaveLength(3);
  });

  it("whose transactions can't be had counts when the node has it from elsewhere, and is told as missing else", async () => {
    const submitter = make();
    const spread = candidate([transaction()]);
    node.add(reverseHex(spread.hash), node.genesis, 1);
    const lost = candidate([transaction()], "tip", 2);
    submitter.found(spread, never);
    submitter.found(lost, never);
    await submitter.idle();
    expect(store.events).toContain(`outcome ${reverseHex(spread.hash)} duplicate`);
    expect(store.events).toContain(`outcome ${reverseHex(lost.hash)} transactionsMissing`);
    expect(node.calls).not.toContain("submitblock");
  });

  it("whose header does not prove its coinbase is refused before the node is asked", async () => {
    const block = candidate([]);
    const submitter = make();
    submitter.found({ ...block, coinbase: candidate([]).coinbase }, never);
    await submitter.idle();
    expect(store.outcomes[0]!.status).toBe("rejected");
    expect(node.calls).not.toContain("submitblock");
  });
});

describe("the node's answer", () => {
  it.each([
    ["duplicate", "duplicate", []],
    ["rejected: duplicate", "duplicate", []],
    ["inconclusive", "inconclusive", []],
    ["bad-cb-amount", "rejected", ["rejected"]],
    ["rejected: bad-txnmrklroot", "rejected", ["rejected"]],
  ])("%s is %s", async (answer, status, left) => {
    node.submit = () => answer;
    const submitter = make();
    const block = candidate([]);
    submitter.found(block, never);
    await submitter.idle();
    expect(store.outcomes).toEqual([{ status, detail: answer }]);
    expect(await files()).toEqual(left.map((ending) => `${reverseHex(block.hash)}.${ending}`));
  });

  it("as an error ends it too", async () => {
    node.submit = () => {
      throw new RpcFailure(-22, "Block decode failed");
    };
    const submitter = make();
    submitter.found(candidate([]), never);
    await submitter.idle();
    expect(store.outcomes[0]).toMatchObject({ status: "rejected", detail: expect.stringContaining("Block decode failed") });
  });

  it("that the parent is missing is waited out", async () => {
    const answers = ["prev-blk-not-found", "rejected: bad-prevblk", null];
    node.submit = () => answers.shift()!;
    const submitter = make();
    submitter.found(candidate([], "unknown"), never);
    await submitter.idle();
    expect(store.outcomes).toEqual([{ status: "accepted", detail: "accepted" }]);
    expect(readSubmitAnswer("bad-prevblk")).toEqual({ status: "rejected", detail: "bad-prevblk" });
  });
});

describe("several nodes", () => {
  let other: FakeNode;
  beforeEach(async () => {
    other = await FakeNode.start();
  });
  afterEach(() => other.close());

  function onBoth(options: Partial<BlockSubmitterOptions> = {}): BlockSubmitter {
    const submitter = new BlockSubmitter(
      { dataDir, retryMs: 1, ...options },
      {
        nodes: [
          { name: "a", client: node.client() },
          { name: "b", client: other.client() },
        ],
        ...{ store, log: logs.log, metrics: registry },
      },
    );
    submitters.push(submitter);
    return submitter;
  }
  const submissions = (of: FakeNode): number => of.calls.filter((call) => call === "submitblock").length;

  it("get it at once, and each answers", async () => {
    node.submit = () => "inconclusive";
    const submitter = onBoth();
    submitter.found(candidate([]), never);
    await submitter.idle();
    expect(store.outcomes).toEqual([{ status: "accepted", detail: "a: inconclusive; b: accepted" }]);
    expect([submissions(node), submissions(other)]).toEqual([1, 1]);
    expect(
      logs
        .saying("a node has answered")
        .map(({ node, status }) => `${node} ${status}`)
        .sort(),
    ).toEqual(["a inconclusive", "b accepted"]);
  });

  it.each([
    ["bad-cb-amount", null, "accepted"],
    ["duplicate", "bad-cb-amount", "duplicate"],
    ["inconclusive", "high-hash", "inconclusive"],
    ["bad-cb-amount", "high-hash", "rejected"],
  ])("that say %s and %s: it is %s", async (one, two, status) => {
    node.submit = () => one;
    other.submit = () => two;
    const submitter = onBoth();
    submitter.found(candidate([]), never);
    await submitter.idle();
    expect(store.outcomes).toEqual([{ status, detail: `a: ${one}; b: ${two ?? "accepted"}` }]);
    expect(await files()).toHaveLength(status === "rejected" ? 1 : 0);
  });

  it("of which one is away: it is settled by the other, and the first gets it when it is back", async () => {
    node.down = true;
    const submitter = onBoth({ patienceMs: 20 });
    submitter.found(candidate([]), never);
    await submitter.idle();
    expect(store.outcomes).toEqual([{ status: "accepted", detail: "a: no answer yet; b: accepted" }]);
    expect(await files()).toEqual([]);
    expect(logs.saying("tried further")).toMatchObject([{ nodes: ["a"] }]);
    node.down = false;
    await until(() => expect(submissions(node)).toBe(1));
    expect(submissions(other)).toBe(1);
  });

  it("of which one is away for good: it is no longer tried after a bound", async () => {
    node.down = true;
    other.submit = () => "bad-cb-amount";
    const submitter = onBoth({ lateMs: 60 });
    submitter.found(candidate([]), never);
    await submitter.idle();
    // Refused by the one that answered: kept for a person to look at.
    expect(store.outcomes).toEqual([{ status: "rejected", detail: "a: no answer yet; b: bad-cb-amount" }]);
    expect(await files()).toEqual([expect.stringMatching(/rejected$/)]);
    const said = logs.saying("did not answer").length;
    await new Promise((resolve) => setImmediate(resolve));
    expect(logs.saying("the node did not answer").length).toBeLessThanOrEqual(said);
  });

  it("that are all away: it is sent when one returns, also after a restart", async () => {
    node.down = true;
    other.down = true;
    const block = candidate([]);
    const first = onBoth({ patienceMs: 1 });
    registry = new Registry();
    first.found(block, never);
    await until(() => expect(new Set(logs.saying("the node did not answer").map((line) => line.node))).toEqual(new Set(["a", "b"])));
    await first.stop();
    expect(await files()).toContain(`${reverseHex(block.hash)}.hex`);
    const second = onBoth({ patienceMs: 1 });
    expect(await second.start()).toBe(1);
    other.down = false;
    await second.idle();
    expect(store.outcomes.map(({ status }) => status)).toEqual(["accepted"]);
  });
});

describe("a race", () => {
  /** The node takes the block, and stays with the one of that height that it had before. */
  function race(block: BlockCandidate): string {
    const rival = node.mine();
    node.submit = () => {
      node.add(reverseHex(block.hash), node.genesis, 1);
      return "inconclusive";
    };
    return rival;
  }

  it("is won by asking the node to prefer the pool's block", async () => {
    const block = candidate([]);
    const rival = race(block);
    node.prefers = true;
    const submitter = make();
    submitter.found(block, never);
    await submitter.idle();
    expect(node.best).toBe(reverseHex(block.hash));
    expect(store.outcomes).toEqual([{ status: "accepted", detail: `inconclusive, preferred to ${rival}` }]);
    expect(logs.saying("is in a race")).toHaveLength(1);
  });

  it("is none between two blocks of the pool", async () => {
    const [first, second] = [candidate([]), candidate([])];
    node.prefers = true;
    node.submit = (hex) => {
      const hash = reverseHex(sha256d(Buffer.from(hex, "hex").subarray(0, 80)));
      node.add(hash, node.genesis, 1);
      if (node.best !== node.genesis) return "inconclusive";
      node.best = hash;
      return null;
    };
    const submitter = make();
    submitter.found(first, never);
    await submitter.idle();
    submitter.found(second, never);
    await submitter.idle();
    expect(store.outcomes.map(({ status }) => status)).toEqual(["accepted", "inconclusive"]);
    expect(node.best).toBe(reverseHex(first.hash));
    expect(node.calls).not.toContain("preciousblock");
  });

  it("goes its way where the node has no such call", async () => {
    const block = candidate([]);
    const rival = race(block);
    const submitter = make();
    submitter.found(block, never);
    await submitter.idle();
    expect(node.best).toBe(rival);
    expect(store.outcomes).toEqual([{ status: "inconclusive", detail: "inconclusive" }]);
    expect(logs.saying("was not asked to prefer")).toHaveLength(1);
  });

  it("is none when the node's best block is higher", async () => {
    const block = candidate([]);
    node.prefers = true;
    race(block);
    const best = node.mine();
    const submitter = make();
    submitter.found(block, never);
    await submitter.idle();
    expect(node.best).toBe(best);
    expect(node.calls).not.toContain("preciousblock");
  });
});

describe("a block that looks invalid is submitted all the same, and it is said", () => {
  it.each<[string, (block: BlockCandidate) => BlockCandidate, string]>([
    ["without proof of work", (block) => block, "does not meet the target"],
    ["with a target that is none", (block) => withBits(block, 0), "zero"],
    ["with a commitment to other witnesses", (block) => withBits(block, 0x207fffff), "commits to other witnesses"],
  ])("%s", async (_, change, words) => {
    const block = change(withBits(candidate([]), 0x1d00ffff));
    const submitter = make();
    submitter.found(block, never);
    await submitter.idle();
    expect(store.outcomes.map(({ status }) => status)).toEqual(["accepted"]);
    expect(logs.saying("looks invalid")).toMatchObject([{ fault: expect.stringContaining(words) as string }]);
  });

  it("and a sound one is not suspected", async () => {
    const sound = withBits(candidate([], "tip", 1, sha256d(Buffer.alloc(64))), 0x207fffff);
    const submitter = make();
    submitter.found(sound, never);
    await submitter.idle();
    expect(logs.saying("looks invalid")).toEqual([]);
  });
});

/** The same block with that target; on regtest's with proof of work. */
function withBits(block: BlockCandidate, bits: number): BlockCandidate {
  const header = Buffer.from(block.header);
  header.writeUInt32LE(bits, 72);
  const target = targetBytes(targetFromBits(0x207fffff));
  for (let nonce = 0; bits === 0x207fffff && !meetsTarget(sha256d(header), target); nonce++) header.writeUInt32LE(nonce, 76);
  return { ...block, header, hash: sha256d(header) };
}

describe("nothing is lost", () => {
  it("while the node is away: the block is submitted when it is back", async () => {
    node.down = true;
    const submitter = make();
    submitter.found(candidate([]), never);
    await until(() => expect(logs.saying("the node did not answer").length).toBeGreaterThan(1));
    expect(store.outcomes).toEqual([]);
    node.down = false;
    await submitter.idle();
    expect(store.outcomes[0]!.status).toBe("accepted");
  });

  it("over a stop: the block stands on disk and is submitted at the next start", async () => {
    node.down = true;
    const block = candidate([]);
    const first = make();
    registry = new Registry();
    first.found(block, never);
    await until(() => expect(logs.saying("the node did not answer").length).toBeGreaterThan(0));
    await first.stop();
    expect(await files()).toContain(`${reverseHex(block.hash)}.hex`);
    const hex = await readFile(join(dataDir, "blocks", `${reverseHex(block.hash)}.hex`), "utf8");
    node.down = false;
    const submitted: string[] = [];
    node.submit = (given) => {
      submitted.push(given);
      return "duplicate";
    };
    const second = make();
    await second.restoreClaims();
    expect(await second.start()).toBe(1);
    await second.idle();
    expect(submitted).toEqual([hex]);
    expect(store.events).toContain(`outcome ${reverseHex(block.hash)} duplicate`);
    expect(await files()).toEqual([]);
  });

  it("over a stop while the books are away: the claim is recorded at the next start, before the block is submitted", async () => {
    store.hangs = true;
    node.down = true;
    const finder = { script: randomBytes(22), address: "bcrt1qfinder" };
    const blocks = [
      { ...candidate([]), splitId: undefined, pin: 2n ** 62n, finder },
      { ...candidate([]), splitId: 7n, username: Uint8Array.from([0, 255]) },
      // The gateway submits it to its own node; the pool never had its transactions.
      candidate([transaction()]),
    ];
    const first = make();
    registry = new Registry();
    for (const block of blocks) first.found(block, () => new Promise((_, reject) => setImmediate(reject, new Error("it left"))));
    await until(() => expect(logs.saying("the node did not answer").length).toBeGreaterThanOrEqual(2));
    await until(() => expect(logs.saying("were not had").length).toBeGreaterThan(0));
    await first.stop();
    expect(store.recorded).toEqual([]);

    store.hangs = false;
    node.down = false;
    const second = make();
    expect(await second.restoreClaims()).toBe(3);
    expect(node.calls).not.toContain("submitblock");
    const byHash = (a: RecordedBlock, b: RecordedBlock): number => Buffer.compare(a.hash, b.hash);
    const plain = ({ jobId, jobSerial, parent, ...block }: BlockCandidate): RecordedBlock => ({
      ...block,
      ...{ hash: Uint8Array.from(block.hash), header: Uint8Array.from(block.header), coinbase: Uint8Array.from(block.coinbase) },
      username: Uint8Array.from(block.username),
      parent: { hash: Uint8Array.from(parent.hash) },
      finder: block.finder && { ...block.finder, script: Uint8Array.from(block.finder.script) },
    });
    expect(store.recorded.sort(byHash)).toEqual(blocks.map(plain).sort(byHash));
    expect(await second.start()).toBe(2);
    await second.idle();
    expect(store.outcomes.map(({ status }) => status)).toEqual(["accepted", "accepted"]);
    expect(await files()).toEqual([]);
    expect(await second.restoreClaims()).toBe(0);
  });

  it("by a claim that can't be read, or that the books refuse once more: its file stays", async () => {
    const unread = `${"ab".repeat(32)}.claim.json`;
    await mkdir(join(dataDir, "blocks"));
    await writeFile(join(dataDir, "blocks", unread), '{"hash":"00"}');
    expect(await make().restoreClaims()).toBe(0);
    expect(await files()).toEqual([unread]);
    expect(logs.saying("can't be read")).toHaveLength(1);
    store.hangs = true;
    registry = new Registry();
    const first = make();
    first.found(candidate([]), never);
    await until(() => expect(node.calls).toContain("submitblock"));
    await first.stop();
    store.hangs = false;
    store.failures = 1;
    registry = new Registry();
    await expect(make().restoreClaims()).rejects.toThrow("no database");
    expect(await files()).toEqual(expect.arrayContaining([expect.stringMatching(/^(?!ab).*claim.json$/)]));
  });

  it("by files that are none of ours, or half written", async () => {
    await mkdir(join(dataDir, "blocks"));
    await writeFile(join(dataDir, "blocks", `${"ab".repeat(32)}.hex.part`), "00");
    await writeFile(join(dataDir, "blocks", "notes.txt"), "hello");
    expect(await make().start()).toBe(0);
  });

  it("by a database that fails: the record is tried again, the outcome comes after it", async () => {
    store.failures = 3;
    const submitter = make();
    const block = candidate([]);
    submitter.found(block, never);
    await submitter.idle();
    expect(store.events).toEqual([`record ${reverseHex(block.hash)}`, `outcome ${reverseHex(block.hash)} accepted`]);
  });

  it("by a database that hangs: the block goes to the node after a second", async () => {
    store.hangs = true;
    const submitter = make();
    submitter.found(candidate([]), never);
    await until(() => expect(node.calls).toContain("submitblock"));
    expect(store.outcomes).toEqual([]);
    await submitter.stop();
    expect(logs.saying("stopped before a found block was settled")).toHaveLength(1);
  });

  it("by a disk that can't be written", async () => {
    await writeFile(join(dataDir, "blocks"), "a file where the directory should be");
    const submitter = make();
    submitter.found(candidate([]), never);
    await until(() => expect(store.outcomes).toHaveLength(1));
    expect(store.outcomes[0]!.status).toBe("accepted");
    expect(logs.saying("could not be written to disk")).toHaveLength(2);
    await submitter.idle();
  });
});

describe("bounds", () => {
  it("few candidates on unknown parents are in hand at once", async () => {
    node.down = true;
    const submitter = make();
    for (let i = 0; i < 9; i++) submitter.found(candidate([], "unknown"), never);
    expect(logs.saying("too many block candidates")).toHaveLength(1);
    submitter.found(candidate([], "tip"), never);
    expect(logs.saying("too many block candidates")).toHaveLength(1);
    await submitter.stop();
  });
});
