/** What is to be booked for a block's coinbase, read in one snapshot before anything is written. */
import { createScheme, type Earnings, type Scheme, type WindowWeights } from "@openprime/rewards";
import type { ClientBase } from "pg";
import type { Settlement, SettlementLine, Steps } from "../../proofs/index.js";
import { LedgerError } from "../errors.js";
import { FIND_ACCOUNTS } from "../queries/directory.js";
import { FIND_CLAIM, PIN_OF_SHARES, SEEN_AT, SESSION_OF } from "../queries/money-chain.js";
import { breathe, inSlices } from "../slices.js";
import { sorting } from "../sorting.js";
import { storedScheme } from "../stored-scheme.js";
import { splitsFor } from "../stored-splits.js";
import type { SplitOutput } from "../types.js";
import { type Attribution, attribute, type BlockClaim } from "./attribution.js";
import type { BookContext } from "./book-context.js";
import { readBlockWeights } from "./book-state.js";
import type { Payment } from "./postings.js";
import { lastSettlementOf } from "./settlement.js";
import type { ChainBlock } from "./types.js";
import { type WindowAt, windowAt } from "./window-at.js";

/** A block of the pool, divided. */
export interface PoolBlock {
  readonly attribution: Extract<Attribution, { kind: "pool" }>;
  /** What it was divided by: the terms under which it was made, not the pool's present ones. */
  readonly scheme: Scheme;
  readonly window: WindowAt;
  /** Weight of the log at the pins of as many of the pool's blocks before it as the scheme counts, oldest first. */
  readonly blockWeights: readonly bigint[];
  readonly earnings: Earnings;
  readonly paid: readonly Payment[];
  /** What was divided, satoshis. */
  readonly value: bigint;
  /** The pool's fee for a scheme without a window. */
  readonly feePpm: number;
  readonly finder: number | undefined;
}

/** What a block is divided by, and over. */
type Division = Pick<PoolBlock, "attribution" | "scheme" | "window" | "blockWeights">;

/** `foreign` for a block that is not the pool's. */
export async function prepareBlock(
  client: ClientBase,
  block: ChainBlock,
  context: BookContext,
): Promise<PoolBlock | { readonly foreign: Extract<Attribution, { kind: "foreign" }> }> {
  const division = (await settledBefore(client, block, context)) ?? (await divisionOf(client, block, context));
  if (!("scheme" in division)) return { foreign: division };
  const { attribution, scheme, window } = division;
  const { finder, received, payees } = attribution;
  const paid = await paymentsTo(client, payees);
  const value = paid.reduce((sum, { amount }) => sum + amount, received);
  const feePpm = attribution.feePpm ?? context.options.feePpm;
  await breathe();
  const earnings = scheme.earned({ value, feePpm, ...(finder !== undefined && { finder }) }, window.weights);
  return { ...division, earnings, paid, value, feePpm, finder };
}

async function divisionOf(
  client: ClientBase,
  block: ChainBlock,
  context: BookContext,
): Promise<Division | Extract<Attribution, { kind: "foreign" }>> {
  const attribution = await readAttribution(client, block, context);
  if (attribution.kind === "foreign") return attribution;
  const scheme = attribution.scheme === undefined ? context.scheme : createScheme(attribution.scheme);
  const { window: rule } = scheme;
  const blockWeights = await readBlockWeights(client, rule.kind === "blocks" ? rule.count : 0, block.height);
  const window = await windowAt(client, { pin: attribution.pin, rule, targets: context.targets(block.bits), blockWeights });
  return { attribution, scheme, window, blockWeights };
}

/**
 * A block that joined the chain before, and left it, is divided as it was then: it has the same blocks below it, so nothing that its division comes from can
 * have changed but the pool's terms, and its shares may be gone by now. Undefined for a block that was never booked as the pool's.
 */
