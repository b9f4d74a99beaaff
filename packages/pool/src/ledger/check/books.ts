/** The part of the check that needs the database alone: postings, balances, and what the pool owes against what it holds. */
import type { ClientBase, QueryResultRow } from "pg";
import {
  BALANCE_DIFFERENCES,
  BOOKED_TWICE,
  CHAIN_GAPS,
  DUE_DIFFERENCES,
  ENTRIES_OFF_CHAIN,
  ENTRY_GAPS,
  ENTRY_SUMS,
  LAST_EARNED_DIFFERENCES,
  NEGATIVE_BALANCES,
  REVERSAL_DIFFERENCES,
  SETTLEMENTS_MISSING,
} from "./queries.js";
import type { MoneySnapshot } from "./snapshot.js";
import { hashText, hex } from "./text.js";
import type { MoneyDifference, MoneyDifferenceKind } from "./types.js";

/** A query that finds differences of one kind, and how each of its rows is told. */
const rule =
  <Row extends QueryResultRow>(kind: MoneyDifferenceKind, sql: string, tell: (row: Row) => { subject: string; message: string }) =>
  async (client: ClientBase): Promise<MoneyDifference[]> =>
    (await client.query<Row>(sql)).rows.map((row) => ({ kind, ...tell(row) }));

const RULES = [
  rule<{ entry: string; sum: string }>("entrySum", ENTRY_SUMS, ({ entry, sum }) => ({
    subject: `entry ${entry}`,
    message: `the postings of entry ${entry} should sum to 0, they sum to ${sum}`,
  })),
  rule<{ missing: string; next: string }>("entryGap", ENTRY_GAPS, ({ missing, next }) => ({
    subject: `entry ${missing}`,
    message: `entries should be numbered without a gap: entry ${missing} is missing, the next one is ${next}`,
  })),
  rule<{ reversal: string; entry: string; book: string; account: number | null; reason: string; expected: string; found: string }>(
    "reversal",
    REVERSAL_DIFFERENCES,
    ({ reversal, entry, book, account, reason, expected, found }) => ({
      subject: `entry ${reversal} ${book} ${account ?? ""} ${reason}`,
      message:
        `entry ${reversal} takes back entry ${entry}: book ${book}${account === null ? "" : ` of account ${account}`}, reason ${reason}, should have ` +
        `${expected}, it has ${found}`,
    }),
  ),
  rule<{ account: number; expected: string; found: string }>("balance", BALANCE_DIFFERENCES, ({ account, expected, found }) => ({
    subject: `account ${account}`,
    message: `the postings of account ${account} sum to ${expected}, its balance says ${found}`,
  })),
  rule<{ account: number; balance: string; due_since: string }>("dueSince", DUE_DIFFERENCES, ({ account, balance, due_since }) => ({
    subject: `account ${account}`,
    message: `account ${account} with balance ${balance} can't be due since entry ${due_since}`,
  })),
  rule<{ account: number; expected: number | null; found: number | null }>(
    "lastEarned",
    LAST_EARNED_DIFFERENCES,
    ({ account, expected, found }) => ({
      subject: `account ${account}`,
      message: `account ${account} last earned at height ${expected ?? "none"} by the entries, its balance says ${found ?? "none"}`,
    }),
  ),
  rule<{ height: number; before: number }>("chain", CHAIN_GAPS, ({ height, before }) => ({
    subject: `height ${before + 1}`,
    message: `the followed chain should go on at height ${before + 1} after ${before}, it goes on at ${height}`,
  })),
  rule<{ id: string; kind: string; block: Buffer; height: number }>("chain", ENTRIES_OFF_CHAIN, ({ id, kind, block, height }) => ({
    subject: `entry ${id}`,
    message: `entry ${id} (${kind}) is of block ${hashText(block)} at height ${height}, which the followed chain does not have, and nothing takes it back`,
  })),
  rule<{ block: Buffer; height: number; ids: string[] }>("booked", BOOKED_TWICE, ({ block, height, ids }) => ({
    subject: `block ${hashText(block)}`,
    message: `block ${hashText(block)} at height ${height} should have one entry, it has ${ids.length}: ${ids.join(", ")}`,
  })),
  rule<{ id: string; kind: string; block: Buffer }>("settlement", SETTLEMENTS_MISSING, ({ id, kind, block }) => ({
    subject: `entry ${id}`,
    message: `entry ${id} (${kind}) of block ${hashText(block)} should have a published settlement, it has none`,
  })),
];

/** All differences that show within the snapshot that the client is in. */
export async function bookDifferences(client: ClientBase, snapshot: MoneySnapshot, reserve: bigint): Promise<MoneyDifference[]> {
  const found: MoneyDifference[] = [];
  for (const differences of RULES) found.push(...(await differences(client)));
  const operators = snapshot.scripts.map(({ account }) => account);
  const { rows } = await client.query<{ account: number; script: Buffer; balance: string }>(NEGATIVE_BALANCES, [operators]);
  for (const { account, script, balance } of rows) {
    found.push({
      kind: "negativeBalance",
      subject: `account ${account}`,
      message: `account ${account} (script ${hex(script)}) owes the pool: its balance should be 0 or more, it is ${balance}`,
    });
  }
  return [...found, ...stateDifferences(snapshot), ...solvencyDifferences(snapshot, reserve)];
}

/** The counters of the one who writes, against the tables. */
function stateDifferences(snapshot: MoneySnapshot): MoneyDifference[] {
  const { lastEntry, entries, lastSettlement, settlements } = snapshot;
  const found: MoneyDifference[] = [];
  if (lastEntry !== entries) {
    const message = `the last entry should be ${lastEntry}, it is ${entries}`;
    found.push({ kind: "entryGap", subject: "last entry", message });
  }
  if (lastSettlement !== settlements) {
    const message = `the last settlement should be ${lastSettlement}, it is ${settlements}`;
    found.push({ kind: "settlement", subject: "last settlement", message });
  }
  return found;
}

function solvencyDifferences({ figures, coinBook, balances }: MoneySnapshot, reserve: bigint): MoneyDifference[] {
  const { holdings, unattributed, operator, owed } = figures;
  const found: MoneyDifference[] = [];
  if (holdings !== coinBook) {
    const message = `the unspent coins of the pool come to ${holdings}, the book of coins says ${coinBook}`;
    found.push({ kind: "coinSum", subject: "coins", message });
  }
  if (balances + unattributed !== holdings) {
    const message =
      `balances of ${balances} and ${unattributed} unattributed should come to what the pool's scripts hold, ` +
      `they come to ${balances + unattributed} and the scripts hold ${holdings}`;
    found.push({ kind: "holdings", subject: "holdings", message });
  }
  // What came from nowhere is nobody's claim: an operator who fills the pool up with coins of his own does it so.
  if (operator + unattributed < -reserve) {
    const message =
      `the pool owes more than it holds: miners have ${owed} to get, and the operator's balance with what is unattributed should be ${-reserve} ` +
      `or more, it is ${operator + unattributed}`;
    found.push({ kind: "insolvent", subject: "operator", message });
  }
  return found;
}
