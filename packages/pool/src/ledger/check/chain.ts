/** The part of the check that asks the node: the followed chain, coinbases against postings, and coins against the UTXO set. */
import type { Pool } from "pg";
import { inSlices } from "../slices.js";
import { FIND_COIN } from "./queries.js";
import { postedSums, type ScriptsByEntry, unequal } from "./settlements.js";
import type { CoinbaseEntry, MoneySnapshot, PoolScript } from "./snapshot.js";
import { count, hashText, hex } from "./text.js";
import type { ChainReader, MoneyDifference, ReadCoinbase } from "./types.js";

export interface ChainFindings {
  readonly differences: MoneyDifference[];
  readonly notes: string[];
}

export interface ChainCheckModules {
  readonly pool: Pool;
  readonly reader: ChainReader;
  /** The pool's scripts as each block's settlement has them. */
  readonly scripts: ScriptsByEntry;
}

/** @param scan read every block since the books began, not only those that the books know */
export async function chainDifferences(snapshot: MoneySnapshot, modules: ChainCheckModules, scan: boolean): Promise<ChainFindings> {
  const { cursor } = snapshot;
  if (cursor === undefined) return { differences: [], notes: ["the books have not begun to follow the chain"] };
  const check = new ChainCheck(snapshot, cursor.height, modules);
  const tip = await modules.reader.tip();
  await check.followedChain(tip.height);
  await check.coinbases();
  if (scan) await check.everyBlock();
  // Coins that are gone may be spent in blocks that the books have not come to.
  await check.coins(async () => hashText((await modules.reader.tip()).hash) === hashText(cursor.hash));
  await check.unknownCoins();
  return check;
}

class ChainCheck implements ChainFindings {
  readonly differences: MoneyDifference[] = [];
  readonly notes: string[] = [];

  constructor(
    private readonly snapshot: MoneySnapshot,
    private readonly height: number,
    private readonly modules: ChainCheckModules,
  ) {}

