/** The chain as the check of the books reads it: the pool's node over RPC. */
import { setImmediate as breathe } from "node:timers/promises";
import {
  fromReverseHex,
  NodeClient,
  type NodeClientOptions,
  NodeError,
  reverseHex,
  type ScannedBlock,
  scanBlock,
} from "@openprime/bitcoin";
import { ChainError } from "../../chain/index.js";
import type { ChainPosition, ChainReader, Outpoint, ReadCoinbase, SplitOutput, UnspentScan } from "../../ledger/index.js";
import { messageOf } from "../errors.js";

/** A node walks all of its unspent outputs for `scantxoutset`: minutes on a disk. */
const SCAN_TIMEOUT_MS = 280_000;
/** Work between two turns of the event loop: shares are judged in the same thread. */
const SLICE_MS = 4;
const SATOSHIS = 100_000_000;
/** RPC_IN_WARMUP: the node will answer later. */
const WARMING_UP = -28;

/** Close it after use. Its methods throw NodeError, and ChainError `wrongBlock` for a block that is not the one asked for. */
export class NodeChainReader implements ChainReader {
  readonly #node: NodeClient;
  readonly #patient: NodeClient;

  constructor(options: NodeClientOptions) {
    this.#node = new NodeClient(options);
    this.#patient = new NodeClient({ ...options, timeoutMs: SCAN_TIMEOUT_MS });
  }

  /** @throws ChainError `wrongNetwork` unless the node is on the chain of this name */
  async checkNetwork(chain: string): Promise<void> {
    const info = await this.#node.blockchainInfo();
    if (info.chain === chain) return;
    throw new ChainError("wrongNetwork", `the pool is set to ${chain}, its node is on ${info.chain}`, chain, info.chain);
  }

  async tip(): Promise<ChainPosition> {
    const { blocks, bestblockhash } = await this.#node.blockchainInfo();
    return { height: blocks, hash: fromReverseHex(bestblockhash) };
  }

  async hashAt(height: number): Promise<Uint8Array | undefined> {
    const hash = await orRefused(this.#node.blockHash(height));
    return hash === undefined ? undefined : fromReverseHex(hash);
  }

  async coinbase(hash: Uint8Array): Promise<ReadCoinbase | undefined> {
    const asked = reverseHex(hash);
    const raw = await orRefused(this.#node.rawBlock(asked));
    if (raw === undefined) return undefined;
    const block = await scanned(raw);
    const came = reverseHex(block.hash);
    if (came === asked && block.merkleRootMatches) return { ...block.coinbase, time: block.time };
    const what = came === asked ? "transactions that are not its header's" : `block ${came}`;
    throw new ChainError("wrongBlock", `asked for block ${asked}, the node gave ${what}`, asked, came);
  }

  async unspent({ txid, vout }: Outpoint): Promise<SplitOutput | undefined> {
    const answer = await this.#node.call<unknown>("gettxout", [reverseHex(txid), vout, false]);
    if (answer === null) return undefined;
    const { value, scriptPubKey } = answer as { value?: unknown; scriptPubKey?: { hex?: unknown } };
    return { value: satoshis("gettxout", value), script: bytes("gettxout", scriptPubKey?.hex) };
  }

  async scan(scripts: readonly Uint8Array[]): Promise<UnspentScan | string> {
    const descriptors = scripts.map((script) => `raw(${Buffer.from(script).toString("hex")})`);
    try {
      const answer = await this.#patient.call<{ height?: unknown; unspents?: unknown }>("scantxoutset", ["start", descriptors]);
      if (typeof answer?.height !== "number" || !Array.isArray(answer.unspents)) {
        throw new NodeError("badResponse", "scantxoutset", "expected height and unspents, got something else");
      }
      return { height: answer.height, outputs: answer.unspents.map(scannedOutput) };
    } catch (error) {
      // bcoin has no such call; a node that is busy with another scan, or too slow, can't tell now.
      if (error instanceof NodeError && (error.code === "rpc" || error.code === "timeout")) return messageOf(error);
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#node.close(), this.#patient.close()]);
  }
}

/** Undefined when the node itself refuses: a height over its tip, a block that it does not have (any more). */
async function orRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NodeError && error.code === "rpc" && error.rpcCode !== WARMING_UP) return undefined;
    throw error;
  }
}

async function scanned(raw: Uint8Array): Promise<ScannedBlock> {
  const steps = scanBlock(raw, { pays: () => false, spends: () => false });
  for (let until = performance.now() + SLICE_MS; ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < until) continue;
    await breathe();
    until = performance.now() + SLICE_MS;
  }
}

function scannedOutput(item: unknown): UnspentScan["outputs"][number] {
  const { txid, vout, scriptPubKey, amount, height } = item as Readonly<Record<string, unknown>>;
  if (typeof txid !== "string" || typeof vout !== "number" || typeof height !== "number") {
    throw new NodeError("badResponse", "scantxoutset", "expected txid, vout and height of an output, got something else");
  }
  return {
    txid: fromReverseHex(txid),
    vout,
    script: bytes("scantxoutset", scriptPubKey),
    value: satoshis("scantxoutset", amount),
    height,
  };
}

/** Nodes give coins as a JSON number with eight decimals, which a double holds. */
function satoshis(method: string, value: unknown): bigint {
  if (typeof value === "number" && value >= 0 && Number.isSafeInteger(Math.round(value * SATOSHIS)))
    return BigInt(Math.round(value * SATOSHIS));
  throw new NodeError("badResponse", method, `expected an amount of coins, got ${typeof value}`);
}

function bytes(method: string, hex: unknown): Uint8Array {
  if (typeof hex === "string" && /^([0-9a-f]{2})*$/.test(hex)) return Uint8Array.from(Buffer.from(hex, "hex"));
  throw new NodeError("badResponse", method, `expected a script in hex, got ${typeof hex}`);
}
