/** Settlements: what a block that joined or left the chain did to every account, written down as it is published, and linked to the one before. */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { ClientBase } from "pg";
import { decodeSettlement, encodeSettlement, type Settlement, type SettlementEntry, type SettlementLine } from "../../proofs/index.js";
import type { Directory } from "../directory.js";
import { LedgerError } from "../errors.js";
import { ENTRIES_BETWEEN, FIND_SETTLEMENT, INSERT_SETTLEMENT } from "../queries/money-settlements.js";
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
  const accounts = new Set([...settlement.changes.keys(), ...settlement.owing]);
  await directory.load(client, [...accounts, ...rows.map(({ account }) => account)]);
  const scriptOf = (account: number): Uint8Array => {
    const found = directory.account(account);
    if (found === undefined) throw new LedgerError("ledger.damaged", `expected account ${account}, which has postings, got none`);
    return found.script;
  };
  const { text, hash } = encodeSettlement({
    ...facts,
    number,
    previous: state.settlementHash,
    entries: entriesOf(rows, scriptOf),
    lines: [...accounts]
      .map((account) => lineOf(account, settlement, scriptOf))
      .filter(hasPart)
      .sort(byScript),
  });
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
  return decodeSettlement((await unzip(rows[0].document)).toString("utf8"));
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
  account: number;
  amount: string;
}

function entriesOf(rows: readonly BetweenRow[], scriptOf: (account: number) => Uint8Array): SettlementEntry[] {
  const entries = new Map<string, SettlementEntry & { amounts: { script: Uint8Array; amount: bigint }[] }>();
  for (const { id, kind, block, txid, account, amount } of rows) {
    let entry = entries.get(id);
    if (entry === undefined) {
      entry = { id: BigInt(id), kind, block: block ?? undefined, txid: txid ?? undefined, amounts: [] };
      entries.set(id, entry);
    }
    entry.amounts.push({ script: scriptOf(account), amount: BigInt(amount) });
  }
  for (const { amounts } of entries.values()) amounts.sort(byScript);
  return [...entries.values()];
}

function byScript(a: { readonly script: Uint8Array }, b: { readonly script: Uint8Array }): number {
  return Buffer.compare(a.script, b.script);
}