  async followedChain(tip: number): Promise<void> {
    if (tip > this.height) this.notes.push(`the books are at height ${this.height}, ${count(tip - this.height, "block")} behind the node`);
    if (tip < this.height) this.notes.push(`the node is at height ${tip}, ${count(this.height - tip, "block")} behind the books`);
    for (const { height, hash } of this.snapshot.rows) {
      const best = await this.modules.reader.hashAt(height);
      if (best === undefined || Buffer.compare(best, hash) === 0) continue;
      this.#differs(
        "chain",
        `height ${height}`,
        `the books follow block ${hashText(hash)} at height ${height}, the node's best chain has ${hashText(best)} there`,
      );
    }
  }

  /** What each known coinbase paid, read again. */
  async coinbases(): Promise<void> {
    const missing: CoinbaseEntry[] = [];
    for (const entry of this.snapshot.coinbaseEntries) {
      const coinbase = await this.modules.reader.coinbase(entry.hash);
      if (coinbase === undefined) missing.push(entry);
      else if (entry.kind === "block") await this.#block(entry, coinbase);
      else await this.#receipt(entry, coinbase);
    }
    const [first] = missing;
    if (first === undefined) return;
    this.notes.push(
      `the node does not have ${count(missing.length, "block")} of the books any more (from height ${first.height}): not read again`,
    );
  }

  async #block({ id, hash, at }: CoinbaseEntry, coinbase: ReadCoinbase): Promise<void> {
    const scripts = this.modules.scripts.get(id) ?? new Set(this.#scriptsAt(at).map(({ script }) => hex(script)));
    const paid = new Map<string, bigint>();
    let received = 0n;
    for (const { script, value } of coinbase.outputs) {
      const key = hex(script);
      if (scripts.has(key)) received += value;
      else if (value > 0n) paid.set(key, (paid.get(key) ?? 0n) + value);
    }
    const posted = await postedSums(this.modules.pool, id);
    const where = `entry ${id}: the coinbase of block ${hashText(hash)}`;
    if (posted.received !== received) {
      this.#differs("received", `entry ${id}`, `${where} pays ${received} to the pool, the postings have ${posted.received}`);
    }
    for (const { key, expected, found } of await inSlices(unequal(paid, posted.paid))) {
      this.#differs("paid", `entry ${id} ${key}`, `${where} pays ${expected} to script ${key}, the postings have ${found}`);
    }
  }

  async #receipt({ id, hash, at }: CoinbaseEntry, coinbase: ReadCoinbase): Promise<void> {
    const posted = await postedSums(this.modules.pool, id);
    // A script may have become the pool's later than this receipt.
    const sums = [this.#scriptsAt(at), this.snapshot.scripts].map((scripts) => sumTo(scripts, coinbase));
    const message = `entry ${id}: the coinbase of block ${hashText(hash)} pays ${sums[0]} to the pool, the postings have ${posted.received}`;
    if (!sums.includes(posted.received)) this.#differs("received", `entry ${id}`, message);
    if (posted.unattributed !== posted.received) {
      const wrong = `entry ${id}: the receipt of ${posted.received} should be unattributed, of that book the postings have ${posted.unattributed}`;
      this.#differs("received", `entry ${id} unattributed`, wrong);
    }
  }

  /** Every block since the beginning that pays the pool has its entry. */
  async everyBlock(): Promise<void> {
    const known = new Set(this.snapshot.coinbaseEntries.map(({ hash }) => hashText(hash)));
    let unread = 0;
    for (let height = (this.snapshot.begin ?? 0) + 1; height <= this.height; height++) {
      const hash = await this.modules.reader.hashAt(height);
      if (hash === undefined) return;
      if (known.has(hashText(hash))) continue;
      const coinbase = await this.modules.reader.coinbase(hash);
      if (coinbase === undefined) {
        unread++;
        continue;
      }
      const paying = this.snapshot.scripts.filter((script) => sumTo([script], coinbase) > 0n);
      if (paying.length === 0) continue;
      const sum = sumTo(paying, coinbase);
      const message = `block ${hashText(hash)} at height ${height} pays ${sum} to the pool`;
      if (paying.some((script) => this.#wasPools(script, coinbase.time))) {
        this.#differs("booked", `block ${hashText(hash)}`, `${message} and should have one entry, it has none`);
      } else this.notes.push(`${message}, from before the script was the pool's`);
    }
    if (unread > 0) this.notes.push(`the node does not have ${count(unread, "block")} since the books began: not scanned`);
  }

  /** Each unspent coin of the books is the node's too. */
  async coins(atTip: () => Promise<boolean>): Promise<void> {
    const gone: string[] = [];
    const before = await atTip();
    for (const coin of this.snapshot.unspent) {
      const name = `${hashText(coin.txid)}:${coin.vout}`;
      const found = await this.modules.reader.unspent(coin);
      if (found === undefined) gone.push(name);
      else if (found.value !== coin.value || Buffer.compare(found.script, coin.script) !== 0) {
        const message = `coin ${name} should have ${coin.value} for script ${hex(coin.script)}, the node has ${found.value} for ${hex(found.script)}`;
        this.#differs("coin", name, message);
      }
    }
    if (gone.length === 0) return;
    if (before && (await atTip())) {
      for (const name of gone) {
        this.#differs("coin", name, `coin ${name} should be unspent, at height ${this.height} the node does not have it`);
      }
    } else this.notes.push(`${count(gone.length, "coin")} of the books may be spent in blocks that they have not come to: ${gone[0]}`);
  }

  /** Each unspent output of the pool's scripts that the node has is a coin of the books. */
  async unknownCoins(): Promise<void> {
    const { scripts, unspent, begin = 0 } = this.snapshot;
    const scan = await this.modules.reader.scan(scripts.map(({ script }) => script));
    if (typeof scan === "string") {
      this.notes.push(`unspent outputs of the pool's scripts that the books do not know were not looked for: ${scan}`);
      return;
    }
    const known = new Set(unspent.map(({ txid, vout }) => `${hashText(txid)}:${vout}`));
    let earlier = 0n;
    for (const output of scan.outputs) {
      const name = `${hashText(output.txid)}:${output.vout}`;
      // The books keep no coins worth nothing, which anyone can make.
      if (output.value === 0n || known.has(name) || output.height > this.height) continue;
      if (output.height <= begin || (await this.#isFromBefore(output.script, output.height))) {
        earlier += output.value;
        continue;
      }
      const { rows } = await this.modules.pool.query<{ spent_by: Buffer | null }>(FIND_COIN, [Buffer.from(output.txid), output.vout]);
      const spender = rows[0]?.spent_by;
      const where = `the node has output ${name} of ${output.value} at height ${output.height} unspent`;
      if (rows.length === 0) this.#differs("coinUnknown", name, `${where}, the books do not know it`);
      else if (spender !== null && spender !== undefined && scan.height >= this.height) {
        this.#differs("coinUnknown", name, `${where}, in the books ${hashText(spender)} spends it`);
      }
    }
    if (earlier > 0n) this.notes.push(`the pool's scripts hold ${earlier} from before the books began, which they leave out`);
  }

  /** Whether an output is older than its script's time as the pool's. */
  async #isFromBefore(script: Uint8Array, height: number): Promise<boolean> {
    const owner = this.snapshot.scripts.find((one) => Buffer.compare(one.script, script) === 0);
    if (owner === undefined || owner === this.snapshot.scripts[0]) return false;
    const hash = await this.modules.reader.hashAt(height);
    const coinbase = hash === undefined ? undefined : await this.modules.reader.coinbase(hash);
    return coinbase !== undefined && !this.#wasPools(owner, coinbase.time);
  }

  /** The first script is the pool's from the beginning, a later one since it came. @param time seconds */
  #wasPools(script: PoolScript, time: number): boolean {
    return script === this.snapshot.scripts[0] || script.since.getTime() <= time * 1000;
  }

  #scriptsAt(at: Date): PoolScript[] {
    return this.snapshot.scripts.filter((script) => this.#wasPools(script, at.getTime() / 1000));
  }

  #differs(kind: MoneyDifference["kind"], subject: string, message: string): void {
    this.differences.push({ kind, subject, message });
  }
}

function sumTo(scripts: readonly PoolScript[], { outputs }: ReadCoinbase): bigint {
  const keys = new Set(scripts.map(({ script }) => hex(script)));
  return outputs.reduce((sum, { script, value }) => (keys.has(hex(script)) ? sum + value : sum), 0n);
}
