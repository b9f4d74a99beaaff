/** The plain values of the money part of the ledger. Hashes are 32 bytes in internal order, amounts satoshis. */
import type { SplitOutput } from "../types.js";

/** A place on the best chain. */
export interface ChainPosition {
  readonly height: number;
  readonly hash: Uint8Array;
}

export interface Outpoint {
  readonly txid: Uint8Array;
  readonly vout: number;
}

/** A transaction that touches the pool's scripts, the coinbase not among them. */
export interface ChainTransaction {
  readonly txid: Uint8Array;
  /** Coins of the pool that it spends, in the order of its inputs. */
  readonly spends: readonly Outpoint[];
  /** All of its outputs, in order. */
  readonly outputs: readonly SplitOutput[];
}

/** A block of the best chain, reduced to what the books need. `chain` reads it from the node. */
export interface ChainBlock extends ChainPosition {
  readonly prevhash: Uint8Array;
  /** Header time, seconds. */
  readonly time: number;
  /** Compact target. */
  readonly bits: number;
  readonly coinbase: {
    readonly txid: Uint8Array;
    /** Without witness, as its txid is made of. */
    readonly raw: Uint8Array;
    readonly outputs: readonly SplitOutput[];
    /** The DATUM prime id that its scriptSig carries, undefined when scriptSig has not that form. */
    readonly primeId: number | undefined;
  };
  /** In the order of the block. */
  readonly transactions: readonly ChainTransaction[];
}

/** What became of a block when the books took it up. */
export interface Connected {
  /**
   * `none`: nothing of the pool's; `paid`: a block of the pool, booked; `receipt`: its coinbase pays the pool's script, but it is no block that the pool
   * knows (unattributed).
   */
  readonly outcome: "none" | "paid" | "receipt";
  /** Satoshis to the pool's scripts in the coinbase. */
  readonly received: bigint;
  /** Satoshis to payees in the coinbase of a block of the pool. */
  readonly paid: bigint;
  /** True when the block's share had come; false for one discovered on the chain. */
  readonly claimed: boolean;
  /** A block that was handed in, or of a session that was given splits for its parent, and is not booked as the pool's. Not told again by a repeated call. */
  readonly lost?: true;
}

export interface Disconnected {
  /** Entries that were reversed. */
  readonly reversed: number;
  /** True when it was a block of the pool. */
  readonly poolBlock: boolean;
}

/** What the chain room asks of the books. One call at a time; each is one transaction, and safe to repeat after a failure. */
export interface ChainBooks {
  /** How far the books have followed the best chain; undefined before `begin`. */
  cursor(): ChainPosition | undefined;
  /**
   * Where a new pool's books begin: nothing up to and with this block is looked at.
   *
   * @param before blocks right before it, by height ascending: how far down the chain may leave the books
   */
  begin(position: ChainPosition, before: readonly ChainPosition[]): Promise<void>;
  /** The followed chain's block at a height; undefined where it has none. */
  hashAt(height: number): Promise<Uint8Array | undefined>;
  /** True for a script that is or was the pool's. */
  isPoolScript(script: Uint8Array): boolean;
  /** True for an unspent coin of the pool on the followed chain. */
  holds(outpoint: Outpoint): boolean;
  /** Books the block after the cursor; for the cursor's own block nothing happens, and the answer is that of the first time. */
  connect(block: ChainBlock): Promise<Connected>;
  /** Blocks of the followed chain whose coinbase stands as a receipt, and that a session has handed in (since, perhaps), by height. */
  claimedReceipts(): Promise<ChainPosition[]>;
  /**
   * Looks at such a block again, with its claim: where it is the pool's the receipt is taken back and the block booked, `paid`, in one transaction.
   * Undefined, and nothing happens, for a block that is no receipt of the followed chain (any more).
   */
  attribute(block: ChainBlock): Promise<Connected | undefined>;
  /** Takes the cursor's block back. With `position`, the block meant, a call that is repeated after its answer was lost does nothing more. */
  disconnect(position?: ChainPosition): Promise<Disconnected>;
}

/** An account's claim on the pool. */
export interface Balance {
  /** Satoshis; below 0 when a reorg took back what it had been paid for. */
  readonly balance: bigint;
  /** Ledger entry since which the balance has reached the account's threshold. */
  readonly dueSince: bigint | undefined;
  /** Height of the last block that earned it something. */
  readonly lastEarned: number | undefined;
}

/** The balances of the chain that ends at one block. In place; read it before the next await. */
export interface BalanceView {
  /** Height of that block. */
  readonly height: number;
  /** Number of the ledger's last entry, 0n for none: while it is the same nothing in here has changed but thresholds. */
  readonly lastEntry: bigint;
  readonly balances: ReadonlyMap<number, Balance>;
  /** An account's own threshold, undefined for the pool's. */
  threshold(account: number): bigint | undefined;
  /** Weight of the log at the pins of the pool's blocks on this chain, oldest first (as many as a scheme counts). */
  readonly blockWeights: readonly bigint[];
}
