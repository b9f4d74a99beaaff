/** A private pool: gateways by their key, or by their miners' accounts. */
import { generateLongTermKeys } from "@openprime/datum";
import { afterEach, expect, it } from "vitest";
import type { GatewayListOptions } from "../../src/gateway/index.js";
import { crypto, TestPool, until } from "./pool.js";
import { TestGateway } from "./test-gateway.js";
import { MINER_SCRIPT, POOL_SCRIPT } from "./work.js";

const pools: TestPool[] = [];
const start = async (gateways: Partial<GatewayListOptions>): Promise<TestPool> => {
  const pool = await TestPool.start({}, { options: { gateways: { admit: "listed", keys: [], accounts: [], ...gateways } } });
  pools.push(pool);
  return pool;
};

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const keys = generateLongTermKeys(crypto);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const share = async (pool: TestPool, gateway: TestGateway) => {
  gateway.send((await gateway.work(pool)).share(true));
  return gateway.next("shareResponse");
};

it("takes a listed key, and turns others down in words, with their key for the operator to copy", async () => {
  const pool = await start({ keys: [hex(keys.sign.publicKey)] });
  const listed = await TestGateway.connect(pool, { longTermKeys: keys });
  expect(await share(pool, listed)).toMatchObject({ status: "accepted" });
  const other = await TestGateway.dial(pool);
  const key = hex(other.longTermKeys.sign.publicKey);
  other.write(other.channel.hello());
  expect((await other.next("info")).text).toContain(key);
  await other.closed;
  expect(other.received.map(({ type }) => type)).toEqual(["info"]);
  expect(pool.closings("notListed")[0]).toMatchObject({ key });
  expect(await pool.metric("openprime_handshakes_total", { outcome: "notListed" })).toBe(1);
  // It left nothing in the books.
  expect(pool.opened).toEqual([hex(keys.sign.publicKey)]);
});

it("takes any gateway whose miners are listed accounts", async () => {
  const pool = await start({ accounts: [MINER_SCRIPT] });
  const gateway = await TestGateway.connect(pool);
  expect(await share(pool, gateway)).toMatchObject({ status: "accepted" });
});

it("refuses another account's share before it is credited, and closes in words", async () => {
  const pool = await start({ accounts: [POOL_SCRIPT], keys: [hex(keys.sign.publicKey)] });
  const gateway = await TestGateway.connect(pool);
  expect(await share(pool, gateway)).toMatchObject({ status: "rejected", reason: 14 });
  expect((await gateway.next("info")).text).toContain("listed accounts");
  await gateway.closed;
  expect(pool.appended).toEqual([]);
  await until(() => expect(pool.closings("accountNotListed")).toHaveLength(1));
  // A listed gateway may bring whom it wants.
  expect(await share(pool, await TestGateway.connect(pool, { longTermKeys: keys }))).toMatchObject({ status: "accepted" });
});

it("never loses a block, whoever's it is", async () => {
  const pool = await start({ accounts: [POOL_SCRIPT] });
  pool.chain.current = { ...pool.chain.current, childBits: 0x207fffff };
  const gateway = await TestGateway.connect(pool);
  expect(await share(pool, gateway)).toMatchObject({ status: "rejected", reason: 14 });
  expect(pool.blocks).toHaveLength(1);
});
