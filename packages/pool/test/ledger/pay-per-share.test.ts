/** Pay-per-share on a real database: what is posted for segments, through voids, failures and restarts, and the reserve. */
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type BalanceView,
  type BlockWorth,
  type CreditBooks,
  type Database,
  type LoggedShare,
  type NewEntry,
  openDatabase,
  ShareCredits,
  ShareLog,
} from "../../src/ledger/index.js";
import { FakeBalances } from "./fake-balances.js";
import { append, hash, MemoryLogger, OPERATOR, script, share, temporaryDirectory } from "./support.js";

/** A share of weight w without fee is worth w satoshis per satoshi of block and 2^20 of target. */
const targets = (bits: number) => ({ difficultyOne: 2n ** 40n, target: BigInt(bits) });
const WORTH: BlockWorth = { bits: 2 ** 20, subsidy: 2n ** 20n, averageFees: 0n };
const RESERVE = 1_000_000_000n;

/** Writes credits as the money books do, and shows the balances. */
class Poster implements CreditBooks {
  readonly balances = new FakeBalances(hash("tip"));
  /** Calls that fail: before anything is written, or after. */
  failures: ("before" | "after")[] = [];
  calls = 0;

  constructor(readonly database: Database) {}

  latest(): BalanceView {
    return this.balances;
  }

  async post({ key, kind, segment, postings }: NewEntry): Promise<boolean> {
    this.calls++;
    const lines = postings.filter((posting) => posting.book === "balance").filter(({ amount }) => amount !== 0n);
    const failure = this.failures.shift();
    if (failure === "before") throw new Error("the database is away");
    const client = await this.database.pool.connect();
    try {
      await client.query("BEGIN");
      const { rows } = await client.query<{ id: string }>(
        `INSERT INTO entries (id, key, kind, segment, at) SELECT coalesce(max(id), 0) + 1, $1, $3, $2, now() FROM entries
         ON CONFLICT (key) DO NOTHING RETURNING id`,
        [key, segment, kind],
      );
      const id = rows[0]?.id;
      if (id !== undefined) {
        await client.query(
          `INSERT INTO postings (entry, line, book, account, reason, amount)
           SELECT $1, n, 'balance', account, reason, amount
           FROM unnest($2::int[], $3::text[], $4::bigint[]) WITH ORDINALITY AS p (account, reason, amount, n)`,
          [id, lines.map(({ account }) => account), lines.map(({ reason }) => reason), lines.map(({ amount }) => String(amount))],
        );
        for (const { account, amount } of lines) this.add(account, amount);
      }
      await client.query("COMMIT");
    } finally {
      client.release();
    }
    if (failure === "after") throw new Error("the answer to COMMIT was lost");
    return true;
  }

  add(account: number, amount: bigint): void {
    this.balances.set(account, { balance: (this.balances.balances.get(account)?.balance ?? 0n) + amount });
  }
}

