/**
 * One coinbase of a job: kept as it came, judged once. What was found is kept with it, a refusal too, so that the shares that follow cost
 * no second look.
 */
import { blockWeight, type Coinbase, MAX_BLOCK_WEIGHT, NETWORKS, parseCoinbase, subsidy } from "@openprime/bitcoin";
import type { CoinbaseSection, JobSection } from "@openprime/datum";
import { hex, sameBytes } from "./bytes.js";
import { EXTRANONCE_BYTES, MAX_COINBASE_BYTES, outputBudget, paysSplit, SIZE_SLACK, SUBSIDY_ONLY, sizeLimit } from "./kinds.js";
import { checkOutputs, type OutputsQuery } from "./outputs.js";
import { type Refusal, refusal } from "./refusal.js";
import { fitsExtranonce, hasPrimaryTag, heightPush, parseScriptSig, type ScriptSig } from "./script-sig.js";
import type { OfferedSplit } from "./types.js";

const VERSION = 1;
/** In the form without witness, the number of inputs follows the version; in the other one a zero does. */
const INPUT_COUNT_OFFSET = 4;
const FINAL_SEQUENCE = 0xffffffff;
const LOCKTIME_BYTES = 4;
const COMMITMENT_HASH_BYTES = 32;
/** OP_RETURN and a push of prefix and extranonce. */
const EXTRANONCE_SCRIPT_PREFIX = 4;
const EXTRANONCE_SCRIPT_BYTES = EXTRANONCE_SCRIPT_PREFIX + EXTRANONCE_BYTES;

/** What has been found out about a coinbase. */
export interface CoinbaseFindings {
  /** 17, 26 or 28: size, shape, height, tag and ids. The other two are not looked for then. */
  readonly shape: Refusal | undefined;
  /** 27 or 15: whom it pays. */
  readonly payees: Refusal | undefined;
  /** 19: the place of the target byte. */
  readonly targetPlace: Refusal | undefined;
  /** The split that its outputs pay; undefined for none. */
  readonly split: OfferedSplit | undefined;
}

/** A coinbase as a section brought it. */
export class HeldCoinbase {
  readonly coinbaseId: number;
  /** Both empty when the coinbase is bigger than any kind's. */
  readonly coinb1: Uint8Array;
  readonly coinb2: Uint8Array;
  /** Bytes with the extranonce. */
  readonly size: number;
  /** Set when the coinbase is first judged. */
  findings: CoinbaseFindings | undefined;

  constructor(section: CoinbaseSection) {
    this.coinbaseId = section.coinbaseId;
    this.size = section.coinb1.length + EXTRANONCE_BYTES + section.coinb2.length;
    const kept = this.size < MAX_COINBASE_BYTES;
    // Own copies (a Buffer's `slice` is none): a section is a view of the frame that it came in.
    this.coinb1 = kept ? new Uint8Array(section.coinb1) : new Uint8Array(0);
    this.coinb2 = kept ? new Uint8Array(section.coinb2) : new Uint8Array(0);
  }
}

/** What a coinbase with outputs that are right commits to: the end of its last output. A view. */
export function commitmentOf({ coinb2 }: HeldCoinbase): Uint8Array {
  return coinb2.subarray(-(COMMITMENT_HASH_BYTES + LOCKTIME_BYTES), -LOCKTIME_BYTES);
}

/** What a coinbase is held against. */
export interface CoinbaseRules {
  readonly job: JobSection;
  readonly primeId: number;
  /** The pool's scripts, the present one first: a coinbase pays its rest to one of them. */
  readonly payoutScripts: readonly Uint8Array[];
  readonly tag: Uint8Array;
  /** The split that the job's coinbaser id named when the job came. */
  readonly namedSplit: OfferedSplit | undefined;
  /** Splits of this session for the job's value and prevhash, newest first: tried when the job names none. */
  readonly recentSplits: () => Iterable<OfferedSplit>;
}

