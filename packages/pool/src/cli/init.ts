/** `openprime init`: a commented configuration file and new keys. Asks nothing and overwrites nothing. */
import { existsSync, mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { NETWORKS, type NetworkName } from "@openprime/bitcoin";
import type { DatumCrypto } from "@openprime/datum";
import { configTemplate, resolveConfig, type SettingPath } from "./config/index.js";
import { CliError, shellWord } from "./errors.js";
import type { CommandIo } from "./io.js";
import { writeNew } from "./keys/private-file.js";
import { createKeyFile } from "./keys.js";

export interface InitOptions {
  /** Folder of the two files; made when it does not exist. */
  readonly dir: string;
  readonly network: string;
  readonly payoutAddress?: string;
}

export interface InitModules {
  readonly crypto: DatumCrypto;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly now: () => Date;
}

export const CONFIG_FILE = "openprime.yaml";
const KEY_FILE = "openprime.keys.json";

/** Where Bitcoin Core keeps its cookie, by network, under ~/.bitcoin. */
const COOKIE_FOLDERS: Readonly<Record<NetworkName, string>> = {
  mainnet: "",
  testnet: "testnet3/",
  testnet4: "testnet4/",
  signet: "signet/",
  regtest: "regtest/",
};

/**
 * Writes openprime.yaml and openprime.keys.json.
 *
 * @throws CliError `fileExists` (then nothing has been written) or `optionInvalid`; ConfigError for an address of another network
 */
export function init(options: InitOptions, modules: InitModules, io: Pick<CommandIo, "stdout" | "stderr">): void {
  const { dir, payoutAddress } = options;
  const network = networkName(options.network);
  if (payoutAddress !== undefined) resolveConfig({ network, pool: { payoutAddress } }, dir);
  const configFile = join(dir, CONFIG_FILE);
  const keyFile = join(dir, KEY_FILE);
  for (const file of [configFile, keyFile]) {
    if (!existsSync(file)) continue;
    throw new CliError("fileExists", `${file} exists and is never overwritten`, "choose another folder with --dir, or move that file away");
  }
  const values: Partial<Record<SettingPath, string>> = {
    network,
    "keys.file": KEY_FILE,
    "node.cookieFile": `~/.bitcoin/${COOKIE_FOLDERS[network]}.cookie`,
    ...(payoutAddress !== undefined && { "pool.payoutAddress": payoutAddress }),
  };
  mkdirSync(dir, { recursive: true });
  io.stderr.write(`writing ${configFile} and ${keyFile}\n`);
  const { publicKey } = createKeyFile(keyFile, modules.crypto, modules.randomBytes, modules.now());
  writeNew(configFile, configTemplate(values));
  io.stdout.write(nextSteps({ configFile, keyFile, publicKey, payoutMissing: payoutAddress === undefined }));
}

function networkName(text: string): NetworkName {
  if (Object.hasOwn(NETWORKS, text)) return text as NetworkName;
  const allowed = Object.keys(NETWORKS).join(", ");
  throw new CliError("optionInvalid", `--network is "${text}". Allowed: ${allowed}`, "give one of the networks named");
}

interface Written {
  readonly configFile: string;
  readonly keyFile: string;
  readonly publicKey: string;
  readonly payoutMissing: boolean;
}

function nextSteps({ configFile, keyFile, publicKey, payoutMissing }: Written): string {
  const here = relative(process.cwd(), configFile) === CONFIG_FILE;
  const option = here ? "" : ` --config ${shellWord(configFile)}`;
  const steps = [
    payoutMissing
      ? `Set pool.payoutAddress in ${configFile} (the pool can't start without), and look at node.*`
      : `Look at node.* in ${configFile}: where your Bitcoin node is`,
    `Back up ${keyFile}: gateways know the pool by it alone`,
    `openprime doctor${option}      tries everything out and says what is missing`,
    `openprime serve${option}       runs the pool`,
  ];
  const numbered = steps.map((step, index) => `  ${index + 1}. ${step}`);
  return `What to do next:\n${numbered.join("\n")}\n\nMiners put this into their gateway's configuration as datum.pool_pubkey:\n${publicKey}\n`;
}
