/** A chain that says what a test wants it to say. */
import type { ChainView, Parent } from "../../../src/work/index.js";

export class FakeChain implements ChainView {
  reachable = true;
  current: Parent | undefined;
  /** Makes `parent` answer undefined for a hash that it does not hold, as at its bound. */
  full = false;
  readonly asked: { readonly hash: string; readonly claimedHeight: number; readonly proven: boolean }[] = [];
  readonly #parents = new Map<string, Parent>();

  tip(): Parent | undefined {
    return this.current;
  }

  known(hash: Uint8Array): Parent | undefined {
    return this.#parents.get(Buffer.from(hash).toString("hex"));
  }

  parent(hash: Uint8Array, claimedHeight: number, proven = false): Parent | undefined {
    const name = Buffer.from(hash).toString("hex");
    this.asked.push({ hash: name, claimedHeight, proven });
    const known = this.#parents.get(name);
    if (known !== undefined || this.full) return known;
    return this.enter({
      hash: Buffer.from(hash),
      state: "unknown",
      height: claimedHeight,
      childBits: undefined,
      medianTime: undefined,
      staleSince: undefined,
    });
  }

  enter(parent: Parent): Parent {
    this.#parents.set(Buffer.from(parent.hash).toString("hex"), parent);
    if (parent.state === "tip") this.current = parent;
    return parent;
  }

  /** The tip moves on from `this.current`. */
  advance(next: Parent, now: number): void {
    if (this.current !== undefined) {
      this.current.state = "stale";
      this.current.staleSince = now;
    }
    this.enter(next);
  }
}
