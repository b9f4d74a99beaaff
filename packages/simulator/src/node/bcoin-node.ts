/**
 * A real full node (bcoin) on a private regtest chain, in memory. Runs in a process of its own, see process.ts: bcoin keeps its network's
 * parameters in global objects, which are changed here.
 *
 * Made like Core's regtest where bcoin differs: addresses, coinbase heights from block 1, segwit from the start. Unlike any regtest,
 * blocks after the pre-mined ones are hard to find (DATUM.md section 13).
 */
import { createHash, randomBytes } from "node:crypto";
import { setImmediate as breathe } from "node:timers/promises";
import { NodeClient, targetBytes, targetFromBits } from "@openprime/bitcoin";
import bcoin, { type Block, type ChainEntry, type Coin, type FullNode, type TX } from "bcoin";
import { Scanner } from "../mining/scanner.js";
import { expectedHashes } from "./difficulty.js";
import type { NodeTip, RegtestNodeOptions, RpcAccess } from "./options.js";

/** Coinbases mature after 100 blocks, so 117 leave seventeen to spend; Core also refuses a gateway's coinbase on the first sixteen. */
const PREMINED = 117;
const PREMINE_SPACING_SECONDS = 60;
const FAN_OUT_COINBASES = 3;
const FAN_OUT_OUTPUTS = 900;
const EASIEST_BITS = 0x207fffff;
/** Hashes tried before other work of the process gets its turn. */
const SLICE = 100_000;
/** Beyond this, mining a block here would take minutes. */
const MAX_EXPECTED_HASHES = 2 ** 30;
const ACTIVE = 3;
const DEFINED = 0;

