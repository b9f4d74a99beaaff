/** `openprime ledger check`: the check of the books, by hand. */
import { NodeError } from "@openprime/bitcoin";
import { checkMoney, type MoneyCheck } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { withBooks } from "./books.js";
import { coins } from "./format.js";
import { NodeChainReader } from "./node-chain-reader.js";

export interface CheckOptions {
  readonly json: boolean;
  readonly scan: boolean;
}

/**
 * Checks the books and prints what it found.
 *
 * @returns the exit code: 1 when something differs
 * @throws LedgerError, NodeError and ChainError where books or node can't be asked
 */
export async function check(config: Config, options: CheckOptions, io: CommandIo): Promise<number> {
  const reader = await openReader(config, io);
  // Calls under way fail, and with them the check.
  const abort = (): void => void reader.close();
  io.signal.addEventListener("abort", abort, { once: true });
  try {
    if (!options.json) io.stderr.write(options.scan ? "reading every block since the books began\n" : "reading the books and the chain\n");
    const result = await withBooks(config, io, (database) =>
      checkMoney(database, reader, { scan: options.scan, reserve: config.reserve ?? 0n, signal: io.signal }),
    );
    io.stdout.write(options.json ? `${JSON.stringify(checkJson(result), null, 2)}\n` : checkText(result));
    return result.differences.length === 0 ? 0 : 1;
  } finally {
    io.signal.removeEventListener("abort", abort);
    await reader.close();
  }
}

/** The first of the nodes that answers. @throws the last one's NodeError when none does; ChainError `wrongNetwork` */
async function openReader({ nodes, network }: Pick<Config, "nodes" | "network">, io: CommandIo): Promise<NodeChainReader> {
  for (const [i, access] of nodes.entries()) {
    const reader = new NodeChainReader(access);
    const abort = (): void => void reader.close();
    io.signal.addEventListener("abort", abort, { once: true });
    try {
      await reader.checkNetwork(network.chain);
      return reader;
    } catch (error) {
      await reader.close();
      if (!(error instanceof NodeError) || i === nodes.length - 1 || io.signal.aborted) throw error;
      io.stderr.write(`${new URL(access.url).host}: ${error.message}; the next node is asked\n`);
    } finally {
      io.signal.removeEventListener("abort", abort);
    }
  }
  throw new Error("a configuration has one node at least");
}

/** Amounts are numbers of satoshis: all there will ever be fit. */
function checkJson({ differences, notes, figures }: MoneyCheck): object {
  const numbers = Object.entries(figures).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : (value ?? null)]);
  return { ok: differences.length === 0, differences, notes, figures: Object.fromEntries(numbers) };
}

function checkText({ differences, notes, figures }: MoneyCheck): string {
  const figure = (name: string, satoshis: bigint): string => `${name.padEnd(28)}${coins(satoshis).padStart(20)} BTC`;
  const lines = [
    `${figures.entries} entries, chain followed to height ${figures.height ?? "none"}`,
    figure("owed to miners", figures.owed),
    figure("operator's balance", figures.operator),
    figure("unattributed receipts", figures.unattributed),
    figure("held by the pool's scripts", figures.holdings),
    figure("  of it immature", figures.immature),
    ...(figures.negativeBalances > 0 ? [`${figures.negativeBalances} balances below zero`] : []),
    ...notes.map((note) => `note: ${note}`),
    ...differences.map(({ kind, message }) => `WRONG ${kind}: ${message}`),
    "",
    differences.length === 0 ? "The books agree with the chain." : `The books are wrong in ${differences.length} places.`,
  ];
  return `${lines.join("\n")}\n`;
}
