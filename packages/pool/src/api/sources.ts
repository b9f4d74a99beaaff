/** What the API asks of the pool: plain values, no room's own handle. */
import type { PoolStatusDocument } from "./status.js";

/** A part that must be well for gateways to be served. */
export interface ReadinessPart {
  /** `books`, `node`, `listener`, `draining`. */
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, in words; undefined when nothing is. */
  readonly why?: string | undefined;
}

export interface ApiSources {
  /** The Prometheus text of all rooms. */
  readonly metrics: () => Promise<string>;
  /** How every part is now. Must answer within a few seconds, whatever is away. */
  readonly readiness: () => Promise<readonly ReadinessPart[]>;
  /** What is going on. Likewise. */
  readonly status: () => Promise<PoolStatusDocument>;
}
