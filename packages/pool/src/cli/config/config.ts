/** The configuration that the pool runs by: checked, typed, every path absolute. */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { AddressError, addressToScript, NETWORKS, type Network } from "@openprime/bitcoin";
import type { SchemeOptions } from "@openprime/rewards";
import { codeOf, messageOf, shellWord } from "../errors.js";
import { checkAccess, checkNodes, isNodeKey, type NodeValues, nodeAt, type RawNodes } from "./nodes.js";
import { ConfigError, type ConfigProblem, invalidConfig, showValue } from "./problems.js";
import { environmentName, SETTING_PATHS, SETTINGS, type Setting, type SettingPath, type SettingValues } from "./settings.js";
import { type PartialSettings, type RawSetting, type RawSettings, readEnvironment, readObject, readYaml } from "./sources.js";

/** How a node is reached. */
export interface NodeAccess {
  /** RPC, without user and password. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly cookieFile?: string;
  readonly zmqHashblock?: string;
}

export interface Config {
  /** Absolute path of the file; undefined for a configuration made by code. */
  readonly file: string | undefined;
  readonly network: Network;
  readonly listen: {
    readonly host: string;
    readonly port: number;
    /** Addresses and networks, as `isNetwork` of the gateway room takes them. */
    readonly allow: readonly string[];
    readonly deny: readonly string[];
    readonly proxiesTrusted: readonly string[];
  };
  readonly pool: {
    readonly payoutAddress: string;
    /** scriptPubKey of the payout address. */
    readonly payoutScript: Uint8Array;
    readonly tag: string;
    /** The tag in UTF-8, as blocks carry it. */
    readonly tagBytes: Uint8Array;
    /** Parts per million of a share's earnings. */
    readonly feePpm: number;
    /** The same for work of relays; never less. */
    readonly relayedFeePpm: number;
    /** Whether coinbases pay miners, or the pool's script alone. */
    readonly coinbase: "direct" | "pool";
    /** A power of two, in units of the network's difficulty one. */
    readonly minimumDifficulty: bigint;
    /** log2 of `minimumDifficulty`, as the wire has it. */
    readonly minimumTargetByte: number;
    /** The highest minimum of a gateway with much work; a power of two, not under `minimumDifficulty`. */
    readonly minimumDifficultyCeiling: bigint;
    /** What one gateway should send at most. */
    readonly gatewaySharesPerMinute: number;
    readonly motd: string;
  };
  readonly keys: {
    readonly file: string;
    readonly passphraseFile?: string;
    /** Folder of systemd's credentials. */
    readonly credentials?: string;
  };
  /** The first node. */
  readonly node: NodeAccess & {
    readonly pollMs: number;
    readonly zmqRawtx?: string;
    readonly zmqSequence?: string;
  };
  /** All nodes, `node` first. */
  readonly nodes: readonly [NodeAccess, ...NodeAccess[]];
  /** As `openDatabase` of the ledger takes it. */
  readonly database: { readonly url: string } | { readonly embedded: { readonly dataDir: string } };
  readonly scheme: SchemeOptions;
  /** Pay-per-share schemes only: satoshis of its own that the pool may owe its miners. */
  readonly reserve: bigint | undefined;
  readonly split: {
    /** Satoshis. */
    readonly dustFloor: bigint;
    /** Satoshis. */
    readonly threshold: bigint;
    readonly inactiveBlocks: number;
  };
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly connectionsPerPrefix: number;
    readonly handshakesPerSecond: number;
    readonly handshakesPerPrefix: number;
    readonly newGatewaysPerHour: number;
    readonly accountsPerSession: number;
    readonly workersPerSession: number;
    readonly coinbaserPerMinute: number;
    readonly strangersCoinbaserPerMinute: number;
    readonly sharesPerSecond: number;
    readonly messagesPerSecond: number;
    readonly bytesPerSecond: number;
    readonly invalidSharesPerMinute: number;
    /** 0 for no bans. */
    readonly banScore: number;
    /** Half-life of scores. */
    readonly banMs: number;
  };
  readonly gateways: {
    readonly admit: "all" | "listed";
    /** Signing keys, lower-case hex. */
    readonly keys: readonly string[];
    /** scriptPubKeys. */
    readonly accounts: readonly Uint8Array[];
  };
  readonly shares: {
    readonly staleGraceMs: number;
    /** Single shares after their round: none, some days, or all. */
    readonly keep: "rounds" | "forever" | number;
  };
  readonly templates: {
    /** Which jobs are judged. */
    readonly check: "always" | "sample" | "off";
    /** Part of the jobs that a sample takes, 0 to 1. */
    readonly sample: number;
    readonly proposalsPerSecond: number;
    /** Of the fees of the node's own template, parts per million; 0 for no floor. */
    readonly leastFeesPpm: number;
    readonly floorAction: "tell" | "refuse";
    /** Days that rows of templates are kept. */
    readonly keep: number;
  };
  readonly publish: { readonly dir: string };
  /** Signing keys of gateways that relay others' work, lower-case hex. */
  readonly relays: readonly string[];
  readonly api: {
    readonly host: string;
    /** Undefined: there is none. */
    readonly port: number | undefined;
    /** Names besides localhost by which it may be called, lower case. */
    readonly names: readonly string[];
  };
  readonly notices: {
    readonly keyFile: string;
    /** The operator's own targets; the webhook's may hold a secret. */
    readonly operator: { readonly webhook?: string; readonly email?: string; readonly nostr?: string };
    /** Names of events, as they were given; undefined for all. */
    readonly operatorEvents: string | undefined;
    /** The mail relay. The URL may hold a password. */
    readonly smtp: { readonly url: string; readonly from: string } | undefined;
    readonly nostrRelays: readonly string[];
    /** Miners' webhooks may be in private networks. */
    readonly privateWebhooks: boolean;
  };
  readonly log: { readonly level: "trace" | "debug" | "info" | "warn" | "error"; readonly format: "text" | "json" };
  /** What is allowed but unwise, one sentence each. */
  readonly warnings: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Bitcoin Core's default RPC ports. */
