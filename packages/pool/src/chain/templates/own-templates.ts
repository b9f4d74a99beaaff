/** The node's own templates of the last minutes: what a gateway's template is held against. */
import type { OwnTemplate } from "../own-template.js";
import { keyOf } from "./mempool-store.js";
import type { TransactionSet } from "./transaction-set.js";
import type { TemplateVerdict } from "./types.js";

/** A gateway's work is at most 270 s old. */
const COMPARED_MS = 300_000;
/** After the node's first template on a block: empty first work on it is usual, and is mined on for up to 40 s and then some. */
const GRACE_MS = 90_000;

interface Figures {
  readonly parent: string;
  /** Satoshis. */
  readonly fees: bigint;
  readonly at: number;
}

export class OwnTemplates {
  #last: OwnTemplate | undefined;
  #parent: { readonly key: string; readonly since: number } | undefined;
  #figures: Figures[] = [];

  /** @param subsidy new coins of the template's block, satoshis @param now milliseconds */
  note(template: OwnTemplate, subsidy: bigint, now: number): void {
    const parent = keyOf(template.prevhash);
    this.#last = template;
    if (this.#parent?.key !== parent) this.#parent = { key: parent, since: now };
    this.#figures = this.#figures.filter(({ at }) => now - at <= COMPARED_MS);
    this.#figures.push({ parent, fees: template.value - subsidy, at: now });
  }

  /** Smallest fees of the own templates of the last minutes on that parent, satoshis; undefined in the first moments on it, or when there is none. */
  leastFees(prevhash: Uint8Array, now: number): bigint | undefined {
    const parent = keyOf(prevhash);
    if (this.#parent?.key !== parent || now - this.#parent.since < GRACE_MS) return undefined;
    const fees = this.#figures.filter((one) => one.parent === parent && now - one.at <= COMPARED_MS).map((one) => one.fees);
    return fees.length === 0 ? undefined : fees.reduce((least, one) => (one < least ? one : least));
  }

  /** The last own template beside a gateway's; undefined when it is on another parent. @param fees of the set's transactions, in order */
  compare(prevhash: Uint8Array, set: TransactionSet, fees: readonly (bigint | undefined)[]): TemplateVerdict["own"] {
    const own = this.#last;
    if (own === undefined || Buffer.compare(own.prevhash, prevhash) !== 0) return undefined;
    const theirs = new Set(set.txids.map(keyOf));
    const ours = new Set(own.transactions.map(({ txid }) => keyOf(txid)));
    const lacks = own.transactions.filter(({ txid }) => !theirs.has(keyOf(txid))).map(({ fee }) => fee);
    const extra = set.txids.flatMap((txid, place) => (ours.has(keyOf(txid)) ? [] : [fees[place] ?? 0n]));
    return {
      value: own.value,
      transactions: own.transactions.length,
      weight: own.weight,
      lacks: { transactions: lacks.length, fees: sum(lacks) },
      extra: { transactions: extra.length, fees: sum(extra) },
    };
  }
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, one) => total + one, 0n);
}
