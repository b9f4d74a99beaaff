/** One log file, read through: is it whole, is its work real, and what does it weigh by account. */
import { meetsTarget, type Network, reverseHex, targetBytes } from "@openprime/bitcoin";
import { PPM } from "@openprime/rewards";
import { hex } from "../hex.js";
import type { LogShare, LogVoid } from "../log-format.js";
import { logFile } from "../published.js";
import type { Line } from "./difference.js";
import { readLogFile } from "./read-log-file.js";
import type { ProofSource, SeenHashes } from "./source.js";

/** Sums of one account in a segment, voids not taken out. */
export interface Sum {
  weight: bigint;
  netWeight: bigint;
}

/** A void, and the line where it stands. */
export interface PlacedVoid {
  readonly entry: LogVoid;
  readonly place: Line;
}

/** What is left of a log file once it was read. */
export interface SegmentDigest {
  readonly segment: number;
  /** sha256 of the file, and what it says of the file before it. */
  readonly hash: string;
  readonly previous: string;
  /** Its shares are paid one by one, by no window. */
  readonly perShare: boolean;
  /** Position before its first entry, and its last. */
  readonly after: bigint;
  readonly last: bigint;
  /** Of the entries up to the asked position, by script in hex. */
  readonly sums: ReadonlyMap<string, Sum>;
  readonly voids: readonly PlacedVoid[];
}

export interface SegmentReader {
  readonly source: ProofSource;
  readonly network: Network;
  /** Hashes of all shares that were read so far, and the segments they came from: each file's are put in once. */
  readonly seen: SeenHashes;
  readonly seenSegments: Set<number>;
  /** Told of each share that was taken back for its parent, with the line of the void. */
  readonly taken?: (share: LogShare, place: Line) => void;
}

/**
 * Reads the whole file, and adds up what stands in it up to the position `upTo`.
 *
 * @throws DifferenceFound for positions out of order, a share twice, and work that a hash does not show
 */
export async function digestSegment(reader: SegmentReader, segment: number, upTo: bigint): Promise<SegmentDigest> {
  const { source, network, seen, seenSegments } = reader;
  const sums = new Map<string, Sum>();
  const voids: PlacedVoid[] = [];
  const targets = new Map<bigint, Uint8Array>();
  const first = !seenSegments.has(segment);
  seenSegments.add(segment);
  const { header, end, hash } = await readLogFile(source, logFile(segment), {
    header: (line, place) => {
      place.check("network", network.name, line.network);
      place.check("segment", segment, line.segment);
    },
    entry: (entry, place) => {
      if (entry.kind === "void") {
        if (entry.share >= entry.position) place.differs("share", `a position before ${entry.position}`, String(entry.share));
        if (entry.position <= upTo) voids.push({ entry, place });
        return undefined;
      }
      checkWork(entry, network, targets, place);
      if (entry.position <= upTo) add(sums, entry);
      return first && !seen.add(entry.hash) ? refuseTwin(source, entry.hash, seenSegments, place) : undefined;
    },
  });
  const { previous, perShare, after } = header;
  return { segment, hash: hex(hash), previous: hex(previous), perShare, after, last: end.last, sums, voids };
}

/** A share's hash must be as low as its weight, the share's difficulty, says. */
function checkWork({ hash, weight }: LogShare, network: Network, targets: Map<bigint, Uint8Array>, place: Line): void {
  let target = targets.get(weight);
  if (target === undefined) {
    if (weight === 0n) place.differs("weight", "a weight above 0", "0");
    target = targetBytes(network.difficultyOne / weight);
    // Weights are powers of two; whoever writes others must not fill the memory.
    if (targets.size < 256) targets.set(weight, target);
  }
  if (!meetsTarget(hash, target)) place.differs("weight", "no more than the work that the hash shows", String(weight));
}

function add(sums: Map<string, Sum>, share: LogShare): void {
  const script = hex(share.script);
  const sum = sums.get(script);
  if (sum === undefined) sums.set(script, { weight: share.weight, netWeight: netWeightOf(share) });
  else {
    sum.weight += share.weight;
    sum.netWeight += netWeightOf(share);
  }
}

/** Weight × (10^6 - fee rate). */
export function netWeightOf({ weight, feePpm }: Pick<LogShare, "weight" | "feePpm">): bigint {
  return weight * (PPM - BigInt(feePpm));
}

/** The set of hashes remembers a part of each only: what it takes for known is looked up. */
async function refuseTwin(source: ProofSource, hash: Uint8Array, segments: ReadonlySet<number>, place: Line): Promise<void> {
  let count = 0;
  const entry = (other: { readonly kind: string; readonly hash: Uint8Array }): undefined => {
    if (other.kind === "share" && Buffer.compare(other.hash, hash) === 0) count++;
  };
  for (const segment of segments) await readLogFile(source, logFile(segment), { entry });
  if (count > 1) place.differs("hash", "a share that is nowhere else in the log", reverseHex(hash));
}

/** That each void takes back a share of this segment as it stands there. */
export async function checkVoids({ source, taken }: SegmentReader, segment: number, voids: readonly PlacedVoid[]): Promise<void> {
  const open = new Map(voids.map((one) => [one.entry.share, one]));
  await readLogFile(source, logFile(segment), {
    entry: (share) => {
      const found = open.get(share.position);
      if (share.kind !== "share" || found === undefined) return undefined;
      open.delete(share.position);
      const { entry, place } = found;
      place.check("hash", reverseHex(share.hash), reverseHex(entry.hash));
      place.check("script", hex(share.script), hex(entry.script));
      place.check("weight", share.weight, entry.weight);
      place.check("feePpm", share.feePpm, entry.feePpm);
      place.check("segment", segment, entry.segment);
      if (entry.reason === "parent") taken?.(share, place);
      return undefined;
    },
  });
  for (const { entry, place } of open.values()) place.differs("share", "the position of a share", String(entry.share));
}
