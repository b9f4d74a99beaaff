/** The plain values of the check of the books. Hashes are 32 bytes in internal order, amounts satoshis. */
import type { ChainPosition, Outpoint } from "../money/types.js";
import type { SplitOutput } from "../types.js";

/** A block's coinbase as the node has it. */
export interface ReadCoinbase {
  readonly txid: Uint8Array;
  /** In order; those of value 0 too. */
  readonly outputs: readonly SplitOutput[];
  /** Header time, seconds. */
  readonly time: number;
}

/** An unspent output. */
export interface UnspentOutput extends SplitOutput {
  /** Height of its block. */
  readonly height: number;
}

/** What a node said of all unspent outputs of some scripts. */
export interface UnspentScan {
  /** The tip that it looked at. */
  readonly height: number;
  readonly outputs: readonly (UnspentOutput & Outpoint)[];
}

/** What the check asks of the chain; the implementation asks the pool's node, and checks what can be checked. */
export interface ChainReader {
  /** The node's best block. */
  tip(): Promise<ChainPosition>;
  /** The best chain's block at a height; undefined above its tip. */
  hashAt(height: number): Promise<Uint8Array | undefined>;
  /** The coinbase of a block, proven by the header's merkle root; undefined where the node has the block no more (pruned). */
  coinbase(hash: Uint8Array): Promise<ReadCoinbase | undefined>;
  /** An output of the node's UTXO set, mempool not looked at; undefined when it is spent or never was. */
  unspent(outpoint: Outpoint): Promise<SplitOutput | undefined>;
  /** All unspent outputs of these scripts; the reason in words where the node can't tell. */
  scan(scripts: readonly Uint8Array[]): Promise<UnspentScan | string>;
}

/** What can differ. */
export type MoneyDifferenceKind =
  /** Postings of an entry that don't sum to zero; numbers of entries with a gap; a reversal that is not its entry's negative. */
  | "entrySum"
  | "entryGap"
  | "reversal"
  /** The table `balances` against the postings, and its two figures against the entries. */
  | "balance"
  | "dueSince"
  | "lastEarned"
  /** The followed chain has a gap, an entry's block is not on it, or one of its blocks is not on the node's best chain. */
  | "chain"
  /** A block's coinbase against the postings. */
  | "received"
  | "paid"
  /** A block that pays the pool and has no entry, or more than one. */
  | "booked"
  /** Postings against the published settlement; a settlement that is missing, changed or not linked. */
  | "earned"
  | "settlement"
  /** Unspent coins against the book of coins, and against the node's. */
  | "coinSum"
  | "coin"
  | "coinUnknown"
  /** Somebody owes the pool, the pool owes more than it holds, and balances with what is unattributed are not what it holds. */
  | "negativeBalance"
  | "insolvent"
  | "holdings"
  /** The share log's sums; see `checkBooks`. */
  | "shares";

/** One place where the books are wrong. */
export interface MoneyDifference {
  readonly kind: MoneyDifferenceKind;
  /** What it is about, the same from one check to the next: an entry, an account, a block, an outpoint. */
  readonly subject: string;
  /** One sentence: where, what was expected, what was found. */
  readonly message: string;
}

/** What the books come to. */
export interface MoneyFigures {
  /** How far the books have followed the chain; undefined before they began. */
  readonly height: number | undefined;
  readonly entries: bigint;
  /** Sum of the balances above 0 of all accounts but the operator's. */
  readonly owed: bigint;
  /** Accounts with a balance below 0, the operator's not among them. */
  readonly negativeBalances: number;
  /** Balance of the operator's accounts together. */
  readonly operator: bigint;
  /** Receipts that belong to nobody yet. */
  readonly unattributed: bigint;
  /** What the pool's scripts hold: mature + immature. */
  readonly holdings: bigint;
  /** Spendable in the next block. */
  readonly mature: bigint;
  readonly immature: bigint;
}

export interface MoneyCheck {
  readonly differences: readonly MoneyDifference[];
  /** What is worth knowing and no difference: the pool is behind, the node can't tell, coins from before the books began. */
  readonly notes: readonly string[];
  readonly figures: MoneyFigures;
}
