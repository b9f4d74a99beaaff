/** The highest fees of recent blocks and of the node's own templates: what tells a plausible coinbase value from a made-up one. */
export class RecentFees {
  /** By what paid them, the oldest first. */
  readonly #figures = new Map<string, bigint>();

  constructor(private readonly capacity: number) {}

  /** Notes what a block paid, or what a template would; of one payer the highest figure stays. */
  note(payer: string, fees: bigint): void {
    const known = this.#figures.get(payer);
    if (known !== undefined && known >= fees) return;
    this.#figures.set(payer, fees);
    if (this.#figures.size > this.capacity) {
      for (const oldest of this.#figures.keys()) {
        this.#figures.delete(oldest);
        break;
      }
    }
  }

  /** Satoshis. */
  highest(): bigint {
    let highest = 0n;
    for (const fees of this.#figures.values()) if (fees > highest) highest = fees;
    return highest;
  }

  /** Satoshis, rounded down; 0n when nothing is known. */
  average(): bigint {
    let sum = 0n;
    for (const fees of this.#figures.values()) sum += fees;
    return this.#figures.size === 0 ? 0n : sum / BigInt(this.#figures.size);
  }
}
