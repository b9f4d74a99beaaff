/**
 * The pool, put together: the only place that knows every room. `serve`, the demo, the tests and the bench all start it here.
 *
 * It comes up in the order in which the rooms need each other (books, node, window, listener) and goes down the other way round, so that
 * no gateway is answered by a pool that can't keep its word.
 */
import { dirname } from "node:path";
import { type NodeClient, reverseHex, ShareProver } from "@openprime/bitcoin";
import type { DatumCrypto } from "@openprime/datum";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import {
  type BlockOutcome,
  type BlockStore,
  BlockSubmitter,
  ChainTracker,
  NodeGroup,
  type NodeGroupOptions,
  type NodeStatus,
} from "../chain/index.js";
import { type GatewayLimits, GatewayServer, type GatewayServerModules, type GatewaySnapshot } from "../gateway/index.js";
import {
  type BlockStatus,
  Blocks,
  type Database,
  type LedgerError,
  type MoneyBook,
  openDatabase,
  type PreviewRow,
  poolScripts,
  Sessions,
  ShareLog,
  type SplitBook,
  tentativeRounds,
} from "../ledger/index.js";
import { type Parent, type RetiredScript, ShareJudge } from "../work/index.js";
import { openApi } from "./api/open.js";
import type { PoolView } from "./api/view.js";
import type { Config } from "./config/index.js";
import type { LineCounts } from "./log.js";
import { MoneyDesk } from "./money.js";
import { openNodes } from "./nodes.js";
import { type NoticeTuning, openNotices } from "./notices/open.js";
import { openTemplates, type TemplateTuning, withJudgedTransactions } from "./templates.js";

export interface PoolModules {
  readonly crypto: DatumCrypto;
  /** The present key first. */
  readonly longTermKeys: GatewayServerModules["longTermKeys"];
  readonly log: Logger;
  /** Lines that were logged, to be shown with the metrics. */
  readonly lines?: LineCounts;
  /** Pool clock, milliseconds. */
  readonly now?: () => number;
  /** A listening socket that the process was started with; see `inheritedSocket`. */
  readonly listenFd?: number | undefined;
  /** Ends the start while it waits for the node, or for another pool. */
  readonly signal?: AbortSignal;
  /** How long a parent may stay unknown to the node, milliseconds; a minute by default. */
  readonly unknownParentMs?: number;
  /** Times by which the nodes are compared, for tests. */
  readonly nodes?: Omit<NodeGroupOptions, "network">;
  /** How templates are judged otherwise than in life, for tests. */
  readonly templates?: TemplateTuning;
  /** How notices are looked for and sent otherwise than in life, for tests. */
  readonly notices?: NoticeTuning;
  /** How long a node that has fallen back on the books' own branch is waited for, milliseconds; two minutes by default. */
  readonly fallenBackMs?: number;
}

/** What is going on, for tables. */
export interface PoolStatus {
  /** Without their workers. */
  readonly gateways: readonly GatewaySnapshot[];
  /** The tip as the pool's node has it; undefined before the first. */
  readonly tip: Parent | undefined;
  /** Whether any of the nodes can be followed. */
  readonly nodeReachable: boolean;
  readonly nodes: readonly NodeStatus[];
  /** Last committed position of the share log. */
  readonly position: bigint;
  /** Shares that wait for their commit. */
  readonly waiting: number;
}

/** A running pool. Start it with {@link startPool}. */
export class Pool {
  readonly #stops: (() => Promise<void> | void)[];

  /** @internal */
  constructor(
    readonly address: { readonly host: string; readonly port: number },
    readonly database: Database,
    readonly blocks: Blocks,
    readonly submitter: BlockSubmitter,
    /** The first one, for whoever looks at the chain beside the pool. */
    readonly node: NodeClient,
    readonly metrics: Registry,
    /** What the pool owes and holds. */
    readonly money: MoneyBook,
    private readonly rooms: {
      readonly server: GatewayServer;
      readonly chain: ChainTracker;
      readonly nodes: NodeGroup;
      readonly log: ShareLog;
      readonly splits: SplitBook;
    },
    stops: (() => Promise<void> | void)[],
    /** What the API shows of this pool. */
    readonly view: PoolView,
    /** Where the API listens; undefined when it is off. */
    readonly apiAddress: { readonly host: string; readonly port: number } | undefined,
  ) {
    this.#stops = stops;
  }

  status(): PoolStatus {
    const { server, chain, nodes, log } = this.rooms;
    return {
      gateways: server.snapshot({ workers: 0 }),
      tip: chain.tip(),
      nodeReachable: chain.reachable,
      nodes: nodes.statuses(),
      position: log.head(),
      waiting: log.waiting,
    };
  }

  /** The split of the next block as it would be offered now, for the subsidy alone; empty before the first tip. Nothing is stored. */
  presentSplit(): readonly PreviewRow[] {
    const { chain, splits } = this.rooms;
    const tip = chain.tip();
    return tip === undefined ? [] : splits.preview(chain.subsidy(tip.height + 1), tip.hash);
  }