describe("pay-per-share", () => {
  const home = temporaryDirectory();
  const logger = new MemoryLogger();
  let database: Database;
  let log: ShareLog;
  let poster: Poster;
  let credits: ShareCredits;
  let stops: boolean[] = [];
  let shares = 0;

  beforeAll(async () => {
    database = await openDatabase({ embedded: { dataDir: home.path } }, { log: logger });
    poster = new Poster(database);
  });
  afterAll(async () => {
    await database.close();
    home.remove();
  });
  beforeEach(async () => {
    logger.lines.length = 0;
    stops = [];
    log = await ShareLog.open(database, { operatorScript: OPERATOR });
    await log.openSegment(hash("tip"), WORTH);
    credits = await open();
  });
  afterEach(async () => {
    await credits.close();
    await log.close();
    poster.failures = [];
  });

  const open = (reserve = RESERVE) => openWith(reserve);
  /** As under a scheme that does not pay per share. */
  const openFinishing = () => openWith(undefined);
  const openWith = (reserve: bigint | undefined) =>
    ShareCredits.open(
      { reserve, operatorScript: OPERATOR },
      {
        database,
        log,
        money: poster,
        targets,
        logger,
        onStopped: (stopped) => stops.push(stopped),
      },
    );
  const add = (changes: Partial<LoggedShare> = {}) => append(log, share(`pps ${shares++}`, { feePpm: 0, ...changes }));
  const next = async (worth: BlockWorth | undefined = WORTH) => {
    await log.openSegment(hash("tip"), worth);
    await credits.settled();
  };
  const nextUnpaid = async () => {
    await log.openSegment(hash("tip"));
    await credits.settled();
  };
  const operator = () => log.directory.accountOf(OPERATOR)?.id as number;
  const accountOf = (name: string | number) => log.directory.accountOf(script(name))?.id as number;
  const entries = async (segment: number) => {
    const { rows } = await database.pool.query<{ key: string; account: number; reason: string; amount: string }>(
      "SELECT e.key, p.account, p.reason, p.amount FROM entries e JOIN postings p ON p.entry = e.id WHERE e.segment = $1 ORDER BY e.id, p.line",
      [segment],
    );
    return rows.map(({ key, account, reason, amount }) => [key, account, reason, BigInt(amount)]);
  };

  test("a closed segment is paid for: each account's sum less its fee, from the operator's funds", async () => {
    const { segment } = log;
    await add({ account: script("a"), weight: 1000n, worker: "one" });
    await add({ account: script("a"), weight: 2000n, worker: "two", feePpm: 500_000 });
    await add({ account: script("b"), weight: 7n, feePpm: 100_000 });
    await credits.settled();
    expect(await entries(segment)).toEqual([]);
    expect(credits.figures().unposted).toBe(2006n);
    await next();
    expect(await entries(segment)).toEqual([
      [`credit:${segment}:1`, accountOf("a"), "credited", 2000n],
      [`credit:${segment}:1`, accountOf("b"), "credited", 6n],
      [`credit:${segment}:1`, operator(), "funded", -2006n],
    ]);
    expect(credits.figures().unposted).toBe(0n);
    // An empty one, and one that is worth more.
    await next({ ...WORTH, averageFees: 2n ** 19n });
    expect(await entries(segment + 1)).toEqual([]);
    await add({ account: script("b"), weight: 101n });
    await next();
    expect(await entries(segment + 2)).toEqual([
      [`credit:${segment + 2}:1`, accountOf("b"), "credited", 151n],
      [`credit:${segment + 2}:1`, operator(), "funded", -151n],
    ]);
  });

  test("shares that are taken back: before the segment closes they are not paid, afterwards a correction takes it back", async () => {
    const { segment } = log;
    const tentative = { prevhash: hash("unknown"), tentative: true };
    await add({ account: script("early"), weight: 50n, ...tentative });
    await add({ account: script("late"), weight: 5n });
    expect(await log.voidTentative(hash("unknown"))).toBe(1);
    expect(credits.figures().unposted).toBe(5n);
    await add({ account: script("late"), weight: 70n, ...tentative });
    await next();
    expect(await log.voidTentative(hash("unknown"))).toBe(1);
    await credits.settled();
    expect(await entries(segment)).toEqual([
      [`credit:${segment}:1`, accountOf("late"), "credited", 75n],
      [`credit:${segment}:1`, operator(), "funded", -75n],
      [`credit:${segment}:2`, accountOf("late"), "credited", -70n],
      [`credit:${segment}:2`, operator(), "funded", 70n],
    ]);
    expect(logger.lines.at(-1)).toMatchObject({ level: "warn", fields: { segment, credited: "-70", accounts: 1 } });
  });

  test("an answer that was lost posts nothing twice, and a database that is away is asked again", async () => {
    const { segment } = log;
    await add({ account: script("a"), weight: 30n });
    poster.calls = 0;
    poster.failures = ["before", "after"];
    await next();
    expect(poster.calls).toBe(2);
    expect((await entries(segment)).length).toBe(2);
    expect(logger.lines.filter(({ level }) => level === "error").length).toBe(2);
    expect(credits.figures().unposted).toBe(0n);
  });

  test("a restart catches up with segments that closed meanwhile and with shares that were taken back", async () => {
    const { segment } = log;
    await add({ account: script("a"), weight: 30n, prevhash: hash("away"), tentative: true });
    await next();
    await credits.close();
    await add({ account: script("a"), weight: 40n });
    await log.openSegment(hash("tip"), WORTH);
    await log.openSegment(hash("tip"), WORTH);
    await add({ account: script("b"), weight: 8n });
    await log.voidTentative(hash("away"));
    credits = await open();
    expect(credits.figures().unposted).toBe(48n);
    await credits.settled();
    expect(credits.figures().unposted).toBe(8n);
    expect((await entries(segment)).map(([key, , , amount]) => [key, amount])).toEqual([
      [`credit:${segment}:1`, 30n],
      [`credit:${segment}:1`, -30n],
      [`credit:${segment}:2`, -30n],
      [`credit:${segment}:2`, 30n],
    ]);
    expect((await entries(segment + 1)).map(([key, , , amount]) => [key, amount])).toEqual([
      [`credit:${segment + 1}:1`, 40n],
      [`credit:${segment + 1}:1`, -40n],
    ]);
    expect(await entries(segment + 3)).toEqual([]);
    await next();
    expect((await entries(segment + 3)).length).toBe(2);
  });

  test("a segment of which nobody can say what it is worth is not paid for, and no share is accepted in it", async () => {
    expect(credits.accepting).toBe(true);
    await log.openSegment(hash("tip"));
    const { segment } = log;
    expect(credits.accepting).toBe(false);
    expect(credits.figures()).toMatchObject({ stopped: false, unposted: 0n });
    await add({ weight: 1000n });
    await next();
    expect(credits.accepting).toBe(true);
    expect(await entries(segment)).toEqual([]);
    await credits.close();
    credits = await open();
    await credits.settled();
    expect(await entries(segment)).toEqual([]);
  });

  test("the pool stops before its reserve is used up, says so, and goes on when a block brought funds", async () => {
    poster.add(operator(), -(poster.balances.balances.get(operator())?.balance ?? 0n));
    await credits.close();
    credits = await open(100_000n);
    // The margin is a twentieth of the reserve, or a block where that is less.
    await add({ weight: 94_999n });
    expect(credits.accepting).toBe(true);
    await add({ weight: 1n });
    expect(credits.accepting).toBe(false);
    expect(credits.figures()).toEqual({ reserve: 100_000n, funds: -95_000n, unposted: 95_000n, stopped: true });
    expect(stops).toEqual([true]);
    expect(logger.lines.at(-1)).toMatchObject({ level: "error", message: expect.stringContaining("nearly used up") });
    // Posting moves it from one side to the other.
    await next();
    expect(credits.figures()).toMatchObject({ funds: -95_000n, unposted: 0n, stopped: true });
    poster.add(operator(), 4999n);
    expect(credits.accepting).toBe(false);
    poster.add(operator(), 2n);
    expect(credits.accepting).toBe(true);
    expect(stops).toEqual([true, false]);
    expect(logger.lines.at(-1)).toMatchObject({ level: "error", message: expect.stringContaining("funds again") });
    await next({ ...WORTH, subsidy: 1000n });
    // A block is worth 1000 now; so is the margin. A reorg takes the funds back.
    poster.add(operator(), -9000n);
    expect(credits.accepting).toBe(true);
    poster.add(operator(), -1n);
    expect(credits.accepting).toBe(false);
    // It is still so after a restart.
    await credits.close();
    stops = [];
    credits = await open(100_000n);
    expect(stops).toEqual([true]);
  });

  test("under another scheme, which needs no reserve, what was left is still paid for and corrected, and nothing else", async () => {
    const { segment } = log;
    await add({ account: script("a"), weight: 100n, prevhash: hash("left"), tentative: true });
    await add({ account: script("b"), weight: 11n });
    await credits.close();
    poster.add(operator(), -2n * RESERVE);
    credits = await openFinishing();
    await nextUnpaid();
    expect((await entries(segment)).map(([, , , amount]) => amount)).toEqual([100n, 11n, -111n]);
    expect(credits.accepting).toBe(true);
    await add({ account: script("a"), weight: 5n, prevhash: hash("left"), tentative: true });
    await nextUnpaid();
    expect(await log.voidTentative(hash("left"))).toBe(2);
    await credits.settled();
    expect((await entries(segment)).map(([, , , amount]) => amount)).toEqual([100n, 11n, -111n, -100n, 100n]);
    expect(await entries(segment + 1)).toEqual([]);
    expect(credits.figures()).toMatchObject({ reserve: undefined, unposted: 0n, stopped: false });
    poster.add(operator(), 2n * RESERVE);
  });

  test("a segment is corrected by its own worth, whatever the shares of the open one are worth", async () => {
    const { segment } = log;
    await next({ ...WORTH, averageFees: 2n ** 20n });
    await add({ account: script("a"), weight: 100n });
    await add({ account: script("a"), weight: 10n, prevhash: hash("fees"), tentative: true });
    await next();
    await log.voidTentative(hash("fees"));
    await credits.settled();
    expect((await entries(segment + 1)).map(([, , , amount]) => amount)).toEqual([220n, -220n, -20n, 20n]);
  });

  test("a reserve of nothing, or a script that is not the operator's, is refused", async () => {
    expect(() => open(0n)).toThrow(RangeError);
    const modules = { database, log, money: poster, targets, logger };
    expect(() => ShareCredits.open({ reserve: 1n, operatorScript: script("nobody") }, modules)).toThrow(RangeError);
  });

  test("whatever happened, what is posted for a closed segment is what its sums are worth", async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant("share" as const),
          who: fc.nat(3),
          weight: fc.bigInt(1n, 9999n),
          tentative: fc.boolean(),
          templateId: fc.option(fc.bigInt(1n, 3n), { nil: undefined }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("tip" as const), fees: fc.bigInt(0n, 2n ** 19n), lost: fc.boolean() }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("void" as const), template: fc.option(fc.bigInt(1n, 3n), { nil: undefined }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        for (const entry of steps) {
          if (entry.kind === "share") {
            const { who, weight, tentative, templateId } = entry;
            await add({
              account: script(who),
              weight,
              tentative,
              templateId,
              feePpm: who * 7000,
              prevhash: hash(tentative ? "trust" : "tip"),
            });
          } else if (entry.kind === "tip") {
            if (entry.lost) poster.failures.push("after");
            await log.openSegment(hash("tip"), { ...WORTH, averageFees: entry.fees });
          } else if (entry.kind === "void") {
            const parent = hash(entry.template === 1n ? "tip" : "trust");
            await (entry.template === undefined ? log.voidTentative(parent) : log.voidTemplate(entry.template, parent));
          } else {
            await credits.close();
            credits = await open();
          }
        }
        await credits.settled();
        poster.failures = [];
        const { rows } = await database.pool.query(
          `WITH weights AS (
             SELECT segment, account, sum(weight) AS weight, sum(fee_weight) AS fee_weight FROM segment_weights WHERE segment < $1 GROUP BY 1, 2
           ), due AS (
             SELECT segment, account, floor((w.weight * 1000000 - w.fee_weight) * (s.subsidy + s.average_fees) * s.bits / (2::numeric ^ 40 * 1000000)) AS due
             FROM segments s JOIN weights w ON w.segment = s.id WHERE s.bits IS NOT NULL
           ), posted AS (
             SELECT e.segment, p.account, sum(p.amount) AS posted FROM entries e JOIN postings p ON p.entry = e.id WHERE p.reason = 'credited' GROUP BY 1, 2
           )
           SELECT * FROM due FULL JOIN posted USING (segment, account) WHERE coalesce(due, 0) <> coalesce(posted, 0)`,
          [log.segment],
        );
        expect(rows).toEqual([]);
      }),
      { numRuns: 15 },
    );
    const { rows } = await database.pool.query("SELECT sum(amount) AS sum FROM postings");
    expect(rows).toEqual([{ sum: "0" }]);
  });
});
