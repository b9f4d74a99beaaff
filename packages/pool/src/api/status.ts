/**
 * The status of a pool as `/v1/status` tells it, and as `openprime top` and the demo's table show it.
 *
 * One schema for both ends. Satoshis, weights and positions are decimal strings, as JSON's numbers are no integers; hashes are in display order;
 * times are ISO 8601.
 */
import { z } from "zod";

const integer = z.string().regex(/^-?\d{1,40}$/);
const count = z.number().nonnegative();
const byReason = z.record(z.string().regex(/^\d{1,3}$/), count);

const worker = z.object({
  /** `address` or `address.worker`. */
  name: z.string(),
  /** Hashes per second, over the last minutes. */
  hashrate: count,
  accepted: count,
});

const gateway = z.object({
  primeId: count,
  /** First 16 hex digits of its long-term key. */
  key: z.string(),
  /** Likewise of the pool's key that it uses. */
  poolKey: z.string(),
  version: z.string(),
  /** Number of its connection, as the log has it. */
  connection: count,
  address: z.string(),
  connectedAt: z.string(),
  hashrate: count,
  /** Since its session is in memory. */
  accepted: count,
  tentative: count,
  late: count,
  refusedByReason: byReason,
  minimumDifficulty: integer,
  ignoresSplit: z.boolean(),
  workerCount: count,
  /** Those with the most work. */
  workers: z.array(worker),
});

const node = z.object({
  name: z.string(),
  state: z.string(),
  why: z.string().optional(),
  followed: z.boolean(),
  height: count.optional(),
});

const payee = z.object({ address: z.string(), value: integer });

const block = z.object({
  hash: z.string(),
  height: count,
  /** Of its submission. */
  status: z.string(),
  /** On the chain. */
  life: z.string(),
  value: integer,
  foundAt: z.string(),
});

export const poolStatusDocument = z.object({
  version: z.string(),
  network: z.string(),
  /** `starting`: no gateway can connect yet; `draining`: none any more. */
  state: z.enum(["starting", "running", "draining"]),
  /** When the process began to be this pool. */
  startedAt: z.string(),
  hashrate: count,
  /** Since the start. */
  shares: z.object({ accepted: count, tentative: count, refusedByReason: byReason }),
  gateways: z.object({
    connected: count,
    workers: count,
    /** Those with the most work. */
    list: z.array(gateway),
  }),
  nodeReachable: z.boolean(),
  nodes: z.array(node),
  tip: z.object({ height: count, hash: z.string() }).optional(),
  /** The share log; undefined before it is open. */
  log: z
    .object({
      /** Last committed one. */
      position: integer,
      waiting: count,
      /** Age of the oldest entry that waits for its commit. */
      lagSeconds: count,
      state: z.string(),
    })
    .optional(),
  /** The split of the next block's subsidy as it would be offered now. */
  split: z.object({
    payees: count,
    value: integer,
    /** Those that are paid the most. */
    list: z.array(payee),
  }),
  /** As the books had it last; undefined before they answered. */
  blocks: z.object({ found: count, accepted: count, newest: z.array(block) }).optional(),
});

export type PoolStatusDocument = z.infer<typeof poolStatusDocument>;
