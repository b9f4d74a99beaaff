/**
 * Addresses from which gateways with accepted work came lately, and how many of them: a network address that many share must not be shut for
 * one of them. In bounded memory; a restart begins without.
 */

/** Gateways that are told apart behind one address. */
const MAX_GATEWAYS = 256;

export class KnownAddresses {
  /** By address: when each gateway was seen last. In the order in which addresses were noted. */
  readonly #addresses = new Map<string, Map<string, number>>();

  constructor(
    private readonly capacity: number,
    private readonly lifeMs: number,
  ) {}

  /** A gateway has had work accepted. `now`: milliseconds of a steady clock, here and below. */
  note(address: string, gateway: string, now: number): void {
    const gateways = this.#addresses.get(address) ?? new Map<string, number>();
    gateways.delete(gateway);
    gateways.set(gateway, now);
    if (gateways.size > MAX_GATEWAYS) dropFirst(gateways);
    this.#addresses.delete(address);
    this.#addresses.set(address, gateways);
    if (this.#addresses.size > this.capacity) dropFirst(this.#addresses);
  }

  /** How many good gateways came from there lately. */
  gateways(address: string, now: number): number {
    const gateways = this.#addresses.get(address);
    if (gateways === undefined) return 0;
    for (const [gateway, at] of gateways) {
      if (now - at < this.lifeMs) break;
      gateways.delete(gateway);
    }
    if (gateways.size === 0) this.#addresses.delete(address);
    return gateways.size;
  }
}

function dropFirst<K>(map: Map<K, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
