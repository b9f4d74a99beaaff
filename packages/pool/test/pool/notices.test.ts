/** Notices of a whole pool to a real webhook: a block, the payment in it, a gateway that goes away and comes back, each told once across restarts. */
import { reverseHex } from "@openprime/bitcoin";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSecrets } from "../../src/cli/notices/key-file.js";
import { NoticeBook } from "../../src/ledger/index.js";
import { TOKENS, USUAL_EVENTS, webhookSecretText } from "../../src/notices/index.js";
import { Hook, verified } from "../notices/hook.js";
import { MoneyChain, MoneyScene } from "./support/money-scene.js";
import { until } from "./support/until.js";

let chain: MoneyChain;
beforeAll(async () => {
  chain = await MoneyChain.start();
});
afterAll(() => chain.stop());

/** Quick looks and sends; a gateway is offline after half a second. */
const TUNING = { pollMs: 50, sendMs: 20, gatherMs: 0, gatewayAwayMs: 500, firstBackoffMs: 50 };

test("a block, its payments, and a gateway's silence are told once, across restarts of the pool", async () => {
  const operator = await Hook.start();
  const miner = await Hook.start("/alice");
  const settings = { notices: { operatorWebhook: operator.url, privateWebhooks: "allow" } };
  const scene = await MoneyScene.open(chain, settings, { notices: TUNING });
  try {
    // Alice has an account from her first share on.
    await scene.work({ alice: [3, 3, 3] });
    const [alice] = await scene.pool.rows<{ id: number }>("SELECT id FROM accounts WHERE kind = 'miner'");
    const secrets = openSecrets(scene.pool.config.notices.keyFile);
    const book = new NoticeBook(scene.pool.pool.database, Date.now);
    const receiver = await book.addReceiver(alice!.id, "webhook", USUAL_EVENTS, TOKENS, (id) => secrets.seal(id, miner.url));
    const block = await scene.find();
    const hash = reverseHex(block.hash);
    await until("the block at the operator's", () => operator.of("block.joined").length > 0 && operator.of("block.found").length > 0);
    await until("the payment at alice's", () => miner.of("payout").length > 0);
    const paid = (await scene.coinbase(block)).alice;
    expect(operator.of("block.found")[0]).toMatchObject({ data: { hash, value: Number(block.value) } });
    expect(operator.of("block.joined")[0]).toMatchObject({ data: { hash, paid: Number(paid) } });
    expect(miner.of("payout")[0]).toMatchObject({ title: `You were paid ${paid} sats`, data: { amount: Number(paid) } });
    expect(miner.of("block.joined")[0]).toMatchObject({ data: { hash, paid: Number(paid) } });

    // What reaches a receiver is signed with its own secret.
    const aliceSecret = webhookSecretText(secrets.webhookSecret(receiver.toString()));
    expect(miner.requests.every((request) => verified(request, aliceSecret))).toBe(true);
    expect(operator.requests.some((request) => verified(request, aliceSecret))).toBe(false);
    expect(operator.requests.every((request) => verified(request, webhookSecretText(secrets.webhookSecret("operator"))))).toBe(true);

    // The gateway goes while the pool runs; the pool goes while the gateway is away; nothing is told again.
    await scene.gateway.close();
    await until("the gateway's end at the operator's", () => operator.of("gateway.offline").length > 0);
    await until("the gateway's end at alice's", () => miner.of("gateway.offline").length > 0);
    expect(operator.of("gateway.offline")[0]?.data).toMatchObject({ workers: 1, why: "it is not connected" });
    await scene.pool.close();
    await scene.start();
    await scene.gateway.connect(scene.pool);
    await scene.work({ alice: [3] });
    await until("the gateway's return at the operator's", () => operator.of("gateway.online").length > 0);
    await until("the gateway's return at alice's", () => miner.of("gateway.online").length > 0);

    // Once more from the start: a pool that starts anew has nothing to repeat.
    await scene.restart();
    const counts = (hook: Hook) =>
      Object.fromEntries([...new Set(hook.notices.map(({ event }) => event))].map((event) => [event, hook.of(event).length]));
    await until("an empty outbox", async () => (await scene.pool.rows("SELECT FROM notice_deliveries")).length === 0);
    expect(counts(operator)).toEqual({ "block.found": 1, "block.joined": 1, "gateway.offline": 1, "gateway.online": 1 });
    expect(counts(miner)).toEqual({ "block.joined": 1, payout: 1, "gateway.offline": 1, "gateway.online": 1 });
    const ids = [...operator.notices, ...miner.notices].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);

    // Neither targets nor secrets are anywhere in the database.
    const tables = await scene.pool.rows<{ text: string }>(
      "SELECT r::text AS text FROM notice_receivers r UNION ALL SELECT n::text FROM notices n UNION ALL SELECT a::text FROM notice_alarms a",
    );
    const hidden = [Buffer.from(miner.url).toString("hex"), miner.url, "t0psecret", aliceSecret.slice(6)];
    for (const { text } of tables) for (const one of hidden) expect(text).not.toContain(one);
    expect(JSON.stringify(scene.pool.logs.lines)).not.toContain("t0psecret");
    await scene.clean(1);
  } finally {
    await scene.remove();
  }
});

test("an orphaned block is told to those it had paid", async () => {
  const operator = await Hook.start();
  const scene = await MoneyScene.open(chain, { notices: { operatorWebhook: operator.url } }, { notices: TUNING });
  try {
    await scene.work({ alice: [3, 3, 3] });
    const { height, hash: parent } = await chain.node.tip();
    const block = await scene.find();
    await until("the block", () => operator.of("block.joined").length > 0);
    await scene.strangers(Uint8Array.from(Buffer.from(parent, "hex").reverse()), height, 2);
    await until("its end", () => operator.of("block.orphaned").length > 0);
    const joined = operator.of("block.joined")[0]!;
    expect(operator.of("block.orphaned")).toMatchObject([{ data: { ...joined.data, hash: reverseHex(block.hash) } }]);
  } finally {
    await scene.remove();
  }
});
