/**
 * The one table of settings. The configuration file's checks, the environment's names, the file that `openprime init` writes and the
 * table in docs/operators.md all follow from it.
 */
import { z } from "zod";
import { isNetwork } from "../../gateway/index.js";

/** What a file, the environment or a caller can give for a setting. */
export type SettingInput = string | number | bigint | boolean;

export interface Setting<T> {
  readonly schema: z.ZodType<T>;
  /** What is allowed, in words, as it is told after a bad value. */
  readonly allowed: string;
  /** What the setting is for. */
  readonly about: string;
  /** Value when nothing is given, as it would be written in the file; undefined for none. */
  readonly fallback: SettingInput | undefined;
  /** A value that is never printed. */
  readonly secret: boolean;
}

interface Details {
  readonly allowed: string;
  readonly about: string;
  readonly fallback?: SettingInput;
  readonly secret?: true;
}

function setting<T>(schema: z.ZodType<T>, details: Details): Setting<T> {
  const { allowed, about, fallback, secret } = details;
  return { schema, allowed, about, fallback, secret: secret === true };
}

const bytesOf = (text: string): number => Buffer.byteLength(text, "utf8");

// The environment only has text, so numbers are taken as text too.
const wholeText = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(Number);
const whole = (min: number, max: number) => z.union([z.number(), wholeText]).pipe(z.int().min(min).max(max));

const decimalText = z
  .string()
  .regex(/^\d{1,9}(\.\d{1,9})?$/)
  .transform(Number);
const decimal = (min: number, max: number) => z.union([z.number(), decimalText]).pipe(z.number().min(min).max(max));
const seconds = (min: number, max: number) => decimal(min, max).transform((value) => Math.round(value * 1000));

const count = (min: number, max: number, fallback: number, about: string) =>
  setting(whole(min, max), { allowed: `a whole number from ${min} to ${max}`, about, fallback });

/** Percent to parts per million, digit by digit: 1.1 is exactly 11000. */
const percentToPpm = (maxPpm: number) =>
  z
    .union([z.string(), z.number().transform(String)])
    .pipe(z.string().regex(/^\d{1,3}(\.\d{1,4})?$/))
    .transform((text) => {
      const [units = "", decimals = ""] = text.split(".");
      return Number(units) * 10_000 + Number(decimals.padEnd(4, "0"));
    })
    .pipe(z.int().min(0).max(maxPpm));

const powerOfTwo = z
  .union([
    z.bigint(),
    z.int().transform(BigInt),
    z
      .string()
      .regex(/^\d{1,20}$/)
      .transform(BigInt),
  ])
  .refine((value) => value >= 1n && value <= 1n << 62n && (value & (value - 1n)) === 0n);

const urlWith = (protocols: readonly string[], more: (url: URL) => boolean = () => true) =>
  z.string().refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url !== undefined && protocols.includes(url.protocol) && more(url);
  });

const zmqEndpoint = urlWith(["tcp:", "ipc:"], (url) => url.protocol === "ipc:" || url.port !== "");

/** A list in one text, with spaces or commas between its entries. */
const listOf = (isEntry: (text: string) => boolean) =>
  z
    .string()
    .max(100_000)
    .transform((text) => text.split(/[\s,]+/).filter((entry) => entry !== ""))
    .refine((entries) => entries.length > 0 && entries.every(isEntry));

const NETWORKS_ALLOWED = "addresses and networks such as 192.0.2.7, 198.51.100.0/24 or 2001:db8::/32, with spaces or commas between them";
const networks = (about: string) => setting(listOf(isNetwork), { allowed: NETWORKS_ALLOWED, about });

const path = z.string().min(1).max(4096);

