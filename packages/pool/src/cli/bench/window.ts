/** Books with a full share window, and how long the split book takes to answer from it. */
import { createHash, randomBytes } from "node:crypto";
import { NETWORKS, targetFromBits } from "@openprime/bitcoin";
import { tides } from "@openprime/rewards";
import { type Balance, type BalanceView, openDatabase, ShareLog, SplitBook } from "../../ledger/index.js";

export interface WindowOptions {
  /** Folder of the database. */
  readonly dataDir: string;
  readonly operatorScript: Uint8Array;
  /** Accounts with shares in the window, and with a balance each. */
  readonly accounts: number;
  /** Compact target of the blocks; the log is made twice as long as their window. */
  readonly bits: number;
  /** Satoshis. */
  readonly value: bigint;
}

export interface WindowFigures {
  readonly outputs: number;
  /** Milliseconds of one answer for a value that was not asked for before, while shares come in. */
  readonly median: number;
  readonly p99: number;
  /** Milliseconds from a new tip to the last of many answers, each for another value. */
  readonly crowd: number;
}

const WINDOWS = 2n;
const SEGMENTS = 20;
/** Accounts' weights fall with their rank to this power: some large ones, many small. */
const STEEPNESS = 0.8;
const ASKED = 2000;
/** Answers between two moves of the log; ten are a snapshot's life. */
const ASKED_PER_MOVE = 20;
const MOVE_MS = 100;
const BALANCE_BELOW = 100_000;

/** Shares of many accounts, of unequal size, spread over some segments. Resolves when the database has them and is closed again. */
export async function fillWindow(options: WindowOptions): Promise<void> {
  const database = await openDatabase({ embedded: { dataDir: options.dataDir } }, { log: silent });
  const log = await ShareLog.open(database, { operatorScript: options.operatorScript });
  const scheme = tides();
  const size = scheme.window.kind === "difficulty" ? scheme.window.size(targetsOf(options.bits)) : 0n;
  const parts = Array.from({ length: options.accounts }, (_, rank) => (rank + 1) ** -STEEPNESS);
  const whole = parts.reduce((sum, part) => sum + part, 0) * SEGMENTS;
  for (let segment = 0; segment < SEGMENTS; segment++) {
    await log.openSegment(randomBytes(32));
    const prevhash = randomBytes(32);
    await Promise.all(parts.map((part, rank) => append(log, rank, prevhash, BigInt(Math.ceil((Number(size * WINDOWS) * part) / whole)))));
  }
  await log.close();
  await database.close();
}

/** Asks a split book over books that `fillWindow` made: one by one while the log moves, and `crowd` times at once after a new tip. */
export async function measureSplitBook(options: WindowOptions, crowd: number): Promise<WindowFigures> {
  const database = await openDatabase({ embedded: { dataDir: options.dataDir } }, { log: silent });
  const log = await ShareLog.open(database, { operatorScript: options.operatorScript });
  try {
    let now = 0;
    let tip = randomBytes(32);
    await log.openSegment(tip);
    const view = await someBalances(log, options.accounts);
    const book = await SplitBook.open(
      { dust: 546n, threshold: BigInt(BALANCE_BELOW), inactiveBlocks: 4320, mode: "direct", feePpm: 0 },
      {
        log,
        scheme: tides(),
        balances: { view: (prevhash) => (Buffer.compare(prevhash, tip) === 0 ? view : undefined), latest: () => view },
        targets: () => targetsOf(options.bits),
        maxValue: () => options.value * 2n,
        payee: () => ({ dustLimit: 294n, legacySigops: false }),
        now: () => now,
        logger: silent,
      },
    );
    let asked = 0n;
    const ask = (): number => book.offer({ sessionId: 1n, coinbaserId: 1, value: options.value - asked++, prevhash: tip }).outputs.length;
    const times: number[] = [];
    for (let i = 0; i < ASKED; i++) {
      if (i % ASKED_PER_MOVE === 0) {
        await append(log, i % options.accounts, tip, 1n);
        now += MOVE_MS;
      }
      const started = performance.now();
      ask();
      times.push(performance.now() - started);
    }
    tip = randomBytes(32);
    await log.openSegment(tip);
    const started = performance.now();
    let outputs = 0;
    for (let i = 0; i < crowd; i++) outputs = ask();
    const last = performance.now() - started;
    times.sort((a, b) => a - b);
    return { outputs, median: times[ASKED >> 1] ?? Number.NaN, p99: times[Math.floor(ASKED * 0.99)] ?? Number.NaN, crowd: last };
  } finally {
    await log.close();
    await database.close();
  }
}

/** A balance under the threshold for everybody. */
async function someBalances(log: ShareLog, accounts: number): Promise<BalanceView> {
  const balances = new Map<number, Balance>();
  await log.exclusive("reading accounts", async (client) => {
    const { rows } = await client.query<{ id: number }>("SELECT id FROM accounts WHERE kind = 'miner' ORDER BY id LIMIT $1", [accounts]);
    for (const { id } of rows) {
      balances.set(id, { balance: BigInt((id * 7919) % BALANCE_BELOW), dueSince: undefined, lastEarned: 840_000 });
    }
  });
  return { height: 840_000, lastEntry: 1n, balances, threshold: () => undefined, blockWeights: [] };
}

function targetsOf(bits: number): { readonly difficultyOne: bigint; readonly target: bigint } {
  return { difficultyOne: NETWORKS.regtest.difficultyOne, target: targetFromBits(bits) };
}

function append(log: ShareLog, rank: number, prevhash: Uint8Array, weight: bigint): Promise<void> {
  const account = Buffer.concat([Buffer.from([0, 20]), createHash("sha256").update(`bench ${rank}`).digest().subarray(0, 20)]);
  return new Promise((resolve, reject) => {
    const taken = log.append(
      {
        hash: randomBytes(32),
        prevhash,
        account,
        address: `bench ${rank}`,
        worker: "",
        weight,
        feePpm: 20_000,
        sessionId: 1n,
        splitId: undefined,
        pin: 0n,
        ntime: 0,
        targetByte: 0,
        coinbaseId: 0,
        height: 1,
        tentative: false,
        receivedAt: 0,
      },
      () => resolve(),
    );
    if (!taken) reject(new Error("the share log did not take a share of the bench"));
  });
}

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
