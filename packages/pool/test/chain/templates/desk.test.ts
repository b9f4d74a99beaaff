import { parseBlock } from "@openprime/bitcoin";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BackgroundTemplateDesk, type TemplateDeskOptions } from "../../../src/chain/index.js";
import type { OwnTemplate } from "../../../src/chain/own-template.js";
import { Proposals } from "../../../src/chain/templates/proposals.js";
import { readTransactions } from "../../../src/chain/templates/transaction-set.js";
import type { JobTemplate, OpenedJob } from "../../../src/work/index.js";
import { type LogLines, logLines } from "../log-lines.js";
import { FakeMempool, FakeSource, FakeStore } from "./fakes.js";
import { FEE, HEIGHT, type MadeJob, makeJob, makeParent, makeTransactions, openedJob, SUBSIDY, simpleTransactions } from "./made-job.js";

let mempool: FakeMempool;
let store: FakeStore;
let logs: LogLines;
let registry: Registry;
let clock: number;
/** What the node says of a proposal. */
let answer: (hex: string) => string | null;
let proposed: string[];
const desks: BackgroundTemplateDesk[] = [];

beforeEach(() => {
  mempool = new FakeMempool();
  store = new FakeStore();
  logs = logLines();
  clock = 0;
  answer = () => null;
  proposed = [];
});

afterEach(() => {
  for (const desk of desks.splice(0)) desk.stop();
});

function make(options: Partial<TemplateDeskOptions> = {}, random = () => 0): BackgroundTemplateDesk {
  registry = new Registry();
  const node = {
    proposeBlock: async (hex: string) => {
      proposed.push(hex);
      return answer(hex);
    },
  };
  const monotonic = () => clock;
  const desk = new BackgroundTemplateDesk(
    { ...{ check: "always", sample: 0.5, leastFeesPpm: 0, floorAction: "tell", retryMs: 1, reconnectMs: 1, confirmMs: 1 }, ...options },
    {
      ...{ mempool, store, log: logs.log, metrics: registry, now: () => 5000 + clock, monotonic, random },
      proposals: new Proposals({ perSecond: 1000 }, { node, monotonic }),
      subsidy: () => SUBSIDY,
    },
  );
  desks.push(desk);
  return desk;
}

const judged = async (template: JobTemplate): Promise<JobTemplate> => {
  await vi.waitFor(() => expect(template.state).not.toBe("pending"), { timeout: 10_000, interval: 1 });
  return template;
};
const verdict = async (desk: BackgroundTemplateDesk, job: OpenedJob) => {
  const template = await judged(desk.open(job));
  return store.verdicts.find(({ id }) => id === template.id)!;
};
const count = async (name: string): Promise<string[]> => (await registry.metrics()).split("\n").filter((line) => line.startsWith(name));

