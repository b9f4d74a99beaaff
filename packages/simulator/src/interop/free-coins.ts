/**
 * Coins that anyone may spend, and transactions of them: how a bitcoind without a wallet gets a mempool. Nothing is signed, for the coins'
 * script is OP_TRUE, behind a witness script hash so that nodes relay it and its transactions have witnesses.
 */
import { NETWORKS, type NodeClient, parseTransaction, scriptToAddress, sha256 } from "@openprime/bitcoin";
import { SimulatorError } from "../errors.js";

const WITNESS_SCRIPT = Uint8Array.of(0x51);
const SCRIPT = Uint8Array.of(0x00, 0x20, ...sha256(WITNESS_SCRIPT));
/** Coinbases that are divided, and the coins that each is divided into. */
const COINBASES = 3;
const PARTS = 1000;
const MATURITY = 100;
/** Satoshis. A part of a coinbase is millions. */
const FAN_OUT_FEE = 200_000n;
const LEAST_FEE = 300n;
const FEES = 20_000;

interface Coin {
  /** Internal order. */
  readonly txid: Uint8Array;
  readonly index: number;
  readonly value: bigint;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const count = (value: number): Buffer => (value < 0xfd ? Buffer.of(value) : Buffer.of(0xfd, value & 0xff, value >>> 8));

/** A transaction with its witness that divides one coin into equal parts. @param fee satoshis at least; what can't be divided goes with it */
function spend(coin: Coin, parts: number, fee: bigint): Uint8Array {
  const output = Buffer.concat([u64((coin.value - fee) / BigInt(parts)), count(SCRIPT.length), SCRIPT]);
  return new Uint8Array(
    Buffer.concat([
      u32(2),
      Buffer.of(0, 1, 1),
      coin.txid,
      u32(coin.index),
      Buffer.of(0),
      u32(0xffffffff),
      count(parts),
      ...Array.from({ length: parts }, () => output),
      Buffer.of(1, WITNESS_SCRIPT.length),
      WITNESS_SCRIPT,
      u32(0),
    ]),
  );
}

function coinsOf(raw: Uint8Array): Coin[] {
  const { txid, outputs } = parseTransaction(raw);
  return outputs.flatMap(({ value, script }, index) => (Buffer.from(script).equals(SCRIPT) ? [{ txid, index, value }] : []));
}

const hex = (raw: Uint8Array): string => Buffer.from(raw).toString("hex");

export class FreeCoins {
  /** Of transactions that every node was told of. */
  #coins: Coin[] = [];
  /** Of others: while no block has them, a node that does not know them takes nothing that spends them. */
  #hidden: Coin[] = [];

  /** Mines what is needed for thousands of coins, on a regtest node that mines when it is told to. */
  static async mine(node: NodeClient): Promise<FreeCoins> {
    const address = scriptToAddress(SCRIPT, NETWORKS.regtest);
    if (address === undefined) throw new SimulatorError("interopFailed", "no address for coins that anyone may spend");
    const coins = new FreeCoins();
    const hashes = await node.call<string[]>("generatetoaddress", [COINBASES + MATURITY, address]);
    for (const hash of hashes.slice(0, COINBASES)) {
      const { tx } = await node.block(hash);
      const coinbase = await node.call<string>("getrawtransaction", [tx[0], false, hash]);
      const [coin] = coinsOf(Buffer.from(coinbase, "hex"));
      if (coin === undefined) throw new SimulatorError("interopFailed", `block ${hash} does not pay who it was mined for`);
      const fanOut = spend(coin, PARTS, FAN_OUT_FEE);
      await node.call("sendrawtransaction", [hex(fanOut)]);
      coins.#coins.push(...coinsOf(fanOut));
    }
    await node.call("generatetoaddress", [1, address]);
    return coins;
  }

  /**
   * Transactions with fees of all sizes that nobody has been told of, raw. Each spends a coin of its own.
   *
   * @param hidden that not every node will be told of
   */
  make(howMany: number, hidden = false): Uint8Array[] {
    const old = hidden ? this.#hidden.splice(0, howMany) : [];
    const coins = [...old, ...this.#coins.splice(0, howMany - old.length)];
    if (howMany > coins.length) throw new RangeError(`at most ${coins.length} transactions expected, got ${howMany}`);
    return coins.map((coin) => {
      const raw = spend(coin, 1, LEAST_FEE + BigInt(Math.floor(Math.random() * FEES)));
      // Behind all others: nodes refuse long chains of transactions without a block between.
      (hidden ? this.#hidden : this.#coins).push(...coinsOf(raw));
      return raw;
    });
  }
}

/** Hands transactions to a node. @throws NodeError at the first that it refuses */
export async function sendTransactions(node: NodeClient, transactions: readonly Uint8Array[]): Promise<void> {
  for (const raw of transactions) await node.call("sendrawtransaction", [hex(raw)]);
}
