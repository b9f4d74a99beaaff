/** What there is to be told, and to whom. The words of each event stand in `packages/pool/notices/<event>.txt`. */

/** Every event by its name: who may choose it, and whether a miner's receiver has it when it names no events. */
export const EVENTS = {
  "block.found": { operator: true, miners: "wanted" },
  "block.joined": { operator: true, miners: "usual" },
  "block.orphaned": { operator: true, miners: "usual" },
  "block.refused": { operator: true, miners: "never" },
  payout: { operator: false, miners: "usual" },
  "workers.offline": { operator: false, miners: "usual" },
  "workers.online": { operator: false, miners: "usual" },
  "gateway.offline": { operator: true, miners: "usual" },
  "gateway.online": { operator: true, miners: "usual" },
  "refusals.gateway": { operator: true, miners: "usual" },
  "refusals.pool": { operator: true, miners: "never" },
  "node.aside": { operator: true, miners: "never" },
  "node.good": { operator: true, miners: "never" },
  "ledger.difference": { operator: true, miners: "never" },
  "books.stuck": { operator: true, miners: "never" },
  "books.moving": { operator: true, miners: "never" },
  "reserve.low": { operator: true, miners: "never" },
  "key.ending": { operator: true, miners: "never" },
  "receiver.disabled": { operator: true, miners: "never" },
} as const satisfies Record<string, { operator: boolean; miners: "usual" | "wanted" | "never" }>;

export type NoticeEvent = keyof typeof EVENTS;

/** Sent by `openprime notices test` alone. */
export const TEST_EVENT = "test";

const NAMES = Object.keys(EVENTS) as NoticeEvent[];

export const OPERATOR_EVENTS: readonly NoticeEvent[] = NAMES.filter((name) => EVENTS[name].operator);
/** What miners may choose. */
export const MINER_EVENTS: readonly NoticeEvent[] = NAMES.filter((name) => EVENTS[name].miners !== "never");
/** What they get unless they choose. */
export const USUAL_EVENTS: readonly NoticeEvent[] = NAMES.filter((name) => EVENTS[name].miners === "usual");