const mailbox = z
  .string()
  .max(254)
  .regex(/^[A-Za-z0-9.!#$%&*+/=?^_{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}$/);

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");
const relayUrl = urlWith(["wss:", "ws:"]);
const relays = z
  .string()
  .refine((text) => words(text).length >= 1 && words(text).length <= 8 && words(text).every((word) => relayUrl.safeParse(word).success))
  .transform(words);

/** Every setting by its dotted path, in the order of the file. A path has one dot at most. */
export const SETTINGS = {
  network: setting(z.enum(["mainnet", "testnet", "testnet4", "signet", "regtest"]), {
    allowed: "mainnet, testnet, testnet4, signet or regtest",
    about: "The Bitcoin network. The node must be on the same one.",
    fallback: "mainnet",
  }),
  "listen.host": setting(z.string().regex(/^[0-9a-zA-Z.:_-]{1,253}$/), {
    allowed: "an address of this machine, such as 0.0.0.0 (all of IPv4), :: (all) or 127.0.0.1",
    about: "Address that gateways connect to.",
    fallback: "0.0.0.0",
  }),
  "listen.port": setting(whole(0, 65535), {
    allowed: "a port number from 1 to 65535, or 0 for any free port",
    about: "TCP port that gateways connect to.",
    fallback: 28915,
  }),
  "listen.allow": networks(
    "Addresses that are never banned, never denied, and not limited by address and network. With listen.deny 0.0.0.0/0 ::/0 nobody else gets in.",
  ),
  "listen.deny": networks("Addresses whose connections are refused, unless listen.allow has them."),
  "listen.proxiesTrusted": networks(
    "Load balancers of yours: a connection from them must begin with a PROXY header (version 1 or 2), and its source address is believed.",
  ),
  "pool.payoutAddress": setting(z.string().min(1).max(128), {
    allowed: "an address of the network",
    about: "The pool's own address: it takes every satoshi of a block that no split claims. Required.",
  }),
  "pool.tag": setting(
    z.string().refine((text) => text.length > 0 && bytesOf(text) <= 83 && !text.includes("\u0000") && !text.includes("\u000f")),
    {
      allowed: "1 to 83 bytes of text without NUL and 0x0F; 30 bytes or less is wise, longer ones can crowd out the gateway's own tag",
      about: "Text that every coinbase of the pool carries.",
      fallback: "OpenPrime",
    },
  ),
  "pool.feePercent": setting(percentToPpm(999_999), {
    allowed: "a percentage from 0 to 99.9999, with at most four decimals",
    about: "The pool's fee. Each share keeps the fee of the moment at which it was accepted.",
    fallback: "0",
  }),
  "pool.relayedFeePercent": setting(percentToPpm(999_999), {
    allowed: "a percentage from 0 to 99.9999, with at most four decimals, not under pool.feePercent",
    about: "The fee of work that the gateways in relays.keys bring. Default: pool.feePercent.",
  }),
  "pool.coinbase": setting(z.enum(["direct", "pool"]), {
    allowed: "direct or pool",
    about:
      "direct: a block's coinbase pays the miners. pool: it pays the pool's address alone, and everything is owed until you pay it out.",
    fallback: "direct",
  }),
  "pool.minimumDifficulty": setting(powerOfTwo, {
    allowed: "a power of two from 1 to 4611686018427387904",
    about: "Least difficulty of a share. Gateways raise it by themselves for fast miners, and the pool does for gateways with many.",
    fallback: 1024,
  }),
  "pool.minimumDifficultyCeiling": setting(powerOfTwo, {
    allowed: "a power of two from 1 to 4611686018427387904, not under pool.minimumDifficulty",
    about:
      "How far the pool raises the least difficulty of a gateway that brings much work; pool.minimumDifficulty itself turns that off. " +
      "Default: 1073741824, or pool.minimumDifficulty if that is higher.",
  }),
  "pool.gatewaySharesPerMinute": setting(whole(20, 100_000), {
    allowed: "a whole number from 20 to 100000",
    about:
      "Shares a minute that one gateway should send at most; a miner makes about eight. Where they are more, the pool raises its minimum.",
    fallback: 600,
  }),
  "pool.motd": setting(
    z.string().refine((text) => bytesOf(text) <= 511 && !text.includes("\u0000")),
    {
      allowed: "at most 511 bytes of text without NUL",
      about: "Message that a gateway writes to its log when it connects.",
      fallback: "Welcome to OpenPrime",
    },
  ),
  "keys.file": setting(path, {
    allowed: "a path; a relative one starts at this file's folder",
    about: "The pool's long-term keys. Only the pool's user may read that file.",
    fallback: "openprime.keys.json",
  }),
  "keys.passphraseFile": setting(path, {
    allowed: "a path; a relative one starts at this file's folder",
    about: "A file that holds the passphrase of a locked key file. Only the pool's user may read it.",
  }),
  "node.url": setting(
    urlWith(["http:", "https:"], (url) => url.username === "" && url.password === ""),
    {
      allowed: "a URL such as http://127.0.0.1:8332, without user and password (node.user and node.password hold them)",
      about: "RPC of your Bitcoin node. Default: 127.0.0.1 and the network's usual port.",
    },
  ),
  "node.cookieFile": setting(path, {
    allowed: "a path; a relative one starts at this file's folder, ~ is the home folder",
    about: "The node's .cookie file. Either this, or node.user and node.password.",
  }),
  "node.user": setting(z.string().min(1).max(1024), {
    allowed: "text, in quotes when it looks like a number",
    about: "RPC user.",
  }),
  "node.password": setting(z.string().min(1).max(1024), {
    allowed: "text, in quotes when it looks like a number",
    about: "RPC password.",
    secret: true,
  }),
  "node.zmqHashblock": setting(zmqEndpoint, {
    allowed: "a ZeroMQ endpoint such as tcp://127.0.0.1:28332 (the node's -zmqpubhashblock)",
    about: "Where the node tells of new blocks at once. Without it the node is only polled.",
  }),
  "node.zmqRawtx": setting(zmqEndpoint, {
    allowed: "a ZeroMQ endpoint such as tcp://127.0.0.1:28333 (the node's -zmqpubrawtx)",
    about: "Where the first node tells of new transactions at once. Without it its mempool is only polled.",
  }),
  "node.zmqSequence": setting(zmqEndpoint, {
    allowed: "a ZeroMQ endpoint such as tcp://127.0.0.1:28334 (the node's -zmqpubsequence)",
    about: "Where the first node tells what comes into its mempool and leaves it.",
  }),
  "node.pollSeconds": setting(seconds(0.1, 60), {
    allowed: "seconds from 0.1 to 60",
    about: "How often the node is asked for its best block.",
    fallback: 1,
  }),
  "database.url": setting(urlWith(["postgres:", "postgresql:"]), {
    allowed: "a URL such as postgresql://user:password@127.0.0.1:5432/openprime, of PostgreSQL 15 or newer",
    about: "Your own PostgreSQL. Without it the pool runs one of its own in database.dir.",
    secret: true,
  }),
  "database.dir": setting(path, {
    allowed: "a path; a relative one starts at this file's folder",
    about: "Data folder of the pool's own PostgreSQL, where no database.url is given.",
    fallback: "openprime-data",
  }),
  "scheme.name": setting(z.enum(["tides", "pplns", "solo", "pps", "fpps"]), {
    allowed: "tides, pplns, solo, pps or fpps",
    about: "How rewards are shared; docs/schemes.md compares them. pps and fpps pay every share from your own funds.",
    fallback: "tides",
  }),
  "scheme.reserve": setting(
    z
      .union([
        z.bigint(),
        z.int().transform(BigInt),
        z
          .string()
          .regex(/^\d{1,16}$/)
          .transform(BigInt),
      ])
      .refine((value) => value > 0n && value <= 2_100_000_000_000_000n),
    {
      allowed: "satoshis, a whole number from 1 to 2100000000000000",
      about:
        "pps and fpps: how far the pool may go into debt to its own funds. Before it is used up the pool takes no more shares. Required for them.",
    },
  ),
  "tides.window": setting(whole(1, 1000).transform(BigInt), {
    allowed: "a whole number from 1 to 1000",
    about: "Length of the share window, in multiples of the network's difficulty.",
    fallback: 8,
  }),
  "pplns.blocks": setting(whole(1, 1000), {
    allowed: "a whole number from 1 to 1000",
    about: "Length of the window of PPLNS in blocks that the pool found. Either this or pplns.window.",
  }),
  "pplns.window": setting(whole(1, 1000).transform(BigInt), {
    allowed: "a whole number from 1 to 1000",
    about: "Length of the window of PPLNS in multiples of the network's difficulty. Either this or pplns.blocks.",
  }),
  "split.threshold": setting(whole(0, 100_000_000).transform(BigInt), {
    allowed: "satoshis, a whole number from 0 to 100000000",
    about: "An account is paid when it is owed this much, in satoshis; `openprime ledger threshold` sets an account's own.",
    fallback: 100_000,
  }),
  "split.inactiveBlocks": setting(whole(1, 1_000_000), {
    allowed: "a whole number of blocks from 1 to 1000000",
    about: "An account without work in the window that earned nothing for so many blocks of the chain is paid from split.dustFloor on.",
    fallback: 4320,
  }),
  "split.dustFloor": setting(whole(546, 100_000_000).transform(BigInt), {
    allowed: "satoshis, a whole number from 546 to 100000000",
    about: "Smallest output of a split, in satoshis: less would cost more to spend than it is worth.",
    fallback: 5460,
  }),
  "limits.connections": count(1, 100_000, 4000, "Connections at one time. After an outage each gateway may have two for a while."),
  "limits.connectionsPerAddress": count(1, 100_000, 100, "Connections at one time from one IPv4 address, or one /64 of IPv6."),
  "limits.connectionsPerPrefix": count(1, 100_000, 400, "Connections at one time from one network: a /24 of IPv4, or a /48 of IPv6."),
  "limits.handshakesPerSecond": count(
    10,
    10_000,
    400,
    "Gateways that are let in per second; the others wait. Each costs most of a millisecond.",
  ),
  "limits.handshakesPerPrefix": count(1, 10_000, 20, "Of these, per second from one network; fifty times as many may come at once."),
  "limits.newGatewaysPerHour": count(1, 100_000, 240, "Gateways never seen before that are taken per hour, or at once, from one network."),
  "limits.accountsPerSession": count(1, 1_000_000, 1000, "Different payout addresses that one gateway may bring."),
  "limits.workersPerSession": count(1, 1_000_000, 10_000, "Worker names that one gateway may bring; those over it count as one worker."),
  "limits.coinbaserPerMinute": count(1, 6000, 60, "Splits that one gateway may ask for in a minute. An honest one asks at each new job."),
  "limits.strangersCoinbaserPerMinute": count(
    1,
    100_000,
    600,
    "Splits that all gateways of one network together may ask for in a minute before they have had a share accepted.",
  ),
  "limits.sharesPerSecond": count(
    1,
    1_000_000,
    2000,
    "Shares a second of one gateway; a burst of 30 times that is free, then they are read more slowly.",
  ),
  "limits.messagesPerSecond": count(1, 100_000, 20, "Other messages of one gateway that nobody asked it for, likewise."),
  "limits.kilobytesPerSecond": count(1, 1_000_000, 2000, "Thousands of bytes of one gateway that nobody asked it for, likewise."),
  "limits.invalidSharesPerMinute": count(
    1,
    1_000_000,
    1200,
    "Refused shares of one gateway; five minutes' worth is free, then they are read more slowly, and at last the gateway is closed.",
  ),
  "limits.banScore": count(
    0,
    1_000_000,
    100,
    "Score of misbehaviour at which an address is banned, a network at ten times that; 0 for no bans.",
  ),
  "limits.banMinutes": count(
    1,
    10_080,
    10,
    "Minutes in which a score halves. A ban ends at half of its score, so it lasts that long at least.",
  ),
  "gateways.admit": setting(z.enum(["all", "listed"]), {
    allowed: "all or listed",
    about: "Which gateways are taken: all, or those that gateways.keys or gateways.accounts name.",
    fallback: "all",
  }),
  "gateways.keys": setting(
    listOf((entry) => /^[0-9a-fA-F]{64}$/.test(entry)),
    {
      allowed: "public signing keys of gateways, 64 hex digits each, with spaces or commas between them",
      about:
        "gateways.admit listed: gateways that are taken. The pool's log names the key of each that it turns down. A stock gateway has another at each start.",
    },
  ),
  "gateways.accounts": setting(
    listOf(() => true),
    {
      allowed: "addresses of the network, with spaces or commas between them",
      about: "gateways.admit listed: accounts whose miners may come by any gateway; one that brings shares for another account is closed.",
    },
  ),
  "shares.staleGraceSeconds": setting(seconds(0, 60), {
    allowed: "seconds from 0 to 60",
    about: "How long after a new block shares on the old one are still taken.",
    fallback: 2,
  }),
  "shares.keep": setting(z.union([z.enum(["rounds", "forever"]), whole(1, 36_500)]), {
    allowed: "rounds, forever, or a number of days from 1 to 36500",
    about: "How long the database keeps single shares after their round. Their sums, and the published log files, stay in any case.",
    fallback: "rounds",
  }),
  "templates.check": setting(z.enum(["always", "sample", "off"]), {
    allowed: "always, sample or off",
    about: "Which jobs' transactions are asked for and judged: all; a sample, with new gateways and those with a bad record; or none.",
    fallback: "always",
  }),
  "templates.sample": setting(decimal(0, 1), {
    allowed: "a number from 0 to 1",
    about: "templates.check sample: the part of known gateways' jobs that is judged.",
    fallback: 0.1,
  }),
  "templates.proposalsPerSecond": setting(decimal(0.1, 10), {
    allowed: "a number from 0.1 to 10",
    about: "Templates that the node is shown per second at most (getblocktemplate, mode proposal): each holds its main lock for a moment.",
    fallback: 1,
  }),
  "templates.leastFeesPercent": setting(percentToPpm(1_000_000), {
    allowed: "a percentage from 0 to 100, with at most four decimals",
    about:
      "Least fees of a gateway's template, in percent of those of your node's own. 0 is no floor. Needs templates.check always or sample.",
    fallback: "0",
  }),
  "templates.floorAction": setting(z.enum(["tell", "refuse"]), {
    allowed: "tell or refuse",
    about: "What a gateway whose templates are under the floor gets: a word in its log, or its jobs refused.",
    fallback: "tell",
  }),
  "templates.keep": setting(whole(1, 3650), {
    allowed: "a number of days from 1 to 3650",
    about: "How long the database keeps what it knows of each job's template: some 300 bytes a job.",
    fallback: 7,
  }),
  "publish.dir": setting(path, {
    allowed: "a path; a relative one starts at this file's folder",
    about: "Folder for what the pool publishes: settlements and log files. Let a web server show it, so that anyone can audit the pool.",
    fallback: "openprime-public",
  }),
  "relays.keys": setting(z.string().regex(/^\s*[0-9a-fA-F]{64}([\s,]+[0-9a-fA-F]{64})*\s*$/), {
    allowed: "public signing keys of gateways, 64 hex digits each, with spaces or commas between them",
    about: "Gateways that relay the work of others (miners without a gateway of their own): their shares pay pool.relayedFeePercent.",
  }),
  "api.host": setting(z.string().regex(/^[0-9a-zA-Z.:_-]{1,253}$/), {
    allowed: "an address of this machine, such as 127.0.0.1, ::1 or 0.0.0.0 (all of IPv4)",
    about: "Address of the HTTP API: metrics, health and status, for you and not for the public.",
    fallback: "127.0.0.1",
  }),
  "api.port": setting(z.union([z.literal("off"), whole(0, 65535)]), {
    allowed: "a port number from 1 to 65535, 0 for any free port, or off",
    about: "TCP port of the HTTP API.",
    fallback: 28916,
  }),
  "api.names": setting(z.string().regex(/^\s*[0-9a-zA-Z._-]{1,253}([\s,]+[0-9a-zA-Z._-]{1,253})*\s*$/), {
    allowed: "host names with spaces or commas between them",
    about:
      "Names by which the HTTP API may be called, besides localhost and IP addresses. Others are refused, so that no web page can reach it through your browser.",
  }),
  "notices.operatorWebhook": setting(
    urlWith(["http:", "https:"], (url) => url.username === "" && url.password === ""),
    {
      allowed: "a URL such as https://example.com/hook, without user and password",
      about: "Where the operator's notices are posted as JSON, signed; docs/notices.md has the schema.",
      secret: true,
    },
  ),
  "notices.operatorEmail": setting(mailbox, {
    allowed: "one mail address such as name@example.com",
    about: "Where the operator's notices are mailed. Needs notices.smtpUrl.",
  }),
  "notices.operatorNostr": setting(z.string().regex(/^(npub1[02-9ac-hj-np-z]{58}|[0-9a-fA-F]{64})$/), {
    allowed: "an npub, or a public key of 64 hex digits",
    about: "Who gets the operator's notices as private messages on Nostr. Needs notices.nostrRelays.",
  }),
  "notices.operatorEvents": setting(z.string().regex(/^\s*[a-z.]+([\s,]+[a-z.]+)*\s*$/), {
    allowed: "names of events (docs/notices.md lists them), with spaces or commas between them",
    about: "What the operator is told. Default: all that there is for operators.",
  }),
  "notices.smtpUrl": setting(
    urlWith(["smtp:", "smtps:"], (url) => url.hostname !== "" && /^\/?$/.test(url.pathname) && url.search === ""),
    {
      allowed: "a URL such as smtp://user:password@mail.example.com:587, or smtps:// for TLS from the first byte",
      about: "Your mail relay. TLS is required unless it runs on this machine.",
      secret: true,
    },
  ),
  "notices.smtpFrom": setting(mailbox, {
    allowed: "one mail address such as pool@example.com",
    about: "The sender of mailed notices. Required with notices.smtpUrl.",
  }),
  "notices.nostrRelays": setting(relays, {
    allowed: "URLs of at most eight relays such as wss://relay.example.com, with spaces or commas between them",
    about: "Relays that private messages on Nostr are left at. One that takes a message is enough.",
  }),
  "notices.privateWebhooks": setting(z.enum(["refuse", "allow"]), {
    allowed: "refuse or allow",
    about: "Whether miners' webhooks may be at addresses of private networks, and without TLS. Allow it only where you know every miner.",
    fallback: "refuse",
  }),
  "notices.keyFile": setting(path, {
    allowed: "a path; a relative one starts at this file's folder",
    about:
      "The key that notices are signed with and receivers sealed with; made when it is missing. Default: openprime.notices.key, beside keys.file.",
  }),
  "log.level": setting(z.enum(["trace", "debug", "info", "warn", "error"]), {
    allowed: "trace, debug, info, warn or error",
    about: "Least weight of a line that is logged. Accepted shares are logged one by one at debug.",
    fallback: "info",
  }),
  "log.format": setting(z.enum(["text", "json"]), {
    allowed: "text or json",
    about: "text for people, json (one object a line) for machines.",
    fallback: "text",
  }),
} as const;

export type SettingPath = keyof typeof SETTINGS;

/** Checked values by path; undefined only where there is neither a value nor a default. */
export type SettingValues = {
  readonly [P in SettingPath]: ((typeof SETTINGS)[P] extends Setting<infer T> ? T : never) | undefined;
};

export const SETTING_PATHS = Object.keys(SETTINGS) as readonly SettingPath[];

/** What the sections are about, in the order of the file. */
export const SECTIONS = {
  listen: "Where gateways connect.",
  pool: "The pool as gateways and blocks show it.",
  keys: "The pool's identity.",
  node: "Your Bitcoin node.",
  database: "The books: either a PostgreSQL of yours (url), or one that the pool runs by itself (dir).",
  scheme: "How rewards are shared.",
  tides: "The share window of TIDES.",
  pplns: "The share window of PPLNS.",
  split: "What the coinbase pays.",
  limits: "Bounds for each gateway, so that a bad one costs only itself.",
  gateways: "Which gateways are taken, for a private pool.",
  shares: "How shares are judged.",
  templates: "The transactions behind the work.",
  publish: "What anyone may recompute.",
  relays: "Gateways with many miners behind them.",
  api: "The HTTP API, by which you and your monitoring see the pool.",
  notices: "What you and your miners are told, and how. Miners' receivers: `openprime notices add`.",
  log: "What is logged, to stderr.",
} as const;

export type SectionName = keyof typeof SECTIONS;

/** Name of the environment variable that overrides a setting: `pool.payoutAddress` → `OPENPRIME_POOL_PAYOUT_ADDRESS`. */
export function environmentName(setting: SettingPath): string {
  return `OPENPRIME_${setting.replace(/[A-Z]/g, "_$&").replace(".", "_").toUpperCase()}`;
}
