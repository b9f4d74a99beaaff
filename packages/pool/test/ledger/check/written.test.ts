/** Books as the pool writes them, through blocks of all kinds and reorgs: the check has nothing to say of them. */
import { NETWORKS, targetFromBits } from "@openprime/bitcoin";
import { tides } from "@openprime/rewards";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ChainBlock,
  checkMoney,
  type Database,
  MoneyBook,
  openDatabase,
  ShareLog,
  type SplitOutput,
} from "../../../src/ledger/index.js";
import { packOutputs } from "../../../src/ledger/split-outputs.js";
import { append, externalServer, hash, MemoryLogger, OPERATOR, script, share, temporaryDatabase } from "../support.js";
import { coinbaseTxid, FakeChain } from "./support.js";

const server = await externalServer();
const BITS = 0x207fffff;
const START = 500;
const PRIME_ID = 7;

describe.skipIf(server === undefined)("books that the pool wrote", () => {
  let home: { url: string; remove: () => Promise<void> };
  let database: Database;
  let log: ShareLog;
  let book: MoneyBook;
  const logger = new MemoryLogger();
  /** The best chain above its start. */
  const blocks: ChainBlock[] = [];
  let made = 0;
  let splits = 0;

  beforeAll(async () => {
    home = await temporaryDatabase(server as string);
    database = await openDatabase({ url: home.url }, { log: logger });
    log = await ShareLog.open(database, { operatorScript: OPERATOR });
    for (let i = 0; i < 12; i++) {
      const account = 1 + (i % 3);
      expect(await append(log, share(i, { account: script(account), weight: BigInt(1 + i), feePpm: 10_000 }))).toBe("committed");
    }
    await database.pool.query("INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, $2, '')", [Buffer.alloc(32, 1), PRIME_ID]);
    book = await MoneyBook.open(
      { network: "regtest", threshold: 1000n, feePpm: 10_000 },
      {
        database,
        log,
        scheme: tides(50n),
        targets: (bits) => ({ difficultyOne: NETWORKS.regtest.difficultyOne, target: targetFromBits(bits) }),
        logHash: async () => undefined,
        now: () => 1_790_000_000_000,
        logger,
      },
    );
    await book.begin({ height: START, hash: hash("start") });
  });
  afterAll(async () => {
    await book.close();
    await log.close();
    await database.close();
    await home.remove();
  });

  const to = (account: number, value: bigint): SplitOutput => ({ script: script(account), value });
  const toPool = (value: bigint): SplitOutput => ({ script: OPERATOR, value });

  const mine = async (
    outputs: readonly SplitOutput[],
    primeId?: number,
    transactions: (id: Uint8Array) => ChainBlock["transactions"] = () => [],
  ): Promise<string> => {
    const id = hash(`written ${++made}`);
    const parent = blocks.at(-1);
    const block: ChainBlock = {
      height: START + blocks.length + 1,
      hash: id,
      prevhash: parent?.hash ?? hash("start"),
      time: 1_790_000_000,
      bits: BITS,
      coinbase: { txid: coinbaseTxid(id), raw: Uint8Array.of(1), outputs, primeId },
      transactions: transactions(id),
    };
    const { outcome } = await book.connect(block);
    blocks.push(block);
    return outcome;
  };

  /** A block of the pool with a split of this value, of which the coinbase shows `paid`. */
  const minePool = async (value: bigint, paid: readonly SplitOutput[]): Promise<string> => {
    const prevhash = Buffer.from(blocks.at(-1)?.hash ?? hash("start"));
    await database.pool.query(
      "INSERT INTO splits (id, session, coinbaser_id, position, prevhash, value, outputs, offered_at, fee_ppm) VALUES ($1, 1, 3, $2, $3, $4, $5, now(), 10000)",
      [++splits, 12 - (splits % 3), prevhash, value, packOutputs([to(1, 300n), to(2, 1000n), to(3, 500n)])],
    );
    return mine(
      [...paid, toPool(value - paid.reduce((sum, output) => sum + output.value, 0n)), { script: Uint8Array.of(0x6a), value: 0n }],
      PRIME_ID,
    );
  };

  const minePayout = async (payee: number, amount: bigint): Promise<string> => {
    const [coin] = (
      await database.pool.query<{ txid: Buffer; vout: number; value: string }>(
        "SELECT txid, vout, value FROM coins WHERE spent_by IS NULL ORDER BY value DESC, txid LIMIT 1",
      )
    ).rows;
    if (coin === undefined) throw new Error("the pool has no coin");
    const spends = [{ txid: Uint8Array.from(coin.txid), vout: coin.vout }];
    return mine([{ script: script(50), value: 5n }], undefined, (id) => [
      {
        txid: hash(`payout ${Buffer.from(id).toString("hex")}`),
        spends,
        outputs: [to(payee, amount), toPool(BigInt(coin.value) - amount - 3n)],
      },
      { txid: hash(`gift ${Buffer.from(id).toString("hex")}`), spends: [], outputs: [to(60, 9n), toPool(11n)] },
    ]);
  };

  const unwind = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await book.disconnect();
      blocks.pop();
    }
  };

  /** The chain as it stands, for the check. */
  const chain = (): FakeChain => {
    const fake = new FakeChain();
    fake.hashes.clear();
    fake.mine(START, hash("start"), []);
    for (const { height, hash: id, coinbase, transactions } of blocks) {
      fake.mine(height, id, coinbase.outputs);
      for (const { txid, outputs } of [coinbase, ...transactions]) {
        for (const [vout, output] of outputs.entries()) fake.add({ ...output, txid, vout, height });
      }
      for (const { spends } of transactions) for (const outpoint of spends) fake.spend(outpoint);
    }
    return fake;
  };
  const check = () => checkMoney(database, chain(), { scan: true, pause: () => Promise.resolve() });

  test("are clean after every kind of block, every kind taken back, and every kind again", async () => {
    const story: (readonly [string, () => Promise<unknown>])[] = [
      ["none", () => mine([{ script: script(70), value: 5000n }])],
      ["paid", () => minePool(5000n, [to(1, 300n), to(2, 1000n), to(3, 500n)])],
      ["receipt", () => mine([toPool(40n), to(2, 60n)])],
      ["paid", () => minePool(5000n, [to(2, 1000n)])],
      ["none", () => minePayout(3, 700n)],
      ["paid", () => minePool(7001n, [])],
    ];
    for (const [outcome, step] of story) {
      expect(await step()).toBe(outcome);
      expect(await check()).toMatchObject({ differences: [], notes: [] });
    }
    for (const depth of [1, 3, 6]) {
      await unwind(depth);
      expect(await check()).toMatchObject({ differences: [], notes: [] });
      for (const [outcome, step] of story.slice(-depth)) expect(await step()).toBe(outcome);
      expect(await check()).toMatchObject({ differences: [], notes: [] });
    }
    const { figures } = await check();
    expect(figures.height).toBe(START + 6);
    expect(figures.holdings).toBe(
      [...book.latest().balances.values()].reduce((sum, { balance }) => sum + balance, 0n) + figures.unattributed,
    );
    expect(figures.unattributed).toBe(51n);
  });

  test("who pays out more than is owed and than the pool has is named, and nothing else", async () => {
    await minePayout(2, 6000n);
    const { differences } = await check();
    expect(differences.map(({ kind }) => kind)).toEqual(["insolvent"]);
    const { rows } = await database.pool.query<{ id: number }>("SELECT id FROM accounts WHERE script = $1", [Buffer.from(script(2))]);
    expect(book.latest().balances.get(rows[0]?.id as number)?.balance).toBe(0n);
  });
});
