/** How much work a segment of the share log may hold. */
import type { NetworkTargets, WindowRule } from "./scheme.js";

/**
 * A segment ends with the tip, or when it weighs one part in so many of the window. The left edge takes the same part of everybody in the segment that it
 * cuts, so the first work of a segment leaves the window later than it should, by half a segment's weight at most, and the last work as much earlier.
 * Who mines early in segments gains by that: with this number less than one part in a thousand for each hash, whatever the pool's size. A pool with less than
 * 1/64 of the network (and a window of 8 × difficulty) makes segments that short between two tips anyway; a larger number would cost every pool more sums.
 */
export const SEGMENTS_PER_WINDOW = 512n;

/**
 * Weight at which a segment is to end, at least 1; undefined where only the tip ends it. Windows of counted blocks begin at the pin of a block, which is near the
 * end of a segment already.
 */
export function segmentLimit(rule: WindowRule, targets: NetworkTargets): bigint | undefined {
  if (rule.kind !== "difficulty") return undefined;
  const limit = rule.size(targets) / SEGMENTS_PER_WINDOW;
  return limit > 0n ? limit : 1n;
}
