import { NETWORKS } from "@openprime/bitcoin";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { StatusLine, type WatchedPool } from "../../src/cli/status-line.js";
import { GatewayMetrics } from "../../src/gateway/metrics.js";

function pool(status: Partial<ReturnType<WatchedPool["status"]>>) {
  const metrics = new Registry();
  const shares = new GatewayMetrics(metrics, { sessions: () => 0, minima: () => [], held: () => 0, banned: () => 0 });
  const whole = { gateways: [], tip: undefined, nodeReachable: true, position: 0n, waiting: 0, ...status };
  return { watched: { metrics, status: () => whole } as WatchedPool, shares };
}

const GATEWAY = { proven: true, recentWeight: 300, recentSeconds: 60, workerCount: 4 };

it("counts the shares from one line to the next", async () => {
  const { watched, shares } = pool({ position: 12n });
  const line = new StatusLine(watched, NETWORKS.mainnet);
  expect(await line.next()).toMatchObject({ accepted: 0, refused: 0, position: "12" });
  for (let i = 0; i < 3; i++) shares.share("accepted", 0);
  shares.share("tentative", 0);
  for (const reason of [21, 25, 25]) shares.share("refused", reason);
  expect(await line.next()).toMatchObject({ accepted: 4, refused: 3, reasons: "stale 2, highHash 1" });
  shares.share("refused", 21);
  expect(await line.next()).toMatchObject({ accepted: 0, refused: 1, reasons: "highHash 1" });
  expect(await line.next()).not.toHaveProperty("reasons");
});

it("adds up the gateways that are connected", async () => {
  const gateways = [GATEWAY, { ...GATEWAY, recentWeight: 600 }, { ...GATEWAY, proven: false }] as never;
  const { watched } = pool({ gateways, tip: { height: 900_000 } as never });
  // 15 shares of difficulty one a second.
  expect(await new StatusLine(watched, NETWORKS.mainnet).next()).toEqual({
    gateways: 2,
    workers: 8,
    hashrate: "64.4 GH/s",
    accepted: 0,
    refused: 0,
    tip: 900_000,
    position: "0",
  });
});

it("says that the node is away, and that shares wait", async () => {
  const { watched } = pool({ nodeReachable: false, waiting: 7 });
  expect(await new StatusLine(watched, NETWORKS.mainnet).next()).toMatchObject({ tip: "none", node: "away", waiting: 7, gateways: 0 });
});
