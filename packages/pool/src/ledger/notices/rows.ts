/** Rows of notices as the database has them, and as values. */
import type { NewsBlock, NewsEntry, NoticeChannel, NoticeReceiver, PaceRow, WorkDone } from "./types.js";

export interface ReceiverRow {
  id: string;
  account: number | null;
  address: string | null;
  channel: NoticeChannel;
  target: Buffer | null;
  events: string[];
  created_at: Date;
  tokens: number;
  refilled_at: Date;
  sent_at: Date | null;
  failures: number;
  failing_since: Date | null;
  disabled_at: Date | null;
  waiting: number;
}

export const optionalTime = (date: Date | null): number | undefined => date?.getTime();

export function receiverOf(row: ReceiverRow): NoticeReceiver {
  return {
    id: BigInt(row.id),
    account: row.account ?? undefined,
    address: row.address ?? undefined,
    channel: row.channel,
    target: row.target === null ? undefined : Uint8Array.from(row.target),
    events: row.events,
    createdAt: row.created_at.getTime(),
    tokens: row.tokens,
    refilledAt: row.refilled_at.getTime(),
    sentAt: optionalTime(row.sent_at),
    failures: row.failures,
    failingSince: optionalTime(row.failing_since),
    disabledAt: optionalTime(row.disabled_at),
    waiting: row.waiting,
  };
}

export interface EntryRow {
  id: string;
  kind: "block" | "spend" | "reversal";
  at: Date;
  height: number;
  block: Buffer;
  txid: Buffer | null;
  news: boolean;
  earned: string;
  paid: string;
  fee: string;
}

export interface PostingRow {
  entry: string;
  account: number;
  balance: string;
  earned: string;
  paid: string;
}

const KINDS = { block: "joined", spend: "paid", reversal: "orphaned" } as const;

export function entryOf(row: EntryRow, postings: readonly PostingRow[]): NewsEntry {
  // A reversal's postings are those of its entry with the other sign.
  const sign = row.kind === "reversal" ? -1n : 1n;
  return {
    id: BigInt(row.id),
    kind: KINDS[row.kind],
    at: row.at.getTime(),
    height: row.height,
    block: Uint8Array.from(row.block),
    txid: row.txid === null ? undefined : Uint8Array.from(row.txid),
    earned: sign * BigInt(row.earned),
    paid: sign * BigInt(row.paid),
    fee: sign * BigInt(row.fee),
    accounts: postings
      .filter(({ entry }) => entry === row.id)
      .map(({ account, balance, earned, paid }) => ({
        account,
        balance: BigInt(balance),
        earned: sign * BigInt(earned),
        paid: sign * BigInt(paid),
      })),
  };
}

export interface BlockRow {
  hash: Buffer;
  height: number;
  coinbase_value: string;
  status: NewsBlock["status"];
  outcome: string | null;
  found_at: Date;
}

export function blockOf(row: BlockRow): NewsBlock {
  return {
    hash: Uint8Array.from(row.hash),
    height: row.height,
    value: BigInt(row.coinbase_value),
    status: row.status,
    outcome: row.outcome ?? undefined,
    foundAt: row.found_at.getTime(),
  };
}

export interface WorkSqlRow {
  account: number;
  worker: number;
  session: string;
  shares: number;
  weight: number;
  share_weight: number;
  first_at: number;
  last_at: number;
}

export function workOf({ session, share_weight, first_at, last_at, ...row }: WorkSqlRow): WorkDone {
  return { ...row, session: BigInt(session), shareWeight: share_weight, firstAt: Math.round(first_at), lastAt: Math.round(last_at) };
}

export interface PaceSqlRow {
  kind: PaceRow["kind"];
  id: string;
  account: number | null;
  session: string;
  shares: number;
  seconds: number;
  weight: number;
  share_weight: number;
  last_at: Date;
}

export function paceOf({ account, id, session, share_weight, last_at, ...row }: PaceSqlRow): PaceRow {
  return {
    ...row,
    id: BigInt(id),
    account: account ?? undefined,
    session: BigInt(session),
    shareWeight: share_weight,
    lastAt: last_at.getTime(),
  };
}

/** As JSON takes it. */
export function paceRow({ id, session, account, shareWeight, lastAt, ...row }: PaceRow): object {
  return {
    ...row,
    id: id.toString(),
    session: session.toString(),
    account: account ?? null,
    share_weight: shareWeight,
    last_at: new Date(lastAt),
  };
}
