/** What the mempool's thread and the rest of the pool say to each other. Ids are 32 bytes each in internal order, side by side. */
import type { NodeClientOptions } from "@openprime/bitcoin";
import type { FlatBytes } from "./flat-bytes.js";
import type { MempoolFollowerOptions } from "./mempool-follower.js";
import type { FoundTransactions, MempoolLimits } from "./mempool-store.js";

/** What the thread is started with. */
export interface MempoolThreadOptions {
  readonly node: NodeClientOptions;
  readonly follow: MempoolFollowerOptions;
  readonly limits: MempoolLimits;
}

/** A question, by its number. */
export type MempoolQuestion =
  | { readonly type: "match"; readonly key: Uint8Array; readonly ids: Uint8Array }
  | { readonly type: "raw"; readonly txids: Uint8Array; readonly wtxids: Uint8Array }
  | { readonly type: "fees"; readonly txids: Uint8Array };

/** To the thread. */
export type MempoolOrder =
  | (MempoolQuestion & { readonly question: number })
  | { readonly type: "learn"; readonly raws: FlatBytes }
  | { readonly type: "knowFees"; readonly txids: Uint8Array; readonly fees: BigInt64Array }
  | { readonly type: "stop" };

/** Answers, each to the question of that type. */
export interface MempoolAnswers {
  readonly match: { readonly found: FoundTransactions; readonly seconds: number };
  readonly raw: FlatBytes;
  /** Satoshis, -1 for one that the node does not tell. */
  readonly fees: BigInt64Array;
}

export interface MempoolFigures {
  readonly transactions: number;
  readonly rawBytes: number;
  /** Everything that the node has was entered once. */
  readonly loaded: boolean;
  /** Transactions that found no place. */
  readonly refused: number;
}

/** From the thread. */
export type MempoolReport =
  | { readonly type: "answer"; readonly question: number; readonly answer: MempoolAnswers[keyof MempoolAnswers] }
  | { readonly type: "failed"; readonly question: number; readonly error: string }
  | { readonly type: "figures"; readonly figures: MempoolFigures }
  | {
      readonly type: "said";
      readonly level: "debug" | "info" | "warn";
      readonly fields: Readonly<Record<string, unknown>>;
      readonly text: string;
    };
