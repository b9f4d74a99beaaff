/** A real gateway as a process: its configuration, and what its log tells. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RpcAccess } from "../node/options.js";
import { eventually, freePort, Program } from "./processes.js";

/** What the gateway's log has told so far. */
export interface GatewayLog {
  /** Handshakes that it took. */
  handshakes: number;
  motd: string | undefined;
  /** Configurations that it applied; the values of the last one. */
  configurations: number;
  payoutScript: string | undefined;
  tag: string | undefined;
  primeId: string | undefined;
  minimumDifficulty: number | undefined;
  /** Outputs that it read from each split. */
  coinbaserOutputs: number[];
  coinbaserTimeouts: number;
  accepted: number;
  rejected: number;
  /** Reason codes of refused shares, in order. */
  reasons: number[];
  unknownResponses: number;
  unknownCommands: number;
  blocksFound: number;
  blocksTaken: number;
  /** Reasons for which it left the connection. */
  drops: string[];
  /** Warnings and errors, as they stand. */
  warnings: string[];
}

export const emptyGatewayLog = (): GatewayLog => ({
  handshakes: 0,
  motd: undefined,
  configurations: 0,
  payoutScript: undefined,
  tag: undefined,
  primeId: undefined,
  minimumDifficulty: undefined,
  coinbaserOutputs: [],
  coinbaserTimeouts: 0,
  accepted: 0,
  rejected: 0,
  reasons: [],
  unknownResponses: 0,
  unknownCommands: 0,
  blocksFound: 0,
  blocksTaken: 0,
  drops: [],
  warnings: [],
});

type Reader = (log: GatewayLog, match: RegExpExecArray) => void;

/** Phrases of the gateway's log (level debug) and what they say. */
const PHRASES: readonly (readonly [RegExp, Reader])[] = [
  [/Handshake response received/, (log) => (log.handshakes += 1)],
  [/DATUM Server MOTD: (.*)/, (log, match) => (log.motd = match[1])],
  [/DATUM Pool Payout Scriptsig: \(len \d+\) ([0-9a-f]+)/, (log, match) => (log.payoutScript = match[1])],
  [/DATUM Pool Coinbase Tag: +"(.*)"/, (log, match) => (log.tag = match[1])],
  [/DATUM Pool Prime ID: +([0-9a-f]+)/, (log, match) => (log.primeId = match[1])],
  [
    /DATUM Pool Min Diff: +(\d+)/,
    (log, match) => {
      log.configurations += 1;
      log.minimumDifficulty = Number(match[1]);
    },
  ],
  [/Generating coinbases for up to (\d+) outputs/, (log, match) => log.coinbaserOutputs.push(Number(match[1]))],
  [/Timeout waiting for coinbaser response/, (log) => (log.coinbaserTimeouts += 1)],
  [/Share accepted:/, (log) => (log.accepted += 1)],
  [
    /DATUM server rejected our share! +Reason code: (\d+)/,
    (log, match) => {
      log.rejected += 1;
      log.reasons.push(Number(match[1]));
    },
  ],
  [/Unknown share response/, (log) => (log.unknownResponses += 1)],
  [/unknown mining command|Unknown protocol command/, (log) => (log.unknownCommands += 1)],
  [/BLOCK FOUND/, (log) => (log.blocksFound += 1)],
  [/submitted to upstream node successfully/, (log) => (log.blocksTaken += 1)],
  [/Exiting protocol thread to retry|Socket hangup|Socket error/, (log, match) => log.drops.push(match.input)],
];

/** Takes one line of the log in. */
export function readGatewayLine(log: GatewayLog, line: string): void {
  for (const [phrase, read] of PHRASES) {
    const match = phrase.exec(line);
    if (match !== null) read(log, match);
  }
  if (/\] +(WARN|ERROR|FATAL):/.test(line)) log.warnings.push(line);
}

export interface InteropGateway {
  readonly stratumPort: number;
  readonly log: GatewayLog;
  check(): void;
  stop(): Promise<void>;
}

/** On regtest too the gateway takes only testnet's spelling as its own address. */
export interface GatewaySettings {
  readonly binary: string;
  readonly node: RpcAccess;
  readonly pool: { readonly port: number; readonly publicKey: string };
  /** `tb1…`. */
  readonly poolAddress: string;
}

/** Writes the configuration and starts the gateway; ready when its stratum port answers and it has work. */
export async function startGateway(settings: GatewaySettings, dir: string): Promise<InteropGateway> {
  mkdirSync(dir, { recursive: true });
  const stratumPort = await freePort();
  const config = {
    bitcoind: {
      rpcurl: settings.node.url.replace(/\/$/, ""),
      rpcuser: settings.node.user,
      rpcpassword: settings.node.password,
      work_update_seconds: 10,
      notify_fallback: true,
    },
    stratum: { listen_addr: "127.0.0.1", listen_port: stratumPort, vardiff_min: 1 },
    mining: { pool_address: settings.poolAddress, coinbase_tag_secondary: "interop", coinbase_unique_id: 7 },
    logger: { log_to_console: true, log_to_file: false, log_level_console: 1 },
    datum: {
      pool_host: "127.0.0.1",
      pool_port: settings.pool.port,
      pool_pubkey: settings.pool.publicKey,
      pool_pass_workers: true,
      pool_pass_full_users: true,
      pooled_mining_only: true,
    },
  };
  const file = join(dir, "datum_gateway_config.json");
  writeFileSync(file, JSON.stringify(config, null, 2), { mode: 0o600 });
  const log = emptyGatewayLog();
  const program = new Program("the gateway", { file: settings.binary, args: ["-c", file] }, (line) => readGatewayLine(log, line));
  try {
    await eventually("a configured gateway", 60, async () => {
      program.check();
      return log.configurations > 0 ? true : undefined;
    });
  } catch (error) {
    await program.stop();
    throw error;
  }
  return { stratumPort, log, check: () => program.check(), stop: () => program.stop() };
}
