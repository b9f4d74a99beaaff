/** A node and books in memory, strict about what may be asked of them, and a clock that stands still until a test moves it. */
import { assembleBlock, merkleRoot, NodeError, parseBlock, parseTransaction, reverseHex, sha256d } from "@openprime/bitcoin";
import type { FollowedNode } from "../../src/chain/index.js";
import type { ChainBlock, ChainBooks, ChainPosition, Connected, Disconnected, Outpoint } from "../../src/ledger/index.js";

export const POOL_SCRIPT = Uint8Array.of(0x51, 0x20, ...new Uint8Array(32).fill(7));
export const STRANGER = Uint8Array.of(0x51, 0x20, ...new Uint8Array(32).fill(9));

export interface ModelBlock {
  /** Display order. */
  readonly hash: string;
  readonly height: number;
  readonly parent: ModelBlock | undefined;
  readonly raw: Uint8Array;
}

export interface ModelOutput {
  readonly value: bigint;
  readonly script: Uint8Array;
}

export interface ModelContents {
  /** First byte of scriptSig after the push of the serial number: what `readPrimeId` of the model reads. */
  readonly primeId?: number;
  readonly outputs?: readonly ModelOutput[];
  readonly transactions?: readonly Uint8Array[];
}

/** Coinbases of the model: a push of 4 bytes that make it unlike all others, then the prime id. */
export const readPrimeId = (scriptSig: Uint8Array): number | undefined => scriptSig[5] || undefined;

export function transaction(inputs: readonly Outpoint[], outputs: readonly ModelOutput[], version = 1): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(version, 0, 0, 0, inputs.length)];
  for (const { txid, vout } of inputs) parts.push(txid, Uint8Array.of(vout, 0, 0, 0, 0, 255, 255, 255, 255));
  return finish(parts, outputs);
}

function coinbase(serial: number, primeId: number, outputs: readonly ModelOutput[]): Uint8Array {
  const push = Buffer.alloc(7, 4);
  push[0] = 6;
  push[1] = 4;
  push.writeUInt32LE(serial, 2);
  push[6] = primeId;
  return finish([Buffer.from(`0100000001${"00".repeat(32)}ffffffff`, "hex"), push, Buffer.alloc(4, 255)], outputs);
}

function finish(parts: Uint8Array[], outputs: readonly ModelOutput[]): Uint8Array {
  parts.push(Uint8Array.of(outputs.length));
  for (const { value, script } of outputs) {
    const amount = Buffer.alloc(8);
    amount.writeBigUInt64LE(value);
    parts.push(amount, Uint8Array.of(script.length), script);
  }
  parts.push(new Uint8Array(4));
  return new Uint8Array(Buffer.concat(parts));
}

export class ModelNode implements FollowedNode {
  readonly calls: string[] = [];
  /** Called before each answer; throws for a call that fails, and may change the chain. */
  before: (method: string) => void | Promise<void> = () => undefined;
  /** What rawBlock gives instead. */
  mangle: (raw: Uint8Array, hash: string) => Uint8Array = (raw) => raw;
  synchronising = false;
  tip: ModelBlock;
  #serial = 0;
  readonly #blocks = new Map<string, ModelBlock>();

  constructor(height = 0) {
    this.tip = this.#make(undefined, {});
    for (let i = 0; i < height; i++) this.mine();
  }

  /** A block that is not the tip. */
  make(parent: ModelBlock = this.tip, contents: ModelContents = {}): ModelBlock {
    return this.#make(parent, contents);
  }

  mine(contents: ModelContents = {}): ModelBlock {
    this.tip = this.make(this.tip, contents);
    return this.tip;
  }

  /** A branch after the block `depth` below the tip; the node goes over to it. */
  branch(depth: number, blocks: number): ModelBlock {
    let tip = this.at(this.tip.height - depth);
    for (let i = 0; i < blocks; i++) tip = this.make(tip);
    this.tip = tip;
    return tip;
  }

  /** The best chain's block at a height. */
  at(height: number): ModelBlock {
    let at: ModelBlock | undefined = this.tip;
    while (at !== undefined && at.height !== height) at = at.parent;
    if (at === undefined) throw new RangeError(`no block at height ${height}`);
    return at;
  }

  /** The node does not have it any longer. */
  forget(block: ModelBlock): void {
    this.#blocks.delete(block.hash);
  }