async function settledBefore(client: ClientBase, block: ChainBlock, { scripts }: BookContext): Promise<Division | undefined> {
  const { primeId, outputs } = block.coinbase;
  const settlement = await lastSettlementOf(client, block.hash);
  if (settlement === undefined) return undefined;
  const session = primeId === undefined ? undefined : await sessionOf(client, primeId);
  if (session === undefined)
    throw new LedgerError("ledger.damaged", `expected the session of prime id ${primeId}, whose block was booked before, got none`);
  const { pin, split, feePpm, window } = settlement;
  const { size, logWeight, lastSegment, blockWeights } = window;
  const finder = settlement.finder === undefined ? undefined : await finderOf(client, settlement.finder);
  const attribution = {
    kind: "pool" as const,
    session: BigInt(session),
    pin,
    split,
    finder,
    scheme: settlement.scheme,
    feePpm,
    // By the pool's scripts of today, as its coins are.
    received: scripts.received(outputs),
    payees: outputs.filter(({ value, script }) => value > 0n && !scripts.has(script)),
    claimed: (await readClaim(client, block.hash, session)) !== undefined,
  };
  const weights = await inSlices(settledWeights(settlement));
  return { attribution, scheme: createScheme(settlement.scheme), window: { weights, size, logWeight, lastSegment }, blockWeights };
}

/** The weighed window that a settlement was made from. */
function* settledWeights({ lines, window }: Settlement): Steps<WindowWeights> {
  const inside: SettlementLine[] = [];
  for (const line of lines) {
    if (line.weight > 0n) inside.push(line);
    yield;
  }
  const sorted = yield* sorting(inside, (a, b) => a.account - b.account);
  return {
    accounts: sorted.map(({ account }) => account),
    weights: sorted.map(({ weight }) => weight),
    netWeights: sorted.map(({ netWeight }) => netWeight),
    totalWeight: window.weight,
    totalNetWeight: window.netWeight,
    denominator: window.denominator,
    firstSegment: window.firstSegment === 0 ? undefined : window.firstSegment,
    complete: true,
  };
}

async function finderOf(client: ClientBase, script: Uint8Array): Promise<number> {
  const id = (await client.query<{ id: number }>(FIND_ACCOUNTS, [[Buffer.from(script)]])).rows[0]?.id;
  if (id === undefined) throw new LedgerError("ledger.damaged", "expected the account of a settlement's finder, got none");
  return id;
}

async function sessionOf(client: ClientBase, primeId: number): Promise<string | undefined> {
  return (await client.query<{ id: string }>(SESSION_OF, [primeId])).rows[0]?.id;
}

async function readAttribution(client: ClientBase, block: ChainBlock, { scripts }: BookContext): Promise<Attribution> {
  const { primeId, outputs } = block.coinbase;
  const session = primeId === undefined ? undefined : await sessionOf(client, primeId);
  const isPoolScript = (script: Uint8Array): boolean => scripts.has(script);
  const nothing = { block, isPoolScript, session: undefined, claim: undefined, splits: [], sharesPin: async () => undefined };
  if (session === undefined) return attribute(nothing);
  const value = outputs.reduce((sum, output) => sum + output.value, 0n);
  const sharesPin = async (): Promise<bigint | undefined> => {
    const { rows } = await client.query<{ pin: string | null }>(PIN_OF_SHARES, [Buffer.from(block.prevhash), session]);
    return rows[0]?.pin == null ? undefined : BigInt(rows[0].pin);
  };
  const attribution = await attribute({
    block,
    isPoolScript,
    session: BigInt(session),
    claim: await readClaim(client, block.hash, session),
    splits: await splitsFor(client, BigInt(session), block.prevhash, value),
    sharesPin,
  });
  if (attribution.kind === "foreign" || attribution.split !== undefined) return attribution;
  // A job that the pool first saw when it had its block is no younger than the block: nobody gains by telling of it late.
  const seenAt = await positionSeen(client, block);
  return seenAt !== undefined && seenAt < attribution.pin ? { ...attribution, pin: seenAt } : attribution;
}

async function positionSeen(client: ClientBase, { hash, height }: ChainBlock): Promise<bigint | undefined> {
  const { rows } = await client.query<{ position: string | null }>(SEEN_AT, [Buffer.from(hash), height]);
  return rows[0]?.position == null ? undefined : BigInt(rows[0].position);
}

async function readClaim(client: ClientBase, block: Uint8Array, session: string): Promise<BlockClaim | undefined> {
  interface Row {
    split: string | null;
    pin: string;
    finder: number | null;
    scheme: string | null;
    fee_ppm: number | null;
  }
  const { rows } = await client.query<Row>(FIND_CLAIM, [Buffer.from(block), session]);
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    splitId: row.split === null ? undefined : BigInt(row.split),
    pin: BigInt(row.pin),
    finder: row.finder ?? undefined,
    scheme: storedScheme(row.scheme),
    feePpm: row.fee_ppm ?? undefined,
  };
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