/** Some 46 EH/s in one gateway at 600 shares a minute. */
const DEFAULT_CEILING = 1n << 30n;

const RPC_PORTS: Readonly<Record<Network["name"], number>> = {
  mainnet: 8332,
  testnet: 18332,
  testnet4: 48332,
  signet: 38332,
  regtest: 18443,
};

/** RPC of a node on this machine with the network's usual port. */
export function defaultNodeUrl(network: Network): string {
  return `http://127.0.0.1:${RPC_PORTS[network.name]}`;
}

/**
 * Reads and checks a configuration file and the environment's overrides.
 *
 * @param file path of the YAML file; relative paths in it start at its folder
 * @param env the process's environment
 * @throws ConfigError with all problems at once
 */
export function loadConfig(file: string, env: Environment): Config {
  const path = resolve(file);
  const raw = readYaml(readText(file), file);
  // Of a file that can't be read as settings at all, nothing else is worth saying.
  const unreadable = raw.problems.filter((problem) => problem.setting === "");
  if (unreadable.length > 0) throw invalidConfig(unreadable);
  const config = checked([raw, readEnvironment(env)], { where: file, baseDir: dirname(path), home: env.HOME ?? homedir() });
  const credentials = env.CREDENTIALS_DIRECTORY;
  const keys = { ...config.keys, ...(credentials !== undefined && credentials !== "" && { credentials }) };
  return { ...config, keys, file: path, warnings: [...config.warnings, ...modeWarnings(path, file, raw)] };
}

/**
 * A configuration from code: what `settings` leaves out has its default.
 *
 * @param settings values as the file would hold them
 * @param baseDir folder where relative paths start
 * @throws ConfigError
 */
export function resolveConfig(settings: PartialSettings, baseDir: string): Config {
  return { ...checked([readObject(settings)], { where: "settings", baseDir, home: homedir() }), file: undefined };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      const todo = "`openprime init` writes one; --config or OPENPRIME_CONFIG names another";
      throw new ConfigError("configMissing", `there is no configuration file ${file}`, todo, [], { cause: error });
    }
    const todo = "let the pool's user read it, or name another file with --config";
    throw new ConfigError("configUnreadable", `can't read ${file}: ${messageOf(error)}`, todo, [], { cause: error });
  }
}

interface Origin {
  /** The place to name when a setting is missing. */
  readonly where: string;
  readonly baseDir: string;
  readonly home: string;
}