export class BcoinNode {
  readonly #node: FullNode;
  readonly #bits: number;
  readonly #password = randomBytes(16).toString("hex");
  readonly #ring = bcoin.KeyRing.fromPrivate(createHash("sha256").update("openprime simulator").digest());
  readonly #scanner = new Scanner();
  #spendable: Coin[] = [];
  /** Coins of transactions that wait for a block, by transaction. */
  readonly #unconfirmed = new Map<string, Coin[]>();
  /** Transactions of blocks that a reorg took off the chain. */
  #returned: TX[] = [];
  #returning: Promise<void> = Promise.resolve();
  readonly #invalidated = new Map<string, readonly Block[]>();
  #feedTimer: NodeJS.Timeout | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: RegtestNodeOptions) {
    this.#bits = options.bits ?? 0x1e7fffff;
    this.#ring.witness = true;
    const network = bcoin.Network.get("regtest");
    network.halvingInterval = options.halvingInterval ?? 210_000;
    network.addressPrefix.pubkeyhash = 0x6f;
    network.addressPrefix.scripthash = 0xc4;
    network.addressPrefix.bech32 = "bcrt";
    network.block.bip34height = 1;
    network.block.bip65height = 1;
    network.block.bip66height = 1;
    this.#node = new bcoin.FullNode({
      network: "regtest",
      memory: true,
      workers: false,
      listen: false,
      logLevel: "none",
      httpHost: "127.0.0.1",
      httpPort: 0,
      apiKey: this.#password,
    });
    // Nobody to ask for blocks again after a reset; without this bcoin's own invalidateblock leaves its mempool behind.
    this.#node.pool.forceSync = () => undefined;
    const chain = this.#node.chain;
    chain.getTarget = async (_time, prev) => (prev !== null && prev.height >= PREMINED ? this.#bits : EASIEST_BITS);
    chain.getState = async (_prev, deployment) => (deployment.name === "csv" || deployment.name === "segwit" ? ACTIVE : DEFINED);
  }

  /** Starts the node, mines its first blocks and makes coins to spend. */
  static async start(options: RegtestNodeOptions, onError: (error: Error) => void): Promise<BcoinNode> {
    const started = new BcoinNode(options);
    started.#node.on("error", onError);
    await started.#node.open();
    if (options.chainOf === undefined) await started.#premine();
    else await started.#copyChain(options.chainOf);
    started.#node.on("disconnect", (_entry, block) => started.#returned.push(...block.txs.slice(1)));
    started.#node.on("connect", (_entry, block) => {
      started.#confirm(block);
      started.#returning = started.#returning.then(() => started.#returnTransactions());
    });
    started.feed(options.transactionsPerSecond ?? 0);
    return started;
  }

  async #premine(): Promise<void> {
    const start = Math.floor(Date.now() / 1000) - (PREMINED + 1) * PREMINE_SPACING_SECONDS;
    const mined: Block[] = [];
    while (this.#node.chain.height < PREMINED - 1) {
      const time = start + (mined.length + 1) * PREMINE_SPACING_SECONDS;
      mined.push((await this.#mineOn(this.#node.chain.tip, { transactions: true, time })).block);
    }
    const coins = mined.slice(0, FAN_OUT_COINBASES).map((block, i) => bcoin.Coin.fromTX(block.txs[0]!, 0, i + 1));
    const fanOut = this.#sign(coins, FAN_OUT_OUTPUTS, 200_000);
    await this.#node.mempool.addTX(fanOut);
    await this.#mineOn(this.#node.chain.tip, { transactions: true, time: start + PREMINED * PREMINE_SPACING_SECONDS });
    this.#spendable = fanOut.outputs.map((_output, i) => bcoin.Coin.fromTX(fanOut, i, PREMINED));
  }

  async #copyChain(from: RpcAccess): Promise<void> {
    const client = new NodeClient(from);
    try {
      const { blocks } = await client.blockchainInfo();
      for (let height = 1; height <= blocks; height++) {
        const raw = await client.rawBlock(await client.blockHash(height));
        const entry = await this.#node.chain.add(bcoin.Block.fromRaw(Buffer.from(raw)));
        if (entry === null) throw new Error(`the node does not take block ${height} of the one that it begins as`);
      }
    } finally {
      await client.close();
    }
  }

  get rpc(): RpcAccess {
    const address = this.#node.http.http.address();
    if (address === null) throw new Error("the node's RPC server is not listening");
    return { url: `http://127.0.0.1:${address.port}/`, user: "openprime", password: this.#password };
  }

  tip(): NodeTip {
    const tip = this.#node.chain.tip;
    return { hash: tip.rhash(), height: tip.height };
  }

  /** Mines on the tip; answers the block hashes. */
  async mine(count: number, transactions: boolean): Promise<string[]> {
    return this.#exclusive(async () => {
      const hashes: string[] = [];
      for (let i = 0; i < count; i++) hashes.push((await this.#mineOn(this.#node.chain.tip, { transactions })).block.rhash());
      return hashes;
    });
  }

  /** Mines a branch of empty blocks after the block at height `fork`; the node goes over to it when it is the longer one. */
  async branch(fork: number, blocks: number): Promise<string[]> {
    return this.#exclusive(async () => {
      let parent = await this.#node.chain.getEntryByHeight(fork);
      if (parent === null) throw new RangeError(`a height of the best chain expected, got ${fork}`);
      const hashes: string[] = [];
      for (let i = 0; i < blocks; i++) {
        const mined = await this.#mineOn(parent, { transactions: false });
        hashes.push(mined.block.rhash());
        parent = mined.entry;
      }
      await this.#returning;
      return hashes;
    });
  }

  /** Calls that build on the tip run one after another. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #mineOn(parent: ChainEntry, how: { transactions: boolean; time?: number }): Promise<{ block: Block; entry: ChainEntry }> {
    const attempt = await this.#node.miner.createBlock(parent, this.#ring.getAddress());
    if (!how.transactions) {
      attempt.items = [];
      attempt.fees = 0;
      attempt.refresh();
    }
    if (how.time !== undefined) attempt.time = how.time;
    const expected = expectedHashes(attempt.bits);
    if (expected > MAX_EXPECTED_HASHES) throw new RangeError(`bits that a CPU can mine expected, got ${expected} hashes per block`);

    this.#scanner.load(attempt.getHeader(attempt.getRoot(0, 0), attempt.time, 0), targetBytes(targetFromBits(attempt.bits)));
    for (let nonce = 0; nonce + SLICE <= 0x1_0000_0000; nonce += SLICE) {
      const found = this.#scanner.search(nonce, SLICE);
      if (found === undefined) {
        await breathe();
        continue;
      }
      const block = attempt.commit(attempt.getProof(0, 0, attempt.time, found.nonce));
      const entry = await this.#node.chain.add(block);
      if (entry === null) throw new Error(`the node does not know the parent of its own block ${block.rhash()}`);
      return { block, entry };
    }
    throw new Error(`no nonce meets ${attempt.bits.toString(16)}`);
  }

  /** Sends signed transactions with fees of all sizes; answers the txids. Fewer than asked when the coins run out before the next block. */
  async send(count: number): Promise<string[]> {
    const sent: string[] = [];
    while (sent.length < count && this.#spendable.length > 0) {
      const coins = this.#spendable.splice(0, 1);
      const fee = 300 + Math.floor(Math.random() * 20_000);
      const transaction = this.#sign(coins, 2, fee);
      // A reorg can take back the coins' own transaction; then these coins are gone, and the next are tried.
      const refused = await this.#node.mempool.addTX(transaction).then(
        (missing) => missing !== null && missing.length > 0,
        () => true,
      );
      if (refused) continue;
      this.#unconfirmed.set(
        transaction.hash("hex"),
        transaction.outputs.map((_output, i) => bcoin.Coin.fromTX(transaction, i, -1)),
      );
      sent.push(transaction.txid());
    }
    // bcoin keeps a template for ten seconds otherwise.
    if (sent.length > 0) this.#node.rpc.refreshBlock();
    return sent;
  }

  /** Takes transactions made elsewhere into the mempool. @param transactions raw, hex */
  async receive(transactions: readonly string[]): Promise<void> {
    for (const hex of transactions) {
      const missing = await this.#node.mempool.addTX(bcoin.TX.fromRaw(Buffer.from(hex, "hex")));
      if (missing !== null && missing.length > 0) throw new RangeError(`transactions of coins that the node has expected, got ${hex}`);
    }
    this.#node.rpc.refreshBlock();
  }

  /** Sends that many transactions every second from now on. */
  feed(transactionsPerSecond: number): void {
    clearTimeout(this.#feedTimer);
    this.#feedTimer = undefined;
    if (transactionsPerSecond <= 0) return;
    const next = (): void => {
      this.#feedTimer = setTimeout(() => {
        // `send` refuses nothing that a feed could do anything about.
        void this.send(1).finally(() => {
          if (this.#feedTimer !== undefined) next();
        });
      }, 1000 / transactionsPerSecond);
    };
    next();
  }

  #sign(coins: readonly Coin[], outputs: number, fee: number): TX {
    const total = coins.reduce((sum, coin) => sum + coin.value, 0) - fee;
    const part = Math.floor(total / outputs);
    const transaction = new bcoin.MTX();
    for (const coin of coins) transaction.addCoin(coin);
    for (let i = 0; i < outputs; i++) transaction.addOutput(this.#ring.getAddress(), part);
    transaction.sign(this.#ring);
    return transaction.toTX();
  }

  #confirm(block: Block): void {
    for (const transaction of block.txs) {
      const hash = transaction.hash("hex");
      const coins = this.#unconfirmed.get(hash);
      if (coins === undefined) continue;
      this.#unconfirmed.delete(hash);
      this.#spendable.push(...coins);
    }
  }

  /** Marks a block of the best chain, and all after it, invalid; their transactions go back to the mempool. @param hash display order */
  async invalidate(hash: string): Promise<void> {
    await this.#exclusive(async () => {
      const { chain, mempool } = this.#node;
      const removed: Block[] = [];
      for (let at = chain.tip; ; at = (await chain.getEntryByHeight(at.height - 1))!) {
        const block = at.height === 0 ? null : await chain.getBlock(at.hash);
        if (block === null) throw new RangeError(`a block of the best chain expected, got ${hash}`);
        removed.unshift(block);
        if (block.rhash() === hash) break;
      }
      const transactions = [...removed.flatMap((block) => block.txs.slice(1)), ...[...mempool.map.values()].map((entry) => entry.tx)];
      await chain.invalidate(internal(hash));
      this.#invalidated.set(hash, removed);
      // Unlike Core, bcoin empties the mempool here.
      this.#returned.push(...transactions);
      await this.#returnTransactions();
    });
  }

  /** Back into the mempool with them: bcoin forgets them when its mempool is empty. One that spends a lost coinbase can't come back. */
  async #returnTransactions(): Promise<void> {
    const transactions = this.#returned;
    if (transactions.length === 0) return;
    this.#returned = [];
    for (const transaction of transactions) await this.#node.mempool.addTX(transaction).catch(() => null);
    this.#node.rpc.refreshBlock();
  }

  /** Takes {@link invalidate} back: the blocks compete again. @param hash the one that was given to it */
  async reconsider(hash: string): Promise<void> {
    await this.#exclusive(async () => {
      const blocks = this.#invalidated.get(hash);
      if (blocks === undefined) throw new RangeError(`a block that was invalidated here expected, got ${hash}`);
      this.#invalidated.delete(hash);
      for (const block of blocks) {
        this.#node.chain.removeInvalid(internal(block.rhash()));
        // Whoever hands a block in again and again, as a pool does, may be first.
        await this.#node.chain.add(block).catch((error: { readonly reason?: string }) => {
          if (error.reason !== "duplicate") throw error;
        });
      }
    });
  }

  async stop(): Promise<void> {
    clearTimeout(this.#feedTimer);
    this.#feedTimer = undefined;
    await this.#queue;
    await this.#node.close();
  }
}

/** bcoin writes hashes as hex in internal order. */
const internal = (displayed: string): string => Buffer.from(displayed, "hex").reverse().toString("hex");
