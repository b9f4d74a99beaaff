/** The window of a settlement, weighed from the log files. */
import { PPM, ShareWindow, type WindowWeights } from "@openprime/rewards";
import { hex } from "../hex.js";
import { logFile } from "../published.js";
import { Line } from "./difference.js";
import {
  checkVoids,
  digestSegment,
  netWeightOf,
  type PlacedVoid,
  type SegmentDigest,
  type SegmentReader,
  type Sum,
} from "./log-segment.js";

/** Sums of accounts in segments that are kept for the next settlement, whose window is nearly the same. */
const KEPT_SUMS = 500_000;
const NOTHING: ReadonlyMap<string, Sum> = new Map();

/** A window as the log has it. */
export interface LogWindow {
  /** Accounts are places in `scripts`. */
  readonly weights: WindowWeights;
  /** Scripts in hex. */
  readonly scripts: readonly string[];
  /** Segments that were read. */
  readonly segments: number;
  /** Weight of the whole log up to the pin, without shares that are paid one by one; undefined when not all of it was read. */
  readonly logWeight: bigint | undefined;
}

export interface WindowQuery {
  readonly pin: bigint;
  readonly lastSegment: number;
  /** sha256 in hex of the last segment's file; undefined when the settlement names none. */
  readonly logHash: string | undefined;
  /** Header of the settlement. */
  readonly header: Line;
  /** Reads the log to its beginning, whatever the window. */
  readonly wholeLog: boolean;
  /** Weight of the window, told when the weight of the whole log is known. */
  readonly size: (logWeight: bigint | undefined) => bigint;
}

/** Reads log files from the newest back: each is known by its hash before it is opened. */
export class LogWindows {
  readonly #reader: SegmentReader;
  /** Whole segments, the last used at the end. */
  readonly #digests = new Map<number, SegmentDigest>();
  /** Positions of voids that were compared with their shares. */
  readonly #checked = new Set<bigint>();

  constructor(reader: Omit<SegmentReader, "seenSegments">) {
    this.#reader = { ...reader, seenSegments: new Set() };
  }

  /** @throws DifferenceFound where a log file is not as it must be */
  async weigh(query: WindowQuery): Promise<LogWindow> {
    const { pin, lastSegment, logHash, header, wholeLog } = query;
    const scripts: string[] = [];
    const accounts = new Map<string, number>();
    const loaded: { id: number; sums: ReadonlyMap<string, Sum> }[] = [];
    /** Voids up to the pin whose share was not met yet, by the share's position. */
    const voids = new Map<bigint, PlacedVoid>();
    let newer: SegmentDigest | undefined;
    let weight = 0n;
    let atStart = lastSegment === 0;
    const wanted = wholeLog ? undefined : query.size(undefined);
    for (let segment = lastSegment; !atStart && (wanted === undefined || weight < wanted); segment--) {
      const digest = await this.#digest(segment, pin);
      const top = new Line(logFile(segment), 1);
      if (newer === undefined) {
        header.check("window.logHash", digest.hash, logHash ?? digest.hash);
        if (pin < digest.after || pin > digest.last) {
          header.differs("pin", `a position of segment ${segment}, ${digest.after} to ${digest.last}`, String(pin));
        }
      } else {
        const place = new Line(logFile(newer.segment), 1);
        place.check("previous", digest.hash, newer.previous);
        place.check("after", digest.last, newer.after);
      }
      newer = digest;
      // Of one that is paid share by share nothing counts; its voids are looked at like all others.
      const left = await this.#withoutVoids(digest, voids);
      const sums = digest.perShare ? NOTHING : left;
      for (const sum of sums.values()) weight += sum.weight;
      loaded.push({ id: segment, sums });
      atStart = digest.after === 0n || segment === 1;
      if (segment === 1 && digest.after !== 0n) top.check("after", 0n, digest.after);
    }
    const window = new ShareWindow();
    for (const script of loaded.flatMap(({ sums }) => [...sums.keys()])) {
      if (accounts.has(script)) continue;
      accounts.set(script, scripts.length);
      scripts.push(script);
    }
    const stored = loaded.toReversed().map(({ id, sums }) => ({
      id,
      sums: [...sums].map(([script, one]) => ({
        account: accounts.get(script) as number,
        weight: one.weight,
        feeWeight: one.weight * PPM - one.netWeight,
      })),
    }));
    window.load(stored, !atStart);
    const logWeight = atStart ? weight : undefined;
    const size = query.size(logWeight);
    return { weights: window.weigh(size), scripts, segments: loaded.length, logWeight };
  }

  /** The segment's sums less what was taken back up to the pin; its own voids are put to those of the newer segments first. */
  async #withoutVoids(digest: SegmentDigest, voids: Map<bigint, PlacedVoid>): Promise<ReadonlyMap<string, Sum>> {
    for (const one of digest.voids) {
      const { share } = one.entry;
      if (voids.has(share)) one.place.differs("share", "a share that was not taken back again later", String(share));
      voids.set(share, one);
    }
    const here = [...voids.values()].filter(({ entry }) => entry.share > digest.after && entry.share <= digest.last);
    if (here.length === 0) return digest.sums;
    const unchecked = here.filter((one) => !this.#checked.has(one.entry.position));
    if (unchecked.length > 0) await checkVoids(this.#reader, digest.segment, unchecked);
    const sums = new Map([...digest.sums].map(([script, sum]) => [script, { ...sum }]));
    for (const { entry } of here) {
      this.#checked.add(entry.position);
      voids.delete(entry.share);
      const sum = sums.get(hex(entry.script)) as Sum;
      sum.weight -= entry.weight;
      sum.netWeight -= netWeightOf(entry);
    }
    return sums;
  }

  /** The segment up to the pin. */
  async #digest(segment: number, pin: bigint): Promise<SegmentDigest> {
    const kept = this.#digests.get(segment);
    if (kept !== undefined && kept.last <= pin) {
      this.#digests.delete(segment);
      this.#digests.set(segment, kept);
      return kept;
    }
    const digest = await digestSegment(this.#reader, segment, pin);
    if (digest.last <= pin) this.#keep(digest);
    return digest;
  }

  #keep(digest: SegmentDigest): void {
    this.#digests.set(digest.segment, digest);
    let sums = 0;
    for (const [segment, one] of [...this.#digests].reverse()) {
      sums += one.sums.size + one.voids.length + 1;
      if (sums > KEPT_SUMS && segment !== digest.segment) this.#digests.delete(segment);
    }
  }
}