  async blockchainInfo(): ReturnType<FollowedNode["blockchainInfo"]> {
    await this.#called("blockchainInfo");
    return {
      chain: "regtest",
      blocks: this.tip.height,
      headers: 500,
      bestblockhash: this.tip.hash,
      difficulty: 1,
      mediantime: 0,
      initialblockdownload: this.synchronising,
    };
  }

  async blockHash(height: number): Promise<string> {
    await this.#called("blockHash");
    if (height < 0 || height > this.tip.height) throw new NodeError("rpc", "getblockhash", "Block height out of range", -8);
    return this.at(height).hash;
  }

  async rawBlock(hash: string): Promise<Uint8Array> {
    await this.#called("rawBlock");
    const block = this.#blocks.get(hash);
    if (block === undefined) throw new NodeError("rpc", "getblock", "Block not found", -5);
    return this.mangle(Uint8Array.from(block.raw), hash);
  }

  async #called(method: string): Promise<void> {
    this.calls.push(method);
    await this.before(method);
  }

  #make(parent: ModelBlock | undefined, { primeId = 0, outputs, transactions = [] }: ModelContents): ModelBlock {
    const first = coinbase(++this.#serial, primeId, outputs ?? [{ value: 50n, script: STRANGER }]);
    const header = Buffer.alloc(80);
    if (parent !== undefined) header.set(Buffer.from(parent.hash, "hex").reverse(), 4);
    header.set(merkleRoot([sha256d(first), ...transactions.map((raw) => parseTransaction(raw).txid)]), 36);
    const height = parent === undefined ? 0 : parent.height + 1;
    header.writeUInt32LE(1_700_000_000 + height, 68);
    header.writeUInt32LE(0x207fffff, 72);
    const block = { hash: reverseHex(sha256d(header)), height, parent, raw: assembleBlock(header, first, transactions) };
    this.#blocks.set(block.hash, block);
    return block;
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const nameOf = ({ txid, vout }: Outpoint): string => `${reverseHex(txid)}:${vout}`;

interface Row {
  readonly position: ChainPosition;
  readonly made: readonly string[];
  readonly spent: readonly string[];
  readonly outcome: Connected["outcome"];
}

/** Books that keep the pool's coins. A call may fail before its transaction commits, or after: then it is done all the same. */
export class ModelBooks implements ChainBooks {
  readonly calls: string[] = [];
  before: (method: string) => void | Promise<void> = () => undefined;
  after: (method: string) => void = () => undefined;
  readonly blocks: ChainBlock[] = [];
  rows: Row[] = [];
  readonly coins = new Set<string>();
  /** Prime ids of the pool's sessions. */
  readonly ours = new Set([1, 2, 3]);
  /** Blocks that sessions have handed in, display order, and whether they are theirs. */
  readonly claims = new Map<string, boolean>();
  #busy = false;

  cursor(): ChainPosition | undefined {
    return this.rows.at(-1)?.position;
  }

  isPoolScript(script: Uint8Array): boolean {
    return same(script, POOL_SCRIPT);
  }

  holds(outpoint: Outpoint): boolean {
    return this.coins.has(nameOf(outpoint));
  }

  begin(position: ChainPosition, before: readonly ChainPosition[]): Promise<void> {
    return this.#transact("begin", () => {
      if (this.rows.length > 0) throw new Error("begun already");
      for (const known of before) this.rows.push({ position: known, made: [], spent: [], outcome: "none" });
      this.rows.push({ position, made: [], spent: [], outcome: "none" });
    });
  }

  hashAt(height: number): Promise<Uint8Array | undefined> {
    return this.#transact("hashAt", () => this.rows.find(({ position }) => position.height === height)?.position.hash);
  }

  connect(block: ChainBlock): Promise<Connected> {
    return this.#transact("connect", () => {
      const { height, hash } = this.cursor()!;
      if (block.height !== height + 1 || !same(block.prevhash, hash)) throw new Error(`block ${block.height} does not follow the books'`);
      const paying = (txid: Uint8Array, outputs: ChainBlock["coinbase"]["outputs"]): string[] =>
        outputs.flatMap(({ script }, vout) => (this.isPoolScript(script) ? [nameOf({ txid, vout })] : []));
      const { coinbase, transactions } = block;
      const received = paying(coinbase.txid, coinbase.outputs);
      const made = [...received, ...transactions.flatMap(({ txid, outputs }) => paying(txid, outputs))];
      const spent = transactions.flatMap(({ spends }) => spends.map(nameOf));
      for (const coin of made) this.coins.add(coin);
      for (const coin of spent) if (!this.coins.delete(coin)) throw new Error(`${coin} is no coin of the pool's`);
      const outcome = received.length === 0 ? "none" : this.ours.has(coinbase.primeId ?? 0) ? "paid" : "receipt";
      this.rows.push({ position: { height: block.height, hash: block.hash }, made, spent, outcome });
      this.blocks.push(block);
      return { outcome, received: BigInt(received.length), paid: 0n, claimed: false };
    });
  }

  claimedReceipts(): Promise<ChainPosition[]> {
    return this.#transact("claimedReceipts", () =>
      this.rows.flatMap(({ position, outcome }) => (outcome === "receipt" && this.claims.has(reverseHex(position.hash)) ? [position] : [])),
    );
  }

  attribute({ hash, height, prevhash }: ChainBlock): Promise<Connected | undefined> {
    return this.#transact("attribute", () => {
      const place = this.rows.findIndex(({ position }) => same(position.hash, hash) && position.height === height);
      const row = this.rows[place];
      if (row?.outcome !== "receipt" || !same(this.rows[place - 1]!.position.hash, prevhash)) return undefined;
      const outcome = this.claims.get(reverseHex(hash)) === true ? "paid" : "receipt";
      this.rows[place] = { ...row, outcome };
      return { outcome, received: 1n, paid: 0n, claimed: outcome === "paid" };
    });
  }

  disconnect(): Promise<Disconnected> {
    return this.#transact("disconnect", () => {
      if (this.rows.length < 2) throw new Error("the first block can't be taken back");
      const { made, spent, outcome } = this.rows.pop()!;
      for (const coin of spent) this.coins.add(coin);
      for (const coin of made) this.coins.delete(coin);
      return { reversed: made.length, poolBlock: outcome === "paid" };
    });
  }

  /** The followed chain's hashes from the first block on, display order. */
  chain(): string[] {
    return this.rows.map(({ position }) => reverseHex(position.hash));
  }

  async #transact<T>(method: string, change: () => T): Promise<T> {
    if (this.#busy) throw new Error(`${method} while another call is under way`);
    this.#busy = true;
    try {
      this.calls.push(method);
      await this.before(method);
      const result = change();
      this.after(method);
      return result;
    } finally {
      this.#busy = false;
    }
  }
}

