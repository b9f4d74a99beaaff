/** Plain values of template validation, and what it asks of the rooms around it. */
import type { TemplateRecord, TemplateVerdict } from "../../ledger/index.js";

export type { TemplateDifference as Difference, TemplateRecord, TemplateVerdict } from "../../ledger/index.js";

/** A transaction that the pool's node has, or had. */
export interface KnownTransaction {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array;
  readonly wtxid: Uint8Array;
  /** Bytes with witness. */
  readonly size: number;
  /** BIP141. */
  readonly weight: number;
  /** Satoshis; undefined while the node has not told. */
  readonly fee: bigint | undefined;
}

/** The mempool as the pool's node sees it. Its questions throw MempoolError when they can't be answered now: that says nothing of a transaction. */
export interface MempoolView {
  /** How many transactions are known. */
  readonly size: number;
  /**
   * The transactions with these short ids, in their order; undefined where none has it, or several do. Worked out beside the share path.
   *
   * @param key 16 bytes
   * @param ids 6 bytes each
   */
  match(key: Uint8Array, ids: Uint8Array): Promise<(KnownTransaction | undefined)[]>;
  /** Raw bytes with witness of known transactions, in order; undefined for one that neither memory nor node has any more. */
  raw(transactions: readonly KnownTransaction[]): Promise<(Uint8Array | undefined)[]>;
  /** Fees in satoshis, in order; undefined where the node can't tell. */
  fees(transactions: readonly KnownTransaction[]): Promise<(bigint | undefined)[]>;
  /** Takes transactions that a gateway showed, so that the next one who has them need not be asked. Bounded. */
  learn(raw: readonly Uint8Array[]): void;
}

/** The books' side of templates (`ledger`). */
export interface TemplateStore {
  /** A number that no template ever had. */
  nextId(): bigint;
  /** Must not throw and must not block: a record that can't be kept costs a line of the table, not a share. */
  opened(record: TemplateRecord): void;
  /** As `opened`. */
  judged(id: bigint, verdict: TemplateVerdict): void;
  /** Takes back the shares that carry that template; tried again until the books take it. @returns how many */
  voidShares(id: bigint): Promise<number>;
}
