/** The ledger's entries between two settlements: what each kind may do to balances, looked up on the chain where the chain says it. */
import { parseBlock, parseTransaction, reverseHex, sha256d, type TransactionOutput } from "@openprime/bitcoin";
import { hex } from "../hex.js";
import type { Settlement, SettlementEntry } from "../types.js";
import { Line } from "./difference.js";
import type { Document, Documents } from "./documents.js";
import type { AuditNode } from "./source.js";

/** What an audit says of entries besides that nothing differs. */
export interface EntryRemarks {
  readonly unchecked: string[];
  readonly notes: string[];
}

/**
 * Checks every entry of a document: receipts change no balance, and nor does what takes them back; credits sum to zero; a spend takes from an account no more than its transaction paid to the
 * account's script, and only the pool has the rest; a reversal negates what stands.
 *
 * @throws DifferenceFound
 */
export async function checkEntries(document: Document, documents: Documents, node: AuditNode): Promise<EntryRemarks> {
  const { file, settlement } = document;
  const pool = new Set(settlement.poolScripts.map(hex));
  const remarks: EntryRemarks = { unchecked: [], notes: [] };
  for (const [i, entry] of settlement.entries.entries()) {
    const place = new Line(file, 2 + i);
    switch (entry.kind) {
      case "receipt":
        await checkFirst(entry, document, documents, place);
        if (entry.amounts.length > 0) place.differs("amounts", "none, as a receipt changes no balance", String(entry.amounts.length));
        break;
      case "credit":
        checkCredit(entry, settlement, pool, place, remarks.notes);
        break;
      case "spend":
        await checkFirst(entry, document, documents, place);
        if (!(await checkSpend(entry, pool, place, node))) {
          remarks.unchecked.push(`the spend of entry ${entry.id}, whose block the node does not have`);
        }
        break;
      case "reversal":
        await checkReversal(entry, document, documents, place);
    }
  }
  return remarks;
}

/** What the chain did is booked once. */
async function checkFirst(entry: SettlementEntry, document: Document, documents: Documents, place: Line): Promise<void> {
  if ((await documents.standingEntry(document, entry)) === undefined) return;
  const found = entry.txid === undefined ? "null" : reverseHex(entry.txid);
  place.differs("txid", "a transaction that no standing entry has booked", found);
}

function checkCredit(entry: SettlementEntry, { scheme }: Settlement, pool: ReadonlySet<string>, place: Line, notes: string[]): void {
  const sum = entry.amounts.reduce((total, { amount }) => total + amount, 0n);
  if (sum !== 0n) place.differs("amounts", "a sum of 0", String(sum));
  // The scheme may have changed since the shares were paid for; it was the pool that paid.
  if (scheme.name !== "pps" && scheme.name !== "fpps")
    notes.push(`entry ${entry.id} pays for shares, which is not how ${scheme.name} pays`);
  // So is a share that was taken back after it was paid for.
  const losers = entry.amounts.filter(({ script, amount }) => amount < 0n && !pool.has(hex(script)));
  if (losers.length > 0) notes.push(`entry ${entry.id}, a credit, takes from ${losers.length} accounts what shares were paid`);
}

/** @returns false when the node does not have the block */
async function checkSpend(entry: SettlementEntry, pool: ReadonlySet<string>, place: Line, node: AuditNode): Promise<boolean> {
  const { block, txid, amounts } = entry;
  if (block === undefined || txid === undefined) return place.differs(block === undefined ? "block" : "txid", "that of a spend", "null");
  const raw = await node.rawBlock(block);
  for (const [i, { script, amount }] of amounts.entries()) {
    if (amount > 0n && !pool.has(hex(script)))
      place.differs(`amounts[${i}].amount`, "0 or less, as a spend gives nobody anything", String(amount));
  }
  if (raw === undefined) return false;
  const received = receivedBy(outputsIn(raw, block, txid, place));
  const toPool = [...pool].reduce((sum, script) => sum + (received.get(script) ?? 0n), 0n);
  for (const [i, { script, amount }] of amounts.entries()) {
    const to = hex(script);
    // The pool may have got more than it put in, where others' coins were spent too.
    if (pool.has(to) ? amount > toPool : -amount > (received.get(to) ?? 0n)) {
      const most = pool.has(to) ? `at most ${toPool}` : `${-(received.get(to) ?? 0n)} or more`;
      place.differs(`amounts[${i}].amount`, `${most}, by what the transaction paid to ${to}`, String(amount));
    }
  }
  return true;
}

function outputsIn(raw: Uint8Array, block: Uint8Array, txid: Uint8Array, place: Line): readonly TransactionOutput[] {
  const { header, transactions } = parseBlock(raw);
  place.check("block", reverseHex(sha256d(header)), reverseHex(block));
  const wanted = hex(txid);
  for (const transaction of transactions.slice(1).map(parseTransaction)) if (hex(transaction.txid) === wanted) return transaction.outputs;
  return place.differs("txid", `a transaction of the block ${reverseHex(block)}`, reverseHex(txid));
}

function receivedBy(outputs: readonly TransactionOutput[]): Map<string, bigint> {
  const received = new Map<string, bigint>();
  for (const { script, value } of outputs) received.set(hex(script), (received.get(hex(script)) ?? 0n) + value);
  return received;
}

async function checkReversal(entry: SettlementEntry, document: Document, documents: Documents, place: Line): Promise<void> {
  const original = await documents.standingEntry(document, entry);
  if (original === undefined)
    return place.differs("", "the reversal of a receipt or spend that stands in an earlier entry", `entry ${entry.id}`);
  place.check("amounts", amountsText(original.amounts, -1n), amountsText(entry.amounts));
}

function amountsText(amounts: SettlementEntry["amounts"], sign = 1n): string {
  return amounts.map(({ script, amount }) => `${hex(script)} ${sign * amount}`).join(", ");
}
