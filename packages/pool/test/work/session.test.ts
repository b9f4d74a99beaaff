/** Slots, serials, pins and splits of a session. */
import { describe, expect, test } from "vitest";
import { SUBSIDY_ONLY } from "../../src/work/index.js";
import { buildJob } from "./support/gateway-builder.js";
import { bare, builderJob, payee, section, share, split, VALUE, world } from "./support/world.js";

describe("job slots", () => {
  test("a job section replaces the slot with its coinbases, and has another serial", () => {
    const { session } = world();
    session.keep(share());
    const first = session.slot(0);
    expect(first?.coinbases.filter((held) => held !== undefined).length).toBe(1);
    expect(session.slot(1)).toBeUndefined();
    expect(session.jobSerial(1)).toBeUndefined();
    const { coinbase: _dropped, ...jobOnly } = share({ jobChanges: { transactionCount: 2 } });
    session.keep(jobOnly);
    expect(session.jobSerial(0)).not.toBe(first?.serial);
    expect(session.slot(0)?.coinbases.every((held) => held === undefined)).toBe(true);
  });

  test("a coinbase section adds to the slot, one of a job never sent is dropped", () => {
    const { session } = world();
    session.keep(share());
    const { job: _dropped, ...coinbaseOnly } = share({ coinbaseId: SUBSIDY_ONLY });
    session.keep(coinbaseOnly);
    session.keep({ ...coinbaseOnly, jobId: 3 });
    session.keep({ ...share(), jobId: 8 });
    expect(session.slot(0)?.coinbases.map((held) => held?.coinbaseId)).toEqual([0, ...Array(5).fill(undefined), 255]);
    expect(session.slot(3)).toBeUndefined();
    expect(session.slot(8)).toBeUndefined();
  });

  test("sections are copied: a frame's buffer may be used again", () => {
    const { session } = world();
    const sent = share();
    session.keep(sent);
    const coinb1 = Buffer.from(sent.coinbase?.coinb1 ?? []);
    for (const bytes of [sent.coinbase?.coinb1, sent.coinbase?.coinb2, sent.job?.prevhash, sent.job?.branches]) bytes?.fill(0);
    const slot = session.slot(0);
    expect(Buffer.from(slot?.coinbases[0]?.coinb1 ?? [])).toEqual(coinb1);
    expect(slot?.job.prevhash[0]).toBe(0x11);
    expect(slot?.job.branches[0]).toBe(0x77);
  });

  test("bytes that no kind can have are not kept", () => {
    const { session } = world();
    session.keep(
      share({ coins: { coinb1: Buffer.alloc(20_000), coinb2: Buffer.alloc(20_000) }, jobChanges: { branches: Buffer.alloc(255 * 32) } }),
    );
    const slot = session.slot(0);
    expect(slot?.coinbases[0]).toMatchObject({ size: 40_012, coinb1: new Uint8Array(0), coinb2: new Uint8Array(0) });
    expect(slot?.job.branches.length).toBe(0);
    expect(slot?.refusal?.reason).toBe(16);
  });

  test("an announced job is there before its first share", () => {
    const { session, judge } = world();
    const job = builderJob();
    const built = buildJob(job);
    const coinbases = [0, 1].map((coinbaseId) => ({ coinbaseId, ...(built.coinbases.get(coinbaseId) ?? built.coinbases.get(0)!) }));
    session.announce({ type: "jobAnnouncement", jobId: 5, job: section(built, job), coinbases });
    expect(
      session
        .slot(5)
        ?.coinbases.slice(0, 2)
        .every((held) => held !== undefined),
    ).toBe(true);
    const verdict = judge.judge(session, bare(share({ jobId: 5, targetByte: 1 })));
    expect(verdict.kind === "accepted" || verdict.reason === 21).toBe(true);
  });

  test("an announcement with ids that nothing has keeps what is good of it", () => {
    const { session } = world();
    const job = builderJob();
    const built = buildJob(job);
    const announce = (jobId: number, ids: number[]) =>
      session.announce({
        type: "jobAnnouncement",
        jobId,
        job: section(built, job),
        coinbases: ids.map((coinbaseId) => ({ coinbaseId, ...built.coinbases.get(0)! })),
      });
    const held = (jobId: number) => session.slot(jobId)?.coinbases.flatMap((coinbase) => coinbase?.coinbaseId ?? []);
    expect(announce(2, [1, 6, 255])).toBe(false);
    expect(held(2)).toEqual([1, 255]);
    expect(announce(8, [0])).toBe(false);
    expect(announce(255, [])).toBe(false);
    expect(announce(3, [])).toBe(true);
    expect(held(3)).toEqual([]);
    expect(announce(3, [0, 1, 2, 3, 4, 5, 255])).toBe(true);
    expect(held(3)).toEqual([0, 1, 2, 3, 4, 5, 255]);
  });

  test("the same job again keeps its place; any other word of it makes another job", () => {
    const { session } = world();
    const first = share({ coinbaseId: 1 });
    session.keep(first);
    const slot = session.slot(0)!;
    slot.template = { id: 1n, state: "sound", why: undefined };
    // Announced, sent again after a reconnect: what came before is still good, and is not sent twice.
    const { coinbase: _dropped, ...jobOnly } = first;
    session.keep(jobOnly);
    session.announce({ type: "jobAnnouncement", jobId: 0, job: first.job!, coinbases: [] });
    expect(session.slot(0)).toBe(slot);
    expect(slot.coinbases[1]).toBeDefined();
    const changes = {
      prevhash: Buffer.alloc(32, 0x12),
      targetByteIndex: 3,
      nbits: 0x1d00ffff,
      coinbaserId: 4,
      height: 3,
      coinbaseValue: 3n,
      transactionCount: 2,
      totalWeight: 3,
      totalSize: 3,
      totalSigops: 3,
      branches: Buffer.alloc(64, 0x78),
    } satisfies Required<typeof first.job>;
    for (const [name, value] of Object.entries(changes)) {
      session.keep(first);
      const { serial } = session.slot(0)!;
      session.keep({ ...jobOnly, job: { ...first.job!, [name]: value } });
      expect([name, session.slot(0)?.serial]).not.toEqual([name, serial]);
      expect([name, session.slot(0)?.template, session.slot(0)?.coinbases[1]]).toEqual([name, undefined, undefined]);
    }
  });

  test("the job that came last says what the gateway works on", () => {
    const { session } = world();
    expect(session.latestPrevhash).toBeUndefined();
    session.keep(share());
    session.keep(share({ jobId: 1, jobChanges: { prevhash: Buffer.alloc(32, 0x12) } }));
    session.keep(bare(share()));
    session.keep({ ...share(), jobId: 8 });
    expect(session.latestPrevhash).toEqual(new Uint8Array(32).fill(0x12));
    session.keep(share());
    expect(session.latestPrevhash).toEqual(new Uint8Array(32).fill(0x11));
  });

  test("work without a split is pinned to the head when its job was first seen, also when it is sent again", () => {
    const { session, head } = world();
    session.keep(share());
    head.position = 60n;
    session.keep(bare(share()));
    expect(session.slot(0)?.pin).toBe(50n);
    // After a reconnect the same job comes again.
    session.keep(share());
    expect(session.slot(0)?.pin).toBe(50n);
    session.keep(share({ jobChanges: { transactionCount: 2 } }));
    expect(session.slot(0)?.pin).toBe(60n);
  });
});

