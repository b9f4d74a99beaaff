/**
 * The transactions of a template, read once: what can be told of them whatever job they belong to. Sets of one template that several jobs
 * or gateways have are the same set.
 */
import { setImmediate as breathe } from "node:timers/promises";
import { legacySigops, merkleBranches, merkleRoot, parseTransaction, sha256, sha256d, type Transaction } from "@openprime/bitcoin";
import type { Fault } from "./codes.js";
import { keyOf } from "./mempool-store.js";

/** An ordered set of transactions without the coinbase. Hashes are in internal order. */
export interface TransactionSet {
  /** Of the ordered wtxids. */
  readonly key: string;
  /** With witness. */
  readonly raw: readonly Uint8Array[];
  readonly txids: readonly Uint8Array[];
  readonly wtxids: readonly Uint8Array[];
  readonly weights: readonly number[];
  /** Bytes with witness, of all. */
  readonly size: number;
  /** BIP141, of all. */
  readonly weight: number;
  /** At least so many signature operations as blocks count them (four for each legacy one): those behind P2SH and witnesses are not seen. */
  readonly sigopsCost: number;
  readonly hasWitness: boolean;
  /** Merkle branches that lead from a coinbase to the root. */
  readonly branches: Uint8Array;
  /** What a coinbase commits to (BIP141), with the reserved value of 32 zero bytes. */
  readonly commitment: Uint8Array;
  /** What is wrong with the set itself. */
  readonly fault: Fault | undefined;
}

/** BIP141: what a legacy signature operation costs. */
const LEGACY_SIGOP_COST = 4;
/** Transactions that are read before others get their turn: one or two milliseconds. */
const SLICE = 200;

/** Key of a set. @param wtxids in order */
export function setKey(wtxids: readonly Uint8Array[]): string {
  return keyOf(sha256(Buffer.concat(wtxids)));
}

/**
 * Reads transactions, with pauses in which shares are judged. @throws TransactionError for bytes that are none
 */
export async function readTransactions(raw: readonly Uint8Array[]): Promise<Transaction[]> {
  const parsed: Transaction[] = [];
  for (let at = 0; at < raw.length; at += SLICE) {
    if (at > 0) await breathe();
    for (const one of raw.slice(at, at + SLICE)) parsed.push(parseTransaction(one));
  }
  return parsed;
}

/** Puts a set together, with pauses. @param transactions those of `raw`, in its order */
export async function makeSet(raw: readonly Uint8Array[], transactions: readonly Transaction[]): Promise<TransactionSet> {
  const txids = transactions.map(({ txid }) => txid);
  const wtxids = transactions.map(({ wtxid }) => wtxid);
  const branches = merkleBranches(txids);
  await breathe();
  const witnessRoot = merkleRoot([new Uint8Array(32), ...wtxids]);
  await breathe();
  const sigopsCost = transactions.reduce((sum, one) => sum + legacyCost(scriptsOf(one)), 0);
  await breathe();
  const fault = findSetFault(transactions);
  await breathe();
  return {
    key: setKey(wtxids),
    raw,
    txids,
    wtxids,
    weights: transactions.map(({ weight }) => weight),
    size: transactions.reduce((sum, { size }) => sum + size, 0),
    weight: transactions.reduce((sum, { weight }) => sum + weight, 0),
    sigopsCost,
    hasWitness: transactions.some(({ hasWitness }) => hasWitness),
    branches,
    commitment: sha256d(Buffer.concat([witnessRoot, new Uint8Array(32)])),
    fault,
  };
}

/**
 * Reads sets one at a time, with pauses: each pause lets everybody else go first, and those of many sets at once would be one long step. What
 * it costs is told in docs/architecture.md.
 */
export class SetReader {
  #last: Promise<void> = Promise.resolve();

  /** @param kept a set that is in memory, by its key */
  constructor(private readonly kept: (key: string) => TransactionSet | undefined) {}

  /** The set of these transactions, and whether it was in memory. @throws TransactionError for bytes that are none */
  read(raw: readonly Uint8Array[]): Promise<{ readonly set: TransactionSet; readonly kept: boolean }> {
    const turn = this.#last.then(async () => {
      const transactions = await readTransactions(raw);
      await breathe();
      const before = this.kept(setKey(transactions.map(({ wtxid }) => wtxid)));
      return { set: before ?? (await makeSet(raw, transactions)), kept: before !== undefined };
    });
    this.#last = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }
}

/** What the legacy signature operations of scripts cost. */
export function legacyCost(scripts: Iterable<Uint8Array>): number {
  let count = 0;
  for (const script of scripts) count += legacySigops(script);
  return LEGACY_SIGOP_COST * count;
}

function scriptsOf({ inputs, outputs }: Transaction): Uint8Array[] {
  return [...inputs.map(({ scriptSig }) => scriptSig), ...outputs.map(({ script }) => script)];
}

function findSetFault(transactions: readonly Transaction[]): Fault | undefined {
  const places = new Map<string, number>();
  for (const [place, { txid }] of transactions.entries()) {
    const key = keyOf(txid);
    const first = places.get(key);
    if (first !== undefined) return { code: "duplicateTransaction", detail: `transactions ${first} and ${place} are the same` };
    places.set(key, place);
  }
  const spent = new Map<string, number>();
  for (const [place, { inputs }] of transactions.entries()) {
    for (const { previousTxid, previousIndex } of inputs) {
      const previous = keyOf(previousTxid);
      const parent = places.get(previous);
      if (parent !== undefined && parent >= place) {
        return {
          code: "wrongOrder",
          detail: `transaction ${place} spends an output of transaction ${parent}, which does not stand before it`,
        };
      }
      const outpoint = `${previous}${previousIndex}`;
      const first = spent.get(outpoint);
      if (first !== undefined) return { code: "doubleSpend", detail: `transactions ${first} and ${place} spend the same output` };
      spent.set(outpoint, place);
    }
  }
  return undefined;
}
