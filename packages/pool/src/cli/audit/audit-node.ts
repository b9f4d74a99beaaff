/** The chain as an audit asks for it, from a node's RPC. */
import { fromReverseHex, NETWORKS, type NodeClient, NodeError, reverseHex } from "@openprime/bitcoin";
import type { AuditNode } from "../../proofs/index.js";

/** Core's answer to a height above its tip. */
const INVALID_PARAMETER = -8;

export class RpcAuditNode implements AuditNode {
  readonly #client: NodeClient;
  #network: Promise<string> | undefined;

  constructor(client: NodeClient) {
    this.#client = client;
  }

  network(): Promise<string> {
    this.#network ??= this.#client
      .blockchainInfo()
      .then(({ chain }) => Object.values(NETWORKS).find((network) => network.chain === chain)?.name ?? chain);
    return this.#network;
  }

  async blockHash(height: number): Promise<Uint8Array | undefined> {
    const hash = await orUndefined(this.#client.blockHash(height), (error) => error.notFound || error.rpcCode === INVALID_PARAMETER);
    return hash === undefined ? undefined : fromReverseHex(hash);
  }

  rawBlock(hash: Uint8Array): Promise<Uint8Array | undefined> {
    // "Block not available": Core knows the header only, or has pruned the block.
    const absent = (error: NodeError): boolean => error.notFound || error.message.includes("Block not available");
    return orUndefined(this.#client.rawBlock(reverseHex(hash)), absent);
  }
}

async function orUndefined<T>(answer: Promise<T>, absent: (error: NodeError) => boolean): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NodeError && absent(error)) return undefined;
    throw error;
  }
}
