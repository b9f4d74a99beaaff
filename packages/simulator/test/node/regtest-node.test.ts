import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { addressToScript, NETWORKS, NodeClient } from "@openprime/bitcoin";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { minerAddress, minerScript } from "../../src/gateway/addresses.js";
import { bitsForHashes, expectedHashes } from "../../src/node/difficulty.js";
import { RegtestNode } from "../../src/node/regtest-node.js";

let node: RegtestNode;
let client: NodeClient;

beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x1f7fffff });
  client = new NodeClient(node.rpc);
});
afterAll(async () => {
  await client.close();
  await node.stop();
});

describe("the node", () => {
  it("is on regtest, past the heights that a gateway can't mine, with the bits asked for", async () => {
    const info = await client.blockchainInfo();
    expect(info.chain).toBe("regtest");
    expect(info.blocks).toBeGreaterThan(100);
    const template = await client.blockTemplate();
    expect(template.bits).toBe(0x1f7fffff);
    expect(template.coinbasevalue).toBeGreaterThanOrEqual(5_000_000_000n);
    expect(template.default_witness_commitment).toMatch(/^6a24aa21a9ed/);
    expect(template.mintime).toBeLessThanOrEqual(template.curtime);
    expect(node.expectedHashes).toBe(expectedHashes(0x1f7fffff));
  });

  it("refuses a wrong password", async () => {
    const stranger = new NodeClient({ ...node.rpc, password: "wrong" });
    await expect(stranger.bestBlockHash()).rejects.toMatchObject({ code: "unauthorized" });
    await stranger.close();
  });

  it("has transactions with fees and witnesses in its templates, and takes them into blocks", async () => {
    const before = await client.blockTemplate();
    const sent = await node.send(8);
    const template = await client.blockTemplate();
    const listed = template.transactions.filter((one) => sent.includes(one.txid));
    expect(listed).toHaveLength(8);
    expect(listed.every((one) => one.fee > 0n && one.hash !== one.txid)).toBe(true);
    expect(template.coinbasevalue).toBeGreaterThan(before.coinbasevalue);
    const [hash] = await node.mine();
    const block = await client.block(hash!);
    expect(block.tx).toEqual(expect.arrayContaining(sent));
    expect((await client.blockTemplate()).transactions).toHaveLength(0);
  });

  it("goes over to a longer branch, and its transactions wait again", async () => {
    const sent = await node.send(3);
    const [lost] = await node.mine();
    const tip = await node.tip();
    const branch = await node.branch(tip.height - 1, 2);
    expect(await node.tip()).toEqual({ hash: branch[1], height: tip.height + 1 });
    expect(await client.blockHash(tip.height)).not.toBe(lost);
    const waiting = (await client.blockTemplate()).transactions.map((one) => one.txid);
    expect(waiting).toEqual(expect.arrayContaining(sent));
  });

  it("keeps its tip when a branch is not longer", async () => {
    const before = await node.tip();
    await node.branch(before.height - 1, 1);
    expect(await node.tip()).toEqual(before);
  });

  it("begins as another one, and then goes its own way", async () => {
    const sent = await node.send(300);
    expect(sent).toHaveLength(300);
    const other = await RegtestNode.start({ bits: 0x1f7fffff, chainOf: node.rpc });
    const otherClient = new NodeClient(other.rpc);
    try {
      expect(await other.tip()).toEqual(await node.tip());
      const { transactions } = await client.blockTemplate();
      expect(transactions.length).toBeGreaterThanOrEqual(300);
      expect((await otherClient.blockTemplate()).transactions).toEqual([]);
      // Some of them are made known to it, and the block that has them all.
      await other.receive(transactions.slice(0, 20).map(({ data }) => data));
      expect((await otherClient.blockTemplate()).transactions).toHaveLength(20);
      await expect(other.receive(["00"])).rejects.toMatchObject({ code: "nodeRefused" });
      const [hash] = await node.mine();
      const raw = await client.rawBlock(hash!);
      expect(await otherClient.submitBlock(Buffer.from(raw).toString("hex"))).toBeNull();
      expect(await other.tip()).toEqual(await node.tip());
      expect(await otherClient.call<string[]>("getrawmempool")).toEqual([]);
    } finally {
      await otherClient.close();
      await other.stop();
    }
  });

  it("invalidates and reconsiders a block", async () => {
    const before = await node.tip();
    const [hash] = await node.mine(1, { transactions: false });
    await node.invalidate(hash!);
    expect(await node.tip()).toEqual(before);
    await node.reconsider(hash!);
    expect((await node.tip()).hash).toBe(hash);
    await expect(node.invalidate("00".repeat(32))).rejects.toMatchObject({ code: "nodeRefused" });
  });

  it("feeds itself transactions", async () => {
    const before = (await client.blockTemplate()).transactions.length;
    await node.feed(50);
    for (let count = before; count < before + 3; ) count = (await client.blockTemplate()).transactions.length;
    await node.feed(0);
  });

  it("ends when the process that started it is killed", async () => {
    const file = fileURLToPath(new URL("../../bin/regtest-node.js", import.meta.url));
    const starter = spawn(process.execPath, [file, "--transactions", "0"], { stdio: ["ignore", "pipe", "ignore"] });
    let text = "";
    await new Promise<void>((resolve) => {
      starter.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes("ends the node")) resolve();
      });
    });
    const setting = (name: string): string => new RegExp(`^${name} +(.*)$`, "m").exec(text)![1]!;
    const orphan = new NodeClient({ url: setting("url"), user: setting("user"), password: setting("password") });
    await orphan.bestBlockHash();
    starter.kill("SIGKILL");
    await vi.waitFor(() => expect(orphan.bestBlockHash()).rejects.toMatchObject({ code: "unreachable" }), { timeout: 10_000 });
    await orphan.close();
  });

  it("answers calls after its end with an error", async () => {
    const other = await RegtestNode.start();
    await other.stop();
    await expect(other.tip()).rejects.toMatchObject({ code: "nodeEnded" });
  });
});

describe("difficulty", () => {
  it.each([2, 100, 131_072, 10_000_000])("bits for %i hashes take about that many", (hashes) => {
    expect(expectedHashes(bitsForHashes(hashes)) / hashes).toBeCloseTo(1, 1);
  });
});

describe("miner addresses", () => {
  it("are the same at every run, all different, and the pool can read them", () => {
    const addresses = Array.from({ length: 20 }, (_, i) => minerAddress("seed", i));
    expect(new Set(addresses).size).toBe(20);
    expect(addresses[0]).toBe(minerAddress("seed", 0));
    for (const [i, address] of addresses.entries()) expect(addressToScript(address, NETWORKS.regtest)).toEqual(minerScript("seed", i));
  });
});
