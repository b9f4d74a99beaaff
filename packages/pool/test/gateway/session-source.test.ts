/** What a session can ask of its gateway, and tell it, through the real wire. */
import { crosscheck, shortId, shortIdKey } from "@openprime/datum";
import { afterEach, describe, expect, it } from "vitest";
import type { JobTemplate, OpenedJob, TransactionSource } from "../../src/work/index.js";
import { TestPool, until } from "./pool.js";
import { TestGateway } from "./test-gateway.js";

const pools: TestPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.server.close();
});

const TRANSACTIONS = [1, 2, 3].map((fill) => new Uint8Array(100_000).fill(fill));

interface Opened {
  readonly pool: TestPool;
  readonly gateway: TestGateway;
  readonly source: TransactionSource;
  readonly job: OpenedJob;
  readonly template: JobTemplate;
}

/** A gateway whose first share has just been taken, and what the desk was handed. */
async function opened(limits: Parameters<typeof TestPool.start>[0] = {}): Promise<Opened> {
  const jobs: OpenedJob[] = [];
  const template: JobTemplate = { id: 41n, state: "pending", why: undefined };
  const templates = {
    open(job: OpenedJob) {
      jobs.push(job);
      return template;
    },
  };
  const pool = await TestPool.start(limits, { templates });
  pools.push(pool);
  const gateway = await TestGateway.connect(pool);
  gateway.send((await gateway.work(pool)).share(true));
  expect(await gateway.next("shareResponse")).toMatchObject({ status: "tentative", reason: 0 });
  const job = jobs[0]!;
  return { pool, gateway, source: job.source, job, template };
}

/** A question and its answer: whatever the pool still had to say before is there when it resolves. */
async function roundTrip(gateway: TestGateway): Promise<void> {
  gateway.send({ type: "coinbaserRequest", value: 1n, prevhash: new Uint8Array(32) });
  await gateway.next("coinbaser");
}

describe("a job's transactions", () => {
  it("are had by short ids under the key that gateway and pool share", async () => {
    const { pool, gateway, source, job } = await opened();
    const key = shortIdKey(gateway.longTermKeys.sign.publicKey, pool.keys.sign.publicKey);
    expect(source.shortIdKey).toEqual(key);
    // As many as there can be, so that the frame is far over the usual limit.
    const wtxids = Array.from({ length: 16_383 }, (_, index) => {
      const wtxid = new Uint8Array(32);
      new DataView(wtxid.buffer).setUint32(0, index);
      return wtxid;
    });
    const ids = Uint8Array.from(Buffer.concat(wtxids.map((wtxid) => shortId(key, wtxid))));
    const asked = source.shortIds(job.jobId, job.jobSerial);
    expect(await gateway.next("shortIdsRequest")).toEqual({ type: "shortIdsRequest", jobId: 0 });
    gateway.send({ type: "shortIds", jobId: 0, ids, crosscheck: crosscheck(wtxids) });
    const got = await asked;
    expect(Buffer.from(got.ids).equals(Buffer.from(ids))).toBe(true);
    expect(Buffer.from(got.crosscheck!)).toEqual(Buffer.from(crosscheck(wtxids)));
    expect(await pool.metric("openprime_gateway_questions_total", { kind: "shortIds", outcome: "answered" })).toBe(1);
  });

  it("may be none", async () => {
    const { gateway, source, job } = await opened();
    const asked = source.shortIds(job.jobId, job.jobSerial);
    await gateway.next("shortIdsRequest");
    gateway.send({ type: "shortIds", jobId: 0, ids: new Uint8Array(0) });
    expect(await asked).toEqual({ ids: new Uint8Array(0), crosscheck: undefined });
    expect(await source.byIndex(job.jobId, job.jobSerial, [])).toEqual([]);
  });

  it("are had by their places, and all of them, megabytes, and only when asked for", async () => {
    const { pool, gateway, source, job } = await opened();
    const some = source.byIndex(job.jobId, job.jobSerial, [2, 0]);
    expect(await gateway.next("transactionsByIndexRequest")).toEqual({ type: "transactionsByIndexRequest", jobId: 0, indices: [2, 0] });
    gateway.send({ type: "transactionsByIndex", jobId: 0, transactions: [TRANSACTIONS[2]!, TRANSACTIONS[0]!] });
    expect((await some).map((raw) => raw[0])).toEqual([3, 1]);
    const all = source.fullSet(job.jobId, job.jobSerial);
    await gateway.next("fullSetRequest");
    gateway.send({ type: "fullSet", jobId: 0, transactions: TRANSACTIONS });
    expect((await all).map((raw) => raw.length)).toEqual([100_000, 100_000, 100_000]);
    // The limit of short ids alone does not let transactions in.
    void source.shortIds(job.jobId, job.jobSerial).catch(() => undefined);
    await gateway.next("shortIdsRequest");
    gateway.send({ type: "transactionsByIndex", jobId: 0, transactions: TRANSACTIONS });
    await gateway.closed;
    expect(pool.closings("protocolError")).toEqual([expect.objectContaining({ code: "frameTooLarge" })]);
  });

  it("are not taken where they are fewer or more than asked for, and the connection goes on", async () => {
    const { gateway, source, job } = await opened();
    for (const transactions of [TRANSACTIONS.slice(0, 1), TRANSACTIONS]) {
      const asked = source.byIndex(job.jobId, job.jobSerial, [0, 1]);
      await gateway.next("transactionsByIndexRequest");
      gateway.send({ type: "transactionsByIndex", jobId: 0, transactions });
      await expect(asked).rejects.toMatchObject({ code: "badReply" });
    }
    await roundTrip(gateway);
  });

  it("are never asked for at one place twice", async () => {
    const { gateway, source, job } = await opened();
    await expect(source.byIndex(job.jobId, job.jobSerial, [1, 1])).rejects.toMatchObject({ code: "badValue" });
    await roundTrip(gateway);
    expect(gateway.received.some(({ type }) => type === "transactionsByIndexRequest")).toBe(false);
  });

  it("are not had of a gateway that has none of the job, is silent, or has gone", async () => {
    const { gateway, pool, source, job } = await opened({ shortIdsMs: 100 });
    const silent = source.shortIds(job.jobId, job.jobSerial);
    await expect(silent).rejects.toMatchObject({ code: "timeout" });
    const refused = source.fullSet(job.jobId, job.jobSerial);
    await gateway.next("fullSetRequest");
    gateway.send({ type: "fullSet", jobId: 0, error: "noJob", transactions: [] });
    await expect(refused).rejects.toMatchObject({ code: "noJob" });
    const open = source.fullSet(job.jobId, job.jobSerial);
    await gateway.next("fullSetRequest");
    gateway.close();
    await expect(open).rejects.toMatchObject({ code: "disconnected" });
    await until(() => expect(pool.server.connectionCount).toBe(0));
    await expect(source.shortIds(job.jobId, job.jobSerial)).rejects.toMatchObject({ code: "disconnected" });
  });

  it("are asked for again after a reconnect: the same job keeps its slot and its template", async () => {
    const { gateway, pool, source, job } = await opened();
    gateway.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    const again = await TestGateway.connect(pool, { longTermKeys: gateway.longTermKeys });
    again.send((await again.work(pool)).share(true, { ntime: Math.floor(Date.now() / 1000) + 5 }));
    expect(await again.next("shareResponse")).toMatchObject({ status: "tentative" });
    const asked = source.fullSet(job.jobId, job.jobSerial);
    await again.next("fullSetRequest");
    again.send({ type: "fullSet", jobId: 0, transactions: TRANSACTIONS });
    expect(await asked).toHaveLength(3);
  });
});