describe("the ways to a job's transactions", () => {
  const raw = simpleTransactions(20);
  const made = makeJob(raw);

  it("short ids alone, when the pool knows them all", async () => {
    mempool.add(raw);
    const source = new FakeSource(raw);
    const desk = make();
    const template = desk.open(openedJob(made, source));
    // Nothing is waited for.
    expect(template).toMatchObject({ id: 1n, state: "pending", why: undefined });
    expect(await judged(template)).toMatchObject({ state: "sound" });
    expect(source.asked).toEqual(["shortIds"]);
    expect(store.verdicts).toMatchObject([{ state: "sound", path: "shortIds", code: undefined, fees: 20n * FEE, judgedAt: 5000 }]);
    expect(store.records).toMatchObject([
      { id: 1n, sessionId: 1n, height: HEIGHT, value: made.job.coinbaseValue, transactions: 20, size: made.job.totalSize, openedAt: 5000 },
    ]);
    const block = parseBlock(Buffer.from(proposed[0]!, "hex"));
    expect(Buffer.from(block.header)).toEqual(made.header);
    expect(block.transactions.slice(1).map((one) => Buffer.from(one))).toEqual(raw.map((one) => Buffer.from(one)));
    expect(store.voided).toEqual([]);
    expect(source.told).toEqual([]);
    expect(await count("openprime_templates_total")).toEqual(['openprime_templates_total{state="sound",code=""} 1']);
    expect(await count("openprime_template_paths_total")).toEqual(['openprime_template_paths_total{path="shortIds"} 1']);
  });

  it("what is missing by index, and learned", async () => {
    mempool.add(raw.filter((_, place) => place % 4 !== 1));
    const source = new FakeSource(raw);
    expect(await verdict(make(), openedJob(made, source))).toMatchObject({ state: "sound", path: "byIndex" });
    expect(source.asked).toEqual(["shortIds", "byIndex 1 5 9 13 17"]);
    expect(mempool.learned).toEqual(raw.filter((_, place) => place % 4 === 1));
  });

  it("by index too what is known and whose bytes are gone", async () => {
    mempool.add(raw);
    for (const { wtxid } of await readTransactions(raw.slice(0, 2))) mempool.forgotten.add(Buffer.from(wtxid).toString("hex"));
    const source = new FakeSource(raw);
    expect(await verdict(make(), openedJob(made, source))).toMatchObject({ state: "sound", path: "byIndex" });
    expect(source.asked).toEqual(["shortIds", "byIndex 0 1"]);
  });

  it("the full set, when most is missing", async () => {
    mempool.add(raw.slice(0, 8));
    const source = new FakeSource(raw);
    expect(await verdict(make(), openedJob(made, source))).toMatchObject({ state: "sound", path: "fullSet" });
    expect(source.asked).toEqual(["shortIds", "fullSet"]);
    expect(mempool.learned).toEqual(raw);
  });

  const crosscheckFails = (source: FakeSource): void => {
    mempool.add(source.transactions);
    source.crosscheck = Buffer.alloc(32);
  };
  const mempoolIsAway = (): void => {
    mempool.away = true;
  };
  it.each([
    ["the crosscheck fails", crosscheckFails],
    ["the mempool can't be asked", mempoolIsAway],
  ])("the full set, when %s", async (_, prepare) => {
    const source = new FakeSource(raw);
    prepare(source);
    expect(await verdict(make(), openedJob(made, source))).toMatchObject({ state: "sound", path: "fullSet" });
    expect(source.asked).toEqual(["shortIds", "fullSet"]);
  });

  it("no bytes again for a set that is known, and no second word of the node", async () => {
    mempool.add(raw);
    const desk = make();
    await verdict(desk, openedJob(made, new FakeSource(raw)));
    const other = new FakeSource(raw);
    expect(await verdict(desk, openedJob(made, other, { sessionId: 2n }))).toMatchObject({ state: "sound", path: "known" });
    expect(other.asked).toEqual(["shortIds"]);
    expect(proposed.length).toBe(1);
    // Its fees were known and are not asked for again.
    expect(mempool.feesAsked).toBe(1);
    // Another value is another question.
    expect(await verdict(desk, openedJob(makeJob(raw, { over: -1 }), other))).toMatchObject({ state: "sound", path: "known" });
    expect(proposed.length).toBe(2);
  });

  it("no question at all for a job without transactions", async () => {
    const source = new FakeSource([]);
    expect(await verdict(make(), openedJob(makeJob([]), source))).toMatchObject({ state: "sound", path: "known", fees: 0n });
    expect(source.asked).toEqual([]);
    expect(proposed.length).toBe(1);
  });
});

