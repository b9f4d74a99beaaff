/** The follower against a real full node (bcoin, regtest), with a proxy between them that can be cut. */
import { type Block, NodeClient, parseBlock, parseCoinbase, parseTransaction, reverseHex } from "@openprime/bitcoin";
import { RegtestNode } from "@openprime/simulator";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ChainFollower } from "../../src/chain/index.js";
import { NodeProxy } from "../pool/support/node-proxy.js";
import { ModelBooks } from "./follower-model.js";
import { logLines } from "./log-lines.js";

let node: RegtestNode;
let proxy: NodeProxy;
let client: NodeClient;
let direct: NodeClient;
let follower: ChainFollower;
const { log, saying } = logLines();

/** Books to which every script but OP_RETURN is the pool's, so that the node's own payments are full of its coins. */
class GreedyBooks extends ModelBooks {
  override isPoolScript(script: Uint8Array): boolean {
    return script[0] !== 0x6a;
  }
}
const books = new GreedyBooks();
/** What the node has to spend. */
const coinsAtStart = new Set<string>();

async function start(): Promise<void> {
  follower = new ChainFollower(
    { pollMs: 20, retryMs: 5, fallenBackMs: 0, knownBefore: 0 },
    { node: client, books, readPrimeId: () => undefined, log, metrics: new Registry() },
  );
  await follower.start();
}

beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x207fffff, halvingInterval: 10_000 });
  proxy = await NodeProxy.start(node.rpc);
  client = new NodeClient(proxy.rpc);
  direct = new NodeClient(node.rpc);
  for (let height = 1; height <= (await node.tip()).height; height++) await followCoins(await direct.blockHash(height), coinsAtStart);
  for (const coin of coinsAtStart) books.coins.add(coin);
  await start();
});

afterAll(async () => {
  await follower.stop();
  await client.close();
  await direct.close();
  await proxy.close();
  await node.stop();
});

/** Applies a block, read by the whole parser, to the pool's coins. @returns its transactions */
async function followCoins(hash: string, coins: Set<string>): Promise<Block["transactions"]> {
  const { transactions } = parseBlock(await direct.rawBlock(hash));
  for (const raw of transactions) {
    const { txid, inputs, outputs } = parseTransaction(raw);
    for (const input of inputs) coins.delete(`${reverseHex(input.previousTxid)}:${input.previousIndex}`);
    for (const [vout, { script }] of outputs.entries()) if (books.isPoolScript(script)) coins.add(`${reverseHex(txid)}:${vout}`);
  }
  return transactions;
}

/** The books' chain is the node's, and their coins are those of its blocks as the node tells them, read by the whole parser. */
async function inStep(): Promise<void> {
  const { height } = await node.tip();
  await vi.waitFor(async () => expect([books.cursor()!.height, books.chain().at(-1)]).toEqual([height, await direct.blockHash(height)]), {
    timeout: 20_000,
    interval: 10,
  });
  const coins = new Set(coinsAtStart);
  const first = books.rows[0]!.position.height;
  for (const [i, hash] of books.chain().entries()) {
    expect(await direct.blockHash(first + i)).toBe(hash);
    if (i === 0) continue;
    const transactions = await followCoins(hash, coins);
    const block = books.blocks.findLast((one) => reverseHex(one.hash) === hash)!;
    const header = await direct.blockHeader(hash);
    expect([block.height, block.time, block.bits, reverseHex(block.prevhash)]).toEqual([
      header.height,
      header.time,
      header.bits,
      header.previousblockhash,
    ]);
    const coinbase = parseCoinbase(transactions[0]);
    expect(block.coinbase.outputs.map(({ value }) => value)).toEqual(coinbase.outputs.map(({ value }) => value));
    expect(reverseHex(block.coinbase.txid)).toBe(reverseHex(parseTransaction(transactions[0]).txid));
    expect(parseTransaction(block.coinbase.raw).hasWitness).toBe(false);
  }
  expect([...books.coins].sort()).toEqual([...coins].sort());
}

it("follows blocks with transactions, and finds coins that they make and spend", async () => {
  expect(books.cursor()!.height).toBe(117);
  for (let i = 0; i < 4; i++) {
    await node.send(8);
    await node.mine(2);
  }
  await inStep();
  expect(books.blocks.flatMap(({ transactions }) => transactions).length).toBeGreaterThan(10);
  expect(books.rows.some(({ spent }) => spent.length > 0)).toBe(true);
});

it("follows reorganisations of 1 to 10 blocks, and back again", async () => {
  await node.mine(10);
  await inStep();
  for (let depth = 1; depth <= 10; depth++) {
    const { height } = await node.tip();
    const before = books.chain().at(-1)!;
    const [first = ""] = await node.branch(height - depth, depth + 1);
    await inStep();
    expect(books.chain()).not.toContain(before);
    // The branch is declared invalid, and the node goes back; then it is good again, and longer.
    await node.invalidate(first);
    await vi.waitFor(() => expect(books.chain()).not.toContain(first), { timeout: 20_000, interval: 10 });
    await inStep();
    await node.reconsider(first);
    await vi.waitFor(() => expect(books.chain()).toContain(first), { timeout: 20_000, interval: 10 });
    await inStep();
  }
});

it("goes on after the node was away, and after its own restart in the middle of a reorganisation", async () => {
  proxy.cut();
  follower.follow();
  await vi.waitFor(() => expect(saying("do not follow").at(-1)).toMatchObject({ reason: "node" }), { timeout: 20_000, interval: 10 });
  await node.mine(3);
  await node.branch((await node.tip()).height - 6, 9);
  proxy.restore();
  await inStep();
  for (let round = 0; round < 6; round++) {
    let calls = 0;
    const stopped = new Promise<void>((resolve) => {
      books.before = () => {
        if (calls++ === round * 3) resolve();
      };
    });
    await node.branch((await node.tip()).height - 8, 10);
    follower.follow();
    await stopped;
    await follower.stop();
    await start();
  }
  await inStep();
});
