/** Settlements: what a block that joined or left the chain did to every account, written down as it is published, and linked to the one before. */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { ClientBase } from "pg";
import {
  type EncodedSettlement,
  type Settlement,
  type SettlementEntry,
  type SettlementLine,
  type Steps,
  settlementDecoding,
  settlementEncoding,
} from "../../proofs/index.js";
import type { Directory } from "../directory.js";
import { LedgerError } from "../errors.js";
import { ENTRIES_BETWEEN, FIND_SETTLEMENT, INSERT_SETTLEMENT, LAST_SETTLEMENT_OF } from "../queries/money-settlements.js";
import { inSlices } from "../slices.js";
import { sorting } from "../sorting.js";
import type { MoneyState } from "./transaction.js";

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/** What happened to one account. */
export type LineChange = Pick<SettlementLine, "weight" | "netWeight" | "earned" | "fee" | "paid">;

export interface NewSettlement {
  /** The entry that it is about. */
  readonly entry: bigint;
  readonly facts: Omit<Settlement, "number" | "previous" | "entries" | "lines" | "root">;
  /** By account. */
  readonly changes: ReadonlyMap<number, LineChange>;
  /** Accounts with a balance other than 0. */
  readonly owing: Iterable<number>;
  /** An account's balance after the entry. */
  readonly balance: (account: number) => bigint;
}

export interface SettlementModules {
  readonly client: ClientBase;
  readonly directory: Directory;
}

/** What an account that has no part in a block has. */
export const NO_CHANGE: LineChange = { weight: 0n, netWeight: 0n, earned: 0n, fee: 0n, paid: 0n };

/** Stores a settlement in the transaction of its entry; answers with its number. */
export async function storeSettlement(
  settlement: NewSettlement,
  state: MoneyState,
  { client, directory }: SettlementModules,
): Promise<number> {
  const { entry, facts } = settlement;
  const number = state.lastSettlement + 1;
  const { rows } = await client.query<BetweenRow>(ENTRIES_BETWEEN, [String(entry)]);
  const { accounts, unknown } = await inSlices(accountsOf(settlement, rows, directory));
  await directory.load(client, unknown);
  const scriptOf = (account: number): Uint8Array => {
    const found = directory.account(account);
    if (found === undefined) throw new LedgerError("ledger.damaged", `expected account ${account}, which has postings, got none`);
    return found.script;
  };
  const document = function* (): Steps<EncodedSettlement> {
    const entries = yield* entriesOf(rows, scriptOf);
    const lines = yield* linesOf(accounts, settlement, scriptOf);
    return yield* settlementEncoding({ ...facts, number, previous: state.settlementHash, entries, lines });
  };
  const { text, hash } = await inSlices(document());
  await client.query(INSERT_SETTLEMENT, [
    number,
    facts.kind,
    Buffer.from(facts.block.hash),
    facts.block.height,
    String(facts.pin),
    String(facts.window.size),
    String(facts.window.logWeight),
    String(entry),
    Buffer.from(state.settlementHash),
    Buffer.from(hash),
    await zip(text),
  ]);
  return number;
}

/** The settlement of a block's entry, to be taken back. */
export async function findSettlement(client: ClientBase, entry: bigint): Promise<Settlement> {
  const { rows } = await client.query<{ document: Buffer }>(FIND_SETTLEMENT, [String(entry)]);
  if (rows[0] === undefined) throw new LedgerError("ledger.damaged", `expected the settlement of entry ${entry}, got none`);
  return unpacked(rows[0].document);
}

/** What was last settled for a block; undefined for one that never was the pool's. */
export async function lastSettlementOf(client: ClientBase, block: Uint8Array): Promise<Settlement | undefined> {
  const { rows } = await client.query<{ document: Buffer }>(LAST_SETTLEMENT_OF, [Buffer.from(block)]);
  return rows[0] === undefined ? undefined : unpacked(rows[0].document);
}

async function unpacked(document: Buffer): Promise<Settlement> {
  return inSlices(settlementDecoding((await unzip(document)).toString("utf8")));
}

/** The accounts that may have a line, and those to be read before the document can be written. */
function* accountsOf(
  { changes, owing }: NewSettlement,
  between: readonly BetweenRow[],
  directory: Directory,
): Steps<{ accounts: Set<number>; unknown: Set<number> }> {
  const accounts = new Set<number>();
  const unknown = new Set<number>();
  for (const ids of [changes.keys(), owing]) {
    for (const account of ids) {
      accounts.add(account);
      if (directory.account(account) === undefined) unknown.add(account);
      yield;
    }
  }
  for (const { account } of between) {
    if (account !== null && directory.account(account) === undefined) unknown.add(account);
    yield;
  }
  return { accounts, unknown };
}

function* linesOf(
  accounts: ReadonlySet<number>,
  settlement: NewSettlement,
  scriptOf: (account: number) => Uint8Array,
): Steps<SettlementLine[]> {
  const lines: SettlementLine[] = [];
  for (const account of accounts) {
    const line = lineOf(account, settlement, scriptOf);
    if (hasPart(line)) lines.push(line);
    yield;
  }
  return yield* sorting(lines, byScript);
}

function lineOf(account: number, { changes, balance }: NewSettlement, scriptOf: (account: number) => Uint8Array): SettlementLine {
  const { weight, netWeight, earned, fee, paid } = changes.get(account) ?? NO_CHANGE;
  const after = balance(account);
  return { account, script: scriptOf(account), weight, netWeight, before: after - earned - fee + paid, earned, fee, paid, balance: after };
}

/** Whether an account has a line at all. */
function hasPart({ weight, before, earned, fee, paid, balance }: SettlementLine): boolean {
  return [weight, before, earned, fee, paid, balance].some((amount) => amount !== 0n);
}

interface BetweenRow {
  id: string;
  kind: SettlementEntry["kind"];
  block: Buffer | null;
  txid: Buffer | null;
  /** Null, as the amount, for an entry that changed no balance. */
  account: number | null;
  amount: string | null;
}

function* entriesOf(rows: readonly BetweenRow[], scriptOf: (account: number) => Uint8Array): Steps<SettlementEntry[]> {
  const entries: (SettlementEntry & { amounts: { script: Uint8Array; amount: bigint }[] })[] = [];
  for (const { id, kind, block, txid, account, amount } of rows) {
    const number = BigInt(id);
    let entry = entries.at(-1);
    if (entry?.id !== number) {
      entry = { id: number, kind, block: block ?? undefined, txid: txid ?? undefined, amounts: [] };
      entries.push(entry);
    }
    if (account !== null && amount !== null) entry.amounts.push({ script: scriptOf(account), amount: BigInt(amount) });
    yield;
  }
  for (const entry of entries) entry.amounts = yield* sorting(entry.amounts, byScript);
  return entries;
}

function byScript(a: { readonly script: Uint8Array }, b: { readonly script: Uint8Array }): number {
  return Buffer.compare(a.script, b.script);
}
