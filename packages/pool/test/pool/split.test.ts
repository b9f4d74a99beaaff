/**
 * Whom the coinbase shall pay: every split that is offered is worked out again, plainly, from the single shares in the database at the
 * position it is pinned to. And what strangers and cheats get.
 */
import { dustLimit, NETWORKS, NodeClient, targetFromBits } from "@openprime/bitcoin";
import { encodePublicKey } from "@openprime/datum";
import {
  Hasher,
  type Misbehaviour,
  mine,
  mineOne,
  minerAddress,
  minerScript,
  RegtestNode,
  readTemplate,
  SimulatedGateway,
  type Template,
  WireGateway,
} from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bookCounts, checkBooks } from "../../src/ledger/index.js";
import { divide, outputsFrom, type StoredShare, weigh } from "./support/plain-split.js";
import { PoolHome, type RunningPool } from "./support/running-pool.js";
import { until } from "./support/until.js";

/** 512 hashes a block, 256 times difficulty one: so the window of eight blocks is 2048 units of weight, and a test can fill it. */
const BITS = 0x1f7fffff;
const WINDOW = 2048n;
/** Satoshis. At 50 bitcoins a block and a full window one unit of weight is worth two and a half million of them. */
const DUST_FLOOR = 50_000_000;
const miner = (index: number) => minerAddress("split", index);

let node: RegtestNode;
let client: NodeClient;
let home: PoolHome;
/** The pool's clock, milliseconds: stands still until the test moves it. */
let clock = 0;
const now = () => clock;
/** How old a split may be that is given out again. */
const SNAPSHOT_MS = 1000;
const gateways: WireGateway[] = [];

beforeAll(async () => {
  node = await RegtestNode.start({ bits: BITS });
  client = new NodeClient(node.rpc);
});
afterAll(async () => {
  await client.close();
  await node.stop();
});
beforeEach(async () => {
  clock = Date.now();
  home = await PoolHome.make("external");
});
afterEach(async () => {
  for (const gateway of gateways.splice(0)) if (gateway.connected) await gateway.close();
  await home.remove();
});

async function gatewayOf(pool: RunningPool): Promise<WireGateway> {
  const gateway = await WireGateway.connect(pool);
  gateways.push(gateway);
  return gateway;
}

const template = async (): Promise<Template> => readTemplate(await client.blockTemplate());

/** A new tip, and the segment of the log that it opens. */
async function newTip(pool: RunningPool): Promise<void> {
  const { segments } = await bookCounts(pool.pool.database);
  await node.mine(1, { transactions: false });
  await until("a new segment", async () => (await bookCounts(pool.pool.database)).segments > segments);
}

interface Offered {
  readonly value: bigint;
  readonly outputs: readonly { readonly value: bigint; readonly script: string }[];
}

/** The split that a gateway is offered for a value, and the row of the books that belongs to it. */
async function offered(
  pool: RunningPool,
  gateway: WireGateway,
  value: bigint,
  prevhash: Uint8Array,
): Promise<Offered & { position: bigint }> {
  const { coinbaserId, outputs } = await gateway.split(value, prevhash);
  const row = await until("the split's row", async () => {
    const [last] = await pool.rows<{ coinbaser_id: number; position: string; value: string }>(
      "SELECT coinbaser_id, position, value FROM splits ORDER BY id DESC LIMIT 1",
    );
    return last !== undefined && BigInt(last.value) === value && last.coinbaser_id === coinbaserId && last;
  });
  return {
    value,
    position: BigInt(row.position),
    outputs: outputs.map((output) => ({ value: output.value, script: Buffer.from(output.script).toString("hex") })),
  };
}

