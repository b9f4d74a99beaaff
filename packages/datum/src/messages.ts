/**
 * The values that DATUM messages carry, in both directions. No bytes here: the codecs turn these into wire form and back.
 *
 * Hashes are 32 bytes in internal order (not the reversed order that explorers show). Satoshi amounts are `bigint`.
 */

/** 0x99, pool→gateway: what every coinbase of this gateway must carry. Signed by the pool's session key. */
export interface Configuration {
  readonly type: "configuration";
  /** scriptPubKey that takes every satoshi no split claims; 1-64 bytes. */
  readonly payoutScript: Uint8Array;
  /** u32 that keeps the work of all gateways disjoint; never 0. */
  readonly primeId: number;
  /** Primary coinbase tag, at most 83 bytes, without NUL and 0x0F. */
  readonly tag: Uint8Array;
  /** Power of two, in units of the network's difficulty one. */
  readonly minimumDifficulty: bigint;
}

/** One payee of a split. */
export interface CoinbaserOutput {
  /** Satoshis. */
  readonly value: bigint;
  /** scriptPubKey, 2-64 bytes. */
  readonly script: Uint8Array;
}

/** 0x11, pool→gateway: the split for one value. */
export interface CoinbaserResponse {
  readonly type: "coinbaser";
  /** Must equal the requested value, satoshis. */
  readonly value: bigint;
  /** 1-255; 0 is the gateway's own word for "none". */
  readonly coinbaserId: number;
  readonly outputs: readonly CoinbaserOutput[];
}

export interface ShortIdsRequest {
  readonly type: "shortIdsRequest";
  readonly jobId: number;
}

export interface TransactionsByIndexRequest {
  readonly type: "transactionsByIndexRequest";
  readonly jobId: number;
  /** Positions in the template, the coinbase not counted; never one twice. */
  readonly indices: readonly number[];
}

export interface FullSetRequest {
  readonly type: "fullSetRequest";
  readonly jobId: number;
}

export type ShareStatus = "accepted" | "tentative" | "rejected";

/** 0x8F, pool→gateway: the answer to one share. */
export interface ShareResponse {
  readonly type: "shareResponse";
  readonly status: ShareStatus;
  /** 0 when accepted, else a code of the reject table (10-30). */
  readonly reason: number;
  readonly nonce: number;
  readonly targetByte: number;
  readonly jobId: number;
}

/** 0xF9, pool→gateway: ask your node for a new template. */
export interface BlockNotify {
  readonly type: "blockNotify";
}

/** Top-level command 1, pool→gateway: keepalive. */
export interface Ping {
  readonly type: "ping";
}

/** Top-level command 7, pool→gateway: text for the gateway's log. */
export interface Info {
  readonly type: "info";
  readonly text: string;
}

/** Everything a pool sends after the handshake. */
export type PoolMessage =
  | Configuration
  | CoinbaserResponse
  | ShortIdsRequest
  | TransactionsByIndexRequest
  | FullSetRequest
  | ShareResponse
  | BlockNotify
  | Ping
  | Info;

/** 0x10, gateway→pool: whom shall a coinbase of this value pay? */
export interface CoinbaserRequest {
  readonly type: "coinbaserRequest";
  /** Satoshis. */
  readonly value: bigint;
  readonly prevhash: Uint8Array;
}

/** Section 0x01 of a share: the job, sent with its first share on a connection. Claims, to be compared with the pool's node. */
export interface JobSection {
  readonly prevhash: Uint8Array;
  /** Offset of the target byte in the coinbase transaction (non-witness form). */
  readonly targetByteIndex: number;
  /** Compact target as u32 (0x1d00ffff is mainnet's easiest). */
  readonly nbits: number;
  /** 1-255, or 0 when the split came late or was empty. */
  readonly coinbaserId: number;
  readonly height: number;
  /** Satoshis. */
  readonly coinbaseValue: bigint;
  /** Without the coinbase. */
  readonly transactionCount: number;
  readonly totalWeight: number;
  readonly totalSize: number;
  readonly totalSigops: number;
  /** The merkle branches, 32 bytes each, one after another. */
  readonly branches: Uint8Array;
}

/** Section 0x02 of a share: one coinbase of the job, sent with the first share that uses it. */
export interface CoinbaseSection {
  /** 0-5, or 0xFF subsidy-only. */
  readonly coinbaseId: number;
  readonly coinb1: Uint8Array;
  readonly coinb2: Uint8Array;
}

/** 0x27, gateway→pool: one share. */
export interface Share {
  readonly type: "share";
  /** 0-7. */
  readonly jobId: number;
  /** 0-5, or 0xFF subsidy-only. */
  readonly coinbaseId: number;
  readonly isBlock: boolean;
  readonly subsidyOnly: boolean;
  readonly quickdiff: boolean;
  /** Flag bits beyond the three known ones, kept so that every share round-trips. */
  readonly unknownFlags: number;
  /** log2 of the share's difficulty. */
  readonly targetByte: number;
  readonly ntime: number;
  readonly nonce: number;
  readonly version: number;
  /** 12 bytes from an honest gateway (the length is on the wire; another one is reason 12, not a decoding error). */
  readonly extranonce: Uint8Array;
  /** Raw bytes without the NUL, at most 384. */
  readonly username: Uint8Array;
  readonly reserved: number;
  readonly job?: JobSection;
  readonly coinbase?: CoinbaseSection;
}

/** Error byte of a 0x50 reply: what the gateway could not serve. */
export type ValidationError = "noJob" | "noTemplate" | "tooManyTransactions" | "badJobIndex" | "badRequest";

/** 0x50 0x90, gateway→pool. */
export interface ShortIdsReply {
  readonly type: "shortIds";
  /** 0xFF with the error badJobIndex. */
  readonly jobId: number;
  readonly error?: ValidationError;
  /** 6-byte ids one after another; empty with an error. */
  readonly ids: Uint8Array;
  /** XOR of all wtxids onto the protocol's constant; absent with an error and with no transactions. */
  readonly crosscheck?: Uint8Array;
}

/** 0x50 0x91 (by index) and 0x50 0x92 (the full set), gateway→pool. */
export interface TransactionsReply {
  readonly type: "transactionsByIndex" | "fullSet";
  readonly jobId: number;
  readonly error?: ValidationError;
  /** Raw transactions with witness, the coinbase not among them. */
  readonly transactions: readonly Uint8Array[];
}

/** 0x28, gateway→pool, proposed: a job before its first share. */
export interface JobAnnouncement {
  readonly type: "jobAnnouncement";
  readonly jobId: number;
  readonly job: JobSection;
  readonly coinbases: readonly CoinbaseSection[];
}

/** Everything a gateway sends after the handshake. */
export type GatewayMessage = CoinbaserRequest | Share | ShortIdsReply | TransactionsReply | JobAnnouncement;

/** What a gateway says of itself in HELLO. */
export interface Hello {
  /** Long-term Ed25519 public key, 32 bytes: the gateway's identity. */
  readonly longTermSignKey: Uint8Array;
  readonly longTermBoxKey: Uint8Array;
  readonly sessionSignKey: Uint8Array;
  readonly sessionBoxKey: Uint8Array;
  /** e.g. `v0.4.1-beta/<git hash>`; not trusted, may hold anything but NUL. */
  readonly version: string;
  /** Seed of header keys and nonces. */
  readonly nk: number;
}