/** What the books should hold after `first` on the node's chain, worked out from whole parsed blocks. */
export function expectedBooks(node: ModelNode, first: number): { chain: string[]; coins: string[] } {
  const chain: string[] = [];
  const coins = new Set<string>();
  for (let height = first; height <= node.tip.height; height++) {
    const block = node.at(height);
    chain.push(block.hash);
    if (height === first) continue;
    for (const raw of parseBlock(block.raw).transactions) {
      const { txid, inputs, outputs } = parseTransaction(raw);
      for (const input of inputs) coins.delete(nameOf({ txid: input.previousTxid, vout: input.previousIndex }));
      for (const [vout, { script }] of outputs.entries()) if (same(script, POOL_SCRIPT)) coins.add(nameOf({ txid, vout }));
    }
  }
  return { chain, coins: [...coins].sort() };
}

/** The follower's pauses: they end when a test says so, or when the follower is poked. */
export class Pauses {
  /** Milliseconds of each pause so far. */
  readonly taken: number[] = [];
  /** A steady clock; a pause that is let go moves it on. */
  now = 0;
  #end: (() => void) | undefined;
  #arrived: (() => void) | undefined;

  readonly delay = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.taken.push(ms);
      signal.addEventListener("abort", () => {
        this.#end = undefined;
        reject(signal.reason);
      });
      this.#end = () => {
        this.#end = undefined;
        this.now += ms;
        resolve();
      };
      this.#arrived?.();
    });

  /** Waits until the follower pauses, if it does not now. @returns milliseconds of the pause */
  async reached(): Promise<number> {
    if (this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    this.#arrived = undefined;
    return this.taken.at(-1)!;
  }

  /** Lets the time of the present pause pass. */
  pass(): void {
    this.#end?.();
  }
}
