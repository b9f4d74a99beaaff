/** What passes between an attack run and the process that attacks. */
import type { RpcAccess } from "../node/options.js";
import type { PoolPlace } from "../wire/wire-gateway.js";

export interface AttackOrder {
  readonly attack: string;
  readonly place: PoolPlace;
  readonly node: RpcAccess;
  readonly seconds: number;
  /** Where it comes from: addresses of this network on the loopback interface, `127.N`. */
  readonly network: string;
}

/** What the attacker did and saw. */
export interface AttackTally {
  /** Actions a second that it came to; what one is says the attack. */
  readonly perSecond: number;
  readonly actions: number;
  readonly connections: number;
  /** Connections that the pool refused, or ended. */
  readonly closed: number;
  /** Answers to its shares. */
  readonly accepted: number;
  readonly refused: Readonly<Record<number, number>>;
}

export type AttackMessage =
  | { readonly type: "begun" }
  | { readonly type: "done"; readonly tally: AttackTally }
  | { readonly type: "failed"; readonly message: string };