/** Judge a coinbase in the order: size, shape, height, tag, ids, payees; and the target byte's place. */
export function judgeCoinbase(held: HeldCoinbase, rules: CoinbaseRules): CoinbaseFindings {
  const limit = (sizeLimit(held.coinbaseId) ?? 0) + SIZE_SLACK;
  if (held.size >= limit) {
    return refused(refusal("coinbaseTooLarge", `coinbase of ${held.size} bytes, kind ${held.coinbaseId} ends under ${limit}`));
  }
  // The job's template is judged with the coinbase that worked first, and another may be larger.
  const { transactionCount, totalWeight } = rules.job;
  const weight = held.coinbaseId === SUBSIDY_ONLY ? 0 : blockWeight(held.size, true, transactionCount, totalWeight);
  if (weight > MAX_BLOCK_WEIGHT) {
    return refused(refusal("coinbaseTooLarge", `a block with it would weigh ${weight}, at most ${MAX_BLOCK_WEIGHT} is allowed`));
  }
  const shape = parseShape(held);
  if (typeof shape === "string") return refused(refusal("badCoinbase", shape));
  const { transaction, script } = shape;
  const height = heightPush(rules.job.height);
  if (!sameBytes(script.heightPush, height)) {
    return refused(
      refusal("badCoinbase", `the coinbase begins with ${hex(script.heightPush)}, height ${rules.job.height} is ${hex(height)}`),
    );
  }
  if (!hasPrimaryTag(script.tags, rules.tag)) {
    return refused(refusal("missingTag", `the tags are ${hex(script.tags)}, the pool's is ${hex(rules.tag)}`));
  }
  if (script.primeId !== rules.primeId) {
    return refused(refusal("badCoinbase", `prime_id ${script.primeId}, this session has ${rules.primeId}`));
  }
  const misplaced = extranoncePlaceError(held, shape);
  if (misplaced !== undefined) return refused(refusal("badCoinbase", misplaced));
  const poolScript = ownScript(transaction.outputs, rules.payoutScripts);
  const budget = outputBudget(held.coinbaseId, poolScript.length, script.bytesBeforeExtranonce, shape.extranonceOutput >= 0);
  const query: Omit<OutputsQuery, "split"> = {
    coinbaseId: held.coinbaseId,
    outputs: transaction.outputs,
    extranonceOutput: shape.extranonceOutput,
    value: coinbaseValue(held.coinbaseId, rules.job),
    poolScript,
    budget,
  };
  const placed = targetPlaceError(held, rules.job, shape);
  const targetPlace = placed === undefined ? undefined : refusal("targetMismatch", placed);
  return { shape: undefined, ...judgePayees(query, rules), targetPlace };
}

/**
 * What a coinbase has to pay in all: the job's value, and for subsidy-only work the subsidy, which the gateway works out by mainnet's
 * halvings on every network.
 */
export function coinbaseValue(coinbaseId: number, job: JobSection): bigint {
  return coinbaseId === SUBSIDY_ONLY ? subsidy(job.height, NETWORKS.mainnet) : job.coinbaseValue;
}

/**
 * Whether a coinbase is this pool's at all: it has the form, tag and prime id of the session, or an output to one of the pool's scripts. The
 * proof of work of any other block of the chain is there for everybody to copy, and is nothing that this pool found.
 */
export function isOfPool(held: HeldCoinbase, findings: CoinbaseFindings, payoutScripts: readonly Uint8Array[]): boolean {
  if (findings.shape === undefined) return true;
  try {
    const { outputs } = parseCoinbase(withoutExtranonce(held));
    return outputs.some(({ script }) => payoutScripts.some((own) => sameBytes(script, own)));
  } catch {
    // No transaction: no node would take a block with it.
    return false;
  }
}

/** The one of the pool's scripts that the coinbase pays; the present one when it pays none. */
function ownScript(outputs: Coinbase["outputs"], [present = new Uint8Array(0), ...retired]: readonly Uint8Array[]): Uint8Array {
  const pays = (own: Uint8Array): boolean => outputs.some(({ script }) => sameBytes(script, own));
  return pays(present) ? present : (retired.find(pays) ?? present);
}

/** The coinbase with a zero extranonce. */
function withoutExtranonce(held: HeldCoinbase): Uint8Array {
  const bytes = new Uint8Array(held.size);
  bytes.set(held.coinb1);
  bytes.set(held.coinb2, held.coinb1.length + EXTRANONCE_BYTES);
  return bytes;
}

interface Shape {
  readonly transaction: Coinbase;
  readonly script: ScriptSig;
  /** Which output carries the extranonce, -1 when scriptSig does. */
  readonly extranonceOutput: number;
}

function refused(why: Refusal): CoinbaseFindings {
  return { shape: why, payees: undefined, targetPlace: undefined, split: undefined };
}