/** Later sources override earlier ones. */
function checked(sources: readonly RawSettings[], origin: Origin): Omit<Config, "file"> {
  const problems = sources.flatMap((source) => source.problems);
  const given = new Map(sources.flatMap((source) => [...source.values]));
  const values: Record<string, unknown> = {};
  const at = (path: SettingPath): string => given.get(path)?.where ?? origin.where;
  for (const path of SETTING_PATHS) {
    const setting: Setting<unknown> = SETTINGS[path];
    const raw = given.get(path);
    const value = raw === undefined ? setting.fallback : raw.value;
    if (value === undefined) continue;
    const result = setting.schema.safeParse(value);
    if (result.success) values[path] = result.data;
    else problems.push(badValue(at(path), path, value));
  }
  const nodes = checkNodes(mergedNodes(sources), (where, setting, message) => {
    problems.push({ where, setting, message: `${where}: ${message}` });
  });
  const config = assemble(values as unknown as SettingValues, nodes, new Set(given.keys()), origin, (path, message) => {
    problems.push({ where: at(path), setting: path, message: `${at(path)}: ${message}` });
  });
  if (problems.length > 0 || config === undefined) throw invalidConfig(problems);
  return config;
}

function mergedNodes(sources: readonly RawSettings[]): RawNodes<RawSetting> {
  const merged: RawNodes<RawSetting> = new Map();
  for (const { nodes } of sources) {
    for (const [place, { where, values }] of nodes) {
      const entry = nodeAt(merged, place, where);
      for (const [key, value] of values) entry.values.set(key, value);
    }
  }
  return merged;
}

function badValue(where: string, path: SettingPath, value: unknown): ConfigProblem {
  const { secret, allowed } = SETTINGS[path];
  const shown = secret ? "(hidden)" : showValue(value);
  return { where, setting: path, message: `${where}: ${path} is ${shown}. Allowed: ${allowed}` };
}

type Report = (path: SettingPath, message: string) => void;

