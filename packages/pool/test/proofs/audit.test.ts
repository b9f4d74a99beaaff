import { describe, expect, it } from "vitest";
import { changedTerms, overpaid } from "../../src/proofs/audit/notes.js";
import {
  Auditor,
  type AuditResult,
  decodeSettlement,
  encodeIndex,
  encodeSettlement,
  type Settlement,
  type SettlementLine,
} from "../../src/proofs/index.js";
import { display, GENESIS, type PoolHistory, poolHistory, SCRIPTS, shareHash, type Tampering, type TestChain } from "./pool-history.js";

/** Takes a hash for known by its first byte: sometimes wrongly, as a small set may. */
class ForgetfulSet {
  readonly #seen = new Set<number>();
  add(hash: Uint8Array): boolean {
    const first = (hash[0] ?? 0) & 0x0f;
    return !this.#seen.has(first) && this.#seen.add(first) !== undefined;
  }
}

const open = ({ source, node }: PoolHistory): Promise<Auditor> => Auditor.open({ source, node, seen: new ForgetfulSet() });

/** Up to the first difference. */
async function auditAll(history: PoolHistory): Promise<AuditResult[]> {
  const auditor = await open(history);
  const results: AuditResult[] = [];
  for (const { number } of auditor.documents.index) {
    results.push(await auditor.audit(number));
    if (results.at(-1)?.verdict === "DIFFERS") break;
  }
  return results;
}

const [FIRST, SECOND, REVERSAL, THIRD] = [
  "settlements/000001-settlement-101.ndjson.gz",
  "settlements/000002-settlement-102.ndjson.gz",
  "settlements/000003-reversal-102.ndjson.gz",
  "settlements/000004-settlement-102.ndjson.gz",
];
const log = (segment: number): string => `log/0000000${segment}.ndjson.gz`;

type Plain = Omit<Settlement, "root">;
const document =
  (number: number, change: (settlement: Plain) => Partial<Plain>): Tampering["document"] =>
  (settlement) =>
    settlement.number === number ? { ...settlement, ...change(settlement) } : settlement;
const line = (number: number, at: number, change: (line: SettlementLine) => Partial<SettlementLine>): Tampering =>
  ({
    document: document(number, ({ lines }) => ({ lines: lines.map((one, i) => (i === at ? { ...one, ...change(one) } : one)) })),
  }) as Tampering;
const header = (number: number, change: (settlement: Plain) => Partial<Plain>): Tampering => ({
  document: document(number, change) as NonNullable<Tampering["document"]>,
});
const block = (change: (block: Plain["block"]) => Partial<Plain["block"]>): Tampering =>
  header(1, (settlement) => ({ block: { ...settlement.block, ...change(settlement.block) } }));
/** Entries of a document changed as whole books would be: what follows from them does too. */
const entries = (number: number, change: (entries: Settlement["entries"]) => Settlement["entries"]): Tampering =>
  header(number, (settlement) => {
    const changed = change(settlement.entries);
    const sum = (list: Settlement["entries"], script: Uint8Array): bigint =>
      list
        .flatMap(({ amounts }) => amounts)
        .reduce((total, one) => (Buffer.compare(one.script, script) === 0 ? total + one.amount : total), 0n);
    const lines = settlement.lines.map((one) => {
      const more = sum(changed, one.script) - sum(settlement.entries, one.script);
      return { ...one, before: one.before + more, balance: one.balance + more };
    });
    return { entries: changed, lines };
  });
type Entry = Settlement["entries"][number];
/** One entry of document 2 or 3 changed. */
const entry = (number: number, place: number, change: (entry: Entry) => Partial<Entry>): Tampering =>
  entries(number, (list) => list.map((one, i) => (i === place ? { ...one, ...change(one) } : one)));
const amounts = (list: Partial<Record<keyof typeof SCRIPTS, bigint>>): Entry["amounts"] =>
  Object.entries(list).map(([name, amount]) => ({ script: SCRIPTS[name as keyof typeof SCRIPTS], amount }));
const window = (number: number, change: (window: Plain["window"]) => Partial<Plain["window"]>): Tampering =>
  header(number, (settlement) => ({ window: { ...settlement.window, ...change(settlement.window) } }));