/** Parse the transaction with a zero extranonce; the extranonce's place is found by offset, never by its value. */
function parseShape(held: HeldCoinbase): Shape | string {
  const bytes = withoutExtranonce(held);
  if (bytes[INPUT_COUNT_OFFSET] === 0) return "not in the form without witness";
  let transaction: Coinbase;
  try {
    transaction = parseCoinbase(bytes);
  } catch (error) {
    return `not a coinbase: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (transaction.version !== VERSION) return `version ${transaction.version}, not ${VERSION}`;
  if (transaction.sequence !== FINAL_SEQUENCE) return `sequence ${transaction.sequence}, not final`;
  if (transaction.locktime !== 0) return `locktime ${transaction.locktime}, not 0`;
  const script = parseScriptSig(transaction.scriptSig);
  if (typeof script === "string") return script;
  // Walk the outputs to the one that coinb1 ends in; the parser has seen that every length is written in its shortest form.
  let at = transaction.scriptSigOffset + transaction.scriptSig.length + 4 + varintBytes(transaction.outputs.length);
  let extranonceOutput = -1;
  for (let i = 0; i < transaction.outputs.length; i++) {
    const output = transaction.outputs[i];
    if (output === undefined) break;
    const scriptAt = at + 8 + varintBytes(output.script.length);
    if (scriptAt + EXTRANONCE_SCRIPT_PREFIX === held.coinb1.length && isExtranonce(output)) extranonceOutput = i;
    at = scriptAt + output.script.length;
  }
  return { transaction, script, extranonceOutput };
}

function isExtranonce(output: { readonly value: bigint; readonly script: Uint8Array }): boolean {
  const { script } = output;
  return output.value === 0n && script.length === EXTRANONCE_SCRIPT_BYTES && script[0] === 0x6a && script[1] === EXTRANONCE_BYTES + 2;
}

/** Bytes of a CompactSize; nothing in a coinbase of 16 kB needs more than three. */
function varintBytes(n: number): number {
  return n < 0xfd ? 1 : 3;
}

/** The extranonce stands in scriptSig when it fits there, except in kind 2; and nowhere twice. */
function extranoncePlaceError(held: HeldCoinbase, shape: Shape): string | undefined {
  const { script, transaction, extranonceOutput } = shape;
  const inScriptSig = script.extranonceOffset !== undefined;
  if (inScriptSig) {
    const at = transaction.scriptSigOffset + (script.extranonceOffset ?? 0);
    return at === held.coinb1.length ? undefined : `the extranonce belongs at ${at}, coinb1 ends at ${held.coinb1.length}`;
  }
  if (extranonceOutput < 0) return "no place for the extranonce: neither a push in scriptSig nor an output where coinb1 ends";
  if (held.coinbaseId !== 2 && fitsExtranonce(script.bytesBeforeExtranonce))
    return "the extranonce is in an output though scriptSig has room";
  return undefined;
}

function targetPlaceError(held: HeldCoinbase, job: JobSection, shape: Shape): string | undefined {
  const place = shape.transaction.scriptSigOffset + shape.script.targetByteOffset;
  if (job.targetByteIndex !== place) return `target byte index ${job.targetByteIndex}, the byte is at ${place}`;
  const placeholder = held.coinb1[place];
  return placeholder === 0xff ? undefined : `the target byte's placeholder is ${placeholder ?? "outside coinb1"}, not 255`;
}

function judgePayees(query: Omit<OutputsQuery, "split">, rules: CoinbaseRules): Pick<CoinbaseFindings, "payees" | "split"> {
  const { job, namedSplit } = rules;
  if (!paysSplit(query.coinbaseId)) return { payees: wrongOutputs(checkOutputs({ ...query, split: [] })), split: undefined };
  if (job.coinbaserId !== 0) {
    if (namedSplit === undefined) {
      const detail = `coinbaser id ${job.coinbaserId} was not offered for ${job.coinbaseValue} sats on this prevhash`;
      return { payees: refusal("badCoinbaserId", detail), split: undefined };
    }
    return { payees: wrongOutputs(checkOutputs({ ...query, split: namedSplit.outputs })), split: namedSplit };
  }
  // The id is 0 when the split came after the job was first used, or held nobody.
  const none = checkOutputs({ ...query, split: [] });
  if (none === undefined) return { payees: undefined, split: undefined };
  let newest: string | undefined;
  for (const split of rules.recentSplits()) {
    const wrong = checkOutputs({ ...query, split: split.outputs });
    if (wrong === undefined) return { payees: undefined, split };
    newest ??= wrong;
  }
  return {
    payees: wrongOutputs(newest ?? `${none}; no split was offered for ${job.coinbaseValue} sats on this prevhash`),
    split: undefined,
  };
}

function wrongOutputs(detail: string | undefined): Refusal | undefined {
  return detail === undefined ? undefined : refusal("badOutputs", detail);
}
