/**
 * The money of a pool, put together: the books that follow the chain, the splits made from them, what is published, what is kept, and the daily check.
 *
 * The books hear of a tip after the share log has closed its segment, so that a block's pin lies in a closed one and its log file can be named.
 */
import { access, constants, mkdir } from "node:fs/promises";
import { dustLimit, legacySigops, type Network, targetFromBits } from "@openprime/bitcoin";
import { createScheme, type NetworkTargets, type Scheme } from "@openprime/rewards";
import type { Logger } from "pino";
import { Gauge, type Registry } from "prom-client";
import { ChainFollower, type ChainTracker, type FollowedNode } from "../chain/index.js";
import {
  type BlockWorth,
  type Database,
  MoneyBook,
  Publisher,
  Retention,
  ShareCredits,
  type ShareLog,
  SplitBook,
} from "../ledger/index.js";
import { type Parent, parseScriptSig } from "../work/index.js";
import type { Config, NodeAccess } from "./config/index.js";
import { guardBooks } from "./ledger/guard.js";

export interface MoneyModules {
  readonly database: Database;
  readonly shareLog: ShareLog;
  readonly node: FollowedNode;
  /** How the node that is followed now is reached, for connections beside the pool's. */
  readonly access: () => NodeAccess;
  /** Not started yet. */
  readonly chain: ChainTracker;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** What must be ended, in the order in which it was begun. */
  readonly stops: (() => Promise<void> | void)[];
  /** How long a node that has fallen back on the books' own branch is waited for, milliseconds. */
  readonly fallenBackMs?: number;
}

/** The parts that the rest of the pool uses. */
export interface Money {
  readonly book: MoneyBook;
  readonly splits: SplitBook;
  /** Only under a scheme that pays each share. */
  readonly credits: ShareCredits | undefined;
}

/** Opens the books of money and has them hear of the chain; call {@link MoneyDesk.start} when the chain has a tip. */
export class MoneyDesk {
  readonly #publisher: Publisher;
  readonly #follower: ChainFollower;
  readonly #scheme: Scheme;

  private constructor(
    private readonly config: Config,
    private readonly modules: MoneyModules,
    private readonly book: MoneyBook,
    publisher: Publisher,
    scheme: Scheme,
  ) {
    const { node, chain, shareLog, log, metrics, fallenBackMs } = modules;
    this.#publisher = publisher;
    this.#scheme = scheme;
    this.#follower = new ChainFollower(
      { ...(fallenBackMs !== undefined && { fallenBackMs }) },
      {
        ...{ node, books: book, readPrimeId, log, metrics },
        // A split that a gateway mines already may still be on its way to the database.
        beforeConnect: () => shareLog.exclusive("waiting for queued splits", () => Promise.resolve()),
      },
    );
    // The first tip closes the segment that the last run left open: shares of before a change of the scheme and after it are never in one segment.
    chain.onTip((tip) => {
      const segment = shareLog.openSegment(tip.hash, this.#blockOn(tip));
      segment.catch((error: Error) => log.error({ error: error.message }, "opening a segment of the share log failed"));
      this.#follower.follow(segment);
    });
    book.onSettled(() => publisher.poke());
  }

  /** @throws the file system's errors when `publish.dir` can't be written, LedgerError */
  static async open(config: Config, modules: MoneyModules): Promise<MoneyDesk> {
    const { database, shareLog, log, metrics, now, stops } = modules;
    const { network, publish } = config;
    await mkdir(publish.dir, { recursive: true });
    await access(publish.dir, constants.W_OK);
    const publisher = new Publisher({ dir: publish.dir, network: network.name }, { database, logger: log, metrics, now });
    stops.push(() => publisher.stop());
    shareLog.follow(publisher);
    const scheme = createScheme(config.scheme);
    let desk: MoneyDesk | undefined;
    const book = await MoneyBook.open(
      { network: network.name, threshold: config.split.threshold, feePpm: config.pool.feePpm },
      {
        database,
        log: shareLog,
        scheme,
        targets: targetsOf(network),
        logHash: async (segment) => {
          // The follower may hear of a block before the tracker does.
          if (segment === shareLog.segment) await desk?.closeSegment();
          return publisher.logs.hashForSettlement(segment);
        },
        now,
        logger: log,
      },
    );
    stops.push(() => book.close());
    desk = new MoneyDesk(config, modules, book, publisher, scheme);
    return desk;
  }