/** Replaces text in one line of a log file; the files and settlements after it link to what comes of it. */
const logLine = (segment: number, number: number, from: RegExp, to: string): Tampering => ({
  log: (at, lines) => (at === segment ? lines.with(number - 1, (lines[number - 1] as string).replace(from, to)) : lines),
});
/** The text of a file changed after everything was published. */
const file = (name: string, change: (text: string) => string): Tampering => ({
  files: (files) => files.set(name, Buffer.from(change(String(files.get(name))))),
});
/** An expected difference; `expected` and `found` only where they say something. */
const at = (place: string, number: number, field: string | RegExp, expected?: string | RegExp, found?: string | RegExp) => ({
  file: place,
  line: number,
  field: typeof field === "string" ? field : expect.stringMatching(field),
  ...(expected !== undefined && { expected: expect.stringMatching(expected) }),
  ...(found !== undefined && { found: expect.stringMatching(found) }),
});

/** The spend of the second document. */
const SPENT = poolHistory().settlements[1]?.entries[1] as Entry;

describe("the audit", () => {
  it("passes what the pool published", async () => {
    const results = await auditAll(poolHistory());
    expect(results).toMatchObject([
      { verdict: "PASS", number: 1, kind: "settlement", height: 101, value: 5_700_001n, accounts: 4, segments: 2, unchecked: [] },
      { verdict: "PASS", number: 2, kind: "settlement", height: 102, accounts: 4, segments: 2 },
      { verdict: "PASS", number: 3, kind: "reversal", height: 102, segments: 0 },
      { verdict: "PASS", number: 4, kind: "settlement", height: 102, segments: 2 },
    ]);
  });

  it.each<[string, Tampering]>([
    ["PPLNS over a window of difficulty", { scheme: { name: "pplns", multiplier: 4n } }],
    ["PPLNS over the last two blocks, a reversed one not among them", { scheme: { name: "pplns", blocks: 1 } }],
    ["PPLNS over more blocks than there are", { scheme: { name: "pplns", blocks: 8 } }],
    ["a window as long as the log and longer", { scheme: { name: "tides", multiplier: 1000n } }],
    ["a window of one segment", { scheme: { name: "tides", multiplier: 1n } }],
    ["solo", { scheme: { name: "solo" } }],
    ["solo, all of it the pool's fee", { scheme: { name: "solo" }, feePpm: 1_000_000 }],
    ["pay-per-share", { scheme: { name: "pps" } }],
  ])("passes %s", async (_, tampering) => {
    const results = await auditAll(poolHistory(tampering));
    expect(results.map((result) => (result.verdict === "DIFFERS" ? result.difference : result.verdict))).toEqual(Array(4).fill("PASS"));
  });

  it.each<[string, Tampering, number, RegExp]>([
    ["another fee", header(2, ({ feePpm }) => ({ feePpm: feePpm + 1 })), 2, /^feePpm was 10000 in the document before, and is 10001$/],
    [
      "credits where blocks are divided",
      entry(2, 0, () => ({ kind: "credit", amounts: amounts({ bob: 5n, pool: -5n }) })),
      2,
      /^entry 5 pays for shares, which is not how tides pays$/,
    ],
    [
      "a credit that takes back",
      entry(2, 0, () => ({ kind: "credit", amounts: amounts({ bob: -5n, pool: 5n }) })),
      2,
      /^entry 5, a credit, takes from 1 accounts/,
    ],
  ])("notes %s", async (_, tampering, number, note) => {
    const auditor = await open(poolHistory(tampering));
    const result = await auditor.audit(number);
    expect(result).toMatchObject({ verdict: "PASS", notes: expect.arrayContaining([expect.stringMatching(note)]) });
  });

  it("notes another scheme", async () => {
    const history = poolHistory();
    const [first, second] = history.settlements as [Settlement, Settlement];
    expect(changedTerms(first, second)).toEqual([]);
    expect(changedTerms(first, { ...second, scheme: { name: "tides", multiplier: 4n } })).toEqual([
      'the scheme was {"name":"tides","multiplier":"8"} in the document before, and is {"name":"tides","multiplier":"4"}',
    ]);
  });

  it("notes accounts that were paid more than they had", async () => {
    const history = poolHistory();
    const [first] = history.settlements as [Settlement];
    const lines = first.lines.map((one, i) => (i === 0 ? { ...one, before: -one.earned, balance: -one.paid } : { ...one, paid: 0n }));
    expect(overpaid({ ...first, lines })).toEqual([
      expect.stringMatching(/^the coinbase paid 0014(11){20} 300001, which leaves it with -300001$/),
    ]);
  });

  it("audits one settlement without the others", async () => {
    const history = poolHistory();
    for (const { number } of history.settlements) expect((await (await open(history)).audit(number)).verdict).toBe("PASS");
  });

  it("says what it could not look at: a block that left the chain is gone from many nodes", async () => {
    const history = poolHistory();
    history.chain.blocks.delete(display((history.settlements[1] as Settlement).block.hash));
    const auditor = await open(history);
    expect(await auditor.audit(2)).toMatchObject({ verdict: "PASS", unchecked: [expect.stringMatching(/^the block/)] });
    expect(await auditor.audit(4)).toMatchObject({ verdict: "PASS", unchecked: [] });
  });

  it("refuses to go on without a published file, a block of the chain, or a settlement", async () => {
    const history = poolHistory({ files: (files) => files.delete(log(1)) });
    await expect((await open(history)).audit(1)).rejects.toMatchObject({ code: "proof.unreadable" });
    const pruned = poolHistory();
    pruned.chain.blocks.clear();
    await expect((await open(pruned)).audit(1)).rejects.toMatchObject({ code: "proof.blockMissing" });
    await expect((await open(poolHistory())).audit(5)).rejects.toMatchObject({ code: "proof.noSuchSettlement" });
  });

  const [bob, cleo] = [1, 3];
  it.each<[string, Tampering, ReturnType<typeof at>]>([
    ["a hash link broken", header(2, () => ({ previous: new Uint8Array(32) })), at(SECOND, 1, "previous", /^[0-9a-f]{64}$/, /^0{64}$/)],
    ["a settlement rewritten", file(FIRST, (text) => rewrite(text, () => ({ feePpm: 1 }))), at("index.json", 1, "settlements[0].hash")],
    ["a document damaged", file(FIRST, (text) => text.replace('"kind"', '"kind" ')), at(FIRST, 1, "")],
    ["a total that is not the lines'", file(FIRST, (text) => text.replace(/"owed":"/, '"owed":"1')), at(FIRST, 6, "owed")],
    ["another network", header(1, () => ({ network: "signet" })), at(FIRST, 1, "network", "regtest", "signet")],
    ["another time", block(({ time }) => ({ time: time + 1 })), at(FIRST, 1, "block.time", "1700000101", "1700000102")],
    ["another target", block(() => ({ bits: 0x207f_ffff })), at(FIRST, 1, "block.bits", "200fffff", "207fffff")],
    ["another parent", block(() => ({ prevhash: new Uint8Array(32) })), at(FIRST, 1, "block.prevhash")],
    ["a height past the tip", block(() => ({ height: 900 })), at(FIRST.replace("101", "900"), 1, "block.height")],
    ["another coinbase", block(({ coinbase }) => ({ coinbase: coinbase.with(-1, 1) })), at(FIRST, 1, "block.coinbase", /^the coinbase/)],
    ["less received", header(1, ({ received }) => ({ received: received - 1n })), at(FIRST, 1, "received", "5000000", "4999999")],
    ["less to divide", header(1, ({ value }) => ({ value: value - 1n })), at(FIRST, 1, "value", "5700001", "5700000")],
    ["an output to a stranger", header(1, () => ({ split: undefined })), at(FIRST, 1, /^block.coinbase, output 0$/, undefined, /^400000 /)],
    [
      "a split in another order",
      header(1, ({ split }) => ({ split: split && { ...split, outputs: split.outputs.toReversed() } })),
      at(FIRST, 1, /^block.coinbase, output 1$/),
    ],
    ["a pool script that is none", header(1, () => ({ poolScripts: [] })), at(FIRST, 1, /^block.coinbase, output 2$/)],
    ["another pin", header(1, ({ pin }) => ({ pin: pin - 1n })), at(FIRST, 1, "window.logWeight")],
    ["a pin of another segment", header(1, () => ({ pin: 3n })), at(FIRST, 1, "pin", /4 to 11/, "3")],
    ["another scheme", header(1, () => ({ scheme: { name: "tides", multiplier: 4n } })), at(FIRST, 1, "window.size", "32", "64")],
    ["a smaller window", window(1, () => ({ size: 32n })), at(FIRST, 1, "window.size", "64", "32")],
    ["another beginning", window(1, () => ({ firstSegment: 2 })), at(FIRST, 1, "window.firstSegment", "1", "2")],
    ["another log", window(1, ({ logHash }) => ({ logHash: logHash?.with(0, 0) })), at(FIRST, 1, "window.logHash")],
    ["blocks counted that do not count", window(1, () => ({ blockWeights: [5n] })), at(FIRST, 1, "window.blockWeights", "", "5")],
    ["a weight", line(1, bob, ({ weight }) => ({ weight: weight + 1n })), at(FIRST, 3, "weight")],
    ["a net weight", line(1, bob, ({ netWeight }) => ({ netWeight: netWeight - 1n })), at(FIRST, 3, "netWeight")],
    ["a satoshi less earned", line(1, bob, (one) => ({ earned: one.earned - 1n, balance: one.balance - 1n })), at(FIRST, 3, "earned")],
    [
      "a satoshi more paid",
      line(1, cleo, (one) => ({ paid: one.paid + 1n, balance: one.balance - 1n })),
      at(FIRST, 5, "paid", "400000", "400001"),
    ],
    ["a fee to an account", line(1, bob, (one) => ({ fee: 1n, balance: one.balance + 1n })), at(FIRST, 3, "fee", "0", "1")],
    ["a balance", line(1, bob, ({ balance }) => ({ balance: balance - 1n })), at(FIRST, 3, "balance")],
    [
      "an account left out",
      header(1, ({ lines }) => ({ lines: lines.toSpliced(bob, 1) })),
      at(FIRST, 3, "script", hex("bob"), hex("pool")),
    ],
    ["an id twice", line(1, bob, () => ({ account: 4 })), at(FIRST, 3, "account", /that of 0014/, "4")],
    ["an id that changed", line(2, bob, () => ({ account: 9 })), at(SECOND, 5, "account", "3", "9")],
    [
      "a balance that did not come over",
      line(2, bob, ({ before, balance }) => ({ before: before - 1n, balance: balance - 1n })),
      at(SECOND, 5, "before"),
    ],
    [
      "a receipt that takes money",
      entry(2, 0, () => ({ amounts: amounts({ bob: -5n, pool: 5n }) })),
      at(SECOND, 2, "amounts", /no balance/),
    ],
    [
      "a credit out of nothing",
      entry(2, 0, () => ({ kind: "credit", amounts: amounts({ bob: 5n }) })),
      at(SECOND, 2, "amounts", /sum of 0/),
    ],
    ["a spend of no block", entry(2, 1, () => ({ block: undefined })), at(SECOND, 3, "block")],
    ["a spend that its block has not", entry(2, 1, () => ({ txid: new Uint8Array(32).fill(7) })), at(SECOND, 3, "txid", /transaction of/)],
    [
      "a spend of more than was paid",
      entry(2, 1, () => ({ amounts: amounts({ bob: -1001n, pool: -10n }) })),
      at(SECOND, 3, "amounts[0].amount", /^-1000 or more/, "-1001"),
    ],
    [
      "a spend at the cost of one whom it did not pay",
      entry(2, 1, () => ({ amounts: amounts({ bob: -1000n, pool: -10n, cleo: -7n }) })),
      at(SECOND, 3, "amounts[2].amount", /^0 or more/, "-7"),
    ],
    ["a spend that gives", entry(2, 1, () => ({ amounts: amounts({ ann: 9n, bob: -9n }) })), at(SECOND, 3, "amounts[0].amount", /nobody/)],
    [
      "a spend that gives the pool",
      entry(2, 1, () => ({ amounts: amounts({ pool: 9n }) })),
      at(SECOND, 3, "amounts[0].amount", /^at most 0/),
    ],
    [
      "a spend booked twice",
      entries(2, (list) => [...list, { ...(list[1] as Entry), id: 7n }]),
      at(SECOND, 4, "txid", /no standing entry/),
    ],
    ["a spend booked again later", entry(3, 0, () => SPENT), at(REVERSAL, 2, "txid", /no standing entry/)],
    ["a reversal of more", entry(3, 1, () => ({ amounts: amounts({ bob: 899n, pool: 110n }) })), at(REVERSAL, 3, "amounts")],
    ["a reversal of no spend", entry(3, 1, () => ({ txid: new Uint8Array(32) })), at(REVERSAL, 3, "", /reversal of a receipt or spend/)],
    [
      "a block divided twice",
      header(4, () => ({ block: (poolHistory().settlements[0] as Settlement).block })),
      at(THIRD.replace("102", "101"), 1, "block.hash", /not divided yet/, "that of settlement 1"),
    ],
    ["an entry left out", header(2, () => ({ entries: [] })), at(SECOND, 3, "before")],
    ["a reversal of half of it", line(3, bob, (one) => ({ earned: 0n, balance: one.before + one.paid })), at(REVERSAL, 5, "earned")],
    ["a reversal of another value", header(3, ({ value }) => ({ value: value + 1n })), at(REVERSAL, 1, "value")],
    [
      "a reversal of nothing",
      header(3, ({ block: one }) => ({ block: { ...one, hash: new Uint8Array(32) } })),
      at(SECOND, 1, "block.hash"),
    ],
    [
      "a balance after the reversal",
      line(4, bob, ({ before, balance }) => ({ before: before + 1n, balance: balance + 1n })),
      at(THIRD, 4, "before"),
    ],
    [
      "a pin that the block's own share has not",
      logLine(2, 8, /"split":"1","pin":"9"/, '"split":"1","pin":"8"'),
      at(FIRST, 1, "pin", /^8, as the share in log\/00000002.ndjson.gz:8 has it$/, "9"),
    ],
    [
      "a split that the block's own share has not",
      logLine(2, 8, /"split":"1","pin":"9"/, '"split":null,"pin":"9"'),
      at(FIRST, 1, "split.id", /^null, as the share in log\/00000002.ndjson.gz:8 has it$/, "1"),
    ],
    [
      "a pin that shares of its split have not",
      logLine(3, 6, /"split":"2","pin":"14"/, '"split":"2","pin":"13"'),
      at(SECOND, 1, "pin", /^13, as the share in log\/00000003.ndjson.gz:6 has it$/, "14"),
    ],
    ["a receipt booked twice", entries(2, (list) => [...list, { ...(list[0] as Entry), id: 7n }]), at(SECOND, 4, "txid", /no standing/)],
    ["a receipt taken back twice", entries(4, (list) => [...list, { ...(list[0] as Entry), id: 12n }]), at(THIRD, 3, "", /that stands/)],
    ["a receipt taken back for money", entry(4, 0, () => ({ amounts: amounts({ bob: -5n }) })), at(THIRD, 2, "amounts")],
    ["a share left out", { log: (n, lines) => (n === 1 ? lines.toSpliced(2, 1) : lines) }, at(log(1), 5, "shares", "3", "4")],
    ["a share's weight", logLine(1, 2, /"weight":"16"/, '"weight":"64"'), at(FIRST, 1, "window.logWeight")],
    ["work that is not there", logLine(2, 2, /"weight":"32"/, '"weight":"1048576"'), at(log(2), 2, "weight", /work/, "1048576")],
    ["a share twice", logLine(2, 3, /"hash":"[0-9a-f]+"/, `"hash":"${display(shareHash(1))}"`), at(log(1), 2, "hash")],
    ["a position twice", logLine(2, 3, /"position":"6"/, '"position":"5"'), at(log(2), 3, "position", /more than 5/, "5")],
    ["a share of somebody else", logLine(2, 5, /0014(22){20}/, `0014${"11".repeat(20)}`), at(FIRST, 2, "weight")],
    ["another fee rate", logLine(2, 2, /"feePpm":10000/, '"feePpm":0'), at(FIRST, 1, "window.netWeight")],
    ["a void of another weight", logLine(2, 4, /"weight":"8"/, '"weight":"4"'), at(log(2), 4, "weight", "8", "4")],
    ["a void of no share", logLine(2, 7, /"share":"6"/, '"share":"7"'), at(log(2), 7, "share", "the position of a share", "7")],
    ["a void of the future", logLine(2, 7, /"share":"6"/, '"share":"11"'), at(log(2), 7, "share")],
    ["a void twice", logLine(2, 7, /.*"share".*/, voidOf(2, 10)), at(log(2), 7, "share", /not taken back/, "2")],
    ["a log file swapped", file(log(1), (text) => text.replace(/"worker":""/, '"worker":"x"')), at(log(2), 1, "previous")],
    ["a gap between files", logLine(1, 6, /"end":"4"/, '"end":"5"'), at(log(2), 1, "after", "5", "4")],
    ["a log file cut short", file(log(2), (text) => text.slice(0, text.lastIndexOf('{"end"'))), at(log(2), 9, "")],
    [
      "shares in the window that are paid one by one",
      logLine(2, 1, /}$/, ',"paid":"per-share"}'),
      at(FIRST, 1, "window.logWeight", "40", "86"),
    ],
    ["another segment's file", logLine(2, 1, /"segment":2/, '"segment":3'), at(log(2), 1, "segment", "2", "3")],
  ])("finds %s", async (_, tampering, expected) => {
    const results = await auditAll(poolHistory(tampering));
    expect(results.at(-1)).toMatchObject({ verdict: "DIFFERS", difference: expected });
  });

  it("leaves shares that came after the block alone, and says where none of its parent are published", async () => {
    const late = poolHistory(logLine(3, 2, /"split":null,"pin":"0"/, '"split":"1","pin":"3"'));
    expect((await auditAll(late)).map(({ verdict }) => verdict)).toEqual(Array(4).fill("PASS"));
    // The pin's segment ends before the block's parent is the tip.
    const other = logLine(2, 1, /"prevhash":"[0-9a-f]+"/, `"prevhash":"${"ab".repeat(32)}"`);
    const closed = { ...other, files: (files: Map<string, Buffer>) => void files.delete(log(3)) };
    expect(await (await open(poolHistory(closed))).audit(1)).toMatchObject({
      verdict: "PASS",
      unchecked: [expect.stringMatching(/^split and pin/)],
    });
    const next = logLine(3, 1, /"prevhash":"[0-9a-f]+"/, `"prevhash":"${display(GENESIS)}"`);
    const moved = { log: (n: number, lines: string[]) => (n === 2 ? other : next).log?.(n, lines) ?? lines };
    const wrong = {
      log: (n: number, lines: string[]) => logLine(3, 2, /"split":null/, '"split":"1"').log?.(n, moved.log(n, lines)) ?? lines,
    };
    expect(await (await open(poolHistory(moved))).audit(1)).toMatchObject({ verdict: "PASS", unchecked: [] });
    expect(await (await open(poolHistory(wrong))).audit(1)).toMatchObject({
      verdict: "DIFFERS",
      difference: at(FIRST, 1, "pin", /^0, as the share in log\/00000003/, "9"),
    });
  });

  it("notes shares that were taken back for a parent that is on the chain", async () => {
    const history = poolHistory();
    const notes = async (): Promise<readonly (readonly string[])[]> =>
      (await auditAll(history)).map((result) => (result.verdict === "PASS" ? result.notes : ["differs"]));
    const clean = await notes();
    history.chain.best.set(100, display(GENESIS));
    const [first, second, ...rest] = await notes();
    expect([first, ...rest]).toEqual([clean[0], ...clean.slice(2)]);
    expect(second).toEqual([
      expect.stringMatching(
        /^shares of weight 4 \(1 of them, the first by log\/00000002.ndjson.gz:7\) .* block 100 [0-9a-f]{64}, which is on the chain$/,
      ),
      ...(clean[1] as string[]),
    ]);
    // At another height than the shares claimed there is no such parent.
    history.chain.best.set(100, "ab".repeat(32));
    expect(await notes()).toEqual(clean);
  });

  it.each<[string, (chain: TestChain, settlements: readonly Settlement[]) => void, number, ReturnType<typeof at>]>([
    ["a block that is not on the chain", ({ best }) => best.set(101, "ab".repeat(32)), 1, at(FIRST, 1, "block.hash", /^(ab){32}$/)],
    [
      "a block taken back that is on the chain",
      ({ best }, settlements) => best.set(102, display((settlements[1] as Settlement).block.hash)),
      3,
      at(REVERSAL, 1, "block.hash", /left the chain/),
    ],
    [
      "another block under that hash",
      ({ blocks }, [first, second]) => {
        const raw = blocks.get(display((second as Settlement).block.hash)) as Buffer;
        blocks.set(display((first as Settlement).block.hash), raw);
      },
      1,
      at(FIRST, 1, "block.hash"),
    ],
  ])("finds %s", async (_, change, number, expected) => {
    const history = poolHistory();
    change(history.chain, history.settlements);
    expect(await (await open(history)).audit(number)).toMatchObject({ verdict: "DIFFERS", difference: expected });
  });
});

describe("the scan", () => {
  const scan = async (change: (chain: TestChain, settlements: readonly Settlement[]) => void, tampering: Tampering = {}) => {
    const history = poolHistory(tampering);
    change(history.chain, history.settlements);
    return (await open(history)).scan();
  };
  /** The block that was taken back stands in the place of another. */
  const at =
    (height: number) =>
    (chain: TestChain, [, second]: readonly Settlement[]) =>
      void chain.best.set(height, display((second as Settlement).block.hash));
  const value = 5_000_000n;

  it("finds nothing where every block is told of", async () => {
    expect(await scan(() => undefined)).toEqual({ from: 101, to: 102, untold: [], unread: 0 });
  });

  it("finds blocks that pay the pool and have neither settlement nor receipt", async () => {
    expect((await scan(at(101))).untold).toMatchObject([{ height: 101, value, missing: true }]);
    // The document of a block that joined last may be on its way.
    expect((await scan(at(103))).untold).toMatchObject([{ height: 103, value, missing: false }]);
  });

  it("goes by the receipts that stand, and by the scripts that were the pool's", async () => {
    const receipt = (id: bigint, kind: "receipt" | "reversal") =>
      entries(4, (list) => [...list, { id, kind, block: poolHistory().settlements[1]?.block.hash, txid: undefined, amounts: [] }]);
    expect((await scan(at(101), receipt(12n, "receipt"))).untold).toEqual([]);
    expect((await scan(at(101), receipt(12n, "reversal"))).untold).toHaveLength(1);
    const none = header(1, () => ({ poolScripts: [] }));
    expect((await scan(at(101), none)).untold).toEqual([]);
    expect((await scan(at(103), none)).untold).toHaveLength(1);
  });

  it("counts the blocks that the node does not have, and refuses others' bytes", async () => {
    const untold = (raw?: Buffer) => (chain: TestChain) => {
      chain.best.set(103, "ab".repeat(32));
      if (raw !== undefined) chain.blocks.set("ab".repeat(32), raw);
    };
    expect(await scan(untold())).toMatchObject({ to: 103, unread: 1, untold: [] });
    const [raw] = poolHistory().chain.blocks.values();
    await expect(scan(untold(raw))).rejects.toMatchObject({ code: "proof.blockMissing" });
  });

  it("ends when it is told to, and has nothing to do without documents", async () => {
    const auditor = await open(poolHistory());
    await expect(auditor.scan(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
    const empty = poolHistory({ files: (files) => files.set("index.json", Buffer.from(encodeIndex({ settlements: [] }))) });
    expect(await (await open(empty)).scan()).toEqual({ from: 0, to: -1, untold: [], unread: 0 });
  });
});

function hex(name: keyof typeof SCRIPTS): RegExp {
  return new RegExp(`^${SCRIPTS[name].toString("hex")}$`);
}

/** The void at position 7, as if written at another one. */
function voidOf(share: number, position: number): string {
  const { bob } = SCRIPTS;
  return JSON.stringify({
    position: String(position),
    share: String(share),
    hash: display(shareHash(share)),
    script: bob.toString("hex"),
    weight: "8",
    feePpm: 10_000,
    segment: 1,
  });
}

/** A document that is whole in itself, with other values. */
function rewrite(text: string, change: (settlement: Settlement) => Partial<Settlement>): string {
  const settlement = decodeSettlement(text);
  return encodeSettlement({ ...settlement, ...change(settlement) }).text;
}
