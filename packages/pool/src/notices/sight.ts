/** What notices see of a running pool: plain values that the rooms have anyway, handed in by `cli` and asked for now and then. */

export interface GatewayFacts {
  readonly sessionId: bigint;
  /** First 16 hex digits of the gateway's long-term key. */
  readonly keyPrefix: string;
  /** What its shares must weigh at least. */
  readonly minimum: number;
  /** Since the session is in memory: accepted, tentative ones included, and refused by reason. */
  readonly accepted: number;
  readonly refused: Readonly<Record<number, number>>;
}

export interface NodeFacts {
  /** Holds no secret. */
  readonly name: string;
  /** `unchecked`, `good`, or what is wrong. */
  readonly state: string;
  readonly why: string | undefined;
}

export interface PoolSight {
  /** Gateways that are connected and proven. */
  gateways(): readonly GatewayFacts[];
  nodes(): readonly NodeFacts[];
  /** Differences that the last check of the books found; undefined before the first. */
  ledgerDifferences(): Promise<number | undefined>;
  /** What keeps the books from following the chain; undefined while nothing does. */
  booksStuck(): Promise<string | undefined>;
  /** Pay-per-share only, satoshis: how much of the reserve is left, and whether shares are refused for it. */
  reserve(): Promise<{ readonly left: number; readonly reserve: number; readonly stopped: boolean } | undefined>;
  /** The pool's present key, and when it ends (milliseconds) if it does. */
  key(): { readonly prefix: string; readonly until: number | undefined };
}
