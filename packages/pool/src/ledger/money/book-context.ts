/** What the parts of the books share: the pool's own figures, and the tools of one transaction. */
import type { NetworkTargets, Scheme } from "@openprime/rewards";
import type { Client } from "pg";
import type { Directory, PoolScript } from "../directory.js";
import type { LedgerLogger, SplitOutput } from "../types.js";
import type { Draft } from "./book-state.js";
import { type NewEntry, postEntry } from "./entries.js";
import type { MoneyState } from "./transaction.js";

export interface MoneyBookOptions {
  /** As settlements name it: mainnet, testnet, testnet4, signet, regtest. */
  readonly network: string;
  /** Satoshis from which on a balance is due, where its account has no threshold of its own. */
  readonly threshold: bigint;
  /** The pool's fee, parts per million, for blocks without a split under a scheme without a window. */
  readonly feePpm: number;
}

export interface BookContext {
  readonly options: MoneyBookOptions;
  readonly scripts: PoolScripts;
  readonly directory: Directory;
  readonly scheme: Scheme;
  /** Targets of a block with this compact target. */
  readonly targets: (bits: number) => NetworkTargets;
  /** Milliseconds, pool clock. */
  readonly now: () => number;
  readonly logger: LedgerLogger;
}

/** The scripts that are or were the pool's. */
export class PoolScripts {
  /** Account of the present one: the operator's income and withdrawals are its. */
  readonly operator: number;
  /** All of them, ascending. */
  readonly all: readonly Uint8Array[];
  readonly #keys: ReadonlySet<string>;

  constructor(scripts: readonly PoolScript[]) {
    const present = scripts.find(({ retiredAt }) => retiredAt === undefined);
    if (present === undefined) throw new RangeError("expected a present payout script: open the share log first");
    this.operator = present.account;
    this.all = scripts.map(({ script }) => script).sort(Buffer.compare);
    this.#keys = new Set(this.all.map(keyOf));
  }

  has(script: Uint8Array): boolean {
    return this.#keys.has(keyOf(script));
  }

  /** Satoshis that outputs pay to them. */
  received(outputs: readonly SplitOutput[]): bigint {
    return outputs.reduce((sum, { script, value }) => (this.has(script) ? sum + value : sum), 0n);
  }
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** One money transaction under way. */
export class BookWriter {
  /** Numbers of the settlements that were stored. */
  readonly settled: number[] = [];

  constructor(
    readonly client: Client,
    readonly state: MoneyState,
    readonly draft: Draft,
    private readonly context: BookContext,
  ) {}

  /** Posts an entry; its number, undefined when its key was there. */
  async post(entry: NewEntry): Promise<bigint | undefined> {
    const { options, now } = this.context;
    const posted = await postEntry(this.client, entry, { threshold: options.threshold, at: now() });
    if (posted !== undefined) this.draft.posted(posted);
    return posted?.id;
  }
}
