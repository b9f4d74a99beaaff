/** A given bitcoind on regtest, with a peer (a node without one gives no templates), and its first blocks. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NodeClient } from "@openprime/bitcoin";
import { minerAddress } from "../gateway/addresses.js";
import type { RpcAccess } from "../node/options.js";
import { eventually, freePort, Program } from "./processes.js";

const USER = "openprime";
const PASSWORD = "interop";
/** Core refuses a gateway's coinbase on the first sixteen heights. */
const PREMINED = 20;

/** What the run needs of a node, bitcoind or the simulator's. */
export interface InteropNode {
  readonly rpc: RpcAccess;
  readonly description: string;
  /** Throws when it has ended. */
  check(): void;
  stop(): Promise<void>;
}

async function startOne(name: string, binary: string, dir: string, ports: { rpc: number; p2p: number }, peer?: number): Promise<Program> {
  mkdirSync(dir, { recursive: true });
  // Settings that a node does not know are an error on the command line, but only a warning in the file.
  const settings = [
    "regtest=1",
    "softwareexpiry=0",
    "[regtest]",
    "server=1",
    `rpcuser=${USER}`,
    `rpcpassword=${PASSWORD}`,
    `rpcport=${ports.rpc}`,
    "rpcbind=127.0.0.1",
    "rpcallowip=127.0.0.1",
    `bind=127.0.0.1:${ports.p2p}`,
    "dnsseed=0",
    "listenonion=0",
    ...(peer === undefined ? [] : [`connect=127.0.0.1:${peer}`]),
  ];
  writeFileSync(join(dir, "bitcoin.conf"), `${settings.join("\n")}\n`);
  return new Program(name, { file: binary, args: [`-datadir=${dir}`, "-printtoconsole=0"] });
}

/** Starts two nodes that know each other, and mines the first blocks. */
export async function startBitcoind(binary: string, dir: string): Promise<InteropNode> {
  const first = { rpc: await freePort(), p2p: await freePort() };
  const second = { rpc: await freePort(), p2p: await freePort() };
  const programs = [
    await startOne("bitcoind", binary, join(dir, "node"), first),
    await startOne("bitcoind (peer)", binary, join(dir, "peer"), second, first.p2p),
  ];
  const rpc = { url: `http://127.0.0.1:${first.rpc}/`, user: USER, password: PASSWORD };
  const stop = async (): Promise<void> => {
    await Promise.all(programs.map((program) => program.stop()));
  };
  const check = (): void => {
    for (const program of programs) program.check();
  };
  const client = new NodeClient(rpc);
  try {
    const info = await eventually("an answer of bitcoind", 60, async () => {
      check();
      return client.networkInfo().catch(() => undefined);
    });
    await client.call("generatetoaddress", [PREMINED, minerAddress("interop", 0)]);
    await eventually("a peer of bitcoind", 60, async () => ((await client.networkInfo()).connections > 0 ? true : undefined));
    return { rpc, description: info.subversion, check, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    await client.close();
  }
}
