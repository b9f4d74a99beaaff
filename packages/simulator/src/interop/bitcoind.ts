/** Two nodes of a given bitcoind on regtest (one without a peer gives no templates), and their first blocks. */
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

/** Two nodes of one chain: blocks go from one to the other by themselves, transactions only where they are handed to. */
export interface BitcoindPair {
  readonly gateways: RpcAccess;
  /** The pool's own. */
  readonly pools: RpcAccess;
  /** Where the pool's node tells of blocks and transactions (ZeroMQ). */
  readonly poolsZmq: string;
  /** User agent. */
  readonly description: string;
  /** @throws SimulatorError `interopFailed` when one has ended */
  check(): void;
  stop(): Promise<void>;
}

interface Ports {
  readonly rpc: number;
  readonly p2p: number;
  readonly zmq: number;
}

const ports = async (): Promise<Ports> => ({ rpc: await freePort(), p2p: await freePort(), zmq: await freePort() });
const zmqOf = ({ zmq }: Ports): string => `tcp://127.0.0.1:${zmq}`;
const rpcOf = ({ rpc }: Ports): RpcAccess => ({ url: `http://127.0.0.1:${rpc}/`, user: USER, password: PASSWORD });

function startOne(name: string, binary: string, dir: string, ports: Ports, peer?: number): Program {
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
    // No transactions of each other; those that are handed over by RPC are taken all the same.
    "blocksonly=1",
    ...["hashblock", "rawtx", "sequence"].map((what) => `zmqpub${what}=${zmqOf(ports)}`),
    ...(peer === undefined ? [] : [`connect=127.0.0.1:${peer}`]),
  ];
  writeFileSync(join(dir, "bitcoin.conf"), `${settings.join("\n")}\n`);
  return new Program(name, { file: binary, args: [`-datadir=${dir}`, "-printtoconsole=0"] });
}

/**
 * Starts two nodes that know each other, and mines the first blocks.
 *
 * @throws SimulatorError `interopFailed`
 */
export async function startBitcoind(binary: string, dir: string): Promise<BitcoindPair> {
  const [first, second] = [await ports(), await ports()];
  const programs = [
    startOne("bitcoind", binary, join(dir, "gateways"), first),
    startOne("bitcoind (the pool's)", binary, join(dir, "pools"), second, first.p2p),
  ];
  const check = (): void => {
    for (const program of programs) program.check();
  };
  const stop = async (): Promise<void> => {
    await Promise.all(programs.map((program) => program.stop()));
  };
  const clients = [first, second].map((one) => new NodeClient(rpcOf(one)));
  try {
    let description = "";
    for (const client of clients) {
      const info = await eventually("an answer of bitcoind", 60, async () => {
        check();
        return client.networkInfo().catch(() => undefined);
      });
      description = info.subversion;
    }
    const [hash] = (await clients[0]!.call<string[]>("generatetoaddress", [PREMINED, minerAddress("interop", 0)])).slice(-1);
    await eventually("bitcoind and its peer on one chain", 60, async () => {
      check();
      const tips = await Promise.all(clients.map((client) => client.bestBlockHash()));
      return tips.every((tip) => tip === hash) ? true : undefined;
    });
    return { gateways: rpcOf(first), pools: rpcOf(second), poolsZmq: zmqOf(second), description, check, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    for (const client of clients) await client.close();
  }
}
