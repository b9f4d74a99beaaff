/** `openprime notices`: receivers are added, listed, tried and removed, and nothing shows a target. */
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addressToScript, NETWORKS } from "@openprime/bitcoin";
import { describe, expect, it, onTestFinished } from "vitest";
import { run } from "../../src/cli/main.js";
import { openDatabase } from "../../src/ledger/index.js";
import { externalServer, MemoryLogger, temporaryDatabase } from "../ledger/support.js";
import { Hook, verified } from "../notices/hook.js";
import { ADDRESS, capture, folder } from "./support.js";

const server = await externalServer();

/** Books with one account, and a configuration. */
async function pool(
  notices = "",
): Promise<{ config: string; dir: string; openprime: (...args: string[]) => Promise<{ code: number; out: string; err: string }> }> {
  const { url, remove } = await temporaryDatabase(server as string);
  onTestFinished(remove);
  const database = await openDatabase({ url }, { log: new MemoryLogger() });
  await database.pool.query("INSERT INTO accounts (script, kind, address) VALUES ($1, 'miner', $2)", [
    Buffer.from(addressToScript(ADDRESS, NETWORKS.mainnet)),
    ADDRESS,
  ]);
  await database.close();
  const dir = folder();
  const config = join(dir, "openprime.yaml");
  writeFileSync(config, `pool:\n  payoutAddress: ${ADDRESS}\ndatabase:\n  url: ${url}\nnotices:\n  keyFile: notices.key\n${notices}`);
  return {
    config,
    dir,
    openprime: async (...args) => {
      const io = capture();
      const code = await run(["notices", ...args, "--config", config], {}, io);
      return { code, out: io.out(), err: io.err() };
    },
  };
}

describe.skipIf(server === undefined)("openprime notices", () => {
  it("adds a webhook, shows its secret, tries it out, lists it without its path, and removes it", async () => {
    const hook = await Hook.start();
    const { openprime, dir } = await pool("  privateWebhooks: allow\n");
    const added = await openprime("add", ADDRESS, "webhook", hook.url, "--events", "payout,workers.offline");
    expect(added.code, added.err).toBe(0);
    const secret = /signing secret: (whsec_\S+)/.exec(added.out)?.[1] as string;
    expect(statSync(join(dir, "notices.key")).mode & 0o777).toBe(0o600);

    expect(await openprime("test", "1")).toMatchObject({ code: 0, out: "1 webhook: it was taken\n" });
    const [request] = hook.requests;
    expect(verified(request!, secret)).toBe(true);
    expect(request?.body).toMatchObject({ account: ADDRESS, notices: [{ event: "test", data: { events: "payout, workers.offline" } }] });
    expect((await openprime("secret", "1")).out).toContain(secret);
    expect((await openprime("secret", "operator")).out).not.toContain(secret);

    const list = await openprime("list", "--json");
    expect(JSON.parse(list.out)).toMatchObject({
      receivers: [{ id: "1", account: ADDRESS, channel: "webhook", state: "good", waiting: 0, events: ["payout", "workers.offline"] }],
    });
    expect((await openprime("list")).out).toMatch(
      /^1 {2,}bc1q\S+ {2}webhook {2}http:\/\/127\.0\.0\.1:\d+\/… {2}good {2,}0 {2}payout workers\.offline$/m,
    );
    for (const { out, err } of [added, list]) expect(out + err).not.toContain("t0psecret");

    hook.answers.push(500);
    const failed = await openprime("test", "1");
    expect(failed).toMatchObject({ code: 1, err: "1 webhook: the webhook answered 500, expected 200 to 299 (notices.refused)\n" });
    expect(await openprime("remove", "1")).toMatchObject({ code: 0, out: "receiver 1 is removed\n" });
    expect((await openprime("remove", "1")).err).toContain("no account has a receiver 1");
    expect((await openprime("list")).out).toContain("no receivers");
  });

  it("tries the operator's receivers of the configuration", async () => {
    const hook = await Hook.start();
    const { openprime } = await pool(`  operatorWebhook: ${hook.url}\n`);
    expect(await openprime("test", "operator")).toMatchObject({ code: 0, out: "operator webhook: it was taken\n" });
    expect(hook.requests[0]?.body.account).toBeNull();
  });

  it.each([
    [["add", ADDRESS, "webhook", "http://127.0.0.1/"], "the webhook: this can't be a receiver. Allowed: an URL that begins with https://"],
    [["add", ADDRESS, "webhook", "https://example.com/", "--events", "node.aside"], "--events names node.aside. Allowed: block.found"],
    [
      ["add", ADDRESS, "email", "me@example.com"],
      "the configuration has nothing to send by email with\n  what to do: set notices.smtpUrl first",
    ],
    [["add", ADDRESS, "nostr", "0".repeat(64)], "the nostr: this can't be a receiver. Allowed: an npub"],
    [["add", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "webhook", "https://example.com/"], "the pool has no account of 1Boat"],
    [["add", ADDRESS, "pigeon", "coop"], "Allowed: webhook, email or nostr."],
    [["test", "7"], "no account has a receiver 7"],
    [["test", "operator"], "the operator has no receiver"],
    [["remove", "0"], "Allowed: the number of a receiver."],
  ])("refuses %j", async (args, text) => {
    const { openprime } = await pool();
    const { code, err } = await openprime(...args);
    expect(err).toContain(text);
    expect(code).toBe(1);
  });

  it("refuses events of the operator's that are none, and a key file that holds no key", async () => {
    const { openprime } = await pool("  operatorEvents: payout\n");
    expect((await openprime("test", "operator")).err).toContain("notices.operatorEvents names payout. Allowed: block.found");
    const other = await pool(`  operatorWebhook: https://example.com/\n`);
    writeFileSync(join(other.dir, "notices.key"), "no key", { mode: 0o600 });
    expect((await other.openprime("list")).err).toContain("expected 64 hex digits and nothing else");
  });
});
