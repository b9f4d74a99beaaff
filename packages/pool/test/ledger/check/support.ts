/** Books with a little of everything, written straight into the tables, and a chain that agrees with them. */
import { gzipSync } from "node:zlib";
import type {
  ChainPosition,
  ChainReader,
  Database,
  Outpoint,
  ReadCoinbase,
  SplitOutput,
  UnspentOutput,
  UnspentScan,
} from "../../../src/ledger/index.js";
import { encodeSettlement, type Settlement, type SettlementLine } from "../../../src/proofs/index.js";
import { hash, OPERATOR, script } from "../support.js";

export const BEGIN = 100;
export const TIP = 110;
/** The chain's block at a height; `branch` tells blocks of other branches apart. */
export const blockHash = (height: number, branch = ""): Uint8Array => hash(`block ${height}${branch}`);
export const txid = (name: string): Uint8Array => hash(`tx ${name}`);

export const coinbaseTxid = (id: Uint8Array): Uint8Array => hash(`coinbase ${Buffer.from(id).toString("hex")}`);

const key = ({ txid: id, vout }: Outpoint): string => `${Buffer.from(id).toString("hex")}:${vout}`;

/** A node's chain, in memory. */
export class FakeChain implements ChainReader {
  readonly hashes = new Map<number, Uint8Array>();
  readonly coinbases = new Map<string, ReadCoinbase>();
  readonly utxo = new Map<string, UnspentOutput & Outpoint>();
  /** What `scan` says instead of looking. */
  scanRefusal: string | undefined;
  /** Runs before each answer of `tip`. */
  onTip: (() => void | Promise<void>) | undefined;

  constructor() {
    for (let height = 0; height <= TIP; height++) this.mine(height, blockHash(height), []);
  }

  mine(height: number, id: Uint8Array, outputs: readonly SplitOutput[]): void {
    this.hashes.set(height, id);
    this.coinbases.set(Buffer.from(id).toString("hex"), {
      txid: coinbaseTxid(id),
      outputs,
      time: 4_000_000_000,
    });
  }

  /** The coinbase of a block, as it stands. */
  coinbaseOf(id: Uint8Array): ReadCoinbase {
    return this.coinbases.get(Buffer.from(id).toString("hex")) as ReadCoinbase;
  }

  add(coin: UnspentOutput & Outpoint): void {
    this.utxo.set(key(coin), coin);
  }

  spend(coin: Outpoint): void {
    this.utxo.delete(key(coin));
  }

  async tip(): Promise<ChainPosition> {
    await this.onTip?.();
    const height = Math.max(...this.hashes.keys());
    return { height, hash: this.hashes.get(height) as Uint8Array };
  }

  async hashAt(height: number): Promise<Uint8Array | undefined> {
    return this.hashes.get(height);
  }

  async coinbase(id: Uint8Array): Promise<ReadCoinbase | undefined> {
    return this.coinbases.get(Buffer.from(id).toString("hex"));
  }

  async unspent(outpoint: Outpoint): Promise<SplitOutput | undefined> {
    return this.utxo.get(key(outpoint));
  }

  async scan(scripts: readonly Uint8Array[]): Promise<UnspentScan | string> {
    if (this.scanRefusal !== undefined) return this.scanRefusal;
    const outputs = [...this.utxo.values()].filter((coin) => scripts.some((one) => Buffer.compare(one, coin.script) === 0));
    return { height: (await this.tip()).height, outputs };
  }
}

type Posting = readonly [book: "balance" | "coins" | "unattributed", account: Uint8Array | undefined, reason: string, amount: bigint];

/** What a block of the pool divides. */
interface Divided {
  readonly earned: readonly (readonly [Uint8Array, bigint])[];
  readonly fee: bigint;
  readonly paid: readonly (readonly [Uint8Array, bigint])[];
  readonly received: bigint;
}

/** Writes entries as the ledger does, and mines what they say. */
export class BookWriter {
  readonly #balances = new Map<string, bigint>();
  /** Accounts by script. */
  readonly #ids = new Map<string, number>();
  #entry = 0;
  #settlement = 0;
  #previous: Uint8Array = new Uint8Array(32);

  constructor(
    readonly database: Database,
    readonly chain: FakeChain,
  ) {}

