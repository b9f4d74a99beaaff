/** Rows of the share log, one column after the other, as the writer's statements take them. */
import { booleans, byteas, int2s, int4s, int8s, nullableInt8s, numerics, timestamps, uint32s } from "./columns.js";
import type { StoredSplit } from "./share-log.js";
import { packOutputs } from "./split-outputs.js";
import { schemeText } from "./stored-scheme.js";
import type { LoggedShare } from "./types.js";

/** A share with the ids of what it belongs to. */
export interface ShareRow {
  readonly share: LoggedShare;
  readonly round: number;
  readonly account: { readonly id: number } | undefined;
  readonly worker: number;
}

/** Columns of `INSERT_SHARES`. The ids must be known. */
export function shareColumns(rows: readonly ShareRow[]): Buffer[] {
  return [
    timestamps(rows, ({ share }) => share.receivedAt),
    int8s(rows, ({ share }) => share.sessionId),
    nullableInt8s(rows, ({ share }) => share.splitId),
    int8s(rows, ({ share }) => share.pin),
    uint32s(rows, ({ share }) => share.ntime),
    int4s(rows, ({ round }) => round),
    int4s(rows, ({ account }) => (account as { id: number }).id),
    int4s(rows, ({ worker }) => worker),
    int4s(rows, ({ share }) => share.feePpm),
    int4s(rows, ({ share }) => share.height),
    int2s(rows, ({ share }) => share.targetByte),
    int2s(rows, ({ share }) => share.coinbaseId),
    booleans(rows, ({ share }) => share.tentative),
    byteas(rows, ({ share }) => share.hash),
    numerics(rows, ({ share }) => share.weight),
    nullableInt8s(rows, ({ share }) => share.templateId),
  ];
}

/** Columns of `INSERT_SPLITS`. */
export function splitColumns(splits: readonly StoredSplit[]): unknown[] {
  return [
    int8s(splits, ({ id }) => id),
    int8s(splits, ({ sessionId }) => sessionId),
    int2s(splits, ({ coinbaserId }) => coinbaserId),
    int8s(splits, ({ position }) => position),
    byteas(splits, ({ prevhash }) => prevhash),
    int8s(splits, ({ value }) => value),
    byteas(
      splits.map(({ outputs }) => packOutputs(outputs)),
      (packed) => packed,
    ),
    timestamps(splits, ({ offeredAt }) => offeredAt),
    nullableInt8s(splits, ({ finder }) => (finder === undefined ? undefined : BigInt(finder))),
    int4s(splits, ({ feePpm }) => feePpm),
    splits.map(({ scheme }) => schemeText(scheme)),
  ];
}