  /** Stops in good order: no new shares, those under way committed and answered, found blocks kept, database last. */
  async close(): Promise<void> {
    this.view.drain();
    // A successor that has been started already waits for us.
    await this.database.leave();
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }
}

/**
 * Starts a pool and resolves when gateways can connect. Without a reachable node it waits, and says so in the log.
 *
 * @throws the typed errors of the rooms: LedgerError, ChainError, GatewayOptionsError, the system's (a port that is taken)
 */
export async function startPool(config: Config, modules: PoolModules): Promise<Pool> {
  const { log } = modules;
  const now = modules.now ?? Date.now;
  const stops: (() => Promise<void> | void)[] = [];
  try {
    return await assemble(config, { ...modules, log, now }, stops);
  } catch (error) {
    for (const stop of stops.reverse()) await stop();
    throw error;
  }
}

async function assemble(
  config: Config,
  modules: PoolModules & { readonly now: () => number },
  stops: (() => Promise<void> | void)[],
): Promise<Pool> {
  const { log, now, signal } = modules;
  const { network, pool: settings } = config;
  const metrics = new Registry();
  modules.lines?.watch(metrics);
  // First and last: it tells what the others wait for.
  const { view, address: apiAddress } = await openApi(config, { log, metrics, now, stops });

  log.info({ database: "url" in config.database ? "own server" : "embedded" }, "opening the books");
  const database = await openDatabase(config.database, { log, signal });
  stops.push(() => database.close());
  const shareLog = await ShareLog.open(database, { operatorScript: settings.payoutScript, metrics });
  stops.push(() => shareLog.close());
  const blocks = new Blocks(database, now, { scheme: config.scheme, feePpm: config.pool.feePpm });
  view.showBooks({ database, shareLog, blocks });

  const clients = openNodes(config);
  for (const { client } of clients) stops.push(() => client.close());
  const nodes = new NodeGroup({ network, ...modules.nodes }, { nodes: clients, log, metrics });
  const chain = new ChainTracker(
    {
      network,
      pollMs: config.node.pollMs,
      zmqHashBlocks: config.nodes.flatMap(({ zmqHashblock }) => zmqHashblock ?? []),
      ...(modules.unknownParentMs !== undefined && { unknownParentMs: modules.unknownParentMs }),
    },
    { node: nodes, log, metrics, now },
  );
  nodes.onChange(() => chain.poke());
  view.showChain({ chain, nodes });
  const desk = await MoneyDesk.open(config, {
    ...{ database, shareLog, node: nodes.view(), access: () => nodes.followed.access, chain, log, metrics, now, stops },
    ...(modules.fallenBackMs !== undefined && { fallenBackMs: modules.fallenBackMs }),
  });
  const templates = await openTemplates(config, {
    ...{ database, shareLog, chain, log, metrics, now, stops, tuning: modules.templates },
    node: { proposeBlock: (hex) => nodes.followed.client.proposeBlock(hex) },
  });
  followParents(chain, shareLog, log);
  stops.push(() => chain.stop());
  const abort = (): void => {
    void chain.stop();
    void desk.abort();
  };
  signal?.addEventListener("abort", abort, { once: true });
  log.info({ nodes: config.nodes.map(({ url }) => url), network: network.name }, "waiting for the Bitcoin node");
  await chain.start();
  for (const { prevhash, height } of await tentativeRounds(database)) {
    // Asked of the node anew; one that it has told of meanwhile is settled at once.
    const parent = chain.parent(prevhash, height - 1, true);
    if (parent?.state === "tip" || parent?.state === "stale") decideRound(parent, shareLog, log);
  }

  const submitter = new BlockSubmitter(
    // Beside the keys: the one folder that every pool has, whatever its database.
    { dataDir: dirname(config.keys.file) },
    { nodes: clients, store: blockStore(blocks, desk, log), log, metrics, poke: () => chain.poke() },
  );
  await submitter.restoreClaims();
  const { book, splits, credits } = await desk.start();
  signal?.removeEventListener("abort", abort);
  stops.push(() => submitter.stop());
  await submitter.start();

  const judge = new ShareJudge(
    {
      network,
      payoutScript: settings.payoutScript,
      tag: settings.tagBytes,
      retiredScripts: await retiredScripts(database),
      feePpm: settings.feePpm,
      relayedFeePpm: settings.relayedFeePpm,
      staleGraceMs: config.shares.staleGraceMs,
      limits: config.limits,
    },
    { chain, prover: await ShareProver.create(), templates, now },
  );
  const server = new GatewayServer(
    {
      host: config.listen.host,
      port: config.listen.port,
      fd: modules.listenFd,
      addresses: { allow: config.listen.allow, deny: config.listen.deny, proxies: config.listen.proxiesTrusted },
      gateways: config.gateways,
      payoutScript: settings.payoutScript,
      tag: settings.tagBytes,
      minimumDifficulty: settings.minimumDifficulty,
      minimumDifficultyCeiling: settings.minimumDifficultyCeiling,
      gatewaySharesPerMinute: settings.gatewaySharesPerMinute,
      motd: settings.motd,
      relays: new Set(config.relays),
      limits: gatewayLimits(config.limits),
    },
    {
      crypto: modules.crypto,
      longTermKeys: modules.longTermKeys,
      judge,
      // Shares that can't be paid for are refused, not taken for nothing.
      sink: credits === undefined ? shareLog : { append: (share, done) => credits.accepting && shareLog.append(share, done) },
      splits,
      blocks: withJudgedTransactions(submitter, templates),
      sessions: new Sessions(database, now),
      head: () => shareLog.head(),
      log,
      metrics,
      now,
    },
  );
  const address = await server.listen();
  stops.push(() => server.close());
  // Connections that the pool ends are nobody's evasion.
  stops.push(() => templates?.stop());
  stops.push(chain.onTip((tip) => server.newTip(tip)));
  view.showServing({ server, splits });
  openNotices(config, {
    ...{ database, log, metrics, now, stops, tuning: modules.notices, longTermKeys: modules.longTermKeys },
    gateways: () => server.snapshot({ workers: 0 }),
    nodes: () => nodes.statuses(),
  });
  return new Pool(
    address,
    database,
    blocks,
    submitter,
    clients[0].client,
    metrics,
    book,
    { server, chain, nodes, log: shareLog, splits },
    stops,
    view,
    apiAddress,
  );
}

