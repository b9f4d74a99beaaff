/** `openprime ledger threshold`: an account's own payout threshold. */
import { dustLimit } from "@openprime/bitcoin";
import { setThreshold, threshold as thresholdOf } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { accountOf, withBooks } from "./books.js";
import { addressText } from "./format.js";

export interface ThresholdOptions {
  readonly address: string;
  /** Satoshis, `default`, or undefined to look only. */
  readonly wanted: string | undefined;
}

/** All that there will ever be, in satoshis. */
const MOST = 2_100_000_000_000_000n;

/** @throws CliError `optionInvalid` */
export async function threshold(config: Config, { address, wanted }: ThresholdOptions, io: CommandIo): Promise<void> {
  const value = wanted === undefined || wanted === "default" ? undefined : satoshis(wanted);
  await withBooks(config, io, async (database) => {
    const { account, script } = await accountOf(database, address, config.network);
    if (wanted !== undefined) await setThreshold(database, account, value);
    const own = await thresholdOf(database, account);
    const source = own === undefined ? "the pool's" : "its own";
    io.stdout.write(`${addressText(script, config.network)}: ${own ?? config.split.threshold} satoshis, ${source}\n`);
    const least = dustLimit(script);
    if (own !== undefined && own < least) io.stderr.write(`outputs to it need ${least} satoshis: below that nodes relay none\n`);
    if (wanted !== undefined) io.stderr.write("a running pool takes it up at its next block\n");
  });
}

function satoshis(text: string): bigint {
  const value = /^\d{1,16}$/.test(text) ? BigInt(text) : undefined;
  if (value !== undefined && value <= MOST) return value;
  throw new CliError("optionInvalid", `the threshold is "${text}". Allowed: whole satoshis up to ${MOST}, or default`, "give one of these");
}