describe("an unsound template", () => {
  const broken: [string, MadeJob][] = [
    ["wrongOrder", makeJob(makeTransactions([{ spends: ["#1:0"] }, { spends: ["a:0"] }]))],
    ["doubleSpend", makeJob(makeTransactions([{ spends: ["a:0"] }, { spends: ["b:0", "a:0"] }]))],
    ["tooHeavy", makeJob(makeTransactions([{ spends: ["a:0"], pad: 1_000_000 }]))],
    ["overpaid", makeJob(simpleTransactions(3), { over: 1 })],
    ["commitmentMismatch", makeJob(simpleTransactions(3), { commitment: "wrong" })],
    ["totalsMismatch", makeJob(simpleTransactions(3), {}, { totalSize: 1 })],
  ];

  it.each(broken)("%s is refused, its shares are taken back, and the gateway is told", async (code, made) => {
    const source = new FakeSource(made.transactions);
    const desk = make();
    const template = await judged(desk.open(openedJob(made, source)));
    expect(template.state).toBe("unsound");
    const { detail } = store.verdicts[0]!;
    expect(store.verdicts).toMatchObject([{ id: 1n, state: "unsound", code }]);
    expect(template.why).toBe(`${detail} (${code})`);
    expect(source.told).toEqual([expect.stringContaining(`Job 3 at height ${HEIGHT} is refused`)]);
    expect(source.told[0]).toContain(template.why);
    expect(source.told[0]!.length).toBeLessThan(400);
    await vi.waitFor(() => expect(store.voided).toEqual([1n]));
    await vi.waitFor(async () =>
      expect(await count("openprime_template_shares_voided_total")).toEqual(["openprime_template_shares_voided_total 3"]),
    );
    expect(logs.saying("unsound template")).toMatchObject([{ code, session: "1", level: 40 }]);
    expect(await count("openprime_template_bad_gateways")).toEqual(["openprime_template_bad_gateways 1"]);
    // The node is not troubled with it.
    expect(proposed).toEqual([]);
  });

  it("is what the node refuses, with its word", async () => {
    answer = () => "bad-txns-inputs-missingorspent";
    const made = makeJob(simpleTransactions(3));
    expect(await verdict(make(), openedJob(made, new FakeSource(made.transactions)))).toMatchObject({
      ...{ state: "unsound", code: "nodeRefused", detail: expect.stringContaining("bad-txns-inputs-missingorspent") },
    });
  });

  it.each([
    ["in two hours", 7_205, 5],
    ["before the parent's", 0, 1],
  ])("is not hidden by the time of the share that brought it: %s", async (_, told, shown) => {
    const made = makeJob(simpleTransactions(3));
    Buffer.from(made.header.buffer).writeUInt32LE(told, made.header.byteOffset + 68);
    // As a node that has another clock does, before it looks at a transaction.
    answer = (block) => (Buffer.from(block, "hex").readUInt32LE(68) === shown ? "bad-txns-inputs-missingorspent" : "time-too-new");
    expect(await verdict(make(), openedJob(made, new FakeSource(made.transactions)))).toMatchObject({
      state: "unsound",
      code: "nodeRefused",
    });
  });

  it("is logged once for a gateway until it has made up for it", async () => {
    const bad = makeJob(simpleTransactions(1), { over: 1 });
    const good = makeJob(simpleTransactions(2));
    const desk = make();
    for (let i = 0; i < 3; i++) await verdict(desk, openedJob(bad, new FakeSource(bad.transactions)));
    const warned = () => logs.saying("unsound template").filter(({ level }) => level === 40).length;
    expect(warned()).toBe(1);
    for (let i = 0; i < 20; i++) await verdict(desk, openedJob(good, new FakeSource(good.transactions)));
    await verdict(desk, openedJob(bad, new FakeSource(bad.transactions)));
    expect(warned()).toBe(2);
  });

  it("is an answer that is not the job's, once it is confirmed", async () => {
    const made = makeJob(simpleTransactions(4));
    const source = new FakeSource(simpleTransactions(4, "other"));
    expect(await verdict(make(), openedJob(made, source))).toMatchObject({ state: "unsound", code: "merkleMismatch" });
    // The second time nothing but the full set will do.
    expect(source.asked).toEqual(["shortIds", "fullSet", "fullSet"]);
    expect(mempool.learned).toEqual([]);
  });

  it("is no such answer of a gateway that was asked late: it may have filled the slot anew, and no share has told of that", async () => {
    const made = makeJob(simpleTransactions(4));
    // Cut off when it was asked, and back only now.
    const back = new FakeSource(simpleTransactions(4, "newer job"));
    back.failures = ["disconnected"];
    back.onAsk = () => {
      if (back.asked.length === 1) clock += 25_000;
    };
    expect(await verdict(make(), openedJob(made, back))).toMatchObject({ state: "unjudged", code: "slotRefilled" });
    expect(back.asked).toEqual(["shortIds", "shortIds", "fullSet", "fullSet"]);
    expect(store.voided).toEqual([]);
  });

  it.each([
    ["countMismatch", simpleTransactions(5)],
    ["badTransaction", [...simpleTransactions(3), Buffer.of(1, 2, 3)]],
  ])("is a full set with %s", async (code, given) => {
    const made = makeJob(simpleTransactions(4));
    const source = new FakeSource(simpleTransactions(5));
    source.fullSet = async () => given;
    expect(await verdict(make(), openedJob(made, source))).toMatchObject({ state: "unsound", code });
  });

  it("is not one whose right answer came late", async () => {
    const raw = simpleTransactions(4);
    const source = new FakeSource(simpleTransactions(4, "newer job"));
    // The second time it is asked its slot holds what the job says again.
    source.onAsk = () => {
      if (source.asked.length === 3) source.transactions = raw;
    };
    const template = make().open(openedJob(makeJob(raw), source));
    expect(await judged(template)).toMatchObject({ state: "sound" });
  });
});

