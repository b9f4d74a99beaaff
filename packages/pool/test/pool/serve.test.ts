/** `openprime init` and `openprime serve` as processes: waiting for a node, serving, ending, and what they refuse to start with. */

import { NodeClient } from "@openprime/bitcoin";
import { mine, minerAddress, RegtestNode, readTemplate, WireGateway } from "@openprime/simulator";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { lives, postmaster } from "./support/command.js";
import { NodeProxy } from "./support/node-proxy.js";
import { PoolFolder } from "./support/pool-folder.js";
import { until } from "./support/until.js";

let node: RegtestNode;

beforeAll(async () => {
  node = await RegtestNode.start({ bits: 0x1b00ffff });
});
afterAll(() => node.stop());

async function proxied(): Promise<NodeProxy> {
  const proxy = await NodeProxy.start(node.rpc);
  onTestFinished(() => proxy.close());
  return proxy;
}

test("a pool waits for its node and says so, serves when it is there, and ends cleanly at any time", async () => {
  const proxy = await proxied();
  proxy.cut();
  const folder = await PoolFolder.init(proxy.rpc);
  const waiting = folder.serve();
  const words = await waiting.said("waiting for the Bitcoin node");
  expect(String((await until("why", () => waiting.log.find((line) => line.waitingFor))).waitingFor)).toContain("the node does not answer");
  expect(words.nodes).toEqual([proxy.rpc.url]);
  expect(waiting.log.some(({ msg }) => msg === "listening for gateways")).toBe(false);
  waiting.kill("SIGTERM");
  expect(await waiting.ended, waiting.stderr).toBe(0);
  expect(waiting.log.at(-1)?.msg).toBe("stopped while waiting for the node");
  expect(postmaster(folder.dataDir)).toBeUndefined();

  const serving = folder.serve();
  await until("why", () => serving.log.find((line) => line.waitingFor));
  proxy.restore();
  const place = await serving.listening();
  const server = postmaster(folder.dataDir)!;
  expect(lives(server)).toBe(true);
  const gateway = await WireGateway.connect(place);
  const client = new NodeClient(node.rpc);
  onTestFinished(() => client.close());
  const template = readTemplate(await client.blockTemplate());
  const shares = mine(gateway.job(template), { username: minerAddress("serve", 0), count: 3 });
  expect(await gateway.submitAll(shares)).toEqual(["accepted", "accepted", "accepted"]);

  // Shares that are on their way when the end is asked for are committed and answered, or not taken at all.
  const last = mine(gateway.job(template), { username: minerAddress("serve", 1), count: 500 });
  const answers = gateway.submitAll(last);
  serving.kill("SIGTERM");
  expect(await serving.ended, serving.stderr).toBe(0);
  expect(serving.log.at(-1)?.msg).toBe("stopped");
  expect((await answers).every((answer) => answer === "accepted" || answer === "lost")).toBe(true);
  await gateway.closed;
  expect(postmaster(folder.dataDir)).toBeUndefined();
  expect(lives(server)).toBe(false);
  expect(serving.stdout).toBe("");

  // What was answered is there for the next one, which knows the gateway again.
  const next = folder.serve();
  const configuration = gateway.configuration;
  expect(await gateway.connect(await next.listening())).toEqual(configuration);
  const accepted = (await answers).flatMap((answer, index) => (answer === "accepted" ? [last[index]!] : []));
  expect(new Set(await gateway.submitAll([...shares, ...accepted]))).toEqual(new Set([29]));
  next.kill("SIGINT");
  expect(await next.ended, next.stderr).toBe(0);

  // A node that can never be the right one is not waited for.
  const astray = folder.serve({ OPENPRIME_NETWORK: "signet", OPENPRIME_POOL_PAYOUT_ADDRESS: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx" });
  expect(await astray.ended, astray.stderr).toBe(1);
  expect(astray.stderr).toMatch(/the pool is set to signet, its node is on regtest/);
  expect(postmaster(folder.dataDir)).toBeUndefined();
});

test("a second pool on the same books is refused, and told who has them", async () => {
  const folder = await PoolFolder.init(node.rpc);
  const first = folder.serve();
  const place = await first.listening();
  const second = folder.serve();
  expect(await second.ended, second.stderr).toBe(1);
  const holder = /another pool uses this database: (openprime \S+ (\d+) \S+) from .*, connected since \d{4}-/.exec(second.stderr);
  expect(holder, second.stderr).not.toBeNull();
  expect(second.stderr).toContain("what to do:");
  expect(lives(Number(holder?.[2]))).toBe(true);
  // The first one has not noticed.
  expect(first.end).toBeUndefined();
  const gateway = await WireGateway.connect(place);
  await gateway.close();
  first.kill("SIGTERM");
  expect(await first.ended, first.stderr).toBe(0);
  expect(first.stderr).not.toContain('"level":50');
});

test("what is wrong with the configuration ends the start, with where it is and what is allowed", async () => {
  const folder = await PoolFolder.init(node.rpc);
  const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ tag: "x\n  feePercnt: 1" }, /openprime\.yaml:\d+: unknown setting "pool\.feePercnt"\. Did you mean pool\.feePercent\?/],
    [{ feePercent: "lots" }, /openprime\.yaml:\d+: pool\.feePercent is "lots"\. Allowed: a percentage from 0 to 99\.9999/],
    [{ payoutAddress: "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4" }, /pool\.payoutAddress is .* an address of regtest/],
  ];
  const refusals = wrong.map(([settings, message]) => {
    const file = folder.variant(settings);
    return { message, refused: folder.serve({}, file) };
  });
  for (const { message, refused } of refusals) {
    expect(await refused.ended, refused.stderr).toBe(1);
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr).toContain("what to do:");
  }
  expect(postmaster(folder.dataDir)).toBeUndefined();
});