/** Checks across settings. Undefined when a value that others need is missing; that problem has been reported. */
function assemble(
  values: SettingValues,
  nodes: readonly NodeValues[],
  given: ReadonlySet<SettingPath>,
  origin: Origin,
  report: Report,
): Omit<Config, "file"> | undefined {
  const network = values.network === undefined ? undefined : NETWORKS[values.network];
  const payoutScript = network === undefined ? undefined : checkPayoutAddress(values["pool.payoutAddress"], network, given, report);
  checkAccess(
    (key) => given.has(`node.${key}`),
    (key) => `node.${key}`,
    (key, message) => report(`node.${key}`, message),
  );
  if (given.has("database.url") && given.has("database.dir")) {
    report("database.dir", "database.url and database.dir are both set. Allowed: one of them");
  }
  const scheme = checkScheme(values, given, report);
  const relayedFeePpm = values["pool.relayedFeePercent"] ?? values["pool.feePercent"] ?? 0;
  if (relayedFeePpm < (values["pool.feePercent"] ?? 0)) {
    report("pool.relayedFeePercent", "pool.relayedFeePercent is under pool.feePercent. Allowed: the same or more");
  }
  const ceiling = values["pool.minimumDifficultyCeiling"];
  const floor = values["pool.minimumDifficulty"] ?? 1n;
  if (ceiling !== undefined && ceiling < floor) {
    report("pool.minimumDifficultyCeiling", "pool.minimumDifficultyCeiling is under pool.minimumDifficulty. Allowed: the same or more");
  }
  const accounts = network === undefined ? [] : checkAccounts(values["gateways.accounts"] ?? [], network, report);
  if (values["gateways.admit"] === "listed" && values["gateways.keys"] === undefined && values["gateways.accounts"] === undefined) {
    report("gateways.admit", "gateways.admit is listed, and no list is given. Allowed: with gateways.keys, gateways.accounts or both");
  }
  checkNotices(values, report);
  const path = (text: string): string => resolve(origin.baseDir, text.startsWith("~/") ? join(origin.home, text.slice(2)) : text);
  const complete = values as { readonly [P in SettingPath]-?: Exclude<SettingValues[P], undefined> };
  if (network === undefined || payoutScript === undefined || scheme === undefined || incomplete(values)) return undefined;
  const tagBytes = new TextEncoder().encode(complete["pool.tag"]);
  const access = ({ cookieFile, url, ...rest }: NodeValues): NodeAccess => ({
    url: url ?? defaultNodeUrl(network),
    ...rest,
    ...(cookieFile !== undefined && { cookieFile: path(cookieFile) }),
  });
  const node = access(firstNode(values));
  return {
    network,
    listen: {
      host: complete["listen.host"],
      port: complete["listen.port"],
      allow: values["listen.allow"] ?? [],
      deny: values["listen.deny"] ?? [],
      proxiesTrusted: values["listen.proxiesTrusted"] ?? [],
    },
    pool: {
      payoutAddress: complete["pool.payoutAddress"],
      payoutScript,
      tag: complete["pool.tag"],
      tagBytes,
      feePpm: complete["pool.feePercent"],
      relayedFeePpm,
      coinbase: complete["pool.coinbase"],
      minimumDifficulty: complete["pool.minimumDifficulty"],
      minimumTargetByte: complete["pool.minimumDifficulty"].toString(2).length - 1,
      minimumDifficultyCeiling: ceiling ?? (floor > DEFAULT_CEILING ? floor : DEFAULT_CEILING),
      gatewaySharesPerMinute: complete["pool.gatewaySharesPerMinute"],
      motd: complete["pool.motd"],
    },
    keys: {
      file: path(complete["keys.file"]),
      ...(values["keys.passphraseFile"] !== undefined && { passphraseFile: path(values["keys.passphraseFile"]) }),
    },
    node: {
      ...node,
      pollMs: complete["node.pollSeconds"],
      ...(values["node.zmqRawtx"] !== undefined && { zmqRawtx: values["node.zmqRawtx"] }),
      ...(values["node.zmqSequence"] !== undefined && { zmqSequence: values["node.zmqSequence"] }),
    },
    nodes: [node, ...nodes.map(access)],
    database:
      values["database.url"] === undefined ? { embedded: { dataDir: path(complete["database.dir"]) } } : { url: values["database.url"] },
    scheme,
    reserve: values["scheme.reserve"],
    split: {
      dustFloor: complete["split.dustFloor"],
      threshold: complete["split.threshold"],
      inactiveBlocks: complete["split.inactiveBlocks"],
    },
    limits: {
      connections: complete["limits.connections"],
      connectionsPerAddress: complete["limits.connectionsPerAddress"],
      connectionsPerPrefix: complete["limits.connectionsPerPrefix"],
      handshakesPerSecond: complete["limits.handshakesPerSecond"],
      handshakesPerPrefix: complete["limits.handshakesPerPrefix"],
      newGatewaysPerHour: complete["limits.newGatewaysPerHour"],
      accountsPerSession: complete["limits.accountsPerSession"],
      workersPerSession: complete["limits.workersPerSession"],
      coinbaserPerMinute: complete["limits.coinbaserPerMinute"],
      strangersCoinbaserPerMinute: complete["limits.strangersCoinbaserPerMinute"],
      sharesPerSecond: complete["limits.sharesPerSecond"],
      messagesPerSecond: complete["limits.messagesPerSecond"],
      bytesPerSecond: complete["limits.kilobytesPerSecond"] * 1000,
      invalidSharesPerMinute: complete["limits.invalidSharesPerMinute"],
      banScore: complete["limits.banScore"],
      banMs: complete["limits.banMinutes"] * 60_000,
    },
    gateways: {
      admit: complete["gateways.admit"],
      keys: (values["gateways.keys"] ?? []).map((key) => key.toLowerCase()),
      accounts,
    },
    shares: { staleGraceMs: complete["shares.staleGraceSeconds"], keep: complete["shares.keep"] },
    templates: {
      check: complete["templates.check"],
      sample: complete["templates.sample"],
      proposalsPerSecond: complete["templates.proposalsPerSecond"],
      leastFeesPpm: complete["templates.leastFeesPercent"],
      floorAction: complete["templates.floorAction"],
      keep: complete["templates.keep"],
    },
    publish: { dir: path(complete["publish.dir"]) },
    relays: values["relays.keys"]?.toLowerCase().match(/[0-9a-f]{64}/g) ?? [],
    api: {
      host: complete["api.host"],
      port: complete["api.port"] === "off" ? undefined : complete["api.port"],
      names: values["api.names"]?.toLowerCase().match(/[^\s,]+/g) ?? [],
    },
    notices: noticesOf(values, path),
    log: { level: complete["log.level"], format: complete["log.format"] },
    warnings:
      tagBytes.length > 30
        ? [`pool.tag has ${tagBytes.length} bytes: over 30 it can crowd out the gateway's own tag or move its extranonce`]
        : [],
  };
}

/** Scripts of the accounts whose miners may come by any gateway; those that are no addresses are reported. */
function checkAccounts(addresses: readonly string[], network: Network, report: Report): Uint8Array[] {
  return addresses.flatMap((address) => {
    try {
      return [addressToScript(address, network)];
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      report("gateways.accounts", `gateways.accounts has ${showValue(address)}, which is no address of ${network.name}: ${error.message}`);
      return [];
    }
  });
}

