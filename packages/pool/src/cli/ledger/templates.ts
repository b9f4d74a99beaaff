/** `openprime ledger templates`: what gateways work on, and what the pool thinks of it. */
import { reverseHex } from "@openprime/bitcoin";
import { recentTemplates, type StoredTemplate } from "../../ledger/index.js";
import type { Config } from "../config/index.js";
import type { CommandIo } from "../io.js";
import { withBooks } from "./books.js";
import { coins, table, timeText } from "./format.js";

export interface TemplatesOptions {
  /** Long-term key of the gateway. */
  readonly gateway?: Uint8Array;
  readonly limit: number;
  readonly json: boolean;
}

const HEADS = ["opened, UTC", "gateway", "height", "txs", "weight", "value, BTC", "fees, BTC", "own value", "lacks", "extra", "verdict"];
const FIGURES = [2, 3, 4, 5, 6, 7, 8, 9];

export async function templates(config: Config, { gateway, limit, json }: TemplatesOptions, io: CommandIo): Promise<void> {
  const found = await withBooks(config, io, (database) => recentTemplates(database, limit, gateway));
  if (json) io.stdout.write(`${JSON.stringify({ templates: found.map(plain) }, null, 2)}\n`);
  else if (found.length === 0) io.stdout.write("no templates\n");
  else io.stdout.write(`${table(HEADS, found.map(row), FIGURES).join("\n")}\n`);
}

/** Amounts in satoshis; numbers that are too large for JSON as text. */
function plain({ id, sessionId, gatewayKey, prevhash, value, openedAt, verdict, ...claims }: StoredTemplate): object {
  return {
    id: String(id),
    session: String(sessionId),
    gateway: keyText(gatewayKey) ?? null,
    prevhash: reverseHex(prevhash),
    ...claims,
    value: Number(value),
    openedAt: new Date(openedAt).toISOString(),
    verdict: verdict === undefined ? null : plainVerdict(verdict),
  };
}

function plainVerdict({ state, path, code, detail, fees, own, judgedAt }: NonNullable<StoredTemplate["verdict"]>): object {
  const difference = (one: { transactions: number; fees: bigint }) => ({ transactions: one.transactions, fees: Number(one.fees) });
  return {
    state,
    path: path ?? null,
    code: code ?? null,
    detail: detail ?? null,
    fees: fees === undefined ? null : Number(fees),
    own: own === undefined ? null : { ...own, value: Number(own.value), lacks: difference(own.lacks), extra: difference(own.extra) },
    judgedAt: new Date(judgedAt).toISOString(),
  };
}

function row({ openedAt, gatewayKey, height, transactions, weight, value, verdict }: StoredTemplate): string[] {
  const own = verdict?.own;
  return [
    timeText(new Date(openedAt)),
    gatewayKey === undefined ? "?" : `${keyText(gatewayKey)?.slice(0, 8)}…`,
    String(height),
    String(transactions),
    String(weight),
    coins(value),
    verdict?.fees === undefined ? "" : coins(verdict.fees),
    own === undefined ? "" : coins(own.value),
    own === undefined ? "" : String(own.lacks.transactions),
    own === undefined ? "" : String(own.extra.transactions),
    verdict === undefined ? "being judged" : [verdict.state, verdict.code].filter((word) => word !== undefined).join(": "),
  ];
}

const keyText = (key: Uint8Array | undefined): string | undefined => key && Buffer.from(key).toString("hex");