/** The same from the single shares, as they stand in the database. */
async function expected(pool: RunningPool, value: bigint, position: bigint): Promise<Offered["outputs"]> {
  const rows = await pool.rows<{ segment: number; account: number; weight: string; fee_ppm: number; script: Buffer; kind: string }>(
    `SELECT s.segment, s.account, s.weight, s.fee_ppm, a.script, a.kind FROM shares s JOIN accounts a ON a.id = s.account
     WHERE s.position <= $1 AND NOT EXISTS (SELECT FROM voids v WHERE v.share_position = s.position AND v.position <= $1)
     ORDER BY s.position`,
    [position],
  );
  const shares: StoredShare[] = rows.map((row) => ({
    segment: row.segment,
    account: row.account,
    weight: BigInt(row.weight),
    feePpm: row.fee_ppm,
  }));
  const size = ((pool.config.scheme as { multiplier: bigint }).multiplier * NETWORKS.regtest.difficultyOne) / targetFromBits(BITS);
  const { accounts, total } = weigh(shares, size);
  const whole = total * 1_000_000n;
  const net = accounts.reduce((sum, { netWeight }) => sum + netWeight, 0n);
  const fee = (value * (whole - net)) / whole;
  const amounts = divide(
    value - fee,
    accounts.map(({ netWeight }) => netWeight),
    net,
  );
  const scripts = new Map(rows.map(({ account, script, kind }) => [account, { script, operator: kind === "operator" }]));
  const floor = (script: Uint8Array) => {
    const own = dustLimit(script);
    return own > pool.config.split.dustFloor ? own : pool.config.split.dustFloor;
  };
  return outputsFrom(
    accounts.map(({ account }, index) => ({ account, amount: amounts[index]!, ...scripts.get(account)! })),
    floor,
  );
}

/** Asks for a split of the present moment, and compares. */
async function expectExact(pool: RunningPool, gateway: WireGateway, value: bigint): Promise<Offered & { position: bigint }> {
  clock += SNAPSHOT_MS + 1;
  const { prevhash } = await template();
  const split = await offered(pool, gateway, value, prevhash);
  expect(split.position).toBe(pool.pool.status().position);
  expect(split.outputs).toEqual(await expected(pool, value, split.position));
  return split;
}

test("every split is exactly what the shares in the database say", async () => {
  let pool = await home.start(node.rpc, { pool: { feePercent: 1 }, split: { dustFloor: DUST_FLOOR } }, { now });
  let one = await gatewayOf(pool);
  let two = await gatewayOf(pool);
  /** Miner, log2 of the difficulty, shares. */
  const work = async (gateway: WireGateway, ...list: (readonly [number, number, number])[]) => {
    const job = gateway.job(await template());
    const shares = list.flatMap(([index, targetByte, count]) =>
      mine(job, { username: `${miner(index)}.${targetByte}`, targetByte, count }),
    );
    expect(new Set(await gateway.submitAll(shares))).toEqual(new Set(["accepted"]));
  };

  // A log shorter than the window is the window. Miners 0 and 1 have the same weight: the order between them is the account's.
  await work(one, [0, 5, 4], [2, 6, 3]);
  await work(two, [1, 5, 4], [3, 1, 2]);
  const { value } = await template();
  const first = await expectExact(pool, one, value);
  expect(first.outputs.map(({ script }) => script)).toEqual(
    [2, 0, 1].map((index) => Buffer.from(minerScript("split", index)).toString("hex")),
  );
  // 192, 128, 128 and 4 of 452 parts; miner 3 is under the floor and stays with the pool, as the fee does.
  expect(first.outputs[0]?.value).toBe(((value - value / 100n) * 192n) / 452n);
  const paid = first.outputs.reduce((sum, output) => sum + output.value, 0n);
  expect(paid).toBeLessThanOrEqual(value - value / 100n);
  // The same for everybody, and odd values come out whole to the satoshi.
  expect((await expectExact(pool, two, value)).outputs).toEqual(first.outputs);
  for (const odd of [value - 1n, 1_234_567_891n, 999_999_937n, 400_000_009n]) await expectExact(pool, two, odd);
  // A value of which nobody's part reaches the floor is the pool's, and nothing is stored for it.
  expect(await two.split(100_000_007n, (await template()).prevhash)).toMatchObject({ outputs: [] });

  // Several segments, and shares under another fee: each keeps the one it was accepted under.
  await newTip(pool);
  await work(one, [0, 4, 5], [4, 7, 2]);
  await newTip(pool);
  await work(two, [5, 3, 6], [1, 6, 1]);
  await expectExact(pool, one, value);
  await pool.close();
  pool = await home.start(node.rpc, { pool: { feePercent: "2.5" }, split: { dustFloor: DUST_FLOOR } }, { now });
  one = await gatewayOf(pool);
  two = await gatewayOf(pool);
  const pinned = await expectExact(pool, two, value);
  await work(two, [6, 7, 3], [2, 5, 3]);
  // For a moment the same answer is given again, and pinned where it was made.
  const again = await offered(pool, one, value, (await template()).prevhash);
  expect(again).toEqual(pinned);
  await expectExact(pool, one, value);

  // Past the window: the left edge cuts a segment, then leaves whole ones behind.
  for (const [tip, list] of [
    [7, 6, 9],
    [8, 5, 11],
    [9, 7, 5],
  ].entries()) {
    await newTip(pool);
    await work(tip % 2 === 0 ? one : two, list as [number, number, number], [tip, 4, 7]);
    await expectExact(pool, one, value);
  }
  const { weight } = await bookCounts(pool.pool.database);
  expect(weight).toBeGreaterThan(WINDOW + 452n);
  // The pool's own address as a username is the operator's account: it earns, and is no output.
  await work(one, [0, 2, 1]);
  const job = one.job(await template());
  expect(await one.submit(mineOne(job, { username: `${pool.config.pool.payoutAddress}.own`, targetByte: 7 }))).toBe("accepted");
  const last = await expectExact(pool, two, value);
  expect(last.outputs.map(({ script }) => script)).not.toContain(Buffer.from(pool.config.pool.payoutScript).toString("hex"));
  for (const odd of [value - 1n, 1_234_567_891n, 777_777_777n]) await expectExact(pool, one, odd);
  expect(await checkBooks(pool.pool.database)).toEqual([]);
});

