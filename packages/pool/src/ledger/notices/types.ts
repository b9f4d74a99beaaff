/** The plain values of notices in the books. Ids are those of rows; times are milliseconds of the pool's clock. */

export type NoticeChannel = "webhook" | "email" | "nostr";

/** A happening as it is told to one account, or to the operator. */
export interface NewNotice {
  /** The same key is never told twice. */
  readonly key: string;
  readonly event: string;
  /** Undefined: to the operator. */
  readonly account: number | undefined;
  readonly at: number;
  /** Numbers (satoshis among them), texts and lists of them: becomes JSON. */
  readonly data: object;
}

/** What was told and is not over. */
export interface Alarm {
  readonly name: string;
  readonly since: number;
  readonly data: object;
}

/** Changes that belong together: all of them are in the books, or none. */
export interface NoticeChanges {
  readonly notices?: readonly NewNotice[];
  readonly raise?: readonly Alarm[];
  readonly clear?: readonly string[];
  /** Entries of the ledger up to here have been told. */
  readonly entry?: bigint;
}

export interface NoticeReceiver {
  readonly id: bigint;
  /** Undefined: the operator's. */
  readonly account: number | undefined;
  /** Of the account; undefined for the operator. */
  readonly address: string | undefined;
  readonly channel: NoticeChannel;
  /** Sealed; undefined for the operator's, which the configuration has. */
  readonly target: Uint8Array | undefined;
  readonly events: readonly string[];
  readonly createdAt: number;
  /** Messages that may go out at once, as of `refilledAt`. */
  readonly tokens: number;
  readonly refilledAt: number;
  readonly sentAt: number | undefined;
  readonly failures: number;
  readonly failingSince: number | undefined;
  readonly disabledAt: number | undefined;
  /** Notices that wait for it. */
  readonly waiting: number;
}

/** A notice that waits for a receiver. */
export interface WaitingNotice {
  readonly id: bigint;
  readonly event: string;
  readonly at: number;
  readonly writtenAt: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** How often a worker or a gateway brings shares. */
export interface PaceRow {
  readonly kind: "worker" | "gateway";
  /** Worker, or session. */
  readonly id: bigint;
  /** Of a worker. */
  readonly account: number | undefined;
  /** The last one that brought a share. */
  readonly session: bigint;
  readonly shares: number;
  readonly seconds: number;
  readonly weight: number;
  /** Of one share, lately. */
  readonly shareWeight: number;
  readonly lastAt: number;
}

/** What one worker did through one session in a stretch of the log. */
export interface WorkDone {
  readonly account: number;
  readonly worker: number;
  readonly session: bigint;
  readonly shares: number;
  readonly weight: number;
  /** Of its heaviest share. */
  readonly shareWeight: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** A block's entry of the ledger, its reversal, or a payment of the pool's wallet. Amounts in satoshis. */
export interface NewsEntry {
  readonly id: bigint;
  readonly kind: "joined" | "orphaned" | "paid";
  readonly at: number;
  readonly height: number;
  /** Internal order. */
  readonly block: Uint8Array;
  /** Internal order; of a payment of the wallet. */
  readonly txid: Uint8Array | undefined;
  /** All miners' earnings, what they were paid, and the operator's fee: of a reversal, what was taken back. */
  readonly earned: bigint;
  readonly paid: bigint;
  readonly fee: bigint;
  /** The same by account, of those that have a receiver. `balance`: as it is now. */
  readonly accounts: readonly { readonly account: number; readonly earned: bigint; readonly paid: bigint; readonly balance: bigint }[];
}

/** A block that was handed in. */
export interface NewsBlock {
  /** Internal order. */
  readonly hash: Uint8Array;
  readonly height: number;
  readonly value: bigint;
  readonly status: "found" | "submitted" | "accepted" | "refused";
  readonly outcome: string | undefined;
  readonly foundAt: number;
}
