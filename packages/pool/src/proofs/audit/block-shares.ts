/** What the log says of the job that a block was made of: its own share, and the shares of its split, name the pin that the block must pay by. */
import { ProofError } from "../errors.js";
import { hex } from "../hex.js";
import type { LogShare } from "../log-format.js";
import { logFile } from "../published.js";
import { Line } from "./difference.js";
import type { Document } from "./documents.js";
import { readLogFile } from "./read-log-file.js";
import type { ProofSource } from "./source.js";

/**
 * Compares a settlement's split and pin with the shares that were logged from its pin's segment on while the block's parent was the tip. What later ones
 * say the pool did not know when it booked the block.
 *
 * @returns false where the log of the parent is not published yet, so that nothing could be compared
 * @throws DifferenceFound
 */
export async function checkBlockShares(document: Document, source: ProofSource): Promise<boolean> {
  const { block, window } = document.settlement;
  const parent = hex(block.prevhash);
  const first = window.lastSegment;
  let met = false;
  for (let segment = first; ; segment++) {
    let tip: string | undefined;
    try {
      tip = await compareSegment(document, segment, (prevhash) => segment === first || prevhash === parent, source);
    } catch (error) {
      // No settlement needs a segment after its pin's: they may be open.
      if (error instanceof ProofError && error.code === "proof.unreadable") return met;
      throw error;
    }
    // The pin may be the last position before the parent was the tip.
    if (tip !== parent && (met || segment > first)) return true;
    met ||= tip === parent;
  }
}

/** @returns the segment's tip in hex, undefined for none */
async function compareSegment(
  { file, settlement }: Document,
  segment: number,
  counts: (tip: string | undefined) => boolean,
  source: ProofSource,
): Promise<string | undefined> {
  const { block, split, pin } = settlement;
  const header = new Line(file, 1);
  const compare = (share: LogShare, { line }: Line): void => {
    const isOwn = Buffer.compare(share.hash, block.hash) === 0;
    if (!isOwn && (split === undefined || share.split !== split.id)) return;
    const as = `, as the share in ${logFile(segment)}:${line} has it`;
    if (share.split !== split?.id) header.differs("split.id", `${share.split ?? null}${as}`, String(split?.id ?? null));
    if (share.pin !== pin) header.differs("pin", `${share.pin}${as}`, String(pin));
  };
  let tip: string | undefined;
  await readLogFile(source, logFile(segment), {
    header: ({ prevhash }) => {
      tip = prevhash === undefined ? undefined : hex(prevhash);
    },
    entry: (entry, place) => {
      if (entry.kind === "share" && counts(tip)) compare(entry, place);
      return undefined;
    },
  });
  return tip;
}
