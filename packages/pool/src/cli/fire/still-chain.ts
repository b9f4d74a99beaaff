/** A chain that stands still, for runs that need no node: one tip, bits out of reach, every other parent unknown. */
import type { Template } from "@openprime/simulator";
import type { ChainView, Parent } from "../../work/index.js";

const HEIGHT = 100;
const BITS = 0x1b00ffff;
const VALUE = 5_000_000_000n;
/** OP_RETURN, push of 36, BIP141's mark and a hash. */
const COMMITMENT = Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), Buffer.alloc(32, 0xc0)]);
const MOST_UNKNOWN = 100;

export class StillChain implements ChainView {
  readonly reachable = true;
  readonly #tip: Parent = {
    hash: new Uint8Array(32).fill(0xc4),
    state: "tip",
    height: HEIGHT,
    childBits: BITS,
    medianTime: 1_500_000_000,
    staleSince: undefined,
  };
  readonly #unknown = new Map<string, Parent>();

  tip(): Parent {
    return this.#tip;
  }

  known(hash: Uint8Array): Parent | undefined {
    return Buffer.compare(hash, this.#tip.hash) === 0 ? this.#tip : this.#unknown.get(Buffer.from(hash).toString("hex"));
  }

  parent(hash: Uint8Array, claimedHeight: number): Parent | undefined {
    const known = this.known(hash);
    if (known !== undefined || this.#unknown.size >= MOST_UNKNOWN) return known;
    const parent: Parent = {
      hash: Uint8Array.from(hash),
      state: "unknown",
      height: claimedHeight,
      childBits: undefined,
      medianTime: undefined,
      staleSince: undefined,
    };
    this.#unknown.set(Buffer.from(hash).toString("hex"), parent);
    return parent;
  }

  /** What a node on this chain would give a gateway: a block without transactions. */
  template(): Template {
    return {
      height: HEIGHT + 1,
      version: 0x20000000,
      prevhash: this.#tip.hash,
      nbits: BITS,
      curtime: Math.floor(Date.now() / 1000),
      mintime: 1_500_000_001,
      value: VALUE,
      subsidy: VALUE,
      witnessCommitment: COMMITMENT,
      transactions: [],
      branches: new Uint8Array(0),
      totalSize: 0,
      totalWeight: 0,
      totalSigops: 0,
      sizeLimit: 4_000_000,
      weightLimit: 4_000_000,
    };
  }
}
