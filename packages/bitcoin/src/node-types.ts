/**
 * Answers of a Bitcoin node's RPC that a pool uses, under the node's own field names. Hashes are hex in display order; what nodes spell
 * differently (Core's hex bits, bcoin's numbers and nulls) is made one; satoshis are bigint.
 */
import { MAX_BLOCK_WEIGHT } from "./block.js";
import { NodeError } from "./errors.js";

export interface BlockchainInfo {
  /** main, test, testnet4, signet or regtest. */
  readonly chain: string;
  /** Height of the tip. */
  readonly blocks: number;
  /** Height of the best header; more than `blocks` while catching up. */
  readonly headers: number;
  readonly bestblockhash: string;
  /** Work of the chain up to the tip, hex; undefined where the node doesn't tell. */
  readonly chainwork?: string | undefined;
  /** Relative to 0x00000000ffff… on every network. */
  readonly difficulty: number;
  /** Median time past of the tip, seconds. */
  readonly mediantime: number;
  /** False where the node doesn't tell. */
  readonly initialblockdownload: boolean;
}

export interface NetworkInfo {
  /** User agent, e.g. `/Satoshi:29.0.0/`. */
  readonly subversion: string;
  readonly connections: number;
}

export interface BlockHeaderInfo {
  readonly hash: string;
  /** -1 in Core for a block off the best chain; bcoin counts on. */
  readonly confirmations: number;
  readonly height: number;
  readonly version: number;
  readonly merkleroot: string;
  readonly time: number;
  /** Median time past of this block, seconds. */
  readonly mediantime: number;
  /** Compact target, u32. */
  readonly bits: number;
  /** Work of the chain up to this block, hex; undefined where the node doesn't tell. */
  readonly chainwork?: string | undefined;
  /** Undefined for the genesis block. */
  readonly previousblockhash: string | undefined;
  /** Undefined at the tip. */
  readonly nextblockhash: string | undefined;
}

export interface BlockInfo extends BlockHeaderInfo {
  /** Txids, the coinbase's first. */
  readonly tx: readonly string[];
}

export interface TemplateTransaction {
  /** Raw transaction with witness, hex. */
  readonly data: string;
  readonly txid: string;
  /** The wtxid. */
  readonly hash: string;
  /** Satoshis. */
  readonly fee: bigint;
  readonly sigops: number;
  readonly weight: number;
}

export interface BlockTemplate {
  readonly version: number;
  readonly previousblockhash: string;
  readonly transactions: readonly TemplateTransaction[];
  /** Subsidy and fees, satoshis. */
  readonly coinbasevalue: bigint;
  readonly mintime: number;
  readonly curtime: number;
  /** Compact target, u32. */
  readonly bits: number;
  readonly height: number;
  /** Script of the witness commitment, hex; undefined before segwit. */
  readonly default_witness_commitment: string | undefined;
  readonly sizelimit: number;
  /** Consensus's 4,000,000 where the node doesn't tell (before segwit). */
  readonly weightlimit: number;
  readonly sigoplimit: number;
  readonly longpollid: string | undefined;
}

/** Takes typed fields out of one answer; the wrong type is a NodeError `badResponse` that names the field. */
class Fields {
  readonly #method: string;
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(method: string, value: unknown) {
    this.#method = method;
    if (typeof value !== "object" || value === null)
      throw new NodeError("badResponse", method, `expected an object, got ${describe(value)}`);
    this.#value = value as Readonly<Record<string, unknown>>;
  }

  get all(): Readonly<Record<string, unknown>> {
    return this.#value;
  }

  string(name: string): string {
    const value = this.#value[name];
    return typeof value === "string" ? value : this.#refuse(name, "a string");
  }

  optionalString(name: string): string | undefined {
    return this.#value[name] === undefined || this.#value[name] === null ? undefined : this.string(name);
  }

  number(name: string): number {
    const value = this.#value[name];
    return typeof value === "number" ? value : this.#refuse(name, "a number");
  }

  optionalNumber(name: string): number | undefined {
    return this.#value[name] === undefined ? undefined : this.number(name);
  }

  /** Whole satoshis. */
  satoshis(name: string): bigint {
    const value = this.number(name);
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : this.#refuse(name, "whole satoshis");
  }

  /** A compact target: eight hex digits (Core) or a number (bcoin). */
  bits(name: string): number {
    const value = this.#value[name];
    if (typeof value === "number" && Number.isInteger(value)) return value >>> 0;
    return typeof value === "string" && /^[0-9a-f]{8}$/i.test(value) ? Number.parseInt(value, 16) : this.#refuse(name, "a compact target");
  }

  flag(name: string): boolean {
    return this.#value[name] === true;
  }

  list<T>(name: string, read: (item: unknown) => T): T[] {
    const value = this.#value[name];
    return Array.isArray(value) ? value.map(read) : this.#refuse(name, "a list");
  }

