/** A simulated miner: a username, a hash rate, a kind of coinbase, its difficulty and its present work. */
import { randomBytes } from "node:crypto";
import { meetsTarget } from "@openprime/bitcoin";
import type { Hasher } from "../mining/hasher.js";
import { type CoinbaseKind, SUBSIDY_ONLY } from "./coinbase.js";
import type { MinerFigures } from "./figures.js";
import type { Job } from "./job.js";
import { networkTarget, shareTargetBytes } from "./targets.js";
import { Vardiff } from "./vardiff.js";
import { makeWork, VERSION_ROLLING_MASK, type Work } from "./work.js";

export interface MinerOptions {
  /** As the pool gets it: `address` or `address.worker`. */
  readonly username: string;
  /** Hashes per second. */
  readonly hashrate: number;
  /** Coinbase that its firmware takes; default 2, which a gateway gives to firmware it doesn't know. */
  readonly kind?: 1 | 2 | 3 | 4 | 5;
}

/** A nonce that meets the miner's target. */
export interface FoundShare {
  readonly miner: SimulatedMiner;
  readonly work: Work;
  readonly nonce: number;
  /** Internal order. */
  readonly hash: Uint8Array;
  /** It meets the network's target too. */
  readonly isBlock: boolean;
}

/** Works that a nonce may still come for after newer work was given. */
const REMEMBERED_WORKS = 8;

export class SimulatedMiner {
  readonly username: string;
  readonly hashrate: number;
  readonly kind: 1 | 2 | 3 | 4 | 5;
  readonly figures = { accepted: 0, rejected: 0, acceptedDifficulty: 0 };
  readonly #hasher: Hasher;
  readonly #number: number;
  readonly #vardiff: Vardiff;
  readonly #now: () => number;
  readonly #onFound: (share: FoundShare) => void;
  readonly #works = new Map<number, Work>();
  /** First part of the extranonce: the miner's connection to its gateway. */
  readonly #session = randomBytes(4);
  #extranonce2 = 0n;
  #serial = 0;
  #present: { job: Job; kind: CoinbaseKind } | undefined;

  /** @param now milliseconds of the gateway's clock */
  constructor(
    options: MinerOptions,
    settings: { readonly sharesPerMinute: number; readonly minimumDifficulty: number },
    modules: { readonly hasher: Hasher; readonly now: () => number; readonly onFound: (share: FoundShare) => void },
  ) {
    this.username = options.username;
    this.hashrate = options.hashrate;
    this.kind = options.kind ?? 2;
    this.#hasher = modules.hasher;
    this.#now = modules.now;
    this.#onFound = modules.onFound;
    this.#vardiff = new Vardiff(settings.sharesPerMinute, settings.minimumDifficulty, modules.now());
    this.#number = modules.hasher.add({
      found: (serial, nonce, hash) => this.#found(serial, nonce, hash),
      exhausted: (serial) => {
        if (serial === this.#serial && this.#present !== undefined) this.#give(this.#present.job, this.#present.kind, false);
      },
    });
  }

  setMinimum(difficulty: number): void {
    this.#vardiff.setMinimum(difficulty);
  }

  /** New work; what was under way is dropped. */
  assign(job: Job, kind: CoinbaseKind): void {
    this.#vardiff.settle(this.#now());
    this.#give(job, kind, false);
  }

  #give(job: Job, kind: CoinbaseKind, quickdiff: boolean): void {
    this.#present = { job, kind };
    const extranonce = new Uint8Array(12);
    extranonce.set(this.#session);
    new DataView(extranonce.buffer).setBigUint64(4, this.#extranonce2++, true);
    const targetByte = Math.log2(this.#vardiff.difficulty);
    const work = makeWork(job, kind, {
      quickdiff,
      targetByte,
      extranonce,
      rolledVersion: randomBytes(4).readUInt32LE() & VERSION_ROLLING_MASK,
    });
    this.#serial += 1;
    this.#works.set(this.#serial, work);
    this.#works.delete(this.#serial - REMEMBERED_WORKS);
    this.#hasher.work(this.#number, this.#serial, work.header, shareTargetBytes(targetByte), this.hashrate);
  }

  #found(serial: number, nonce: number, hash: Uint8Array): void {
    const work = this.#works.get(serial);
    if (work === undefined) return;
    this.#onFound({ miner: this, work, nonce, hash, isBlock: meetsTarget(hash, networkTarget(work.job.template.nbits)) });
  }

  /** The gateway took the share: counts towards the miner's difficulty, and a miner far too fast gets quickdiff work at once. */
  counted(): void {
    const jump = this.#vardiff.share(this.#now());
    // As in life, subsidy-only work is left for the same job's coinbase 0.
    if (jump && this.#present !== undefined)
      this.#give(this.#present.job, this.#present.kind === SUBSIDY_ONLY ? 0 : this.#present.kind, true);
  }

  /** No work until the next {@link assign}. */
  rest(): void {
    this.#present = undefined;
    this.#hasher.stop(this.#number);
  }

  remove(): void {
    this.#hasher.remove(this.#number);
  }

  snapshot(): MinerFigures {
    return {
      username: this.username,
      kind: this.kind,
      hashrate: this.hashrate,
      difficulty: this.#vardiff.difficulty,
      ...this.figures,
    };
  }
}
