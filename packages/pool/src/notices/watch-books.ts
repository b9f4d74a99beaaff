/**
 * What the books have to tell: blocks that were found, joined the chain or left it, and payments. It is read from the ledger behind a cursor that moves in
 * the transaction that writes the notices, so nothing is told twice or left out, whenever the pool was killed.
 */
import { reverseHex } from "@openprime/bitcoin";
import type { NewNotice, NewsBlock, NewsEntry, NoticeBook, NoticeReceiver } from "../ledger/index.js";

/** Blocks that were handed in longer ago are no news, whatever comes of them. */
const FRESH_MS = 7 * 86_400_000;

/** Writes notices of all that is new. Rejects with the database's errors; what was written by then stays. */
export async function tellBooks(book: NoticeBook, receivers: readonly NoticeReceiver[], now: number): Promise<void> {
  // Found before joined, where one look sees both.
  const blocks = await book.newsBlocks(now - FRESH_MS);
  await book.write({ notices: blocks.flatMap((block) => noticesOfBlock(block, receivers)) });
  for (;;) {
    const { entries, last } = await book.newsEntries();
    if (last === undefined) return;
    await book.write({ notices: entries.flatMap(noticesOfEntry), entry: last });
  }
}

function noticesOfBlock({ hash, height, value, status, outcome, foundAt }: NewsBlock, receivers: readonly NoticeReceiver[]): NewNotice[] {
  const name = reverseHex(hash);
  const data = { height, hash: name, value: Number(value) };
  const found = (account: number | undefined): NewNotice => ({
    key: `found:${name}:${account ?? "operator"}`,
    ...{ event: "block.found", account, at: foundAt, data },
  });
  const accounts = receivers.flatMap(({ account, events }) => (account !== undefined && events.includes("block.found") ? [account] : []));
  const notices = [undefined, ...new Set(accounts)].map(found);
  if (status !== "refused") return notices;
  const refused = { ...data, ...(outcome !== undefined && { why: outcome }) };
  return [...notices, { key: `refused:${name}`, event: "block.refused", account: undefined, at: foundAt, data: refused }];
}

function noticesOfEntry(entry: NewsEntry): NewNotice[] {
  const { id, kind, at, height, accounts } = entry;
  const txid = entry.txid === undefined ? undefined : reverseHex(entry.txid);
  const block = { height, hash: reverseHex(entry.block) };
  const notice = (what: string, event: string, account: number | undefined, data: object): NewNotice => ({
    key: `${what}:${account ?? "operator"}`,
    ...{ event, account, at, data },
  });
  if (kind === "paid") {
    // By transaction: one that a reorganisation moves into another block is the same payment.
    return accounts
      .filter(({ paid }) => paid > 0n)
      .map(({ account, paid, balance }) =>
        notice(`payout:${txid}`, "payout", account, { amount: Number(paid), balance: Number(balance), txid, ...block }),
      );
  }
  const event = kind === "joined" ? "block.joined" : "block.orphaned";
  const sums = { earned: Number(entry.earned), paid: Number(entry.paid), fee: Number(entry.fee) };
  return [
    notice(`entry:${id}`, event, undefined, { ...block, ...sums }),
    ...accounts.flatMap(({ account, earned, paid, balance }) => {
      const own = { ...block, earned: Number(earned), paid: Number(paid), balance: Number(balance) };
      const payout = { amount: Number(paid), balance: Number(balance), ...block };
      return [
        notice(`entry:${id}`, event, account, own),
        ...(kind === "joined" && paid > 0n ? [notice(`payout:${id}`, "payout", account, payout)] : []),
      ];
    }),
  ];
}
