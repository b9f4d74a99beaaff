/** The template that the pool's node would mine itself: what the gateways' templates are held against. */
import { type BlockTemplate, fromReverseHex, type TemplateTransaction } from "@openprime/bitcoin";

export interface OwnTransaction {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly wtxid: Uint8Array;
  /** Satoshis. */
  readonly fee: bigint;
  /** BIP141. */
  readonly weight: number;
}

export interface OwnTemplate {
  /** Internal order. */
  readonly prevhash: Uint8Array;
  /** Height of the block that it would become. */
  readonly height: number;
  /** Of the coinbase, satoshis. */
  readonly value: bigint;
  /** Of the transactions, without the coinbase. */
  readonly weight: number;
  readonly transactions: readonly OwnTransaction[];
}

/** What is kept of a node's template; its transactions' bytes are megabytes and are let go. */
export function readOwnTemplate({ previousblockhash, height, coinbasevalue, transactions }: BlockTemplate): OwnTemplate {
  return {
    prevhash: fromReverseHex(previousblockhash),
    height,
    value: coinbasevalue,
    weight: transactions.reduce((sum, { weight }) => sum + weight, 0),
    transactions: transactions.map(ownTransaction),
  };
}

function ownTransaction({ txid, hash, fee, weight }: TemplateTransaction): OwnTransaction {
  return { txid: fromReverseHex(txid), wtxid: fromReverseHex(hash), fee, weight };
}
