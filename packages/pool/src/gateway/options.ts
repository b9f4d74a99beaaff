/** Settings of the listener, their defaults, and the checks that refuse a configuration no gateway could work with. */
import { MAX_MOTD_BYTES, MAX_SCRIPT_BYTES, MAX_TAG_BYTES } from "@openprime/datum";
import type { GatewayListOptions } from "./gateway-list.js";
import type { MinimumBounds } from "./minimum-controller.js";

export interface GatewayLimits {
  /** HELLO must be in after this time; and the session loaded, once the HELLO's turn has come. */
  readonly handshakeMs: number;
  /** How long a HELLO may wait for its turn. A gateway that hears nothing leaves after 60 s. */
  readonly handshakeQueueMs: number;
  /** HELLOs opened and answered per second; each costs most of a millisecond. */
  readonly handshakesPerSecond: number;
  /** Of these, per second from one network, and fifty times as many at once. */
  readonly handshakesPerPrefix: number;
  /** HELLOs that may wait. */
  readonly waitingHandshakes: number;
  /** Sessions that may be loading from the books at one time. */
  readonly loadingSessions: number;
  /** Silence from our side after which a ping is sent. A gateway leaves after 60 s. */
  readonly pingMs: number;
  /**
   * Silence from a gateway's side after which its connection is closed. Long on purpose: a gateway never pings, and one without miners
   * whose jobs are worth less than 31,250,000 sats says nothing at all. What is closed here comes back within 20 s.
   */
  readonly idleMs: number;
  /** A slow reader: our bytes have stood unsent for this long. An answer this old is worth nothing to a gateway. */
  readonly stalledMs: number;
  /** Bytes that may stand unsent on one connection. */
  readonly queuedBytes: number;
  /** Shares of one connection that may wait for their commit; past it nothing more is read from it until half have been answered. */
  readonly pendingShares: number;
  readonly connections: number;
  /** Per IPv4 address, or per /64 of IPv6. */
  readonly connectionsPerAddress: number;
  /** Per IPv4 /24, or per /48 of IPv6. */
  readonly connectionsPerPrefix: number;
  /** How long the work of a gateway that left is kept in memory. */
  readonly sessionLifeMs: number;
  /** How many gateways that left are kept in memory (each holds at most eight jobs with their coinbases). */
  readonly detachedSessions: number;
  /** Coinbaser requests a gateway may make at once ... */
  readonly coinbaserBurst: number;
  /** ... and per second after that. A gateway asks once per job (5-40 s) and twice at each new block. */
  readonly coinbaserPerSecond: number;
  /** Splits per minute that gateways without accepted work may ask for, all of one network together. */
  readonly strangersCoinbaserPerMinute: number;
  /** Gateways never seen before that are taken per hour from one network; as many at once. */
  readonly newSessionsPerHour: number;
  /** What one gateway may send; see `budgets.ts`. */
  readonly sharesPerSecond: number;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly invalidSharesPerMinute: number;
  /** Score at which an address is banned (`penalties.ts` has what counts how much); 0 for no bans. A network is banned at ten times that. */
  readonly banScore: number;
  readonly banHalfLifeMs: number;
  /** Addresses and networks that are remembered at most, for bans, for budgets, and for the good work that came from them ... */
  readonly rememberedAddresses: number;
  /** ... which counts for so long. */
  readonly knownAddressMs: number;
  /** Time for a gateway's list of short ids ... */
  readonly shortIdsMs: number;
  /** ... and for transactions, which may be megabytes. */
  readonly transactionsMs: number;
  /** Over how long the word of a new tip is spread, so that not every gateway asks its node for a template, and us for a split, at once. */
  readonly tipSpreadMs: number;
  /** Handshakes: session keys remembered at most, and for how long, so that a replayed HELLO is known. */
  readonly rememberedHellos: number;
  readonly rememberedHelloMs: number;
  /** Time that `close()` waits for commits and for answers to leave. */
  readonly closeMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  handshakeMs: 10_000,
  handshakeQueueMs: 30_000,
  handshakesPerSecond: 400,
  handshakesPerPrefix: 20,
  waitingHandshakes: 4000,
  loadingSessions: 64,
  pingMs: 15_000,
  idleMs: 30 * 60_000,
  stalledMs: 30_000,
  queuedBytes: 256 * 1024,
  pendingShares: 4096,
  connections: 4000,
  connectionsPerAddress: 100,
  connectionsPerPrefix: 400,
  sessionLifeMs: 60 * 60_000,
  detachedSessions: 500,
  coinbaserBurst: 60,
  coinbaserPerSecond: 1,
  strangersCoinbaserPerMinute: 600,
  newSessionsPerHour: 240,
  sharesPerSecond: 2000,
  messagesPerSecond: 20,
  bytesPerSecond: 2_000_000,
  invalidSharesPerMinute: 1200,
  banScore: 100,
  banHalfLifeMs: 10 * 60_000,
  rememberedAddresses: 20_000,
  knownAddressMs: 24 * 60 * 60_000,
  shortIdsMs: 10_000,
  transactionsMs: 30_000,
  tipSpreadMs: 50,
  rememberedHellos: 100_000,
  rememberedHelloMs: 24 * 60 * 60_000,
  closeMs: 10_000,
};

