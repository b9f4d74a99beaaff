/** A block joins the followed chain, or is known there later for the pool's own: everything that it changes in the books, in one transaction. */

import type { Steps } from "../../proofs/index.js";
import { hashText } from "../check/text.js";
import { byteas, int4s, int8s } from "../columns.js";
import { KEYS_OF_BLOCK } from "../queries/money.js";
import {
  CHANGE_LIFE_AT,
  CHANGE_LIFE_UP_TO,
  HASH_AT,
  INSERT_CHAIN,
  INSERT_COINS,
  SET_LIFE,
  SET_PAID,
  SPEND_COINS,
  WAS_OFFERED,
} from "../queries/money-chain.js";
import { inSlices } from "../slices.js";
import type { SplitOutput } from "../types.js";
import type { BookContext, BookWriter } from "./book-context.js";
import { coinKey, readBlockWeights, readThresholds } from "./book-state.js";
import { type EntryKind, markDue, reversalOf, type StandingEntry, standingEntries } from "./entries.js";
import { blockPostings, receiptPostings, spendPostings } from "./postings.js";
import { type PoolBlock, paymentsToAccounts, type prepareBlock } from "./prepare-block.js";
import { type LineChange, NO_CHANGE, storeSettlement } from "./settlement.js";
import type { ChainBlock, ChainTransaction, Connected } from "./types.js";

/** From block h + 100 on a coinbase of block h can be spent (consensus: COINBASE_MATURITY): when block h + 99 has joined. */
export const MATURE_AFTER = 99;

export interface JoiningBlock {
  readonly block: ChainBlock;
  readonly prepared: Awaited<ReturnType<typeof prepareBlock>>;
  /** sha256 of the published log file of the pin's segment. */
  readonly logHash: Uint8Array | undefined;
}

export async function joinBlock(joining: JoiningBlock, writer: BookWriter, context: BookContext): Promise<Connected> {
  return new Joining(joining, writer, context).run();
}

/**
 * A block that joined as a receipt, and whose session has handed it in since: where it is the pool's, the receipt is taken back and the block booked in its
 * place. What its coins are does not change.
 *
 * @returns undefined, and nothing changes, when the followed chain has no such receipt (any more)
 */
export async function attributeBlock(joining: JoiningBlock, writer: BookWriter, context: BookContext): Promise<Connected | undefined> {
  const { height, hash } = joining.block;
  const { rows } = await writer.client.query<{ hash: Buffer }>(HASH_AT, [height]);
  if (rows[0]?.hash.equals(hash) !== true) return undefined;
  const receipt = (await standingEntries(writer.client, hash)).find(({ kind, txid }) => kind === "receipt" && txid === null);
  return receipt === undefined ? undefined : new Joining(joining, writer, context).attribute(receipt);
}

class Joining {
  /** How often each kind of entry of this block has been posted before. */
  #keys: readonly string[] = [];
  /** What the coinbase paid, by account. */
  readonly #paidByCoinbase = new Map<number, bigint>();

  constructor(
    private readonly joining: JoiningBlock,
    private readonly writer: BookWriter,
    private readonly context: BookContext,
  ) {}

  async run(): Promise<Connected> {
    const { block, prepared } = this.joining;
    const { client, draft } = this.writer;
    await client.query(INSERT_CHAIN, [block.height, Buffer.from(block.hash)]);
    draft.cursor = { height: block.height, hash: block.hash };
    await this.#read();
    await this.#makeCoins(block.coinbase.txid, block.coinbase.outputs, true);
    const connected =
      "foreign" in prepared ? await this.#foreign(prepared.foreign.received, prepared.foreign.why) : await this.#paid(prepared);
    for (const transaction of block.transactions) await this.#transaction(transaction);
    await client.query(CHANGE_LIFE_AT, [block.height - MATURE_AFTER, "paid", "mature"]);
    return connected;
  }

  /** @param receipt what stands for its coinbase */
  async attribute(receipt: StandingEntry): Promise<Connected> {
    const { block, prepared } = this.joining;
    const { client, draft } = this.writer;
    if ("foreign" in prepared) {
      await client.query(SET_LIFE, [Buffer.from(block.hash), "foreign"]);
      return { outcome: "receipt", received: prepared.foreign.received, paid: 0n, claimed: false };
    }
    await this.#read();
    await this.writer.post(await reversalOf(client, receipt, block.hash));
    const connected = await this.#paid(prepared);
    await client.query(CHANGE_LIFE_UP_TO, [Buffer.from(block.hash), (draft.cursor?.height ?? 0) - MATURE_AFTER, "paid", "mature"]);
    const { window } = this.context.scheme;
    // It is not the last block of the pool, perhaps.
    if (window.kind === "blocks") draft.blockWeights = await readBlockWeights(client, window.count);
    return connected;
  }

