/** The parents that work was or may be built on: one object per hash, changed in place, in bounded memory. */
import type { Parent } from "../work/index.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface ParentEntry {
  readonly parent: Mutable<Parent>;
  /** Display order, as the node writes it. */
  readonly hash: string;
  /** Steady milliseconds since which the node could have told of it; reset while no node answers. */
  unknownSince: number;
  /** Steady milliseconds of the last question. */
  askedAt: number;
  asking: boolean;
}

/** Parents that are no tip and were named by gateways only. More would let a peer fill memory with old blocks' hashes. */
const MAX_CLAIMED = 512;
/** Parents the node has not told of. An honest gateway is ahead of the node by one block, for seconds. */
const MAX_UNKNOWN = 128;
/** Of these so many for gateways that have not proven themselves: strangers with many keys must not take the place of honest work. */
const MAX_UNKNOWN_STRANGERS = 64;
/** Former tips: a day has about 144; work is stale long before they are dropped. */
const MAX_TIPS = 1024;

export class ParentTable {
  readonly #entries = new Map<string, ParentEntry>();
  /** Former tips and the present one, the oldest first. */
  readonly #tips = new Set<string>();
  /** Unknown ones, the oldest first. */
  readonly #unknown = new Set<ParentEntry>();
  /** Named by gateways and found stale or invalid, the oldest first. */
  readonly #claimed = new Set<string>();

  /** @param hash internal order. */
  get(hash: Uint8Array): ParentEntry | undefined {
    return this.#entries.get(key(hash));
  }

  /** Enters one the node has not told of; undefined when there are too many of those. */
  enterUnknown(hash: Uint8Array, display: string, claimedHeight: number, now: number, proven: boolean): ParentEntry | undefined {
    if (this.#unknown.size >= (proven ? MAX_UNKNOWN : MAX_UNKNOWN_STRANGERS)) return undefined;
    const entry = newEntry(hash, display, claimedHeight, now);
    this.#entries.set(key(hash), entry);
    this.#unknown.add(entry);
    return entry;
  }

  /** The entry of a block that has become the tip. */
  tip(hash: Uint8Array, display: string, height: number, now: number): ParentEntry {
    const name = key(hash);
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      entry = newEntry(hash, display, height, now);
      this.#entries.set(name, entry);
    }
    this.#unknown.delete(entry);
    this.#claimed.delete(name);
    this.#tips.delete(name);
    this.#tips.add(name);
    this.#drop(this.#tips, MAX_TIPS);
    return entry;
  }

  /** An unknown one turned out stale or invalid. */
  settle(entry: ParentEntry): void {
    this.#unknown.delete(entry);
    this.#claimed.add(key(entry.parent.hash));
    this.#drop(this.#claimed, MAX_CLAIMED);
  }

  all(): Iterable<ParentEntry> {
    return this.#entries.values();
  }

  unknown(): readonly ParentEntry[] {
    return [...this.#unknown];
  }

  #drop(names: Set<string>, bound: number): void {
    if (names.size <= bound) return;
    for (const oldest of names) {
      names.delete(oldest);
      this.#entries.delete(oldest);
      break;
    }
  }
}

function key(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString("latin1");
}

function newEntry(hash: Uint8Array, display: string, height: number, now: number): ParentEntry {
  return {
    parent: { hash: Uint8Array.from(hash), state: "unknown", height, childBits: undefined, medianTime: undefined, staleSince: undefined },
    hash: display,
    unknownSince: now,
    askedAt: Number.NEGATIVE_INFINITY,
    asking: false,
  };
}
