/** Templates as rows of the books, both ways. */
import { bigintClaim, integerClaim } from "../claims.js";
import type { StoredTemplate, TemplateDifference, TemplateRecord, TemplateVerdict } from "./types.js";

/** A row as JSON, from which PostgreSQL takes it: numbers of 64 bits are text there, bytes hex. */
export function rowToWrite(record: TemplateRecord, verdict?: TemplateVerdict): Record<string, unknown> {
  const own = verdict?.own;
  return {
    id: String(record.id),
    session: String(record.sessionId),
    prevhash: `\\x${Buffer.from(record.prevhash).toString("hex")}`,
    height: integerClaim(record.height),
    value: satoshis(record.value),
    transactions: integerClaim(record.transactions),
    weight: record.weight,
    size: record.size,
    sigops: record.sigops,
    opened_at: new Date(record.openedAt),
    state: verdict?.state ?? "pending",
    path: verdict?.path,
    code: words(verdict?.code),
    detail: words(verdict?.detail),
    fees: satoshis(verdict?.fees),
    own_value: satoshis(own?.value),
    own_transactions: own?.transactions,
    own_weight: own?.weight,
    lacks_transactions: own?.lacks.transactions,
    lacks_fees: satoshis(own?.lacks.fees),
    extra_transactions: own?.extra.transactions,
    extra_fees: satoshis(own?.extra.fees),
    judged_at: verdict && new Date(verdict.judgedAt),
  };
}

/** PostgreSQL's text holds every character but NUL, and no half of one. */
const words = (said: string | undefined): string | undefined => said && Buffer.from(said).toString().replaceAll("\0", "");

const satoshis = (amount: bigint | undefined): string | undefined => (amount === undefined ? undefined : String(bigintClaim(amount)));

/** A row as it is read. */
export interface TemplateRow {
  id: string;
  session: string;
  gateway_key: Buffer | null;
  prevhash: Buffer;
  height: number;
  value: string;
  transactions: number;
  weight: string;
  size: string;
  sigops: string;
  opened_at: Date;
  state: "pending" | TemplateVerdict["state"];
  path: TemplateVerdict["path"] | null;
  code: string | null;
  detail: string | null;
  fees: string | null;
  own_value: string | null;
  own_transactions: number | null;
  own_weight: string | null;
  lacks_transactions: number | null;
  lacks_fees: string | null;
  extra_transactions: number | null;
  extra_fees: string | null;
  judged_at: Date | null;
}

export function storedTemplate(row: TemplateRow): StoredTemplate {
  return {
    id: BigInt(row.id),
    sessionId: BigInt(row.session),
    gatewayKey: row.gateway_key === null ? undefined : Uint8Array.from(row.gateway_key),
    prevhash: Uint8Array.from(row.prevhash),
    height: row.height,
    value: BigInt(row.value),
    transactions: row.transactions,
    weight: Number(row.weight),
    size: Number(row.size),
    sigops: Number(row.sigops),
    openedAt: row.opened_at.getTime(),
    verdict: verdictOf(row),
  };
}

function verdictOf(row: TemplateRow): TemplateVerdict | undefined {
  const { state, path, code, detail, fees, judged_at } = row;
  if (state === "pending" || judged_at === null) return undefined;
  return {
    state,
    path: path ?? undefined,
    code: code ?? undefined,
    detail: detail ?? undefined,
    fees: fees === null ? undefined : BigInt(fees),
    own: ownOf(row),
    judgedAt: judged_at.getTime(),
  };
}

function ownOf({ own_value, own_transactions, own_weight, ...row }: TemplateRow): TemplateVerdict["own"] {
  if (own_value === null) return undefined;
  return {
    value: BigInt(own_value),
    transactions: own_transactions ?? 0,
    weight: Number(own_weight),
    lacks: difference(row.lacks_transactions, row.lacks_fees),
    extra: difference(row.extra_transactions, row.extra_fees),
  };
}

const difference = (transactions: number | null, fees: string | null): TemplateDifference => ({
  transactions: transactions ?? 0,
  fees: BigInt(fees ?? 0),
});
