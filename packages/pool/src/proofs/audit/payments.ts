/** What a coinbase paid: read from its outputs, with the pool's scripts and the split that it was made from. */
import { parseCoinbase, TransactionError, type TransactionOutput } from "@openprime/bitcoin";
import { hex } from "../hex.js";
import type { Settlement } from "../types.js";
import type { Line } from "./difference.js";

export interface Payments {
  /** To the pool's scripts, satoshis. */
  readonly received: bigint;
  /** To accounts, by script in hex. */
  readonly paid: ReadonlyMap<string, bigint>;
}

/** Every output that carries a value must go to the pool, or be the next that fits of the split. */
export function readPayments(settlement: Settlement, header: Line): Payments {
  const pool = new Set(settlement.poolScripts.map(hex));
  const split = settlement.split?.outputs ?? [];
  let next = 0;
  let received = 0n;
  const paid = new Map<string, bigint>();
  for (const [i, { value, script }] of outputsOf(settlement, header).entries()) {
    if (value === 0n) continue;
    const to = hex(script);
    if (pool.has(to)) {
      received += value;
      continue;
    }
    while (next < split.length && !(split[next]?.value === value && hex(split[next]?.script ?? script.subarray(0, 0)) === to)) next++;
    if (next++ >= split.length) {
      header.differs(`block.coinbase, output ${i}`, "an output to the pool or, in order, of the split", `${value} satoshis to ${to}`);
    }
    paid.set(to, (paid.get(to) ?? 0n) + value);
  }
  return { received, paid };
}

/** A coinbase that the node does not know could be anything. */
function outputsOf({ block }: Settlement, header: Line): readonly TransactionOutput[] {
  try {
    return parseCoinbase(block.coinbase).outputs;
  } catch (error) {
    if (error instanceof TransactionError) header.differs("block.coinbase", "a coinbase", error.message);
    throw error;
  }
}
