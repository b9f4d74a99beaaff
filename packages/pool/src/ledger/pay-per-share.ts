/**
 * Pay-per-share: what the pool's own funds owe for shares, posted when their segment has closed.
 *
 * What is due for a segment is a function of its sums and of what a block was worth then, and of nothing else; what was posted is read from the postings;
 * the difference is posted. So it does not matter when, how often or after which crash it is done: shares that are taken back later lead to a negative
 * difference, and the entry's key keeps two postings of one difference apart.
 *
 * A segment's worth says that its shares are paid so, whatever the pool's scheme has become since: then what is due for it is still posted, and corrected.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type NetworkTargets, perShare, type ShareValue } from "@openprime/rewards";
import { type Database, FIRST_BACKOFF_MS } from "./database.js";
import type { NewEntry, Posting } from "./money/entries.js";
import type { BalanceView } from "./money/types.js";
import { OPERATORS, SEGMENT_CREDITS, UNSETTLED } from "./queries/pay-per-share.js";
import type { ShareLog } from "./share-log.js";
import type { BlockWorth, LedgerLogger, LogFollower } from "./types.js";

export interface ShareCreditsOptions {
  /** Satoshis: how far the operator's balance may go below zero. Undefined under a scheme that does not pay per share: then no share waits for funds. */
  readonly reserve: bigint | undefined;
  /** The pool's present script: its account pays. */
  readonly operatorScript: Uint8Array;
}

/** What it needs of the money books. */
export interface CreditBooks {
  /** Posts an entry; one whose key is there already changes nothing. */
  post(entry: NewEntry): Promise<boolean>;
  /** Balances of the followed tip. */
  latest(): BalanceView;
}

export interface ShareCreditsModules {
  readonly database: Database;
  readonly log: ShareLog;
  readonly money: CreditBooks;
  /** Targets of a block with this compact target. */
  readonly targets: (bits: number) => NetworkTargets;
  readonly logger: LedgerLogger;
  /** Hears when the reserve is nearly used up (true), and when there are funds again. */
  readonly onStopped?: (stopped: boolean) => void;
}

/** What the pool's funds stand at, satoshis. */
export interface ReserveFigures {
  readonly reserve: bigint | undefined;
  /** The operator's balance less what is due for shares and not posted; may fall to -reserve. */
  readonly funds: bigint;
  /** Due for shares and not posted yet, at most. */
  readonly unposted: bigint;
  readonly stopped: boolean;
}

interface WorthRow {
  bits: string;
  subsidy: string;
  average_fees: string;
}
interface TotalsRow extends WorthRow {
  id: number;
  weight: string;
  fee_weight: string;
  posted: boolean;
}
interface CreditRow extends WorthRow {
  account: number;
  weight: string;
  fee_weight: string;
  posted: string;
  entries: number;
}

/** Segments in which a share may have been taken back shortly before the pool stopped: a day's worth and more. */
const RECHECKED_SEGMENTS = 256;
/** One part in so many of the reserve is left alone: shares come on while the last ones are being committed. */
const MARGIN_PARTS = 20n;
const LAST_BACKOFF_MS = 30_000;

/** What sums are due. By the subsidy and the fees of the segment's worth: where the scheme paid no fees, the worth has none. */
const { credit } = perShare("fpps");

export class ShareCredits implements LogFollower {
  readonly #options: ShareCreditsOptions;
  readonly #modules: ShareCreditsModules;
  readonly #operator: number;
  readonly #operators: ReadonlySet<number>;
  /** Closed segments whose postings are to be compared with what is due. */
  readonly #unsettled = new Set<number>();
  /** What is due for closed segments at most, until it has been posted. */
  readonly #due = new Map<number, bigint>();
  /** What a block is worth in the open segment; undefined in one that is not paid per share. */
  #worth: ShareValue | undefined;
  #weight = 0n;
  #feeWeight = 0n;
  #operatorBalance: { readonly lastEntry: bigint; readonly balance: bigint } | undefined;
  #stopped = false;
  #working: Promise<void> | undefined;
  readonly #abort = new AbortController();