  /** What may have changed since the books were read: accounts' thresholds, by others; and the keys that this block has used. */
  async #read(): Promise<void> {
    const { client, draft } = this.writer;
    draft.thresholds = await readThresholds(client);
    draft.changeBalances(await markDue(client, this.context.options.threshold, draft.lastEntry));
    const { rows } = await client.query<{ key: string }>(KEYS_OF_BLOCK, [Buffer.from(this.joining.block.hash)]);
    this.#keys = rows.map(({ key }) => key);
  }

  async #foreign(received: bigint, why: string): Promise<Connected> {
    const { block } = this.joining;
    const { rowCount } = await this.writer.client.query(SET_LIFE, [Buffer.from(block.hash), "foreign"]);
    const lost = rowCount === 1 || (await this.#wasOffered());
    const fields = { height: block.height, hash: hashText(block.hash), received: String(received) };
    if (lost) {
      this.context.logger.error(
        fields,
        `a block that was handed in, or of a session that was given splits for its parent, earns the miners nothing: its coinbase ${why}`,
      );
    } else if (received > 0n) {
      this.context.logger.warn(fields, `a block pays the pool and is no block of the pool's: its coinbase ${why}`);
    }
    const connected = { received, paid: 0n, claimed: false, ...(lost && { lost: true as const }) };
    if (received === 0n) return { outcome: "none", ...connected };
    await this.writer.post({ ...this.#entry("receipt"), postings: receiptPostings(received) });
    return { outcome: "receipt", ...connected };
  }

  async #wasOffered(): Promise<boolean> {
    const { prevhash, coinbase } = this.joining.block;
    if (coinbase.primeId === undefined) return false;
    const { rows } = await this.writer.client.query<{ offered: boolean }>(WAS_OFFERED, [coinbase.primeId, Buffer.from(prevhash)]);
    return rows[0]?.offered === true;
  }

  async #paid(prepared: PoolBlock): Promise<Connected> {
    const { attribution, value, earnings, paid } = prepared;
    const { received, claimed } = attribution;
    const { operator } = this.context.scripts;
    for (const { account, amount } of paid) this.#paidByCoinbase.set(account, amount);
    const postings = blockPostings({ received, paid, earnings, operator });
    const entry = await this.writer.post({ ...this.#entry("block"), postings });
    if (entry !== undefined) await this.#settle(entry, prepared);
    await this.#setLife(prepared);
    return { outcome: "paid", received, paid: value - received, claimed };
  }

  async #setLife({ attribution, value }: PoolBlock): Promise<void> {
    const { block } = this.joining;
    const { client } = this.writer;
    const { session, split, pin } = attribution;
    await client.query(SET_PAID, [
      Buffer.from(block.hash),
      Buffer.from(block.prevhash),
      block.height,
      Buffer.from(block.coinbase.raw),
      String(value),
      String(session),
      split === undefined ? null : String(split.id),
      String(pin),
      new Date(this.context.now()),
    ]);
  }

  async #settle(entry: bigint, prepared: PoolBlock): Promise<void> {
    const { block, logHash } = this.joining;
    const { options, scripts, directory } = this.context;
    const { client, draft, state, settled } = this.writer;
    const { attribution, scheme, window, blockWeights, value, feePpm, finder } = prepared;
    const { weights, size, logWeight, lastSegment } = window;
    if (finder !== undefined) await directory.load(client, [finder]);
    const number = await storeSettlement(
      {
        entry,
        facts: {
          kind: "settlement",
          network: options.network,
          block: { ...block, coinbase: block.coinbase.raw },
          scheme: scheme.options,
          feePpm,
          value,
          received: attribution.received,
          poolScripts: scripts.all,
          pin: attribution.pin,
          split: attribution.split,
          finder: finder === undefined ? undefined : directory.account(finder)?.script,
          window: {
            size,
            weight: weights.totalWeight,
            netWeight: weights.totalNetWeight,
            denominator: weights.denominator,
            firstSegment: weights.firstSegment ?? 0,
            lastSegment,
            logWeight,
            blockWeights,
            logHash,
          },
        },
        changes: await inSlices(changesOf(prepared, scripts.operator)),
        owing: draft.owing(),
        balance: (account) => draft.balance(account),
      },
      state,
      { client, directory },
    );
    settled.push(number);
    const { window: rule } = this.context.scheme;
    if (rule.kind === "blocks") draft.blockWeights = [...draft.blockWeights, logWeight].slice(-rule.count);
  }

  async #transaction({ txid, spends, outputs }: ChainTransaction): Promise<void> {
    const { client, draft } = this.writer;
    const { scripts } = this.context;
    const coins = spends.flatMap((outpoint) => {
      const coin = draft.coin(coinKey(outpoint));
      return coin === undefined ? [] : [{ ...outpoint, ...coin }];
    });
    await this.#makeCoins(txid, outputs, false);
    const received = scripts.received(outputs);
    if (coins.length === 0) {
      if (received > 0n) await this.writer.post({ ...this.#entry("receipt", txid), postings: receiptPostings(received) });
      return;
    }
    await client.query(SPEND_COINS, [
      Buffer.from(txid),
      this.joining.block.height,
      byteas(coins, (coin) => coin.txid),
      int4s(coins, ({ vout }) => vout),
    ]);
    for (const coin of coins) draft.setCoin(coinKey(coin), undefined);
    const postings = spendPostings({
      spent: coins.reduce((sum, { value }) => sum + value, 0n),
      change: received,
      payments: await paymentsToAccounts(
        client,
        outputs.filter(({ script }) => !scripts.has(script)),
      ),
      // A payout that a wallet sent before this block paid the same balance is the account's all the same: it owes what it got twice.
      balance: (account) => draft.balance(account) + (this.#paidByCoinbase.get(account) ?? 0n),
      operator: scripts.operator,
    });
    await this.writer.post({ ...this.#entry("spend", txid), postings });
  }

  async #makeCoins(txid: Uint8Array, outputs: readonly SplitOutput[], coinbase: boolean): Promise<void> {
    const { scripts } = this.context;
    const coins = outputs.flatMap(({ script, value }, vout) => (value > 0n && scripts.has(script) ? [{ txid, vout, script, value }] : []));
    if (coins.length === 0) return;
    await this.writer.client.query(INSERT_COINS, [
      Buffer.from(txid),
      this.joining.block.height,
      coinbase,
      int4s(coins, ({ vout }) => vout),
      byteas(coins, ({ script }) => script),
      int8s(coins, ({ value }) => value),
    ]);
    for (const coin of coins) this.writer.draft.setCoin(coinKey(coin), coin);
  }

  /** The block's n-th entry of that name: it may have joined and left before. */
  #entry(kind: EntryKind, txid?: Uint8Array): { key: string; kind: EntryKind; block: Uint8Array; height: number; txid?: Uint8Array } {
    const { hash, height } = this.joining.block;
    const name = `${kind}:${hashText(hash)}${txid === undefined ? "" : `:${hashText(txid)}`}:`;
    const before = this.#keys.filter((key) => key.startsWith(name) && /^\d+$/.test(key.slice(name.length))).length;
    return { key: `${name}${before + 1}`, kind, block: hash, height, ...(txid !== undefined && { txid }) };
  }
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** What the block did to each account that has a part in it. */
function* changesOf({ window, earnings, paid }: PoolBlock, operator: number): Steps<Map<number, LineChange>> {
  const changes = new Map<number, Writable<LineChange>>();
  const changeOf = (account: number): Writable<LineChange> => {
    let change = changes.get(account);
    if (change === undefined) {
      change = { ...NO_CHANGE };
      changes.set(account, change);
    }
    return change;
  };
  const { accounts, weights, netWeights } = window.weights;
  for (const [i, account] of accounts.entries()) {
    const change = changeOf(account);
    change.weight = weights[i] as bigint;
    change.netWeight = netWeights[i] as bigint;
    yield;
  }
  for (const [i, account] of earnings.accounts.entries()) {
    changeOf(account).earned = earnings.amounts[i] as bigint;
    yield;
  }
  for (const { account, amount } of paid) changeOf(account).paid = amount;
  changeOf(operator).fee = earnings.fee;
  return changes;
}
