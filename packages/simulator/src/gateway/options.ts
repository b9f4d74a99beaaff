/** What can be set on a simulated gateway. */
import type { DatumCrypto, LongTermKeys } from "@openprime/datum";
import type { Hasher } from "../mining/hasher.js";
import type { RpcAccess } from "../node/options.js";
import type { GatewayFault } from "./faults.js";
import type { MinerOptions } from "./miner.js";

/** Ways to be wrong, for tests of the pool. */
export type Misbehaviour =
  /** Pays another script than the pool's. */
  | "badPayee"
  | "wrongTag"
  | "wrongPrimeId"
  /** Never takes a new tip. */
  | "staleWork"
  /** Sends each share twice. */
  | "duplicates"
  /** Sends usernames that are no addresses. */
  | "garbageUsername";

export interface SimulatedGatewayOptions {
  /** For logs and figures. */
  readonly name: string;
  /** `publicKey`: 128 hex digits, as an operator pastes it. */
  readonly pool: { readonly host: string; readonly port: number; readonly publicKey: string };
  readonly node: RpcAccess;
  readonly miners: readonly MinerOptions[];
  /** Cut to the room that the pool's tag leaves. */
  readonly secondaryTag?: string;
  /** u16. */
  readonly uniqueId?: number;
  /**
   * How many times faster than life: jobs (every 40 s), variable difficulty (8 shares a minute), the node's polling (1 s) and
   * reconnecting (5-20 s). Not the waits for the pool, which runs in real time: see `timeouts`.
   */
  readonly timeScale?: number;
  readonly timeouts?: {
    /** Nothing heard from the pool; 60,000 ms. */
    readonly silenceMs?: number;
    /** Shares sent and none accepted; 30,000 ms. */
    readonly acceptanceMs?: number;
    /** For a split; 5,000 ms. */
    readonly coinbaserMs?: number;
  };
  /** The gateway's own floor, a power of two; default 1. */
  readonly minimumDifficulty?: number;
  /** Found blocks go to the gateway's own node first, as in life (default); `false` leaves them to the pool. */
  readonly submitBlocks?: boolean;
  readonly misbehaviours?: readonly Misbehaviour[];
  /** What is wrong with its templates, or with its answers about them; see also `SimulatedGateway.break`. */
  readonly fault?: GatewayFault;
  /** How late `answersLate` is, milliseconds; 10,000. */
  readonly lateMs?: number;
  /** Tells the pool of each job before its first share, as a proposal has it (DATUM.md section 11). */
  readonly announceJobs?: boolean;
}

export interface SimulatedGatewayModules {
  /** Shared by several gateways; one of its own otherwise. */
  readonly hasher?: Hasher;
  readonly crypto?: DatumCrypto;
  /** The gateway's identity; fresh otherwise. */
  readonly longTermKeys?: LongTermKeys;
  /** What happens, a line each. */
  readonly log?: (line: string) => void;
}
