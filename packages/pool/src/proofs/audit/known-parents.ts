/** Shares that were taken back for their parent, and whose parent is a block of the best chain after all. */
import { reverseHex } from "@openprime/bitcoin";
import type { LogShare } from "../log-format.js";
import type { Line } from "./difference.js";
import type { AuditNode } from "./source.js";

interface Taken {
  readonly prevhash: Uint8Array;
  readonly height: number;
  readonly first: Line;
  shares: number;
  weight: bigint;
}

/** Gathers shares as their voids are met, and asks the node for their parents. */
export class TakenShares {
  /** By parent, and height that its shares claimed. */
  #taken = new Map<string, Taken>();

  /** @param place line of the void */
  add({ prevhash, height, weight }: LogShare, place: Line): void {
    const parent = `${reverseHex(prevhash)} ${height}`;
    const taken = this.#taken.get(parent) ?? { prevhash, height, first: place, shares: 0, weight: 0n };
    taken.shares++;
    taken.weight += weight;
    this.#taken.set(parent, taken);
  }

  /** One note for each parent that there is, of what was gathered since the last call. A pool may have lost sight of it, or looked away. */
  async notes(node: AuditNode): Promise<string[]> {
    const all = [...this.#taken.values()];
    this.#taken.clear();
    const notes: string[] = [];
    for (const { prevhash, height, first, shares, weight } of all) {
      const best = await node.blockHash(height - 1);
      if (best === undefined || Buffer.compare(best, prevhash) !== 0) continue;
      const parent = `block ${height - 1} ${reverseHex(prevhash)}`;
      const gone = `shares of weight ${weight} (${shares} of them, the first by ${first.file}:${first.line})`;
      notes.push(`${gone} were taken back for their parent, ${parent}, which is on the chain`);
    }
    return notes;
  }
}
