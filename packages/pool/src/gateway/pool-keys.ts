/** The pool's long-term keys as the listener knows them, and who uses which. */
import type { LongTermKeys } from "@openprime/datum";
import { Gauge, type Registry } from "prom-client";

/** Keys with what the operator has decided about them. */
export interface PoolLongTermKeys extends LongTermKeys {
  /** Gateways should have another key by now. */
  readonly old?: boolean;
  /** From then on a HELLO sealed to it is not answered; milliseconds of the pool clock. Connections that stand are left alone. */
  readonly until?: number;
}

/** Enough of a pool's key to tell it from the others: 16 hex digits. */
export function poolKeyPrefix({ sign }: Pick<LongTermKeys, "sign">): string {
  return Buffer.from(sign.publicKey).toString("hex", 0, 8);
}

/** Two figures for each of the pool's keys: connections that use it, counted at each scrape, and its end. */
export function watchPoolKeys(
  registry: Registry,
  keys: readonly PoolLongTermKeys[],
  connections: () => Iterable<{ readonly poolKeyPrefix: string | undefined }>,
): void {
  new Gauge({
    name: "openprime_pool_key_connections",
    help: "Gateway connections, by the pool's key that they use (first 16 hex digits).",
    labelNames: ["key"],
    registers: [registry],
    collect() {
      for (const key of keys) this.set({ key: poolKeyPrefix(key) }, 0);
      for (const { poolKeyPrefix: key } of connections()) if (key !== undefined) this.inc({ key });
    },
  });
  const end = new Gauge({
    name: "openprime_pool_key_end_timestamp_seconds",
    help: "When a key of the pool stops to be answered; only keys with an end.",
    labelNames: ["key"],
    registers: [registry],
  });
  for (const key of keys) if (key.until !== undefined) end.set({ key: poolKeyPrefix(key) }, key.until / 1000);
}