  private constructor(options: ShareCreditsOptions, modules: ShareCreditsModules, operator: number, operators: ReadonlySet<number>) {
    this.#options = options;
    this.#modules = modules;
    this.#operator = operator;
    this.#operators = operators;
  }

  /** Reads what is still to be posted, follows the log from there and catches up in the background. */
  static open(options: ShareCreditsOptions, modules: ShareCreditsModules): Promise<ShareCredits> {
    const { log } = modules;
    if (options.reserve !== undefined && options.reserve <= 0n)
      throw new RangeError(`expected a reserve above 0 satoshis, got ${options.reserve}`);
    const operator = log.directory.accountOf(options.operatorScript)?.id;
    if (operator === undefined) throw new RangeError("expected the script of the operator's account");
    return log.exclusive("reading what is due for shares", async (client) => {
      const operators = await client.query<{ id: number }>(OPERATORS);
      const credits = new ShareCredits(options, modules, operator, new Set(operators.rows.map(({ id }) => id)));
      const { rows: totals } = await client.query<TotalsRow>(UNSETTLED, [log.segment, RECHECKED_SEGMENTS]);
      for (const row of totals) credits.#take(row);
      log.follow(credits);
      credits.#review();
      credits.#work();
      return credits;
    });
  }

  /** Takes up a stored segment: the open one, or one that may not be paid for as it should. */
  #take(row: TotalsRow): void {
    const worth = this.#valueOf(row);
    const [weight, feeWeight] = [BigInt(row.weight), BigInt(row.fee_weight)];
    if (row.id === this.#modules.log.segment) {
      this.#worth = worth;
      this.#weight = weight;
      this.#feeWeight = feeWeight;
    } else {
      this.#unsettled.add(row.id);
      if (!row.posted) this.#due.set(row.id, this.#most(weight, feeWeight, worth));
    }
  }

  /** False while no share may be accepted: the reserve is nearly used up, or nobody can say what a share is worth. */
  get accepting(): boolean {
    this.#review();
    return this.#options.reserve === undefined || (!this.#stopped && this.#worth !== undefined);
  }

  figures(): ReserveFigures {
    this.#review();
    return { reserve: this.#options.reserve, funds: this.#funds(), unposted: this.#unposted(), stopped: this.#stopped };
  }

  segmentOpened(segment: number, worth: BlockWorth | undefined): void {
    if (this.#worth !== undefined) {
      this.#unsettled.add(segment - 1);
      this.#due.set(segment - 1, this.#most(this.#weight, this.#feeWeight, this.#worth));
    }
    this.#worth = worth === undefined ? undefined : { ...this.#modules.targets(worth.bits), ...worth };
    this.#weight = 0n;
    this.#feeWeight = 0n;
    this.#review();
    this.#work();
  }

  shareCommitted(_segment: number, _account: number, weight: bigint, feePpm: number, perShare: boolean): void {
    if (!perShare) return;
    this.#weight += weight;
    this.#feeWeight += weight * BigInt(feePpm);
    this.#review();
  }

  shareVoided(segment: number, _account: number, weight: bigint, feePpm: number, perShare: boolean): void {
    if (!perShare) return;
    if (segment === this.#modules.log.segment) {
      this.#weight -= weight;
      this.#feeWeight -= weight * BigInt(feePpm);
    } else {
      // What is due falls; until that is posted the higher figure is the safe one.
      this.#unsettled.add(segment);
      this.#work();
    }
  }

  /** Resolves when everything that is due for closed segments has been posted. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  /** Stops posting; what is left is posted after the next start. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#working;
  }

  #work(): void {
    if (this.#unsettled.size === 0 || this.#abort.signal.aborted) return;
    this.#working ??= this.#settleAll().finally(() => {
      this.#working = undefined;
    });
  }

  /** Oldest first, and none is passed over: at the next start only those after the last one with a credit are looked at again. */
  async #settleAll(): Promise<void> {
    const { signal } = this.#abort;
    let wait = FIRST_BACKOFF_MS;
    while (this.#unsettled.size > 0 && !signal.aborted) {
      const segment = Math.min(...this.#unsettled);
      // A share of it that is taken back meanwhile puts it there again.
      this.#unsettled.delete(segment);
      try {
        await this.#settle(segment);
        if (!this.#unsettled.has(segment)) this.#due.delete(segment);
        wait = FIRST_BACKOFF_MS;
      } catch (error) {
        this.#unsettled.add(segment);
        const fields = { segment, error: (error as Error).message };
        this.#modules.logger.error(fields, "what is due for a segment's shares could not be posted; trying again");
        await sleep(wait, undefined, { signal }).catch(() => undefined);
        wait = Math.min(wait * 2, LAST_BACKOFF_MS);
      }
    }
  }

  /** Posts the difference between what is due for a closed segment and what was posted for it. */
  async #settle(segment: number): Promise<void> {
    const { database, money, logger } = this.#modules;
    const { rows } = await database.pool.query<CreditRow>(SEGMENT_CREDITS, [segment]);
    const [first] = rows;
    if (first === undefined) return;
    const sums = rows.map(({ account, weight, fee_weight }) => ({ account, weight: BigInt(weight), feeWeight: BigInt(fee_weight) }));
    const due = credit(sums, this.#valueOf(first));
    const credited = rows
      .map(({ account, posted }, i): Posting => {
        return { book: "balance", account, reason: "credited", amount: (due[i] as bigint) - BigInt(posted) };
      })
      .filter(({ amount }) => amount !== 0n);
    if (credited.length === 0) return;
    const total = credited.reduce((sum, { amount }) => sum + amount, 0n);
    const funded: Posting = { book: "balance", account: this.#operator, reason: "funded", amount: -total };
    await money.post({ key: `credit:${segment}:${first.entries + 1}`, kind: "credit", segment, postings: [...credited, funded] });
    const fields = { segment, credited: String(total), accounts: credited.length };
    if (first.entries === 0) logger.info(fields, "the shares of a segment are paid for");
    else logger.warn(fields, "the payment for a segment's shares is corrected");
  }

  #valueOf({ bits, subsidy, average_fees }: WorthRow): ShareValue {
    return { ...this.#modules.targets(Number(bits)), subsidy: BigInt(subsidy), averageFees: BigInt(average_fees) };
  }

  /** What sums are worth at most: accounts' floors can only make it less. */
  #most(weight: bigint, feeWeight: bigint, worth: ShareValue): bigint {
    return weight > 0n ? (credit([{ account: this.#operator, weight, feeWeight }], worth)[0] ?? 0n) : 0n;
  }

  #unposted(): bigint {
    let sum = this.#worth === undefined ? 0n : this.#most(this.#weight, this.#feeWeight, this.#worth);
    for (const due of this.#due.values()) sum += due;
    return sum;
  }

  #funds(): bigint {
    const { lastEntry, balances } = this.#modules.money.latest();
    if (this.#operatorBalance?.lastEntry !== lastEntry) {
      let balance = 0n;
      for (const account of this.#operators) balance += balances.get(account)?.balance ?? 0n;
      this.#operatorBalance = { lastEntry, balance };
    }
    return this.#operatorBalance.balance - this.#unposted();
  }

  /** Stops while there is a margin left, and goes on only when there is twice as much: a few satoshis must not switch the pool on and off. */
  #review(): void {
    const { logger, onStopped } = this.#modules;
    const { reserve } = this.#options;
    if (reserve === undefined) return;
    const share = reserve / MARGIN_PARTS;
    const block = this.#worth === undefined ? share : this.#worth.subsidy + this.#worth.averageFees;
    const margin = share < block ? share : block;
    const funds = this.#funds();
    const stopped = funds <= (this.#stopped ? 2n * margin : margin) - reserve;
    if (stopped === this.#stopped) return;
    this.#stopped = stopped;
    const fields = { funds: String(funds), reserve: String(reserve), margin: String(margin) };
    if (stopped)
      logger.error(fields, "the reserve for paying shares is nearly used up: no share is accepted until the pool has funds again");
    else logger.error(fields, "the pool has funds again: shares are accepted");
    onStopped?.(stopped);
  }
}
