/**
 * Each fault, held against a node's judgement of the block (getblocktemplate's proposals): what it is wrong with, and only that. The node is
 * the simulator's, and a bitcoind that OPENPRIME_BITCOIND names; left out, aloud, without one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assembleBlock, merkleBranches, NodeClient, parseTransaction } from "@openprime/bitcoin";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { spoil, type TemplateFault, withTransactions } from "../../src/gateway/faults.js";
import { Job } from "../../src/gateway/job.js";
import { readTemplate, type Template } from "../../src/gateway/template.js";
import { makeWork } from "../../src/gateway/work.js";
import { type NodePair, startBitcoindPair, startSimulatedPair } from "../../src/interop/node-pair.js";

const bitcoind = process.env.OPENPRIME_BITCOIND;
if (bitcoind === undefined) console.warn("no real bitcoind in these tests: set OPENPRIME_BITCOIND to the path of one");
const dir = mkdtempSync(join(tmpdir(), "openprime-faults-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let nodes: NodePair;
let client: NodeClient;
let template: Template;

/** What the node says of the block of that template; null when it would take it (but for its proof of work). */
async function judge(of: Template): Promise<string | null> {
  const job = new Job(of, 0, 1, {
    configuration: {
      type: "configuration",
      payoutScript: Uint8Array.of(0x51, 0x20, ...new Uint8Array(32).fill(7)),
      primeId: 1,
      tag: new TextEncoder().encode("faults"),
      minimumDifficulty: 1n,
    },
    secondaryTag: new Uint8Array(),
    uniqueId: 1,
  });
  const work = makeWork(job, 0, { quickdiff: false, targetByte: 0, extranonce: new Uint8Array(12), rolledVersion: 0 });
  const block = assembleBlock(
    work.header,
    work.coinbase,
    of.transactions.map(({ raw }) => raw),
  );
  return client.call<string | null>("getblocktemplate", [{ mode: "proposal", data: Buffer.from(block).toString("hex") }]);
}

describe.each([
  ["the simulator's node", () => startSimulatedPair(0x1f7fffff)],
  ...(bitcoind === undefined ? [] : [["bitcoind", () => startBitcoindPair(bitcoind, dir)] as const]),
] as const)("a spoiled template before %s", (_name, start) => {
  beforeAll(async () => {
    nodes = await start();
    client = new NodeClient(nodes.gateways);
    await nodes.send(100, 20);
    template = readTemplate(await client.blockTemplate());
  }, 120_000);
  afterAll(async () => {
    await client.close();
    await nodes.stop();
  });

  it("comes of a mempool that the pool's node has most of", async () => {
    expect(template.transactions).toHaveLength(120);
    expect(template.transactions.every(({ fee, txid, wtxid }) => fee > 0n && !Buffer.from(txid).equals(wtxid))).toBe(true);
    const pools = new NodeClient(nodes.pools);
    expect(await pools.call<string[]>("getrawmempool")).toHaveLength(100);
    await pools.close();
  });

  it("is one that was good", async () => {
    expect(await judge(template)).toBeNull();
    // Taken apart and put together again, it is the same.
    expect(withTransactions(template, template.transactions)).toEqual(template);
    expect(await judge(withTransactions(template, template.transactions.slice(0, 7)))).toBeNull();
  });

  const invalid: readonly (readonly [TemplateFault, RegExp])[] = [
    ["wrongBranch", /txnmrklroot/],
    ["wrongCommitment", /witness-merkle/],
    ["tooHeavy", /blk-(weight|length)/],
    ["heavierThanClaimed", /blk-(weight|length)/],
    ["tooManySigops", /sigops/],
    ["overpaying", /cb-amount/],
    ["doubleSpend", /missingorspent/],
    ["missingInput", /missingorspent/],
    ["badWitness", /script|inputs|block-validation-failed/],
  ];
  it.each(invalid)("%s is found by the node: %s", async (fault, word) => {
    expect(await judge(spoil(template, fault))).toMatch(word);
  });

  it.each(["missingTransaction", "extraTransaction", "foreignIds", "wrongCrosscheck", "otherTransactions"] as const)(
    "%s is a lie about a good block",
    async (fault) => {
      const spoiled = spoil(template, fault);
      expect(await judge(spoiled)).toBeNull();
      expect(spoiled.shown).toBeDefined();
    },
  );

  it("claims what it holds, unless the claim is the fault", () => {
    for (const fault of ["tooHeavy", "doubleSpend", "missingInput", "badWitness", "empty", "extraTransaction"] as const) {
      const spoiled = spoil(template, fault);
      const parsed = spoiled.transactions.map(({ raw }) => parseTransaction(raw));
      expect(spoiled.totalWeight).toBe(parsed.reduce((sum, { weight }) => sum + weight, 0));
      expect(spoiled.totalSize).toBe(parsed.reduce((sum, { size }) => sum + size, 0));
      expect(spoiled.branches).toEqual(merkleBranches(parsed.map(({ txid }) => txid)));
    }
    expect(spoil(template, "tooHeavy").totalWeight).toBeGreaterThan(4_000_000);
    expect(spoil(template, "heavierThanClaimed").totalWeight).toBe(template.totalWeight);
  });

  it("without transactions is a good block worth the subsidy", async () => {
    const empty = spoil(template, "empty");
    expect(empty).toMatchObject({ transactions: [], totalWeight: 0 });
    expect(empty.value).toBe(5_000_000_000n);
    expect(await judge(empty)).toBeNull();
    expect(() => spoil(empty, "doubleSpend")).toThrowError(expect.objectContaining({ code: "badTemplate" }));
  });
});
