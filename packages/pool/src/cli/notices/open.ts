/** Notices of a running pool, put together: what they see of it, where they are kept, how they are sent. */
import type { Logger } from "pino";
import type { MetricValue, Registry } from "prom-client";
import type { NodeStatus } from "../../chain/index.js";
import type { GatewaySnapshot, PoolLongTermKeys } from "../../gateway/index.js";
import { type Database, NoticeBook } from "../../ledger/index.js";
import { type GatewayFacts, Notices, type NoticeTuning, type PoolSight } from "../../notices/index.js";
import type { Config } from "../config/index.js";
import { messageOf } from "../errors.js";
import { openChannels, poolName } from "./channels.js";
import { openSecrets } from "./key-file.js";

export type { NoticeTuning } from "../../notices/index.js";

export interface OpenNoticesModules {
  readonly database: Database;
  readonly gateways: () => readonly GatewaySnapshot[];
  readonly nodes: () => readonly NodeStatus[];
  /** The present key first. */
  readonly longTermKeys: readonly PoolLongTermKeys[];
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  /** What must be ended, in the order in which it was begun. */
  readonly stops: (() => Promise<void> | void)[];
  readonly tuning?: NoticeTuning | undefined;
}

/** Begins to look and to send, in the background. A pool whose notice key can't be had runs without notices, and says so. @throws CliError */
export function openNotices(config: Config, modules: OpenNoticesModules): void {
  const { database, log, metrics, now, stops, tuning } = modules;
  let secrets: ReturnType<typeof openSecrets>;
  try {
    secrets = openSecrets(config.notices.keyFile);
  } catch (error) {
    // What the operator has asked for must work; what miners may ask for later is no reason not to start.
    if (Object.keys(config.notices.operator).length > 0) throw error;
    log.warn({ file: config.notices.keyFile, error: messageOf(error) }, "no notices are sent: their key can't be read or made");
    return;
  }
  const { channels, operator, operatorEvents } = openChannels(config, secrets, now);
  const notices = new Notices(
    { ...tuning, pool: poolName(config), operatorEvents, privateAllowed: config.notices.privateWebhooks },
    {
      ...{ secrets, channels, operator, log, metrics, now },
      book: new NoticeBook(database, now),
      sight: sightOf(config, modules),
    },
  );
  notices.start();
  stops.push(() => notices.stop());
}

/** The figures that rooms show to Prometheus are what notices go by: one truth for both. */
function sightOf(config: Config, { gateways, nodes, longTermKeys, metrics }: OpenNoticesModules): PoolSight {
  const reserve = config.scheme.name === "pps" || config.scheme.name === "fpps" ? Number(config.reserve ?? 0n) : undefined;
  return {
    gateways: () =>
      gateways()
        .filter(({ proven }) => proven)
        .map(factsOf),
    nodes,
    ledgerDifferences: async () => (await figures(metrics, "openprime_ledger_differences"))[0]?.value,
    booksStuck: async () => {
      const reason = (await figures(metrics, "openprime_books_stuck")).find(({ value }) => value > 0)?.labels.reason;
      return reason === undefined ? undefined : String(reason);
    },
    reserve: async () => {
      if (reserve === undefined) return undefined;
      const [funds] = await figures(metrics, "openprime_pay_per_share_funds_sats");
      const [stopped] = await figures(metrics, "openprime_pay_per_share_stopped");
      return funds === undefined ? undefined : { left: reserve + funds.value, reserve, stopped: stopped?.value === 1 };
    },
    key: () => ({ prefix: Buffer.from(longTermKeys[0]?.sign.publicKey ?? []).toString("hex", 0, 8), until: longTermKeys[0]?.until }),
  };
}

function factsOf(gateway: GatewaySnapshot): GatewayFacts {
  const { sessionId, keyPrefix, minimumDifficulty, accepted, tentative, refusedByReason } = gateway;
  return { sessionId, keyPrefix, minimum: Number(minimumDifficulty), accepted: accepted + tentative, refused: refusedByReason };
}

/** Present values of a metric; none while nobody has made it. */
async function figures(metrics: Registry, name: string): Promise<MetricValue<string>[]> {
  const metric = metrics.getSingleMetric(name);
  return metric === undefined ? [] : (await metric.get()).values;
}
