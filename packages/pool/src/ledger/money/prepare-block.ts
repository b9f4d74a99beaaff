/** What is to be booked for a block's coinbase, read in one snapshot before anything is written. */
import type { Earnings } from "@openprime/rewards";
import type { ClientBase } from "pg";
import { LedgerError } from "../errors.js";
import { FIND_ACCOUNTS } from "../queries/directory.js";
import { FIND_CLAIM, PIN_OF_SHARES, SESSION_OF } from "../queries/money-chain.js";
import { breathe } from "../slices.js";
import { splitsFor } from "../stored-splits.js";
import type { SplitOutput } from "../types.js";
import { type Attribution, attribute, type BlockClaim } from "./attribution.js";
import type { BookContext } from "./book-context.js";
import type { Payment } from "./postings.js";
import type { ChainBlock } from "./types.js";
import { type WindowAt, windowAt } from "./window-at.js";

/** A block of the pool, divided. */
export interface PoolBlock {
  readonly attribution: Extract<Attribution, { kind: "pool" }>;
  readonly window: WindowAt;
  readonly earnings: Earnings;
  readonly paid: readonly Payment[];
  /** What was divided, satoshis. */
  readonly value: bigint;
  /** The pool's fee for a scheme without a window. */
  readonly feePpm: number;
  readonly finder: number | undefined;
}

/** Undefined for a block that is not the pool's. @param blockWeights weight of the log at the pins of the pool's blocks before it */
export async function prepareBlock(
  client: ClientBase,
  block: ChainBlock,
  blockWeights: readonly bigint[],
  context: BookContext,
): Promise<PoolBlock | { readonly foreign: Extract<Attribution, { kind: "foreign" }> }> {
  const { scheme, targets, options } = context;
  const attribution = await readAttribution(client, block, context);
  if (attribution.kind === "foreign") return { foreign: attribution };
  const { pin, split, finder, received, payees } = attribution;
  const window = await windowAt(client, { pin, rule: scheme.window, targets: targets(block.bits), blockWeights });
  const paid = await paymentsTo(client, payees);
  const value = paid.reduce((sum, { amount }) => sum + amount, received);
  const feePpm = split?.feePpm ?? options.feePpm;
  await breathe();
  const earnings = scheme.earned({ value, feePpm, ...(finder !== undefined && { finder }) }, window.weights);
  return { attribution, window, earnings, paid, value, feePpm, finder };
}

async function readAttribution(client: ClientBase, block: ChainBlock, { scripts }: BookContext): Promise<Attribution> {
  const { primeId, outputs } = block.coinbase;
  const session = primeId === undefined ? undefined : (await client.query<{ id: string }>(SESSION_OF, [primeId])).rows[0]?.id;
  const isPoolScript = (script: Uint8Array): boolean => scripts.has(script);
  const nothing = { block, isPoolScript, session: undefined, claim: undefined, splits: [], sharesPin: async () => undefined };
  if (session === undefined) return attribute(nothing);
  const value = outputs.reduce((sum, output) => sum + output.value, 0n);
  const sharesPin = async (): Promise<bigint | undefined> => {
    const { rows } = await client.query<{ pin: string | null }>(PIN_OF_SHARES, [Buffer.from(block.prevhash), session]);
    return rows[0]?.pin == null ? undefined : BigInt(rows[0].pin);
  };
  return attribute({
    block,
    isPoolScript,
    session: BigInt(session),
    claim: await readClaim(client, block.hash, session),
    splits: await splitsFor(client, BigInt(session), block.prevhash, value),
    sharesPin,
  });
}

async function readClaim(client: ClientBase, block: Uint8Array, session: string): Promise<BlockClaim | undefined> {
  const { rows } = await client.query<{ split: string | null; pin: string; finder: number | null }>(FIND_CLAIM, [
    Buffer.from(block),
    session,
  ]);
  const row = rows[0];
  if (row === undefined) return undefined;
  return { splitId: row.split === null ? undefined : BigInt(row.split), pin: BigInt(row.pin), finder: row.finder ?? undefined };
}

/** What outputs of a split paid, by account. */
async function paymentsTo(client: ClientBase, payees: readonly SplitOutput[]): Promise<Payment[]> {
  const payments = new Map<number, bigint>();
  for (const { account, amount } of await paymentsToAccounts(client, payees)) payments.set(account, (payments.get(account) ?? 0n) + amount);
  const paid = [...payments].map(([account, amount]) => ({ account, amount }));
  const found = paid.reduce((sum, { amount }) => sum + amount, 0n);
  const expected = payees.reduce((sum, { value }) => sum + value, 0n);
  if (found !== expected) {
    throw new LedgerError(
      "ledger.damaged",
      `expected an account for each of a split's payees, those found were paid ${found} of ${expected}`,
    );
  }
  return paid;
}

/** Those of some outputs that pay the scripts of accounts, in their order. */
export async function paymentsToAccounts(client: ClientBase, outputs: readonly SplitOutput[]): Promise<Payment[]> {
  if (outputs.length === 0) return [];
  const { rows } = await client.query<{ id: number; script: Buffer }>(FIND_ACCOUNTS, [outputs.map(({ script }) => Buffer.from(script))]);
  const accounts = new Map(rows.map(({ id, script }) => [script.toString("latin1"), id]));
  return outputs.flatMap(({ script, value }) => {
    const account = accounts.get(Buffer.from(script).toString("latin1"));
    return account === undefined ? [] : [{ account, amount: value }];
  });
}
