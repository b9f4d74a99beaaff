/**
 * What the pool publishes so that anyone can recompute it. The text of the format is docs/proofs.md; amounts and weights are decimal text there (they
 * pass 2^53) and bigint here; hashes and scripts are lower-case hex there, hashes of blocks and transactions in display order.
 */
import type { SchemeOptions } from "@openprime/rewards";

/** One account in a settlement. */
export interface SettlementLine {
  /** Database id, the same in every document: satoshis left over in a division go by it. */
  readonly account: number;
  /** scriptPubKey. */
  readonly script: Uint8Array;
  /** In units of 1/denominator of a share's difficulty; 0 when the account has no share in the window. */
  readonly weight: bigint;
  /** Weight × (10^6 - fee rate), summed over its shares in the window. */
  readonly netWeight: bigint;
  /**
   * Balance before this block; what it earned, what the coinbase paid it, and the balance after: before + earned + fee - paid = balance.
   * Earned, fee and paid are 0 or more in a settlement, and 0 or less in a reversal.
   */
  readonly before: bigint;
  readonly earned: bigint;
  /** The operator's income; 0 on all lines but one. */
  readonly fee: bigint;
  readonly paid: bigint;
  readonly balance: bigint;
}

/** A ledger entry between two settlements: receipts, spends, credits, reversals. Balances change by `amounts`. */
export interface SettlementEntry {
  readonly id: bigint;
  readonly kind: "receipt" | "spend" | "credit" | "reversal";
  /** Block (of the chain) or transaction that it comes from, internal order. */
  readonly block: Uint8Array | undefined;
  readonly txid: Uint8Array | undefined;
  /** By script, ascending; accounts' balances only. */
  readonly amounts: readonly { readonly script: Uint8Array; readonly amount: bigint }[];
}

/** Where a window lies in the log. */
export interface SettlementWindow {
  /** Weight asked for; 0 for a scheme without a window. */
  readonly size: bigint;
  /** Weight found, in units of 1/denominator: size × denominator, or less when the log is shorter. */
  readonly weight: bigint;
  readonly netWeight: bigint;
  readonly denominator: bigint;
  /** First segment inside, and the segment of the pin. 0 for none. */
  readonly firstSegment: number;
  readonly lastSegment: number;
  /** Weight of the whole log up to the pin; of use for windows that count blocks. */
  readonly logWeight: bigint;
  /** The same at the pins of the pool's blocks that the rule counts, oldest first; empty for other rules. */
  readonly blockWeights: readonly bigint[];
  /** sha256 of the log file of `lastSegment`; each log file names the one before it. Undefined when none was written. */
  readonly logHash: Uint8Array | undefined;
}

/**
 * Everything of one found block that joined the best chain, or of its leaving it. A reversal repeats the settlement that it takes back (block, scheme,
 * fee, value, received, pin, split, finder, window, and each line's weights) with earned, fee and paid of its lines negated; number, link, entries,
 * balances and the list of pool scripts are its own.
 */
export interface Settlement {
  /** 1, 2, 3… without a gap. */
  readonly number: number;
  readonly kind: "settlement" | "reversal";
  /** sha256 of the settlement before it; zeros for the first. */
  readonly previous: Uint8Array;
  /** bitcoin network: mainnet, testnet, testnet4, signet, regtest. */
  readonly network: string;
  readonly block: {
    readonly hash: Uint8Array;
    readonly prevhash: Uint8Array;
    readonly height: number;
    readonly bits: number;
    /** Header time, seconds. */
    readonly time: number;
    /** Coinbase without witness. */
    readonly coinbase: Uint8Array;
  };
  readonly scheme: SchemeOptions;
  /** Fee for a scheme without a window. */
  readonly feePpm: number;
  /** What was divided, satoshis: received + what the coinbase paid to accounts. In a reversal the same, not negated. */
  readonly value: bigint;
  /** To the pool's scripts in the coinbase. */
  readonly received: bigint;
  /** The pool's scripts, those retired too; ascending. */
  readonly poolScripts: readonly Uint8Array[];
  /** Log position that the block pays by. */
  readonly pin: bigint;
  /** The split that its job was made from. */
  readonly split:
    | { readonly id: bigint; readonly value: bigint; readonly outputs: readonly { readonly script: Uint8Array; readonly value: bigint }[] }
    | undefined;
  readonly finder: Uint8Array | undefined;
  readonly window: SettlementWindow;
  /** Since the settlement before it, by id. */
  readonly entries: readonly SettlementEntry[];
  /** By script, ascending: every account with weight, earnings, a payment, or a balance before or after. */
  readonly lines: readonly SettlementLine[];
  /** Root of the Merkle-sum tree over the lines. */
  readonly root: Uint8Array;
}
