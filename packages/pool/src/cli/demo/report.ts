/** What a demo did, as figures. */
import type { PreviewRow } from "../../ledger/index.js";
import type { Audit, AuditedBlock } from "./audit.js";

export interface DemoReport {
  /** At least one block was found, its coinbase paid its split, and the books agree with the chain. */
  readonly ok: boolean;
  readonly seconds: number;
  readonly gateways: number;
  readonly miners: number;
  /** Hashes per second that the accepted shares stand for. */
  readonly hashrate: number;
  readonly shares: {
    readonly accepted: number;
    readonly tentative: number;
    readonly refused: number;
    /** By reason code. */
    readonly byReason: Readonly<Record<number, number>>;
    /** Answers that gateways could not make sense of. */
    readonly unknownResponses: number;
  };
  readonly blocks: {
    readonly found: number;
    readonly onChain: number;
    /** On the chain, and their coinbases pay payees of their splits. */
    readonly paidSplit: number;
    readonly list: readonly AuditedBlock[];
  };
  /** The split of the next block's subsidy at the end. */
  readonly split: readonly { readonly script: string; readonly value: bigint }[];
  readonly books: { readonly sharesStored: bigint; readonly differences: readonly string[] };
}

export interface DemoFigures {
  readonly seconds: number;
  readonly gateways: number;
  readonly miners: number;
  readonly hashrate: number;
  readonly shares: DemoReport["shares"];
}

export function demoReport(figures: DemoFigures, audit: Audit, split: readonly PreviewRow[]): DemoReport {
  const onChain = audit.blocks.filter((block) => block.onChain);
  const paidSplit = onChain.filter((block) => block.payees > 0).length;
  return {
    ok: paidSplit > 0 && audit.differences.length === 0,
    ...figures,
    blocks: { found: audit.blocks.length, onChain: onChain.length, paidSplit, list: audit.blocks },
    split: split.map(({ script, value }) => ({ script: Buffer.from(script).toString("hex"), value })),
    books: { sharesStored: audit.sharesStored, differences: audit.differences },
  };
}

/** Satoshis and counts as decimal strings: JSON's numbers are no integers. */
export function reportJson(report: DemoReport): string {
  return JSON.stringify(report, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}