describe("a gateway that does not answer", () => {
  const made = makeJob(simpleTransactions(4));
  const after = (...failures: string[]) => {
    const source = new FakeSource(made.transactions);
    source.failures = failures;
    return source;
  };

  it.each(["timeout", "badReply", "noJob", "noTemplate", "busy"])("is asked again, then its job is unsound: %s", async (code) => {
    expect(await verdict(make(), openedJob(made, after(code)))).toMatchObject({ state: "sound" });
    expect(await verdict(make(), openedJob(made, after(code, code)))).toMatchObject({
      state: "unsound",
      code: "noAnswer",
      path: undefined,
    });
  });

  it("and left, is asked again, then its job is unjudged", async () => {
    expect(await verdict(make(), openedJob(made, after("disconnected")))).toMatchObject({ state: "sound" });
    expect(await verdict(make(), openedJob(made, after("disconnected", "disconnected")))).toMatchObject({
      state: "unjudged",
      code: "disconnected",
    });
    // Back, but started anew: it has no jobs.
    expect(await verdict(make(), openedJob(made, after("disconnected", "noJob")))).toMatchObject({
      state: "unjudged",
      code: "disconnected",
    });
    expect(store.voided).toEqual([]);
  });

  it("gets away with it twice", async () => {
    const desk = make();
    for (const code of ["slotRefilled", "disconnected"]) {
      expect(await verdict(desk, openedJob(made, after(code, code)))).toMatchObject({ state: "unjudged", code });
    }
    const source = after("slotRefilled");
    expect(await verdict(desk, openedJob(made, source))).toMatchObject({ state: "unsound", code: "evaded" });
    expect(source.told.length).toBe(1);
    // Another gateway has nothing to do with it.
    expect(await verdict(desk, openedJob(made, after("slotRefilled"), { sessionId: 2n }))).toMatchObject({ state: "unjudged" });
  });

  it("is not blamed for slots that were filled anew while its jobs waited for the pool", async () => {
    const desk = make({ concurrent: 1 });
    for (let i = 0; i < 5; i++) {
      const blocker = after();
      let open: () => void = () => undefined;
      blocker.gate = new Promise((resolve) => {
        open = resolve;
      });
      desk.open(openedJob(made, blocker, { sessionId: 99n }));
      const template = desk.open(openedJob(made, after("slotRefilled")));
      clock += 10_001;
      open();
      expect(await judged(template)).toMatchObject({ state: "unjudged" });
    }
  });

  it("makes up for it by sound templates", async () => {
    const desk = make();
    for (let round = 0; round < 4; round++) {
      expect(await verdict(desk, openedJob(made, after("slotRefilled")))).toMatchObject({ state: "unjudged" });
      for (let i = 0; i < 10; i++) await verdict(desk, openedJob(made, after()));
    }
  });

  it("because it has too many transactions, is asked for all of them: none of its words keeps a job from being judged", async () => {
    const many = makeJob(made.transactions, {}, { transactionCount: 16_384 });
    const source = after();
    expect(await verdict(make(), openedJob(many, source))).toMatchObject({ state: "unsound", code: "countMismatch" });
    expect(source.asked).toEqual(["fullSet", "fullSet"]);
    const lie = after("tooManyTransactions", "tooManyTransactions");
    expect(await verdict(make(), openedJob(made, lie))).toMatchObject({ state: "unsound", code: "noAnswer" });
  });

  it.each([{ transactionCount: 16_667 }, { totalWeight: 4_000_001 }])(
    "is not asked when no block holds what its job says: %o",
    async (claims) => {
      const source = after();
      expect(await verdict(make(), openedJob(makeJob(made.transactions, {}, claims), source))).toMatchObject({
        ...{ state: "unsound", code: "tooHeavy", path: undefined },
      });
      expect(source.asked).toEqual([]);
    },
  );

  it("holds nobody up: others' jobs are judged meanwhile, and its own wait", async () => {
    const desk = make();
    const silent = after();
    let open: () => void = () => undefined;
    silent.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = desk.open(openedJob(made, silent));
    const second = desk.open(openedJob(made, silent, { jobId: 4 }));
    expect(await verdict(desk, openedJob(made, after(), { sessionId: 2n }))).toMatchObject({ state: "sound" });
    expect([first.state, second.state, silent.asked.length, desk.waiting]).toEqual(["pending", "pending", 1, 2]);
    open();
    await judged(first);
    await judged(second);
    expect(desk.waiting).toBe(0);
  });
});

