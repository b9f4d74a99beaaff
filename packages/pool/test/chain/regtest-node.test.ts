/** Tracker and submitter against a real full node (bcoin, regtest): what the fake node of the other tests only claims. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  fromReverseHex,
  meetsTarget,
  merkleRoot,
  NETWORKS,
  NodeClient,
  reverseHex,
  sha256d,
  targetBytes,
  targetFromBits,
} from "@openprime/bitcoin";
import { RegtestNode } from "@openprime/simulator";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type BlockOutcome, BlockSubmitter, ChainTracker } from "../../src/chain/index.js";
import type { BlockCandidate, Parent } from "../../src/work/index.js";
import { logLines } from "./log-lines.js";

let node: RegtestNode;
let client: NodeClient;
let tracker: ChainTracker;
let submitter: BlockSubmitter;
let dataDir: string;
const outcomes: [string, BlockOutcome][] = [];
const { log } = logLines();

beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x207fffff, halvingInterval: 10_000 });
  client = new NodeClient(node.rpc);
  dataDir = await mkdtemp(join(tmpdir(), "openprime-regtest-"));
  tracker = new ChainTracker({ network: NETWORKS.regtest, pollMs: 20 }, { node: client, log, metrics: new Registry(), now: Date.now });
  await tracker.start();
  submitter = new BlockSubmitter(
    { dataDir, retryMs: 50 },
    {
      nodes: [{ name: "a", client }],
      log,
      metrics: new Registry(),
      poke: () => tracker.poke(),
      store: {
        record: async () => undefined,
        outcome: async (hash, outcome) => {
          outcomes.push([reverseHex(hash), outcome]);
        },
      },
    },
  );
});

afterAll(async () => {
  await tracker.stop();
  await submitter.stop();
  await client.close();
  await node.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const isTip = (hash: string): Promise<void> =>
  vi.waitFor(() => expect(reverseHex(tracker.tip()!.hash)).toBe(hash), { timeout: 20_000, interval: 10 });

/** A block on the node's template, as a gateway's miner would find it. */
async function find(): Promise<{ candidate: BlockCandidate; transactions: Uint8Array[] }> {
  const template = await client.blockTemplate();
  const transactions = template.transactions.map(({ data }) => new Uint8Array(Buffer.from(data, "hex")));
  const commitment = Buffer.from(template.default_witness_commitment!, "hex");
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(template.coinbasevalue);
  const scriptSig = Buffer.concat([Buffer.from([1, template.height]), Buffer.from("0b4f70656e5072696d650000", "hex")]);
  const coinbase = Buffer.concat([
    Buffer.from("0100000001", "hex"),
    Buffer.alloc(32),
    Buffer.from("ffffffff", "hex"),
    Buffer.from([scriptSig.length]),
    scriptSig,
    Buffer.from("ffffffff02", "hex"),
    value,
    Buffer.from("0151", "hex"),
    Buffer.alloc(8),
    Buffer.from([commitment.length]),
    commitment,
    Buffer.alloc(4),
  ]);
  const header = Buffer.alloc(80);
  header.writeInt32LE(template.version, 0);
  const prevhash = fromReverseHex(template.previousblockhash);
  header.set(prevhash, 4);
  header.set(merkleRoot([sha256d(coinbase), ...template.transactions.map(({ txid }) => fromReverseHex(txid))]), 36);
  header.writeUInt32LE(template.curtime, 68);
  header.writeUInt32LE(template.bits, 72);
  const target = targetBytes(targetFromBits(template.bits));
  for (let nonce = 0; !meetsTarget(sha256d(header), target); nonce++) header.writeUInt32LE(nonce, 76);
  const candidate: BlockCandidate = {
    hash: sha256d(header),
    header,
    coinbase,
    parent: tracker.parent(prevhash, template.height - 1)!,
    height: template.height,
    coinbaseValue: template.coinbasevalue,
    transactionCount: transactions.length,
    jobId: 0,
    jobSerial: template.height,
    sessionId: 1n,
    splitId: undefined,
    pin: 0n,
    username: Buffer.alloc(0),
    finder: undefined,
  };
  return { candidate, transactions };
}

it("a block with transactions is taken, becomes the tip, and is a duplicate the second time", async () => {
  expect(tracker.tip()).toMatchObject({ state: "tip", height: 117, childBits: 0x207fffff });
  await node.send(5);
  const { candidate, transactions } = await find();
  expect(transactions.length).toBeGreaterThan(0);
  const hash = reverseHex(candidate.hash);
  const parent = candidate.parent;
  submitter.found(candidate, () => Promise.resolve(transactions));
  await submitter.idle();
  expect(outcomes.at(-1)).toEqual([hash, { status: "accepted", detail: "accepted" }]);
  await isTip(hash);
  expect(parent.state).toBe("stale");
  expect(tracker.tip()).toMatchObject({ height: 118 });
  const header = await client.blockHeader(hash);
  expect(tracker.tip()!.medianTime).toBe(header.mediantime);
  // Another process of the pool, or the gateway's node, was first.
  const again = new BlockSubmitter(
    { dataDir },
    {
      nodes: [{ name: "a", client }],
      log,
      metrics: new Registry(),
      store: {
        record: async () => undefined,
        outcome: async (found, outcome) => {
          outcomes.push([reverseHex(found), outcome]);
        },
      },
    },
  );
  again.found(candidate, () => Promise.resolve(transactions));
  await again.idle();
  expect(outcomes.at(-1)![1].status).toBe("duplicate");
});

it("a block that claims too much is refused with the node's words", async () => {
  const { candidate, transactions } = await find();
  const coinbase = Buffer.from(candidate.coinbase);
  const at = coinbase.indexOf(Buffer.from("ffffffff02", "hex")) + 5;
  coinbase.writeBigUInt64LE(candidate.coinbaseValue + 1n, at);
  const header = Buffer.from(candidate.header);
  header.set(merkleRoot([sha256d(coinbase), ...transactions.map((raw) => sha256d(raw))]), 36);
  const target = targetBytes(targetFromBits(0x207fffff));
  for (let nonce = 0; !meetsTarget(sha256d(header), target); nonce++) header.writeUInt32LE(nonce, 76);
  submitter.found({ ...candidate, header, coinbase, hash: sha256d(header), transactionCount: 0 }, () => Promise.resolve([]));
  await submitter.idle();
  expect(outcomes.at(-1)![1]).toMatchObject({ status: "rejected", detail: expect.stringContaining("bad-cb-amount") });
});

it("reorganisations turn the tip stale, and an old one into the tip again", async () => {
  const old = tracker.tip()!;
  const base = tracker.parent(fromReverseHex((await client.blockHeader(reverseHex(old.hash))).previousblockhash!), old.height - 1)!;
  expect(base.state).toBe("stale");
  const tips: Parent[] = [];
  const end = tracker.onTip((tip) => tips.push(tip));
  const branch = await node.branch(old.height - 1, 2);
  await isTip(branch.at(-1)!);
  expect(old.state).toBe("stale");
  const middle = tracker.parent(fromReverseHex(branch[0]!), old.height)!;
  await vi.waitFor(() => expect(middle).toMatchObject({ state: "stale", height: old.height }), { timeout: 20_000 });
  // bcoin goes back to the block before the branches, which was the tip at the start.
  await node.invalidate(branch[0]!);
  await vi.waitFor(() => expect(base.state).toBe("tip"), { timeout: 20_000 });
  expect(tips.at(-1)).toBe(base);
  expect(base.staleSince).toBeUndefined();
  end();
});