describe("strangers and cheats", () => {
  let pool: RunningPool;
  let honest: WireGateway;

  beforeEach(async () => {
    // With this fee every coinbase has an output of the pool's, and one payee more would find room.
    pool = await home.start(node.rpc, { pool: { feePercent: 25 }, limits: { coinbaserPerMinute: 6 } });
    honest = await gatewayOf(pool);
    const job = honest.job(await template());
    const shares = [0, 1, 2].flatMap((index) => mine(job, { username: miner(index), targetByte: 3 + index, count: 2 }));
    expect(new Set(await honest.submitAll(shares))).toEqual(new Set(["accepted"]));
  });

  test("a value that no coinbase can have gets an empty list", async () => {
    const stranger = await gatewayOf(pool);
    const { value, subsidy, prevhash } = await template();
    expect(value).toBe(subsidy);
    // Nothing in recent blocks has paid more than the floor of a tenth of a bitcoin, twice which may come on top of the subsidy.
    const most = subsidy + 20_000_000n;
    expect((await stranger.split(most, prevhash)).outputs).toHaveLength(3);
    for (const beyond of [most + 1n, 2n * most, 2_100_000_000_000_000n, 2n ** 64n - 1n, 0n]) {
      expect(await stranger.split(beyond, prevhash)).toMatchObject({ value: beyond, outputs: [] });
    }
    await until("the one split in the books", async () => (await bookCounts(pool.pool.database)).splits > 0n);
    expect((await bookCounts(pool.pool.database)).splits).toBe(1n);
  });

  test("requests over the budget get empty lists, and cost nobody else theirs", async () => {
    const stranger = await gatewayOf(pool);
    const { value, prevhash } = await template();
    const sizes: number[] = [];
    for (let request = 0; request < 12; request++) sizes.push((await stranger.split(value, prevhash)).outputs.length);
    expect(sizes.slice(0, 6)).toEqual([3, 3, 3, 3, 3, 3]);
    // One token comes back every ten seconds.
    expect(sizes.slice(6).filter((size) => size === 0).length).toBeGreaterThanOrEqual(4);
    // A new connection of the same gateway has the same budget, while the session is remembered.
    const again = await WireGateway.connect(pool, { keys: stranger.keys });
    gateways.push(again);
    const more = [await again.split(value, prevhash), await again.split(value, prevhash), await again.split(value, prevhash)];
    expect(more.filter(({ outputs }) => outputs.length === 0).length).toBeGreaterThanOrEqual(1);
    expect((await honest.split(value, prevhash)).outputs).toHaveLength(3);
    // Jobs with an empty list are good work: they pay the pool, and are pinned to the head.
    const job = again.job(await template());
    job.setSplit(0, []);
    expect(await again.submit(mineOne(job, { username: miner(0), kind: 4 }))).toBe("accepted");
  });

  test("a coinbase that pays another sum, another payee or in another order is refused, a shortened one is not", async () => {
    const { coinbaserId, outputs, value } = await honest.split((await template()).value, (await template()).prevhash);
    const judged = async (list: readonly { value: bigint; script: Uint8Array }[], id = coinbaserId) => {
      const job = honest.job(await template());
      expect(job.template.value).toBe(value);
      job.setSplit(id, list);
      return honest.submit(mineOne(job, { username: miner(0), kind: 4 }));
    };
    const [a, b, c] = outputs as [(typeof outputs)[0], (typeof outputs)[0], (typeof outputs)[0]];
    expect(await judged(outputs)).toBe("accepted");
    // For a few satoshis less than was offered, for the pool's benefit or anyone's.
    expect(await judged([{ ...a, value: a.value - 1n }, b, c])).toBe(27);
    expect(await judged([{ ...a, value: a.value + 1n }, b, c])).toBe(27);
    expect(await judged([a, { ...b, script: minerScript("split", 99) }, c])).toBe(27);
    expect(await judged([b, a, c])).toBe(27);
    expect(await judged([a, b, c, c])).toBe(27);
    // The first payee takes fewer bytes than the second: no block has room for the second alone.
    expect([a, b, c].map(({ script }) => script.length)).toEqual([25, 34, 22]);
    expect(await judged([b, c])).toBe(27);
    expect(await judged([b])).toBe(27);
    // A fuller block has room for the front of the list, or not for the second one, the longest; a full one for nobody.
    expect(await judged([a, b])).toBe("accepted");
    expect(await judged([a, c])).toBe("accepted");
    expect(await judged([])).toBe("accepted");
    // An id that was never given, and none, where the split is recognised by what is paid.
    expect(await judged(outputs, coinbaserId === 255 ? 1 : coinbaserId + 1)).toBe(15);
    expect(await judged(outputs, 0)).toBe("accepted");
    expect(await judged([{ ...a, value: a.value - 1n }, b, c], 0)).toBe(27);
  });

  test("a whole gateway that is wrong in one thing has every share refused for it, beside others", async () => {
    const before = await bookCounts(pool.pool.database);
    const reasons: Partial<Record<Misbehaviour, number>> = { badPayee: 27, wrongTag: 28, wrongPrimeId: 26, garbageUsername: 14 };
    const hasher = new Hasher(() => undefined);
    const cheats = await Promise.all(
      Object.keys(reasons).map((misbehaviour, index) =>
        SimulatedGateway.start(
          {
            name: misbehaviour,
            pool: { ...pool.pool.address, publicKey: encodePublicKey(home.keys) },
            node: node.rpc,
            timeScale: 40,
            submitBlocks: false,
            miners: [{ username: miner(10 + index), hashrate: 20, kind: 3 }],
            misbehaviours: [misbehaviour as Misbehaviour],
          },
          { hasher },
        ),
      ),
    );
    try {
      for (const cheat of cheats) {
        const { shares } = await cheat.until((figures) => figures.shares.rejected >= 5);
        expect(shares, cheat.name).toMatchObject({ accepted: 0, tentative: 0 });
        expect(Object.keys(shares.reasons), cheat.name).toEqual([String(reasons[cheat.name as Misbehaviour])]);
      }
    } finally {
      for (const cheat of cheats) await cheat.stop();
      await hasher.close();
    }
    expect(await bookCounts(pool.pool.database)).toMatchObject({ shares: before.shares, accounts: before.accounts });
  });
});