describe("bounds", () => {
  const made = makeJob(simpleTransactions(4));
  const never = () => {
    const source = new FakeSource(made.transactions);
    source.gate = new Promise(() => undefined);
    return source;
  };

  it("of the queue push out the least urgent job, unjudged", async () => {
    const desk = make({ waiting: 2, concurrent: 1 });
    desk.open(openedJob(made, never(), { sessionId: 99n }));
    const open = (sessionId: bigint, over: number) => desk.open(openedJob(makeJob(made.transactions, { over }), never(), { sessionId }));
    const [low, high, middle] = [open(1n, -3), open(2n, -1), open(3n, -2)];
    expect([low.state, high.state, middle.state]).toEqual(["unjudged", "pending", "pending"]);
    expect(store.verdicts).toMatchObject([{ id: low.id, code: "overLimit" }]);
    expect(await count("openprime_templates_waiting")).toEqual(["openprime_templates_waiting 3"]);
  });

  it("of one gateway's jobs are the pool's doing while others hold it up", () => {
    const desk = make({ perSession: 2, concurrent: 1 });
    desk.open(openedJob(made, never(), { sessionId: 99n }));
    for (let jobId = 0; jobId < 8; jobId++) desk.open(openedJob(made, never(), { jobId }));
    expect(new Set(store.verdicts.map(({ state, code }) => `${state} ${code}`))).toEqual(new Set(["unjudged overLimit"]));
  });

  it("of one gateway's jobs without a verdict count as evasion", () => {
    const desk = make({ perSession: 2 });
    const states = Array.from({ length: 5 }, (_, jobId) => desk.open(openedJob(made, never(), { jobId })).state);
    expect(states).toEqual(["pending", "pending", "unjudged", "unjudged", "unsound"]);
    expect(store.verdicts.map(({ code }) => code)).toEqual(["overLimit", "overLimit", "evaded"]);
  });

  it("of memory let the sets go that were used least lately", async () => {
    const size = made.job.totalSize;
    const desk = make({ keptBytes: 2 * size });
    const others = ["b", "c"].map((name) => makeJob(simpleTransactions(4, name)));
    await verdict(desk, openedJob(made, new FakeSource(made.transactions)));
    expect(desk.transactionsOf(1n, 3, 9)).toEqual(made.transactions);
    expect(desk.transactionsOf(1n, 3, 8)).toBeUndefined();
    expect(desk.transactionsOf(2n, 3, 9)).toBeUndefined();
    for (const [jobId, other] of others.entries()) await verdict(desk, openedJob(other, new FakeSource(other.transactions), { jobId }));
    expect(desk.transactionsOf(1n, 3, 9)).toBeUndefined();
    expect(desk.transactionsOf(1n, 1, 9)).toEqual(others[1]!.transactions);
    const [, bytes] = (await count("openprime_template_kept_bytes"))[0]!.split(" ");
    expect(Number(bytes)).toBeLessThanOrEqual(2 * size + 8);
  });
});