  /** Begins to follow the chain, and to publish, compact and check; resolves when splits can be made. */
  async start(): Promise<Money> {
    const { database, shareLog, chain, access, log, metrics, now, stops } = this.modules;
    const { config, book } = this;
    const { network, pool, split } = config;
    stops.push(() => this.#follower.stop());
    await this.#follower.start();
    const credits = await this.#openCredits();
    const splits = await SplitBook.open(
      {
        dust: split.dustFloor,
        threshold: split.threshold,
        inactiveBlocks: split.inactiveBlocks,
        mode: pool.coinbase,
        feePpm: pool.feePpm,
      },
      {
        log: shareLog,
        scheme: this.#scheme,
        balances: book,
        targets: (prevhash) => {
          // On a parent that our node does not know yet the tip's difficulty is the best there is.
          const bits = chain.childBits(prevhash);
          return bits === undefined ? undefined : targetsOf(network)(bits);
        },
        maxValue: (prevhash) => chain.maxValue(prevhash),
        payee: (script) => ({ dustLimit: dustLimit(script), legacySigops: legacySigops(script) > 0 }),
        now,
        logger: log,
        metrics,
      },
    );
    void this.#publisher.catchUp();
    const retention = new Retention(
      { keep: config.shares.keep, keepTemplates: config.templates.keep },
      { database, logger: log, metrics, now },
    );
    retention.start();
    stops.push(() => retention.stop());
    stops.push(guardBooks(config, { database, node: access, log, metrics, now }));
    return { book, splits, credits };
  }

  /** No block joins the books before this is done: a found block's claim must be there first. One that has joined already is looked at again. */
  expectClaim(recorded: Promise<unknown>): void {
    this.#follower.expectClaim(recorded);
  }

  /** Ends the wait of {@link start} for the node. */
  abort(): Promise<void> {
    return this.#follower.stop();
  }

  async closeSegment(): Promise<void> {
    const { shareLog, chain } = this.modules;
    const tip = chain.tip();
    await shareLog.openSegment(tip?.hash, tip === undefined ? undefined : this.#blockOn(tip));
  }

  /** What a block on this tip takes, and what it is worth where shares are paid for by that. */
  #blockOn({ childBits: bits, height }: Parent): BlockWorth | Pick<BlockWorth, "bits"> | undefined {
    if (bits === undefined || this.#scheme.credit === undefined) return bits === undefined ? undefined : { bits };
    const { chain } = this.modules;
    return {
      bits,
      subsidy: chain.subsidy(height + 1),
      averageFees: this.#scheme.name === "fpps" ? chain.averageFees() : 0n,
    };
  }

  /** Under every scheme: what an earlier one left to be paid, or to be taken back, is posted all the same. */
  async #openCredits(): Promise<ShareCredits | undefined> {
    const { database, shareLog, log, metrics, stops } = this.modules;
    const { reserve, pool, network } = this.config;
    const paying = this.#scheme.credit !== undefined;
    const credits = await ShareCredits.open(
      { reserve: paying ? reserve : undefined, operatorScript: pool.payoutScript },
      { database, log: shareLog, money: this.book, targets: targetsOf(network), logger: log },
    );
    stops.push(() => credits.close());
    if (!paying) {
      // Before the first split is asked for: it pays these balances too.
      await credits.settled();
      return undefined;
    }
    const figure = (name: string, help: string, value: () => number): void => {
      new Gauge({
        name,
        help,
        registers: [metrics],
        collect() {
          this.set(value());
        },
      });
    };
    figure("openprime_pay_per_share_funds_sats", "The operator's balance less what is due for shares; may fall to minus the reserve.", () =>
      Number(credits.figures().funds),
    );
    figure("openprime_pay_per_share_reserve_sats", "How far the funds may fall below zero.", () => Number(credits.figures().reserve ?? 0n));
    figure("openprime_pay_per_share_stopped", "1 while the reserve is nearly used up and no share is accepted.", () =>
      credits.accepting ? 0 : 1,
    );
    return credits;
  }
}

function targetsOf({ difficultyOne }: Network): (bits: number) => NetworkTargets {
  return (bits) => ({ difficultyOne, target: targetFromBits(bits) });
}

function readPrimeId(scriptSig: Uint8Array): number | undefined {
  const parsed = parseScriptSig(scriptSig);
  return typeof parsed === "string" ? undefined : parsed.primeId;
}