export interface GatewayServerOptions {
  /** Address to listen on; `::` takes IPv4 too where the system lets it. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** A socket that listens already and was handed to this process, instead of host and port: it outlives the process. */
  readonly fd?: number | undefined;
  /** The pool's scriptPubKey, 1-64 bytes. */
  readonly payoutScript: Uint8Array;
  /** Primary coinbase tag, at most 83 bytes, without NUL and 0x0F. */
  readonly tag: Uint8Array;
  /** Least share difficulty, a power of two, in units of the network's difficulty one. */
  readonly minimumDifficulty: bigint;
  /** The minimum of a gateway with much work goes up to this, a power of two; default: `minimumDifficulty`, so that it never moves. */
  readonly minimumDifficultyCeiling?: bigint;
  /** Shares a minute that one gateway should send at most; default 600. Without a ceiling over the minimum it means nothing. */
  readonly gatewaySharesPerMinute?: number;
  /** Greeting that gateways log; at most 511 bytes. */
  readonly motd: string;
  /** Long-term signing keys (hex) of gateways that relay others' work. */
  readonly relays?: ReadonlySet<string>;
  readonly limits?: Partial<GatewayLimits>;
  /** Addresses and networks (ADDRESS/BITS). */
  readonly addresses?: {
    /** Neither banned, nor limited by address and network, nor denied. */
    readonly allow?: readonly string[];
    readonly deny?: readonly string[];
    /** Whose PROXY headers are believed, and demanded. */
    readonly proxies?: readonly string[];
  };
  /** Which gateways are taken; all by default. */
  readonly gateways?: GatewayListOptions;
}

/** Ten a second: some 75 miners at a gateway's eight shares a minute come to it. */
export const DEFAULT_SHARES_PER_MINUTE = 600;
/** At fewer, ten minutes' silence could be luck, and a minimum that is too high would stay. */
export const LEAST_SHARES_PER_MINUTE = 20;

/** A setting that no gateway could work with. */
export class GatewayOptionsError extends Error {
  readonly code = "gatewayOptions";
  constructor(
    readonly option: string,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`${option}: expected ${expected}, got ${got}`);
    this.name = "GatewayOptionsError";
  }
}

/**
 * log2 of the least share difficulty: what the target byte of a share must reach.
 * @throws GatewayOptionsError unless it is a power of two below 2^63 (a gateway would round it up on its own, and miners would be refused).
 */
export function minimumTargetByte(minimumDifficulty: bigint, option = "minimumDifficulty"): number {
  const log2 = minimumDifficulty.toString(2).length - 1;
  if (minimumDifficulty < 1n || 1n << BigInt(log2) !== minimumDifficulty || log2 > 62) {
    throw new GatewayOptionsError(option, "a power of two from 1 to 2^62", minimumDifficulty.toString());
  }
  return log2;
}

/** Between what the minimum of each gateway moves. @throws GatewayOptionsError for bounds that hold nothing between them. */
export function minimumBounds(options: GatewayServerOptions): MinimumBounds {
  const { minimumDifficulty, minimumDifficultyCeiling = minimumDifficulty } = options;
  const floor = minimumTargetByte(minimumDifficulty);
  const ceiling = minimumTargetByte(minimumDifficultyCeiling, "minimumDifficultyCeiling");
  if (ceiling < floor) {
    throw new GatewayOptionsError("minimumDifficultyCeiling", `at least ${minimumDifficulty}`, minimumDifficultyCeiling.toString());
  }
  const sharesPerMinute = options.gatewaySharesPerMinute ?? DEFAULT_SHARES_PER_MINUTE;
  if (!(sharesPerMinute >= LEAST_SHARES_PER_MINUTE)) {
    throw new GatewayOptionsError("gatewaySharesPerMinute", `at least ${LEAST_SHARES_PER_MINUTE}`, String(sharesPerMinute));
  }
  return { floor, ceiling, sharesPerMinute };
}

/** Checks what would make every gateway fail at once, so that it is said at start and not per connection (DATUM.md section 7). */
export function checkOptions(options: GatewayServerOptions): void {
  minimumBounds(options);
  const script = options.payoutScript.length;
  if (script < 1 || script > MAX_SCRIPT_BYTES) {
    throw new GatewayOptionsError("payoutScript", `1 to ${MAX_SCRIPT_BYTES} bytes`, `${script} bytes`);
  }
  const tag = options.tag.length;
  if (tag > MAX_TAG_BYTES) throw new GatewayOptionsError("tag", `at most ${MAX_TAG_BYTES} bytes`, `${tag} bytes`);
  const motd = Buffer.byteLength(options.motd);
  if (motd > MAX_MOTD_BYTES) throw new GatewayOptionsError("motd", `at most ${MAX_MOTD_BYTES} bytes`, `${motd} bytes`);
  if (options.tag.includes(0x00) || options.tag.includes(0x0f)) {
    throw new GatewayOptionsError("tag", "no NUL and no 0x0F byte", Buffer.from(options.tag).toString("hex"));
  }
}
