/** The last block leaves the followed chain: everything that it changed in the books is taken back, in one transaction. */

import { hashText } from "../check/text.js";
import { LedgerError } from "../errors.js";
import { CHANGE_LIFE_AT, DELETE_CHAIN, DELETE_COINS, HASH_AT, SET_LIFE, UNSPEND_COINS } from "../queries/money-chain.js";
import type { BookContext, BookWriter } from "./book-context.js";
import { type CoinRow, coinKey, coinOf, readBlockWeights } from "./book-state.js";
import { reversalOf, standingEntries } from "./entries.js";
import { MATURE_AFTER } from "./join-block.js";
import { findSettlement, type LineChange, storeSettlement } from "./settlement.js";
import type { ChainPosition, Disconnected, Outpoint } from "./types.js";

/** @throws LedgerError `ledger.chainBelowStart` for the block that the books began with */
export async function leaveBlock(position: ChainPosition, writer: BookWriter, context: BookContext): Promise<Disconnected> {
  const { client, draft } = writer;
  const { height, hash } = position;
  const before = (await client.query<{ hash: Buffer }>(HASH_AT, [height - 1])).rows[0];
  if (before === undefined) throw belowStart(position);
  const standing = await standingEntries(client, hash);
  for (const entry of standing) {
    const reversal = await writer.post(await reversalOf(client, entry, hash));
    if (reversal !== undefined && entry.kind === "block") await settle(reversal, BigInt(entry.id), writer, context);
  }
  const { rows: made } = await client.query<Outpoint>(DELETE_COINS, [height]);
  for (const outpoint of made) draft.setCoin(coinKey(outpoint), undefined);
  const { rows: unspent } = await client.query<CoinRow>(UNSPEND_COINS, [height]);
  for (const coin of unspent) draft.setCoin(coinKey(coin), coinOf(coin));
  await client.query(SET_LIFE, [Buffer.from(hash), "orphaned"]);
  await client.query(CHANGE_LIFE_AT, [height - MATURE_AFTER, "mature", "paid"]);
  await client.query(DELETE_CHAIN, [height]);
  draft.cursor = { height: height - 1, hash: Uint8Array.from(before.hash) };
  const poolBlock = standing.some(({ kind }) => kind === "block");
  const { window } = context.scheme;
  if (poolBlock && window.kind === "blocks") draft.blockWeights = await readBlockWeights(client, window.count);
  return { reversed: standing.length, poolBlock };
}

async function settle(reversal: bigint, reversed: bigint, writer: BookWriter, { scripts, directory }: BookContext): Promise<void> {
  const { client, draft, state, settled } = writer;
  const { lines, ...facts } = await findSettlement(client, reversed);
  const changes = new Map<number, LineChange>();
  for (const { account, weight, netWeight, earned, fee, paid } of lines) {
    if (weight === 0n && earned === 0n && fee === 0n && paid === 0n) continue;
    changes.set(account, { weight, netWeight, earned: -earned, fee: -fee, paid: -paid });
  }
  const number = await storeSettlement(
    {
      entry: reversal,
      facts: { ...facts, kind: "reversal", poolScripts: scripts.all },
      changes,
      owing: draft.owing(),
      balance: (account) => draft.balance(account),
    },
    state,
    { client, directory },
  );
  settled.push(number);
}

function belowStart({ height, hash }: ChainPosition): LedgerError {
  return new LedgerError(
    "ledger.chainBelowStart",
    `the books began after block ${height} ${hashText(hash)} and can't be taken back below it: the node's chain does not have that block. ` +
      "See that the node is on the right chain; if it is, these books are of another one, and the pool needs a database of its own for this",
  );
}