  /** The whole set-up: a block of the pool, one that was orphaned and its successor, a receipt, a payout. */
  static async write(database: Database, chain: FakeChain): Promise<void> {
    const writer = new BookWriter(database, chain);
    await writer.#accounts();
    const first = await writer.#block(blockHash(103), 103, {
      earned: [
        [script(1), 600n],
        [script(2), 250n],
        [script(3), 140n],
      ],
      fee: 10n,
      paid: [
        [script(1), 600n],
        [script(2), 250n],
      ],
      received: 150n,
    });
    const divided: Divided = {
      earned: [
        [script(1), 500n],
        [script(3), 480n],
      ],
      fee: 20n,
      paid: [[script(3), 480n]],
      received: 520n,
    };
    await writer.#orphan(divided);
    await writer.#block(blockHash(105), 105, divided);
    await writer.#receipt(106, 77n);
    await writer.#payout(107, first);
    await writer.#finish();
  }

  async #accounts(): Promise<void> {
    const { pool } = this.database;
    for (const one of [OPERATOR, script(1), script(2), script(3)]) {
      const { rows } = await pool.query<{ id: number }>("INSERT INTO accounts (script, kind, address) VALUES ($1, $2, '') RETURNING id", [
        Buffer.from(one),
        one === OPERATOR ? "operator" : "miner",
      ]);
      this.#ids.set(Buffer.from(one).toString("hex"), rows[0]?.id ?? 0);
    }
    await pool.query("INSERT INTO pool_scripts (script, account) SELECT script, id FROM accounts WHERE kind = 'operator'");
    for (let height = BEGIN; height <= TIP; height++) {
      await pool.query("INSERT INTO chain (height, hash, read) VALUES ($1, $2, $3)", [
        height,
        Buffer.from(blockHash(height)),
        height > BEGIN,
      ]);
    }
  }

  async #block(id: Uint8Array, height: number, divided: Divided): Promise<Outpoint> {
    const outputs = [
      { script: OPERATOR, value: divided.received },
      ...divided.paid.map(([payee, value]) => ({ script: payee, value })),
      { script: Uint8Array.of(0x6a, 0), value: 0n },
    ];
    this.chain.mine(height, id, outputs);
    const before = new Map(this.#balances);
    const entry = await this.#post("block", { block: id, height }, postings(divided, 1n));
    await this.#settle("settlement", entry, id, height, divided, before);
    const coin = { txid: this.chain.coinbaseOf(id).txid, vout: 0, script: OPERATOR, value: divided.received, height };
    await this.#coin(coin, true);
    return coin;
  }

  async #orphan(divided: Divided): Promise<void> {
    const id = blockHash(105, " orphan");
    const coin = await this.#block(id, 105, divided);
    const before = new Map(this.#balances);
    const entry = await this.#post("reversal", { block: id, height: 105, reverses: this.#entry }, postings(divided, -1n));
    await this.#settle("reversal", entry, id, 105, divided, before);
    await this.database.pool.query("DELETE FROM coins WHERE txid = $1", [Buffer.from(coin.txid)]);
    this.chain.spend(coin);
  }

  async #receipt(height: number, value: bigint): Promise<void> {
    this.chain.mine(height, blockHash(height), [{ script: OPERATOR, value }]);
    await this.#post("receipt", { block: blockHash(height), height }, [
      ["unattributed", undefined, "received", value],
      ["coins", undefined, "received", -value],
    ]);
    await this.#coin({ txid: this.chain.coinbaseOf(blockHash(height)).txid, vout: 0, script: OPERATOR, value, height }, true);
  }

  /** The first block's coin of 150: 100 to an account, 40 back to the pool, 10 to miners. */
  async #payout(height: number, coin: Outpoint): Promise<void> {
    const id = txid("payout");
    await this.#post("spend", { block: blockHash(height), height, txid: id }, [
      ["coins", undefined, "spent", 150n],
      ["coins", undefined, "received", -40n],
      ["balance", script(3), "withdrawn", -100n],
      ["balance", OPERATOR, "withdrawn", -10n],
    ]);
    await this.database.pool.query("UPDATE coins SET spent_by = $1, spent_height = $2 WHERE txid = $3", [
      Buffer.from(id),
      height,
      Buffer.from(coin.txid),
    ]);
    this.chain.spend(coin);
    await this.#coin({ txid: id, vout: 1, script: OPERATOR, value: 40n, height }, false);
  }

  async #finish(): Promise<void> {
    const { pool } = this.database;
    for (const [name, balance] of this.#balances) {
      await pool.query(
        "INSERT INTO balances (account, balance, due_since, last_earned) SELECT id, $2, $3, $4 FROM accounts WHERE script = $1",
        [Buffer.from(name, "hex"), balance, balance >= 500n ? 4 : null, LAST_EARNED[name] ?? null],
      );
    }
    await pool.query("UPDATE money_state SET last_entry = $1, last_settlement = $2, settlement_hash = $3", [
      this.#entry,
      this.#settlement,
      Buffer.from(this.#previous),
    ]);
  }

  async #post(
    kind: string,
    { block, height, txid: id, reverses }: { block: Uint8Array; height: number; txid?: Uint8Array; reverses?: number },
    lines: readonly Posting[],
  ): Promise<number> {
    const { pool } = this.database;
    const entry = ++this.#entry;
    await pool.query("INSERT INTO entries (id, key, kind, reverses, block, height, txid, at) VALUES ($1, $2, $3, $4, $5, $6, $7, now())", [
      entry,
      `${kind}:${entry}`,
      kind,
      reverses ?? null,
      Buffer.from(block),
      height,
      id === undefined ? null : Buffer.from(id),
    ]);
    await pool.query(
      `INSERT INTO postings (entry, line, book, account, reason, amount)
       SELECT $1, r.* FROM unnest($2::int4[], $3::text[], $4::int4[], $5::text[], $6::int8[]) AS r`,
      [
        entry,
        lines.map((_, line) => line),
        lines.map(([book]) => book),
        lines.map(([, account]) => (account === undefined ? null : this.#ids.get(Buffer.from(account).toString("hex")))),
        lines.map(([, , reason]) => reason),
        lines.map(([, , , amount]) => amount),
      ],
    );
    for (const [, account, , amount] of lines) {
      if (account === undefined) continue;
      const name = Buffer.from(account).toString("hex");
      this.#balances.set(name, (this.#balances.get(name) ?? 0n) + amount);
    }
    return entry;
  }

  async #settle(
    kind: Settlement["kind"],
    entry: number,
    id: Uint8Array,
    height: number,
    divided: Divided,
    before: ReadonlyMap<string, bigint>,
  ): Promise<void> {
    const sign = kind === "settlement" ? 1n : -1n;
    const of = (list: Divided["paid"], one: Uint8Array): bigint => sign * (list.find(([account]) => account === one)?.[1] ?? 0n);
    const lines = [OPERATOR, ...[1, 2, 3].map((n) => divided.earned.find(([a]) => Buffer.compare(a, script(n)) === 0)?.[0] ?? script(n))]
      .map((account): SettlementLine => {
        const held = before.get(Buffer.from(account).toString("hex")) ?? 0n;
        const paid = sign * (divided.paid.find(([payee]) => Buffer.compare(payee, account) === 0)?.[1] ?? 0n);
        const earned = of(divided.earned, account);
        const fee = account === OPERATOR ? sign * divided.fee : 0n;
        return {
          account: this.#ids.get(Buffer.from(account).toString("hex")) ?? 0,
          script: account,
          weight: 0n,
          netWeight: 0n,
          before: held,
          earned,
          fee,
          paid,
          balance: held + earned + fee - paid,
        };
      })
      .sort((a, b) => Buffer.compare(a.script, b.script));
    const number = ++this.#settlement;
    const { text, hash: own } = encodeSettlement({
      number,
      kind,
      previous: this.#previous,
      network: "regtest",
      block: { hash: id, prevhash: blockHash(height - 1), height, bits: 0x207fffff, time: 1, coinbase: Uint8Array.of(1) },
      scheme: { name: "solo" },
      feePpm: 0,
      value: 1000n,
      received: divided.received,
      poolScripts: [OPERATOR],
      pin: 5n,
      split: undefined,
      finder: undefined,
      window: {
        size: 0n,
        weight: 0n,
        netWeight: 0n,
        denominator: 1n,
        firstSegment: 0,
        lastSegment: 0,
        logWeight: 0n,
        blockWeights: [],
        logHash: undefined,
      },
      entries: [],
      lines,
    });
    await this.database.pool.query(
      `INSERT INTO settlements (number, kind, block, height, pin, window_size, log_weight, entry, previous, hash, document)
       VALUES ($1, $2, $3, $4, 5, 0, 0, $5, $6, $7, $8)`,
      [number, kind, Buffer.from(id), height, entry, Buffer.from(this.#previous), Buffer.from(own), gzipSync(text)],
    );
    this.#previous = own;
  }

  async #coin(coin: UnspentOutput & Outpoint, coinbase: boolean): Promise<void> {
    await this.database.pool.query("INSERT INTO coins (txid, vout, script, value, height, coinbase) VALUES ($1, $2, $3, $4, $5, $6)", [
      Buffer.from(coin.txid),
      coin.vout,
      Buffer.from(coin.script),
      coin.value,
      coin.height,
      coinbase,
    ]);
    this.chain.add(coin);
  }
}

/** Heights of the blocks that the set-up leaves standing. */
const LAST_EARNED: Readonly<Record<string, number>> = Object.fromEntries(
  [[script(1), 105] as const, [script(2), 103] as const, [script(3), 105] as const].map(([account, height]) => [
    Buffer.from(account).toString("hex"),
    height,
  ]),
);

function postings({ earned, fee, paid, received }: Divided, sign: bigint): Posting[] {
  return [
    ...earned.map(([account, amount]): Posting => ["balance", account, "earned", sign * amount]),
    ...paid.map(([account, amount]): Posting => ["balance", account, "paid", -sign * amount]),
    ["balance", OPERATOR, "fee", sign * fee],
    ["coins", undefined, "received", -sign * received],
  ];
}
