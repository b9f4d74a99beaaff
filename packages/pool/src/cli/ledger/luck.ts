/** `openprime ledger luck`: who finds as many blocks as its work should, and who does not. */
import { type Network, targetFromBits } from "@openprime/bitcoin";
import { expectedBlocks, type Luck, luckOf } from "@openprime/rewards";
import { type AccountWork, accountWork } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { withBooks } from "./books.js";
import { addressText, table } from "./format.js";

/** The luck of an account's work over all the difficulties that it worked at. */
export function accountLuck({ work, found }: Pick<AccountWork, "work" | "found">, { difficultyOne }: Pick<Network, "difficultyOne">): Luck {
  const due = work.reduce((sum, { bits, weight }) => sum + expectedBlocks(weight, { difficultyOne, target: targetFromBits(bits) }), 0);
  return luckOf(due, found);
}

/** The least likely first. */
export async function luck(config: Config, io: CommandIo): Promise<void> {
  const { network } = config;
  const { accounts, leftOut } = await withBooks(config, io, accountWork);
  const rows = accounts
    .map(({ script, work, found }) => ({ script, luck: accountLuck({ work, found }, network) }))
    .sort((a, b) => a.luck.pValue - b.luck.pValue || b.luck.expected - a.luck.expected)
    .map(({ script, luck: { found, expected, ratio, pValue } }) => [
      addressText(script, network),
      String(found),
      expected.toFixed(3),
      ratio === undefined ? "" : `${(ratio * 100).toFixed(1)} %`,
      pValue.toPrecision(3),
    ]);
  if (rows.length === 0) io.stdout.write("no work of a known difficulty yet\n");
  else
    io.stdout.write(
      `${table(["account", "found", "due", "luck", "p-value"], rows, [1, 2, 3, 4]).join("\n")}\n\n${explanation(rows.length)}`,
    );
  if (leftOut > 0n)
    io.stderr.write(`work of weight ${leftOut} is left out: its segments are older than the books' record of difficulties\n`);
}

const explanation = (accounts: number): string =>
  "The p-value is the probability that honest work finds so few blocks or fewer: a very small one means that blocks may be withheld.\n" +
  (accounts === 1 ? "" : `Of ${accounts} accounts one with ${(1 / accounts).toPrecision(1)} is nothing out of the ordinary.\n`);