describe("splits", () => {
  test("ids go round from 1 to 255, past those that a recent split or a slot's job has", () => {
    const { session } = world();
    expect(session.nextCoinbaserId()).toBe(1);
    session.keep(share({ jobChanges: { coinbaserId: 3 } }));
    expect([session.nextCoinbaserId(), session.nextCoinbaserId()]).toEqual([2, 4]);
    session.addSplit(split(254, []), 0);
    expect([session.nextCoinbaserId(), session.nextCoinbaserId()]).toEqual([255, 1]);
  });

  test("no id comes twice while it is in use, over many rounds", () => {
    const { session } = world();
    const recent: number[] = [];
    for (let i = 0; i < 2000; i++) {
      if (i % 40 === 0)
        session.keep(share({ jobId: (i / 40) % 8, jobChanges: { coinbaserId: recent.at(-1) ?? 0, transactionCount: 2 + (i & 1) } }));
      const id = session.nextCoinbaserId();
      expect(id).toBeGreaterThanOrEqual(1);
      expect(id).toBeLessThanOrEqual(255);
      expect(recent.slice(-64)).not.toContain(id);
      for (let slot = 0; slot < 8; slot++) expect(session.slot(slot)?.job.coinbaserId).not.toBe(id);
      session.addSplit(split(id, []), 0);
      recent.push(id);
    }
    expect(session.splitsFor(VALUE, Buffer.alloc(32, 0x11)).map(({ coinbaserId }) => coinbaserId)).toEqual(recent.slice(-64).reverse());
  });

  test("are found by value and prevhash", () => {
    const { session } = world();
    const offered = [split(1, []), split(2, [], { value: VALUE + 1n }), split(3, [], { prevhash: Buffer.alloc(32, 0x12) }), split(4, [])];
    for (const one of offered) session.addSplit(one, 0);
    expect(session.splitsFor(VALUE, Buffer.alloc(32, 0x11))).toMatchObject([offered[3], offered[0]]);
  });

  test("a job keeps the split that it names, however many follow; not one for another value or prevhash", () => {
    const { session } = world();
    const named = split(9, [payee(1, 5n)]);
    session.addSplit(named, 0);
    session.keep(share({ jobId: 1, jobChanges: { coinbaserId: 9 } }));
    session.keep(share({ jobId: 2, jobChanges: { coinbaserId: 9, coinbaseValue: VALUE - 1n } }));
    session.keep(share({ jobId: 3, jobChanges: { coinbaserId: 9, prevhash: Buffer.alloc(32, 0x13) } }));
    for (let i = 0; i < 100; i++) session.addSplit(split(session.nextCoinbaserId(), []), 0);
    session.keep(share({ jobId: 1, jobChanges: { coinbaserId: 9 } }));
    const outputs = named.outputs.map(({ value, script }) => ({ value, script: new Uint8Array(script) }));
    expect([1, 2, 3].map((jobId) => session.slot(jobId)?.namedSplit)).toMatchObject([{ ...named, outputs }, undefined, undefined]);
  });

  test("are forgotten after five minutes, when others follow", () => {
    const { session } = world();
    for (const [id, now] of [
      [1, 0],
      [2, 1000],
      [3, 300_000],
    ] as const) {
      session.addSplit(split(id, []), now);
    }
    expect(session.splitsFor(VALUE, Buffer.alloc(32, 0x11)).map(({ coinbaserId }) => coinbaserId)).toEqual([3, 2]);
  });
});