/** Notices need the means to be sent with. */
function checkNotices(values: SettingValues, report: Report): void {
  const needs = (path: SettingPath, needed: SettingPath): void => {
    if (values[path] !== undefined && values[needed] === undefined)
      report(path, `${path} is set, ${needed} is not. Allowed: ${path} together with ${needed}`);
  };
  needs("notices.operatorEmail", "notices.smtpUrl");
  needs("notices.smtpUrl", "notices.smtpFrom");
  needs("notices.operatorNostr", "notices.nostrRelays");
}

function noticesOf(values: SettingValues, path: (text: string) => string): Config["notices"] {
  const {
    "notices.operatorWebhook": webhook,
    "notices.operatorEmail": email,
    "notices.operatorNostr": nostr,
    "notices.smtpUrl": url,
    "notices.smtpFrom": from,
    "notices.keyFile": keyFile,
  } = values;
  return {
    // Beside the keys: the one folder that every pool has and may write to.
    keyFile: keyFile === undefined ? join(dirname(path(values["keys.file"] ?? "")), "openprime.notices.key") : path(keyFile),
    operator: { ...(webhook !== undefined && { webhook }), ...(email !== undefined && { email }), ...(nostr !== undefined && { nostr }) },
    operatorEvents: values["notices.operatorEvents"],
    smtp: url === undefined || from === undefined ? undefined : { url, from },
    nostrRelays: values["notices.nostrRelays"] ?? [],
    privateWebhooks: values["notices.privateWebhooks"] === "allow",
  };
}

/** The reward scheme with its parameters; undefined when they don't go together, which has been reported. */
function checkScheme(values: SettingValues, given: ReadonlySet<SettingPath>, report: Report): SchemeOptions | undefined {
  const name = values["scheme.name"];
  const { "pplns.blocks": blocks, "pplns.window": window, "tides.window": multiplier } = values;
  switch (name) {
    case "tides":
      return multiplier === undefined ? undefined : { name, multiplier };
    case "pplns":
      if (blocks !== undefined && window === undefined) return { name, blocks };
      if (window !== undefined && blocks === undefined) return { name, multiplier: window };
      report("scheme.name", "scheme.name is pplns, which needs either pplns.blocks or pplns.window. Allowed: one of them");
      return undefined;
    case "pps":
    case "fpps":
      if (given.has("scheme.reserve")) return { name };
      report(
        "scheme.reserve",
        `scheme.reserve is missing: ${name} pays shares from your own funds, say how much you risk. Allowed: ${SETTINGS["scheme.reserve"].allowed}`,
      );
      return undefined;
    case "solo":
      return { name };
    default:
      return undefined;
  }
}

/** True when a setting with a default has no value: its given value was bad. */
function incomplete(values: SettingValues): boolean {
  return SETTING_PATHS.some((path) => SETTINGS[path].fallback !== undefined && values[path] === undefined);
}

function checkPayoutAddress(
  address: string | undefined,
  network: Network,
  given: ReadonlySet<SettingPath>,
  report: Report,
): Uint8Array | undefined {
  const allowed = `Allowed: an address of ${network.name}`;
  if (address === undefined) {
    // A bad one has been reported already.
    if (!given.has("pool.payoutAddress")) {
      report("pool.payoutAddress", `pool.payoutAddress is missing (${environmentName("pool.payoutAddress")} can set it too). ${allowed}`);
    }
    return undefined;
  }
  try {
    return addressToScript(address, network);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    report("pool.payoutAddress", `pool.payoutAddress is ${showValue(address)} (${error.message}). ${allowed}`);
    return undefined;
  }
}

/** What was given for the first node. */
function firstNode(values: SettingValues): NodeValues {
  const given = Object.entries(values).flatMap(([path, value]) => {
    const key = path.startsWith("node.") ? path.slice("node.".length) : "";
    return isNodeKey(key) && value !== undefined ? [[key, value]] : [];
  });
  return Object.fromEntries(given) as NodeValues;
}

/** A password in a file that others can read is worth a word, but the pool can run. */
function modeWarnings(path: string, shown: string, raw: RawSettings): string[] {
  const given = [
    ...raw.values.keys(),
    ...[...raw.nodes.values()].flatMap(({ values }) => [...values.keys()].map((key) => `node.${key}` as const)),
  ];
  const holdsSecret = given.some((setting) => SETTINGS[setting].secret);
  if (!holdsSecret || process.platform === "win32" || (statSync(path).mode & 0o077) === 0) return [];
  return [`${shown} holds a password and others on this machine can read it: chmod 600 ${shellWord(shown)}`];
}
