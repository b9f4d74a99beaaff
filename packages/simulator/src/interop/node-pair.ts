/** The gateway's node and the pool's: two of a given bitcoind or two of the simulator's, and transactions for them. */
import { NodeClient } from "@openprime/bitcoin";
import { minerAddress } from "../gateway/addresses.js";
import type { RpcAccess } from "../node/options.js";
import { RegtestNode } from "../node/regtest-node.js";
import { type BitcoindPair, startBitcoind } from "./bitcoind.js";
import { FreeCoins, sendTransactions } from "./free-coins.js";
import { eventually } from "./processes.js";

/** Two nodes of one chain. */
export interface NodePair {
  readonly gateways: RpcAccess;
  readonly pools: RpcAccess;
  /** Where the pool's node tells of blocks and transactions (ZeroMQ), if it does. */
  readonly poolsZmq: string | undefined;
  readonly description: string;
  /** Throws when one has ended. */
  check(): void;
  /** Hands new transactions to both, and those of `unknown` to the gateway's node alone. */
  send(known: number, unknown: number): Promise<void>;
  /** The gateway's node mines a block with all that waits, and both have it. Answers its hash, display order. */
  mine(): Promise<string>;
  /** Resolves when both have the higher one's tip. */
  sync(): Promise<void>;
  stop(): Promise<void>;
}

const SYNC_SECONDS = 30;

/**
 * Two bitcoinds with peers of each other; each share is a block there.
 *
 * @param dir for their data
 * @throws SimulatorError `interopFailed`, NodeError
 */
export async function startBitcoindPair(binary: string, dir: string): Promise<NodePair> {
  const pair = await startBitcoind(binary, dir);
  const gateways = new NodeClient(pair.gateways);
  const pools = new NodeClient(pair.pools);
  const stop = async (): Promise<void> => {
    await gateways.close();
    await pools.close();
    await pair.stop();
  };
  try {
    const coins = await FreeCoins.mine(gateways);
    const sync = (): Promise<void> => sameTip(pair, gateways, pools);
    await sync();
    return {
      gateways: pair.gateways,
      pools: pair.pools,
      poolsZmq: pair.poolsZmq,
      description: pair.description,
      check: () => pair.check(),
      async send(known, unknown) {
        const transactions = coins.make(known);
        await sendTransactions(gateways, [...transactions, ...coins.make(unknown, true)]);
        await sendTransactions(pools, transactions);
      },
      async mine() {
        const [hash] = await gateways.call<string[]>("generatetoaddress", [1, minerAddress("interop", 0)]);
        await sync();
        return hash!;
      },
      sync,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function sameTip(pair: BitcoindPair, ...nodes: readonly [NodeClient, NodeClient]): Promise<void> {
  await eventually("one tip of both bitcoinds", SYNC_SECONDS, async () => {
    pair.check();
    const [one, other] = await Promise.all(nodes.map((node) => node.bestBlockHash()));
    return one === other ? true : undefined;
  });
}

/** Two nodes of the simulator. @param bits compact target of blocks */
export async function startSimulatedPair(bits: number): Promise<NodePair> {
  const gateways = await RegtestNode.start({ bits });
  const pools = await RegtestNode.start({ bits, chainOf: gateways.rpc });
  const clients = [new NodeClient(gateways.rpc), new NodeClient(pools.rpc)] as const;
  const sync = async (): Promise<void> => {
    const [one, other] = [await gateways.tip(), await pools.tip()];
    if (one.height >= other.height) await forward(clients[0], clients[1], other.height, one.height);
    else await forward(clients[1], clients[0], one.height, other.height);
  };
  return {
    gateways: gateways.rpc,
    pools: pools.rpc,
    poolsZmq: undefined,
    description: `the simulator's nodes, bits ${bits.toString(16)}`,
    check() {
      gateways.check();
      pools.check();
    },
    async send(known, unknown) {
      const sent = new Set((await gateways.send(known + unknown)).slice(0, known));
      const { transactions } = await clients[0].blockTemplate();
      await pools.receive(transactions.filter(({ txid }) => sent.has(txid)).map(({ data }) => data));
    },
    async mine() {
      const [hash] = await gateways.mine();
      await sync();
      return hash!;
    },
    sync,
    async stop() {
      for (const client of clients) await client.close();
      await Promise.all([gateways.stop(), pools.stop()]);
    },
  };
}

/** Hands over the blocks between two heights, in order. The simulator's nodes don't know each other. */
async function forward(from: NodeClient, to: NodeClient, behind: number, height: number): Promise<void> {
  for (let at = behind + 1; at <= height; at++) {
    const raw = await from.rawBlock(await from.blockHash(at));
    await to.submitBlock(Buffer.from(raw).toString("hex"));
  }
}