/** The configured limits as the listener takes them. */
function gatewayLimits(limits: Config["limits"]): Partial<GatewayLimits> {
  const { newGatewaysPerHour, coinbaserPerMinute, banMs, accountsPerSession: _, workersPerSession: __, ...same } = limits;
  return {
    ...same,
    newSessionsPerHour: newGatewaysPerHour,
    coinbaserBurst: coinbaserPerMinute,
    coinbaserPerSecond: coinbaserPerMinute / 60,
    banHalfLifeMs: banMs,
  };
}

/** Work made for an earlier script of the pool is good for so long: a gateway's oldest job is 270 s old. */
const RETIRED_SCRIPT_MS = 600_000;

async function retiredScripts(database: Database): Promise<RetiredScript[]> {
  const scripts = await poolScripts(database);
  return scripts.flatMap(({ script, retiredAt }) =>
    retiredAt === undefined ? [] : [{ script, until: retiredAt.getTime() + RETIRED_SCRIPT_MS }],
  );
}

/** A parent that turned up, or never did, decides about the shares that were taken on trust. */
function followParents(chain: ChainTracker, shareLog: ShareLog, log: Logger): void {
  chain.onParentKnown((parent) => decideRound(parent, shareLog, log));
  chain.onParentInvalid((parent) => {
    shareLog
      .voidTentative(parent.hash)
      .then((voided) =>
        log.warn({ parent: reverseHex(parent.hash), voided }, "the node does not have a parent: its tentative shares are taken back"),
      )
      .catch(failed(log, "voiding tentative shares"));
  });
}

/** The node has a parent: shares that were taken on trust are good, unless they had claimed another height of it than it has. */
function decideRound(parent: Parent, shareLog: ShareLog, log: Logger): void {
  shareLog.confirmRound(parent.hash, parent.height + 1).catch(failed(log, "confirming tentative shares"));
  shareLog.voidTentative(parent.hash).then(
    (voided) => {
      if (voided === 0) return;
      log.warn(
        { parent: reverseHex(parent.hash), height: parent.height, voided },
        "tentative shares claimed another height: they are taken back",
      );
    },
    failed(log, "voiding tentative shares"),
  );
}

function failed(log: Logger, what: string): (error: LedgerError) => void {
  return (error) => log.error({ code: error.code, error: error.message }, `${what} failed`);
}

/** What the books call the outcomes of a submission. */
const STATUS: Record<BlockOutcome["status"], BlockStatus> = {
  accepted: "accepted",
  duplicate: "accepted",
  inconclusive: "submitted",
  rejected: "refused",
  transactionsMissing: "refused",
  overLimit: "refused",
};

function blockStore(blocks: Blocks, desk: MoneyDesk, log: Logger): BlockStore {
  return {
    async record(block) {
      const recorded = blocks.record(block);
      desk.expectClaim(recorded);
      await recorded;
    },
    async outcome(hash, { status, detail }) {
      const known = await blocks.setOutcome(hash, STATUS[status], status === detail ? status : `${status}: ${detail}`);
      // Found while neither books nor disk took its claim, and submitted after a restart: the books may find it on the chain.
      if (!known) log.warn({ hash: reverseHex(hash), status }, "a settled block has no record in the books yet");
    },
  };
}