  #refuse(name: string, expected: string): never {
    throw new NodeError("badResponse", this.#method, `expected ${expected} as ${name}, got ${describe(this.#value[name])}`);
  }
}

/** An answer's kind in a few words: contents could be megabytes. */
function describe(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : typeof value;
}

export function readBlockchainInfo(method: string, value: unknown): BlockchainInfo {
  const fields = new Fields(method, value);
  return {
    chain: fields.string("chain"),
    blocks: fields.number("blocks"),
    headers: fields.number("headers"),
    bestblockhash: fields.string("bestblockhash"),
    chainwork: fields.optionalString("chainwork"),
    difficulty: fields.number("difficulty"),
    mediantime: fields.number("mediantime"),
    initialblockdownload: fields.flag("initialblockdownload"),
  };
}

export function readNetworkInfo(method: string, value: unknown): NetworkInfo {
  const fields = new Fields(method, value);
  return { subversion: fields.string("subversion"), connections: fields.number("connections") };
}

export function readBlockHeader(method: string, value: unknown): BlockHeaderInfo {
  const fields = new Fields(method, value);
  return {
    hash: fields.string("hash"),
    confirmations: fields.number("confirmations"),
    height: fields.number("height"),
    version: fields.number("version"),
    merkleroot: fields.string("merkleroot"),
    time: fields.number("time"),
    mediantime: fields.number("mediantime"),
    bits: fields.bits("bits"),
    chainwork: fields.optionalString("chainwork"),
    previousblockhash: fields.optionalString("previousblockhash"),
    nextblockhash: fields.optionalString("nextblockhash"),
  };
}

export function readBlock(method: string, value: unknown): BlockInfo {
  return { ...readBlockHeader(method, value), tx: new Fields(method, value).list("tx", (item) => readText(method, item)) };
}

export function readBlockTemplate(method: string, value: unknown): BlockTemplate {
  const fields = new Fields(method, value);
  return {
    version: fields.number("version"),
    previousblockhash: fields.string("previousblockhash"),
    transactions: fields.list("transactions", (item) => readTemplateTransaction(method, item)),
    coinbasevalue: fields.satoshis("coinbasevalue"),
    mintime: fields.number("mintime"),
    curtime: fields.number("curtime"),
    bits: fields.bits("bits"),
    height: fields.number("height"),
    default_witness_commitment: fields.optionalString("default_witness_commitment"),
    sizelimit: fields.number("sizelimit"),
    weightlimit: fields.optionalNumber("weightlimit") ?? MAX_BLOCK_WEIGHT,
    sigoplimit: fields.number("sigoplimit"),
    longpollid: fields.optionalString("longpollid"),
  };
}

function readTemplateTransaction(method: string, value: unknown): TemplateTransaction {
  const fields = new Fields(method, value);
  return {
    data: fields.string("data"),
    txid: fields.string("txid"),
    hash: fields.string("hash"),
    fee: fields.satoshis("fee"),
    sigops: fields.number("sigops"),
    weight: fields.number("weight"),
  };
}

/** Bitcoins as a JSON number → whole satoshis: all amounts have fewer digits than a double holds. */
const COIN = 100_000_000;

/**
 * Fee of a mempool entry, satoshis, as the miner gets it: Core's `fees.base`, in older nodes and bcoin `fee`.
 *
 * @throws NodeError `badResponse`
 */
export function readEntryFee(method: string, value: unknown): bigint {
  const { fees, fee } = new Fields(method, value).all as { readonly fees?: { readonly base?: unknown } | null; readonly fee?: unknown };
  const coins = fees?.base ?? fee;
  const satoshis = typeof coins === "number" ? Math.round(coins * COIN) : Number.NaN;
  if (Number.isSafeInteger(satoshis) && satoshis >= 0) return BigInt(satoshis);
  throw new NodeError("badResponse", method, `expected bitcoins as fees.base or fee, got ${describe(coins)}`);
}

export function readTexts(method: string, value: unknown): string[] {
  if (!Array.isArray(value)) throw new NodeError("badResponse", method, `expected a list, got ${describe(value)}`);
  for (const item of value) readText(method, item);
  return value as string[];
}

/** Bytes that the node spells as hex. */
export function readBytes(method: string, value: unknown): Uint8Array {
  const hex = readText(method, value);
  const bytes = Buffer.from(hex, "hex");
  // Buffer.from stops without a word at the first character that is no hex.
  if (bytes.length * 2 !== hex.length) throw new NodeError("badResponse", method, "expected hex, got other characters");
  return new Uint8Array(bytes);
}

export function readText(method: string, value: unknown): string {
  if (typeof value !== "string") throw new NodeError("badResponse", method, `expected a string, got ${describe(value)}`);
  return value;
}