describe("the order", () => {
  it("is bad records, new gateways, then the highest claim in fees", async () => {
    const desk = make({ concurrent: 1 });
    const bad = makeJob(simpleTransactions(1), { over: 1 });
    await verdict(desk, openedJob(bad, new FakeSource(bad.transactions), { sessionId: 1n }));
    const good = makeJob(simpleTransactions(2));
    for (const sessionId of [2n, 3n]) {
      for (let i = 0; i < 5; i++) await verdict(desk, openedJob(good, new FakeSource(good.transactions), { sessionId }));
    }
    const order: bigint[] = [];
    let open: () => void = () => undefined;
    const blocker = new FakeSource(good.transactions);
    blocker.gate = new Promise((resolve) => {
      open = resolve;
    });
    desk.open(openedJob(good, blocker, { sessionId: 9n }));
    const waiting = (
      [
        [2n, -9],
        [3n, -1],
        [4n, -5],
        [1n, -9],
        [5n, -2],
      ] as const
    ).map(([sessionId, over]) => {
      const job = makeJob(good.transactions, { over });
      const source = new FakeSource(good.transactions);
      source.onAsk = () => {
        if (source.asked.length === 1) order.push(sessionId);
      };
      return desk.open(openedJob(job, source, { sessionId }));
    });
    open();
    for (const template of waiting) await judged(template);
    expect(order).toEqual([1n, 5n, 4n, 3n, 2n]);
  });

  it("of a sample leaves out known gateways only, unless they have a bad record", async () => {
    const good = makeJob(simpleTransactions(2));
    const bad = makeJob(simpleTransactions(1), { over: 1 });
    let drawn = 0.9;
    const desk = make({ check: "sample", sample: 0.5 }, () => drawn);
    const open = (made: MadeJob) => verdict(desk, openedJob(made, new FakeSource(made.transactions)));
    for (let i = 0; i < 5; i++) expect((await open(good)).state).toBe("sound");
    expect(await open(good)).toMatchObject({ state: "unjudged", code: "notSampled", path: undefined });
    drawn = 0.49;
    expect((await open(bad)).state).toBe("unsound");
    drawn = 0.9;
    expect((await open(good)).state).toBe("sound");
  });
});

describe("what can't be judged", () => {
  const made = makeJob(simpleTransactions(2));
  const open = (state: "stale" | "invalid" | "unknown") =>
    openedJob(made, new FakeSource(made.transactions), { parent: makeParent(state) });

  it("is checked as far as the pool can, off the tip, and not shown to the node", async () => {
    expect(await verdict(make(), open("stale"))).toMatchObject({
      state: "unjudged",
      code: "parentNotTip",
      path: "fullSet",
      fees: 2n * FEE,
    });
    expect(await verdict(make(), open("invalid"))).toMatchObject({ state: "unjudged", code: "parentNotTip", path: undefined });
    expect(proposed).toEqual([]);
    const bad = makeJob(simpleTransactions(1), { over: 1 });
    const job = openedJob(bad, new FakeSource(bad.transactions), { parent: makeParent("stale") });
    expect(await verdict(make(), job)).toMatchObject({ state: "unsound", code: "overpaid" });
  });

  it("waits for its parent", async () => {
    const job = open("unknown");
    const template = make().open(job);
    await vi.waitFor(async () =>
      expect(await count("openprime_template_proposals_waiting")).toEqual(["openprime_template_proposals_waiting 1"]),
    );
    expect(template.state).toBe("pending");
    job.parent.state = "tip";
    expect(await judged(template)).toMatchObject({ state: "sound" });
  });

  it("is what the pool itself fails at, said in the log", async () => {
    mempool.match = async () => {
      throw new Error("a bug");
    };
    expect(await verdict(make(), openedJob(made, new FakeSource(made.transactions)))).toMatchObject({
      state: "unjudged",
      code: "failed",
      detail: "a bug",
    });
    expect(logs.saying("could not be judged").length).toBe(1);
    store.failing = true;
    expect(make().open(open("stale"))).toMatchObject({ state: "unjudged", id: 0n });
  });

  it("stays without a verdict at the stop", async () => {
    const source = new FakeSource(made.transactions);
    source.failures = ["timeout"];
    const desk = make({ retryMs: 60_000 });
    const template = desk.open(openedJob(made, source));
    await vi.waitFor(() => expect(source.asked.length).toBe(1));
    desk.stop();
    expect(template.state).toBe("pending");
    expect(store.verdicts).toEqual([]);
  });
});

