/** The work of gateway sessions as rows of the books, both ways. */
import type { RestoredWork, SavedWork } from "../work/index.js";
import type { OfferedSplit } from "./types.js";

/** A row as JSON, from which PostgreSQL takes it: numbers of 64 bits are text there, bytes hex. */
export function sessionWorkRow(session: bigint, work: SavedWork, now: number): object {
  return {
    session: String(session),
    minimum: work.minimum.targetByte,
    earlier: work.minimum.earlier,
    payee: work.payee === undefined ? null : `\\x${hex(work.payee)}`,
    proven: work.proven,
    jobs: work.jobs.map(({ slot, digest, pin, splitId, templateId, commitment }) => ({
      slot,
      digest: hex(digest),
      pin: String(pin),
      split: splitId === undefined ? null : String(splitId),
      template: templateId === undefined ? null : String(templateId),
      commitment: commitment === undefined ? null : hex(commitment),
    })),
    saved_at: new Date(now),
  };
}

/** A row as it is read, with the verdicts on its jobs' templates. */
export interface SessionWorkRow {
  minimum: number;
  earlier: { targetByte: number; until: number }[];
  payee: Buffer | null;
  proven: boolean;
  jobs: { slot: number; digest: string; pin: string; split: string | null; template: string | null; commitment: string | null }[];
  saved_at: Date;
  verdicts: { id: string; state: "sound" | "unsound"; detail: string | null }[] | null;
}

export function restoredWork(row: SessionWorkRow, splits: readonly OfferedSplit[]): RestoredWork {
  const verdicts = new Map((row.verdicts ?? []).map(({ id, state, detail }) => [id, { id: BigInt(id), state, why: detail ?? undefined }]));
  return {
    minimum: { targetByte: row.minimum, earlier: row.earlier },
    payee: row.payee === null ? undefined : Uint8Array.from(row.payee),
    proven: row.proven,
    jobs: row.jobs.map(({ slot, digest, pin, split, template, commitment }) => ({
      slot,
      digest: bytes(digest),
      pin: BigInt(pin),
      splitId: split === null ? undefined : BigInt(split),
      split: split === null ? undefined : splits.find(({ id }) => id === BigInt(split)),
      templateId: template === null ? undefined : BigInt(template),
      template: template === null ? undefined : verdicts.get(template),
      commitment: commitment === null ? undefined : bytes(commitment),
    })),
  };
}

const hex = (data: Uint8Array): string => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
