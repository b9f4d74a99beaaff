/**
 * The group, the tracker and submissions on two real nodes that are peers: what the fake node of the other tests only claims. Given a bitcoind by
 * OPENPRIME_BITCOIND.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NETWORKS, NodeClient, reverseHex } from "@openprime/bitcoin";
import { minerAddress, type NodePair, startBitcoindPair } from "@openprime/simulator";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ChainTracker, NodeGroup, type OwnTemplate } from "../../../src/chain/index.js";
import { submitToAll } from "../../../src/chain/submission.js";
import { logLines } from "../log-lines.js";

const bitcoind = process.env.OPENPRIME_BITCOIND;
if (bitcoind === undefined) console.warn("OPENPRIME_BITCOIND is not set: nodes are not tried with a real bitcoind");
const real = it.skipIf(bitcoind === undefined);

const ADDRESS = minerAddress("nodes", 1);
const { log, saying } = logLines();
let dir: string;
let pair: NodePair;
let ours: NodeClient;
let theirs: NodeClient;

beforeAll(async () => {
  if (bitcoind === undefined) return;
  dir = mkdtempSync(join(tmpdir(), "openprime-nodes-"));
  pair = await startBitcoindPair(bitcoind, dir);
  ours = new NodeClient(pair.pools);
  theirs = new NodeClient(pair.gateways);
}, 120_000);

afterAll(async () => {
  if (bitcoind === undefined) return;
  await ours.close();
  await theirs.close();
  await pair.stop();
  rmSync(dir, { recursive: true, force: true });
});

const until = (check: () => unknown): Promise<unknown> => vi.waitFor(check, { timeout: 20_000, interval: 20 });
const mineAt = async (node: NodeClient): Promise<string> => (await node.call<string[]>("generatetoaddress", [1, ADDRESS]))[0]!;

function group(disputeMs: number): { nodes: NodeGroup; stand: (expected: string[]) => Promise<unknown> } {
  const nodes = new NodeGroup(
    { network: NETWORKS.regtest, disputeMs },
    {
      nodes: [
        { name: "ours", client: ours },
        { name: "theirs", client: theirs },
      ],
      ...{ log, metrics: new Registry() },
    },
  );
  const stand = (expected: string[]): Promise<unknown> =>
    until(async () => {
      await nodes.bestBlockHash();
      expect(nodes.statuses().map(({ name, state, followed }) => `${name} ${state}${followed ? ", followed" : ""}`)).toEqual(expected);
    });
  return { nodes, stand };
}

real("both are good, with the work that their headers show, through blocks and a deep look back", { timeout: 60_000 }, async () => {
  const { nodes, stand } = group(5000);
  await stand(["ours good, followed", "theirs good"]);
  for (let i = 0; i < 5; i++) {
    const hash = await mineAt(theirs);
    await until(async () => expect(await nodes.bestBlockHash()).toBe(hash));
  }
  expect(nodes.statuses().map(({ why }) => why)).toEqual([undefined, undefined]);
});

real(
  "the first node calls a block invalid that the other follows: the first decides, until it thinks better of it",
  { timeout: 60_000 },
  async () => {
    const { nodes, stand } = group(0);
    const before = await ours.bestBlockHash();
    const hash = await mineAt(theirs);
    await pair.sync();
    await until(async () => expect(await nodes.bestBlockHash()).toBe(hash));
    await ours.call("invalidateblock", [hash]);
    await stand(["ours good, followed", "theirs disagrees"]);
    expect(await nodes.bestBlockHash()).toBe(before);
    expect(saying("nodes disagree")).toMatchObject([{ hash, invalidBy: "ours", validBy: "theirs" }]);
    await ours.call("reconsiderblock", [hash]);
    await until(async () => expect(await nodes.bestBlockHash()).toBe(hash));
    expect(nodes.statuses().map(({ state }) => state)).toEqual(["good", "good"]);
  },
);

real("the tracker calls blocks invalid that the node has invalidated, and takes them back", { timeout: 60_000 }, async () => {
  const tracker = new ChainTracker({ network: NETWORKS.regtest, pollMs: 20 }, { node: ours, log, metrics: new Registry(), now: Date.now });
  let own: OwnTemplate | undefined;
  tracker.onOwnTemplate((template) => {
    own = template;
  });
  await tracker.start();
  try {
    const tip = (hash: string): Promise<unknown> => until(() => expect(reverseHex(tracker.tip()!.hash)).toBe(hash));
    const base = await ours.bestBlockHash();
    await tip(base);
    await tip(await mineAt(ours));
    const lower = tracker.tip()!;
    await tip(await mineAt(ours));
    const upper = tracker.tip()!;
    expect(own).toMatchObject({ prevhash: upper.hash, height: upper.height + 1 });
    await ours.call("invalidateblock", [reverseHex(lower.hash)]);
    await tip(base);
    await until(() => expect([lower.state, upper.state]).toEqual(["invalid", "invalid"]));
    await ours.call("reconsiderblock", [reverseHex(lower.hash)]);
    await until(() => expect(tracker.tip()).toBe(upper));
    expect(upper).toMatchObject({ state: "tip", staleSince: undefined });
  } finally {
    await tracker.stop();
  }
});

real("a block in a race with another of its height is preferred by every node", { timeout: 60_000 }, async () => {
  await pair.sync();
  const one = await mineAt(ours);
  await pair.sync();
  // Both nodes then have two blocks of one height, and follow the same.
  await ours.call("invalidateblock", [one]);
  await theirs.call("invalidateblock", [one]);
  const two = (await ours.call<string[]>("generatetoaddress", [1, minerAddress("nodes", 2)]))[0]!;
  await until(async () => expect(await theirs.bestBlockHash()).toBe(two));
  for (const node of [ours, theirs]) {
    await node.call("reconsiderblock", [one]);
    await node.preciousBlock(one);
  }
  const hex = Buffer.from(await ours.rawBlock(two)).toString("hex");
  let taken = 0;
  const outcome = await submitToAll(
    { hash: two, hex },
    [
      { name: "ours", client: ours },
      { name: "theirs", client: theirs },
    ],
    {
      log,
      signal: new AbortController().signal,
      retryMs: 10,
      patienceMs: 5000,
      lateMs: 5000,
      taken: () => (taken += 1),
      isOurs: () => false,
    },
  );
  expect(await Promise.all([ours.bestBlockHash(), theirs.bestBlockHash()])).toEqual([two, two]);
  expect(outcome).toMatchObject({ status: "accepted", detail: expect.stringContaining(`preferred to ${one}`) as string });
  expect(taken).toBe(1);
});