describe("the node's own template", () => {
  const raw = simpleTransactions(6);
  const own = async (kept: readonly Uint8Array[], fee = FEE): Promise<OwnTemplate> => ({
    ...{ prevhash: Buffer.alloc(32, 7), height: HEIGHT, value: SUBSIDY + fee * BigInt(kept.length), weight: 5000 },
    transactions: (await readTransactions(kept)).map(({ txid, wtxid, weight }) => ({ txid, wtxid, weight, fee })),
  });

  it("stands beside each verdict", async () => {
    const desk = make();
    desk.ownTemplate(await own([...raw.slice(0, 4), ...simpleTransactions(3, "ours")]));
    const made = makeJob(raw);
    const found = await verdict(desk, openedJob(made, new FakeSource(raw)));
    expect(found.own).toEqual({
      ...{ value: SUBSIDY + 7n * FEE, transactions: 7, weight: 5000 },
      ...{ lacks: { transactions: 3, fees: 3n * FEE }, extra: { transactions: 2, fees: 2n * FEE } },
    });
    const elsewhere = makeJob(raw, {}, {}, Buffer.alloc(32, 8));
    expect((await verdict(desk, openedJob(elsewhere, new FakeSource(raw)))).own).toBeUndefined();
  });

  it("gives the floor: the smallest of the last minutes, after the first moments on a block", async () => {
    const poor = makeJob(raw, { over: -3001 });
    const enough = makeJob(raw, { over: -3000 });
    const desk = make({ leastFeesPpm: 500_000, floorAction: "refuse" });
    const open = (made: MadeJob) => verdict(desk, openedJob(made, new FakeSource(raw)));
    // No own template yet, then a grace.
    expect((await open(poor)).state).toBe("sound");
    desk.ownTemplate(await own(raw));
    clock += 60_000;
    expect((await open(poor)).state).toBe("sound");
    clock += 60_000;
    desk.ownTemplate(await own(raw, 100n * FEE));
    expect(await open(poor)).toMatchObject({ state: "unsound", code: "belowFloor", path: undefined });
    expect((await open(enough)).state).toBe("sound");
    // By and by the poor one of ours is forgotten.
    clock += 200_000;
    expect(await open(enough)).toMatchObject({ state: "unsound", code: "belowFloor" });
    expect(await count("openprime_templates_below_floor_total")).toEqual(["openprime_templates_below_floor_total 2"]);
    // On a new block all begins anew.
    desk.ownTemplate({ ...(await own(raw)), prevhash: Buffer.alloc(32, 8) });
    expect((await verdict(desk, openedJob(makeJob(raw, { over: -6000 }), new FakeSource(raw)))).state).toBe("sound");
  });

  it("below the floor the gateway is told, once in ten minutes", async () => {
    const desk = make({ leastFeesPpm: 900_000 });
    const source = new FakeSource(raw);
    desk.ownTemplate(await own(raw));
    clock += 100_000;
    for (let i = 0; i < 3; i++)
      expect(await verdict(desk, openedJob(makeJob(raw, { over: -5000 }), source))).toMatchObject({ state: "sound" });
    expect(source.told).toEqual([expect.stringContaining("at least 90 %")]);
    expect(await count("openprime_templates_below_floor_total")).toEqual(["openprime_templates_below_floor_total 3"]);
    for (let i = 0; i < 6; i++) {
      clock += 100_000;
      desk.ownTemplate(await own(raw));
    }
    await verdict(desk, openedJob(makeJob(raw, { over: -5000 }), source));
    expect(source.told.length).toBe(2);
  });
});
