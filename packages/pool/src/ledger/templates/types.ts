/** Plain values of templates, as `chain` makes them and the books keep them. */

/** A template as its job claims it. */
export interface TemplateRecord {
  readonly id: bigint;
  readonly sessionId: bigint;
  /** Internal order. */
  readonly prevhash: Uint8Array;
  readonly height: number;
  /** Value of the coinbase, satoshis. */
  readonly value: bigint;
  readonly transactions: number;
  readonly weight: number;
  readonly size: number;
  readonly sigops: number;
  /** Milliseconds, pool clock. */
  readonly openedAt: number;
}

/** Transactions and their fees. */
export interface TemplateDifference {
  readonly transactions: number;
  /** Satoshis, of those whose fee is known. */
  readonly fees: bigint;
}

/** What came of a template. */
export interface TemplateVerdict {
  readonly state: "sound" | "unjudged" | "unsound";
  /** How the transactions were had; `known`: the same set was judged before; undefined when they were not. */
  readonly path: "shortIds" | "byIndex" | "fullSet" | "known" | undefined;
  /** Stable code of why it is unsound or unjudged, e.g. `merkleMismatch`; undefined when it is sound. */
  readonly code: string | undefined;
  /** The same in words. */
  readonly detail: string | undefined;
  /** Fees of its transactions as far as they are known, satoshis. */
  readonly fees: bigint | undefined;
  /** The node's own template on that parent, beside it; undefined when there was none. */
  readonly own:
    | {
        readonly value: bigint;
        readonly transactions: number;
        readonly weight: number;
        /** What the node's has and this one lacks, and the reverse. */
        readonly lacks: TemplateDifference;
        readonly extra: TemplateDifference;
      }
    | undefined;
  /** Milliseconds, pool clock. */
  readonly judgedAt: number;
}

/** A template as the books hold it. */
export interface StoredTemplate extends TemplateRecord {
  /** Long-term key of the gateway; undefined when the books have no such session. */
  readonly gatewayKey: Uint8Array | undefined;
  /** Undefined while it is being judged. */
  readonly verdict: TemplateVerdict | undefined;
}
