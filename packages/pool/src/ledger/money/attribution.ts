/**
 * Whose a block on the chain is. Its coinbase must explain itself: it carries the prime id of a session, and what it pays goes to the pool's scripts or is,
 * in order and to the satoshi, what a split says that this session was offered for this parent and value. Shares and claims may tell the pool of a job, but
 * never what was paid.
 */
import type { SchemeOptions } from "@openprime/rewards";
import type { Settlement } from "../../proofs/index.js";
import type { StoredSplit } from "../share-log.js";
import type { SplitOutput } from "../types.js";
import type { ChainBlock } from "./types.js";

/** What a session said of a block that it handed in. */
export interface BlockClaim {
  readonly splitId: bigint | undefined;
  /** Of the job that it was made with. */
  readonly pin: bigint;
  /** Account whose share it was. */
  readonly finder: number | undefined;
  /** The pool's terms when it was handed in; undefined where the books don't say. */
  readonly scheme?: SchemeOptions | undefined;
  readonly feePpm?: number | undefined;
}

export interface AttributionInput {
  readonly block: Pick<ChainBlock, "prevhash" | "coinbase">;
  /** True for a script that is or was the pool's. */
  readonly isPoolScript: (script: Uint8Array) => boolean;
  /** Owner of the coinbase's prime id, undefined for none. */
  readonly session: bigint | undefined;
  /** That session's claim for this block. */
  readonly claim: BlockClaim | undefined;
  /** Splits that may fit. */
  readonly splits: readonly StoredSplit[];
  /** Lowest pin of shares that were accepted from the session on the block's parent; asked for only where nothing else tells of a job. */
  readonly sharesPin: () => Promise<bigint | undefined>;
}

export type Attribution =
  | {
      readonly kind: "pool";
      readonly session: bigint;
      /** Position of the log that the block pays by. */
      readonly pin: bigint;
      /** What its job was made from, where it was made from a split. */
      readonly split: Settlement["split"];
      readonly finder: number | undefined;
      /** What it is divided by; undefined for the pool's present terms. */
      readonly scheme: SchemeOptions | undefined;
      readonly feePpm: number | undefined;
      /** Satoshis to the pool's scripts. */
      readonly received: bigint;
      /** Outputs to accounts. */
      readonly payees: readonly SplitOutput[];
      readonly claimed: boolean;
    }
  | {
      readonly kind: "foreign";
      readonly received: bigint;
      /** Why it is no block of the pool: the end of a sentence that begins with "its coinbase". */
      readonly why: string;
    };

/**
 * Judges a block. Among several splits that fit it is the one that the session's claim names, else the one with the lowest id. A coinbase that pays the pool
 * alone fits a split too, as one that shows none of its outputs; where its session has claimed it for work without a split, the claim says the pin.
 */
export async function attribute(input: AttributionInput): Promise<Attribution> {
  const { block, session, claim } = input;
  const outputs = block.coinbase.outputs.filter(({ value }) => value > 0n);
  const total = sumOf(outputs);
  const payees = outputs.filter(({ script }) => !input.isPoolScript(script));
  const received = total - sumOf(payees);
  const foreign = (why: string): Attribution => ({ kind: "foreign", received, why });
  if (session === undefined) return foreign("carries no prime id of a session");
  const fitting = input.splits.filter((split) => fits(split, session, block.prevhash, total, payees));
  const named = fitting.find(({ id }) => id === claim?.splitId);
  const lowest = fitting.reduce<StoredSplit | undefined>(
    (least, split) => (least === undefined || split.id < least.id ? split : least),
    undefined,
  );
  const ofWorkWithout = payees.length === 0 && claim !== undefined && claim.splitId === undefined;
  const split = named ?? (ofWorkWithout ? undefined : lowest);
  if (split === undefined && payees.length > 0)
    return foreign("pays others than the splits that its session was given for its parent and value");
  if (total === 0n) return foreign("pays nothing");
  const pin = split?.position ?? claim?.pin ?? (await input.sharesPin());
  if (pin === undefined) return foreign("pays the pool alone, and its session had no job on its parent that the pool knows");
  const { scheme, feePpm } = split ?? claim ?? { scheme: undefined, feePpm: undefined };
  const finder = split?.finder ?? claim?.finder;
  return { kind: "pool", session, pin, split, finder, scheme, feePpm, received, payees, claimed: claim !== undefined };
}

function fits(split: StoredSplit, session: bigint, prevhash: Uint8Array, total: bigint, payees: readonly SplitOutput[]): boolean {
  if (split.sessionId !== session || split.value !== total || Buffer.compare(split.prevhash, prevhash) !== 0) return false;
  let next = 0;
  for (const { value, script } of split.outputs) {
    const payee = payees[next];
    if (payee === undefined) break;
    if (payee.value === value && Buffer.compare(payee.script, script) === 0) next++;
  }
  return next === payees.length;
}

function sumOf(outputs: readonly SplitOutput[]): bigint {
  return outputs.reduce((sum, { value }) => sum + value, 0n);
}