describe("the verdict", () => {
  it("makes shares accepted, or refused with reason 30, from then on", async () => {
    const { gateway, pool, template } = await opened();
    expect(pool.appended[0]).toMatchObject({ templateId: 41n, tentative: false });
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 0, tentative: 1 });
    const work = await gateway.work(pool);
    const share = (after: number) => work.share(false, { ntime: Math.floor(Date.now() / 1000) + after });
    template.state = "sound";
    gateway.send(share(10));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted" });
    template.state = "unsound";
    template.why = "its transactions are too heavy";
    gateway.send(share(20));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 30 });
    expect(await pool.metric("openprime_unsound_template_shares_total")).toBe(1);
    expect(pool.logs.saying("share refused")[0]).toMatchObject({ detail: expect.stringContaining("too heavy") });
    expect(pool.server.snapshot()[0]).toMatchObject({ accepted: 1, tentative: 1, refusedByReason: { 30: 1 } });
  });
});

describe("lines for a gateway's log", () => {
  it("are cut to one short line, and held back when there are many", async () => {
    const { gateway, pool, source } = await opened();
    source.tell(`two\nlines \u0007and${" more".repeat(500)}`);
    const { text } = await gateway.next("info");
    expect(text.startsWith("two lines and more")).toBe(true);
    expect(text.length).toBeLessThanOrEqual(400);
    for (let i = 0; i < 20; i++) source.tell(`line ${i}`);
    await roundTrip(gateway);
    expect(gateway.received.filter(({ type }) => type === "info")).toHaveLength(5);
    expect(await pool.metric("openprime_gateway_messages_total", { outcome: "sent" })).toBe(5);
    expect(await pool.metric("openprime_gateway_messages_total", { outcome: "heldBack" })).toBe(16);
    gateway.close();
    await until(() => expect(pool.server.connectionCount).toBe(0));
    source.tell("is anybody there?");
    expect(await pool.metric("openprime_gateway_messages_total", { outcome: "disconnected" })).toBe(1);
  });
});

describe("an announced job", () => {
  it("is kept, and its first share needs no sections", async () => {
    const pool = await TestPool.start();
    pools.push(pool);
    const gateway = await TestGateway.connect(pool);
    const work = await gateway.work(pool, { jobId: 3 });
    const { job, coinbase } = work.share(true);
    gateway.send({ type: "jobAnnouncement", jobId: 3, job: job!, coinbases: [coinbase!, { ...coinbase!, coinbaseId: 5 }] });
    gateway.send(work.share(false));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "accepted", jobId: 3 });
    expect(await pool.metric("openprime_job_announcements_total", { outcome: "kept" })).toBe(1);
    // Another job in its slot: the share of the old one has no coinbase, and a false hash.
    const other = await gateway.work(pool, { jobId: 3, value: 4_900_000_000n });
    gateway.send({ type: "jobAnnouncement", jobId: 3, job: other.share(true).job!, coinbases: [] });
    gateway.send(work.share(false));
    expect(await gateway.next("shareResponse")).toMatchObject({ status: "rejected", reason: 18 });
    gateway.send({ type: "jobAnnouncement", jobId: 9, job: job!, coinbases: [] });
    gateway.send({ type: "jobAnnouncement", jobId: 2, job: job!, coinbases: [{ ...coinbase!, coinbaseId: 9 }] });
    await roundTrip(gateway);
    expect(await pool.metric("openprime_job_announcements_total", { outcome: "malformed" })).toBe(2);
  });
});
