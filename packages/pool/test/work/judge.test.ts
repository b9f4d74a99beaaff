/** Judgement: every reason, their order, blocks before everything, parents, stale work, duplicates. */
import { NETWORKS, ShareProver } from "@openprime/bitcoin";
import type { Share } from "@openprime/datum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Parent, REASON, type Verdict, WorkSession } from "../../src/work/index.js";
import { buildJob } from "./support/gateway-builder.js";
import {
  bare,
  builderJob,
  good,
  HARD_BITS,
  HEIGHT,
  hashOf,
  mine,
  NOW,
  PRIME_ID,
  payee,
  type ShareChanges,
  share,
  split,
  VALUE,
  type World,
  world,
} from "./support/world.js";

const { regtest } = NETWORKS;
/** On regtest every other hash is a block of this. */
const EASY_BITS = 0x207fffff;
const reason = (verdict: Verdict) => (verdict.kind === "refused" ? verdict.reason : 0);

function accepted(verdict: Verdict) {
  if (verdict.kind === "refused") throw new Error(`${verdict.reason} ${verdict.detail}`);
  return verdict.share;
}

function patched(changes: ShareChanges, change: (coinb1: Buffer, coinb2: Buffer) => void): ShareChanges {
  const built = buildJob(changes.built ?? builderJob()).coinbases.get(changes.coinbaseId ?? 0)!;
  const coins = { coinb1: Buffer.from(built.coinb1), coinb2: Buffer.from(built.coinb2) };
  change(coins.coinb1, coins.coinb2);
  return { ...changes, coins };
}

describe("an honest share", () => {
  test("is accepted with what the log needs", () => {
    const { judge, session, tip } = world();
    const sent = good(share({ targetByte: 3 }));
    expect(accepted(judge.judge(session, sent))).toEqual({
      hash: hashOf(sent),
      parent: tip,
      prevhash: new Uint8Array(32).fill(0x11),
      account: Uint8Array.from(Buffer.from("0014751e76e8199196d454941c45d1b3a323f1433bd6", "hex")),
      address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
      worker: "rig1",
      weight: 8n,
      feePpm: 20_000,
      sessionId: 7n,
      splitId: undefined,
      pin: 50n,
      ntime: NOW / 1000,
      targetByte: 3,
      coinbaseId: 0,
      height: HEIGHT,
      tentative: false,
      templateId: undefined,
      late: false,
      receivedAt: NOW,
    });
  });

  test("names whom the gateway's next split is for", () => {
    const { judge, session } = world();
    expect(session.payee).toBeUndefined();
    judge.judge(session, share({ nonce: 5, username: Buffer.from("bob") }));
    expect(session.payee).toBeUndefined();
    const { account } = accepted(judge.judge(session, good(share({ targetByte: 3 }))));
    expect(session.payee).toEqual(account);
  });

  test("of a relay keeps the relayed fee", () => {
    const { judge } = world({ relayedFeePpm: 35_000 });
    const session = (relayed: boolean) =>
      new WorkSession({ sessionId: 7n, primeId: PRIME_ID, minimumTargetByte: 0, head: () => 1n, relayed });
    expect(accepted(judge.judge(session(false), good(share({ nonce: 1000 })))).feePpm).toBe(20_000);
    expect(accepted(judge.judge(session(true), good(share({ nonce: 2000 })))).feePpm).toBe(35_000);
  });

  test("may pay an earlier script of the pool for a while", () => {
    const before = payee(40, 0n).script;
    const { judge, session, clock } = world({ retiredScripts: [{ script: before, until: NOW + 1000 }] });
    const outputs = [payee(1, 1000n), payee(2, 2000n)];
    const old = (jobId: number) =>
      share({ jobId, nonce: jobId * 1000, coinbaseId: 1, built: builderJob({ poolScript: before, split: outputs }) });
    session.addSplit(split(6, outputs), 0);
    accepted(judge.judge(session, good(old(1))));
    clock.now = NOW + 1000;
    expect(reason(judge.judge(session, good(old(2))))).toBe(27);
    accepted(judge.judge(session, good(share({ jobId: 3, nonce: 3000, coinbaseId: 1, built: builderJob({ split: outputs }) }))));
  });

  test("is accepted with every coinbase kind, quickdiff or not, and pinned to the split that it pays", () => {
    for (const quickdiff of [false, true]) {
      for (const coinbaseId of [0, 1, 2, 3, 4, 5, 255]) {
        const { judge, session } = world();
        const outputs = Array.from({ length: 30 }, (_, index) => payee(index, 1000n + BigInt(index)));
        session.addSplit(split(6, outputs), 0);
        const built = builderJob({ split: outputs });
        const judged = accepted(judge.judge(session, good(share({ coinbaseId, built, quickdiff, jobChanges: { coinbaserId: 6 } }))));
        const paying = coinbaseId >= 1 && coinbaseId <= 5;
        expect([coinbaseId, judged.splitId, judged.pin]).toEqual([coinbaseId, paying ? 906n : undefined, paying ? 30n : 50n]);
      }
    }
  });

  test("pays the empty split, which the books have no row for, at that split's position", () => {
    const { judge, session } = world();
    session.addSplit(split(6, [], { id: 0n }), 0);
    const judged = accepted(judge.judge(session, good(share({ coinbaseId: 1, jobChanges: { coinbaserId: 6 } }))));
    expect([judged.splitId, judged.pin]).toEqual([undefined, 30n]);
  });

  test("needs its sections once; the shares that follow use what is kept", () => {
    const { judge, session, prover } = world();
    const first = good(share());
    accepted(judge.judge(session, first));
    const next = good(bare(share({ ntime: NOW / 1000 + 1 })), regtest, first);
    expect(accepted(judge.judge(session, next)).ntime).toBe(NOW / 1000 + 1);
    expect(prover.calls).toBe(2);
  });

  test("whose first share was refused still brought its sections", () => {
    const { judge, session } = world();
    const first = share({ username: Buffer.from("nobody") });
    expect(reason(judge.judge(session, first))).toBe(14);
    accepted(judge.judge(session, good(bare(share()), regtest, first)));
  });

  test("may roll BIP320's bits of its version", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), (rolled) => {
        const { judge, session } = world();
        const sent = good(share({ version: (0x20000000 | (rolled << 13)) >>> 0 }));
        expect(accepted(judge.judge(session, sent)).hash).toEqual(hashOf(sent));
      }),
      { numRuns: 20 },
    );
  });

  test("on mainnet is held against the real difficulty one, with the top word zero", () => {
    const parts = share({ jobChanges: { nbits: 0x1d00ffff } });
    const { judge, session, tip } = world({ network: { ...regtest, difficultyOne: NETWORKS.mainnet.difficultyOne, checksTopWord: true } });
    tip.childBits = 0x1d00ffff;
    expect(reason(judge.judge(session, good(parts)))).toBe(20);
  });
});

/** For each reason a share that gives it; the world is as `world()` made it. */
const REFUSED: Record<string, { readonly code: number; readonly make: (w: World) => Share; readonly detail: RegExp }> = {
  "a job never sent": { code: 10, make: () => bare(share({ jobId: 3 })), detail: /never sent/ },
  "a job past the ring": { code: 10, make: () => share({ jobId: 8 }), detail: /0-7/ },
  "a coinbase id that no kind has": { code: 11, make: () => share({ coinbaseId: 6 }), detail: /0-5 or 255/ },
  "another extranonce size": { code: 12, make: () => share({ extranonce: Buffer.alloc(8) }), detail: /8 bytes/ },
  "no extranonce": { code: 12, make: () => share({ extranonce: Buffer.alloc(0) }), detail: /0 bytes/ },
  "a target byte under the minimum": {
    code: 13,
    make: ({ session, clock }) => {
      session.setMinimum(5, clock.now - 300_000);
      return share({ targetByte: 4 });
    },
    detail: /minimum is 5/,
  },
  "a target byte over 63": { code: 13, make: () => share({ targetByte: 64 }), detail: /at most 63/ },
  "no target byte": { code: 13, make: () => share({ targetByte: 255 }), detail: /at most 63/ },
  "a username that is no address": {
    code: 14,
    make: () => share({ username: Buffer.from("bob.rig") }),
    detail: /not an address of regtest/,
  },
  "a coinbaser id never offered": { code: 15, make: () => share({ coinbaseId: 1, jobChanges: { coinbaserId: 4 } }), detail: /id 4/ },
  "too many branches": { code: 16, make: () => share({ jobChanges: { branches: Buffer.alloc(96) } }), detail: /3 branches.*make 2/ },
  "more branches than any job has": {
    code: 16,
    make: () => share({ jobChanges: { branches: Buffer.alloc(255 * 32) } }),
    detail: /255 branches/,
  },
  "no branches": { code: 16, make: () => share({ jobChanges: { branches: Buffer.alloc(0) } }), detail: /0 branches/ },
  "a coinbase over its kind's size": {
    code: 17,
    make: () => share({ coinbaseId: 1, coins: { coinb1: Buffer.alloc(400), coinb2: Buffer.alloc(96) } }),
    detail: /508 bytes/,
  },
  "a coinbase never sent": {
    code: 18,
    make: ({ session }) => {
      session.keep(share());
      return bare(share({ coinbaseId: 1 }));
    },
    detail: /never sent/,
  },
  "a wrong target byte index": { code: 19, make: () => share({ jobChanges: { targetByteIndex: 50 } }), detail: /index 50/ },
  "a target byte index past coinb1": { code: 19, make: () => share({ jobChanges: { targetByteIndex: 65_535 } }), detail: /65535/ },
  "a placeholder that is none": {
    code: 19,
    make: () => share(patched({}, (coinb1) => coinb1.writeUInt8(0, coinb1.indexOf("07ff6655", "hex") + 1))),
    detail: /placeholder is 0/,
  },
  "a hash over the target": {
    code: 21,
    make: () => mine(share({ targetByte: 4 }), (hash) => hash > regtest.difficultyOne >> 4n),
    detail: /2\^4/,
  },
  "subsidy-only with another id": { code: 22, make: () => share({ coinbaseId: 0, subsidyOnly: true }), detail: /with the subsidy-only/ },
  "id 255 without the flag": { code: 22, make: () => share({ coinbaseId: 255, subsidyOnly: false }), detail: /without the subsidy-only/ },
  "a section for another coinbase": {
    code: 22,
    make: () => ({ ...share(), coinbase: { ...share({ coinbaseId: 1 }).coinbase!, coinbaseId: 1 } }),
    detail: /section for 1/,
  },
  "ntime at the median": { code: 23, make: () => share({ ntime: NOW / 1000 - 3600 }), detail: /median/ },
  "ntime over two hours ahead": { code: 23, make: () => share({ ntime: NOW / 1000 + 7201 }), detail: /two hours/ },
  "version 3": { code: 24, make: () => share({ version: 3 }), detail: /version 3/ },
  "a negative version": { code: 24, make: () => share({ version: 0xa0000000 }), detail: /a0000000/ },
  "stale work": {
    code: 25,
    make: ({ chain, clock }) => {
      chain.advance(block(0x22), clock.now - 5001);
      return good(share());
    },
    detail: /passed the parent 5001 ms ago/,
  },
  "an invalid parent": {
    code: 25,
    make: ({ tip }) => {
      tip.state = "invalid";
      return good(share());
    },
    detail: /refuses the parent/,
  },
  "a broken coinbase": {
    code: 26,
    make: () => share(patched({}, (_, coinb2) => coinb2.writeUInt8(1, coinb2.length - 1))),
    detail: /locktime/,
  },
  "another prime_id": { code: 26, make: () => share({ built: builderJob({ primeId: PRIME_ID + 1 }) }), detail: /prime_id/ },
  "a height that the coinbase has not": { code: 26, make: () => share({ jobChanges: { height: HEIGHT + 1 } }), detail: /height/ },
  "a height that the node has not": {
    code: 26,
    make: () => share({ built: builderJob({ height: HEIGHT + 1 }) }),
    detail: /the parent has 899999/,
  },
  "another payee": {
    code: 27,
    make: ({ session }) => {
      session.addSplit(split(4, [payee(1, 1000n)]), 0);
      return share({ coinbaseId: 1, built: builderJob({ split: [payee(2, 1000n)] }), jobChanges: { coinbaserId: 4 } });
    },
    detail: /not what fits next/,
  },
  "another pool": { code: 27, make: () => share({ built: builderJob({ poolScript: payee(3, 0n).script }) }), detail: /pool's script/ },
  "a value less than the job's": { code: 27, make: () => share({ jobChanges: { coinbaseValue: VALUE + 1n } }), detail: /are left/ },
  "no tag of the pool": {
    code: 28,
    make: () => share({ built: builderJob({ primaryTag: Buffer.from("Other") }) }),
    detail: /the pool's is/,
  },
  "the same share again": {
    code: 29,
    make: ({ judge, session }) => {
      const sent = good(share());
      accepted(judge.judge(session, sent));
      return sent;
    },
    detail: /sent before/,
  },
  "other bits than the node's": { code: 30, make: () => share({ jobChanges: { nbits: 0x1d7ffffe } }), detail: /1d7ffffe/ },
  "a parent past the chain's bound": {
    code: 30,
    make: ({ chain }) => {
      chain.full = true;
      return good(share({ jobChanges: { prevhash: Buffer.alloc(32, 0x99) } }));
    },
    detail: /too many parents/,
  },
  "more parents that the node does not know than one gateway may bring": {
    code: 30,
    make: ({ judge, session }) => {
      const on = (fill: number): Share => good(share({ jobChanges: { prevhash: Buffer.alloc(32, fill) } }));
      for (let fill = 0x80; fill < 0x90; fill++) expect(accepted(judge.judge(session, on(fill))).tentative).toBe(true);
      return on(0x90);
    },
    detail: /too many parents/,
  },
};

function block(fill: number, changes: Partial<Parent> = {}): Parent {
  return {
    hash: Buffer.alloc(32, fill),
    state: "tip",
    height: HEIGHT,
    childBits: HARD_BITS,
    medianTime: NOW / 1000 - 3000,
    staleSince: undefined,
    ...changes,
  };
}

describe("reasons", () => {
  test.each(Object.entries(REFUSED))("%s", (_, { code, make, detail }) => {
    const w = world();
    const verdict = w.judge.judge(w.session, make(w));
    expect(verdict).toMatchObject({ kind: "refused", reason: code });
    expect(verdict.kind === "refused" && verdict.detail).toMatch(detail);
    expect(verdict.block).toBeUndefined();
  });

  test("all of 10-30 were reached, 20 by the tests of mainnet's difficulty", () => {
    const codes = new Set([20, ...Object.values(REFUSED).map(({ code }) => code)]);
    const all = Array.from({ length: 21 }, (_, index) => 10 + index);
    expect([...codes].sort((a, b) => a - b)).toEqual(all);
    expect(Object.values(REASON)).toEqual(all);
  });

  test("a refusal of job or coinbase is remembered and the same for each share that follows", () => {
    for (const name of [
      "too many branches",
      "another pool",
      "a wrong target byte index",
      "no tag of the pool",
      "a coinbaser id never offered",
    ]) {
      const refused = REFUSED[name]!;
      const w = world();
      const sent = refused.make(w);
      const first = w.judge.judge(w.session, sent);
      const held = w.session.slot(0)?.coinbases.find((coinbase) => coinbase !== undefined);
      const { findings } = held ?? {};
      expect(w.judge.judge(w.session, bare({ ...sent, nonce: 99 }))).toEqual(first);
      expect(held?.findings).toBe(findings);
    }
  });

  test("an accepted share that the log could not take may come again", () => {
    const { judge, session } = world();
    const sent = good(share());
    judge.forget(accepted(judge.judge(session, sent)));
    accepted(judge.judge(session, sent));
    expect(reason(judge.judge(session, sent))).toBe(29);
  });

  test("a duplicate is one across slots, sessions and reconnects", () => {
    const { judge, session } = world();
    const other = world().session;
    const sent = good(share());
    accepted(judge.judge(session, sent));
    expect(reason(judge.judge(session, { ...sent, jobId: 5 }))).toBe(29);
    expect(reason(judge.judge(other, sent))).toBe(29);
  });
});

/** One fault for each stage, in the order of judgement; each can be had together with those after it. */
const STAGES: readonly (readonly [code: number, fault: ShareChanges])[] = [
  [12, { extranonce: Buffer.alloc(11) }],
  [14, { username: Buffer.from("bob") }],
  [22, { subsidyOnly: true }],
  [16, { jobChanges: { branches: Buffer.alloc(32) } }],
  [28, { built: builderJob({ primaryTag: Buffer.from("Other"), poolScript: payee(9, 0n).script }) }],
  [27, { built: builderJob({ poolScript: payee(9, 0n).script }) }],
  [13, { targetByte: 80 }],
  [19, { jobChanges: { targetByteIndex: 44 } }],
  [24, { version: 1 }],
  [23, { ntime: 5 }],
];

describe("the order of judgement", () => {
  test("of two faults the earlier stage names the reason", () => {
    for (let a = 0; a < STAGES.length; a++) {
      for (let b = a + 1; b < STAGES.length; b++) {
        const [code, fault] = STAGES[a]!;
        const [, later] = STAGES[b]!;
        const jobChanges = { ...later.jobChanges, ...fault.jobChanges };
        const { judge, session } = world();
        const verdict = judge.judge(session, share({ ...later, ...fault, jobChanges }));
        expect([code, STAGES[b]![0], reason(verdict)]).toEqual([code, STAGES[b]![0], code]);
      }
    }
  });

  test("time before hash, hash before stale, stale before duplicate", () => {
    const w = world();
    const sent = good(share({ targetByte: 2 }));
    accepted(w.judge.judge(w.session, sent));
    w.chain.advance(block(0x22), NOW - 6000);
    expect(reason(w.judge.judge(w.session, sent))).toBe(25);
    const high = mine(bare(share({ targetByte: 2 })), (hash) => hash > regtest.difficultyOne >> 2n, sent);
    expect(reason(w.judge.judge(w.session, high))).toBe(21);
    expect(reason(w.judge.judge(w.session, { ...high, ntime: 5 }))).toBe(23);
  });
});

describe("a found block", () => {
  /** A world in which every other hash is a block. */
  function easy(): World {
    const w = world();
    w.tip.childBits = EASY_BITS;
    return w;
  }
  const easyShare = (changes: ShareChanges = {}) => {
    const sent = share({ ...changes, jobChanges: { nbits: EASY_BITS, ...changes.jobChanges } });
    return good({ ...sent, targetByte: 0 });
  };

  test("comes with the share, header and coinbase as they were hashed", () => {
    const { judge, session, tip } = easy();
    const sent = easyShare({ jobId: 4 });
    const verdict = judge.judge(session, sent);
    expect(verdict.kind).toBe("accepted");
    const { header, coinbase, ...rest } = verdict.block!;
    expect(rest).toEqual({
      hash: hashOf(sent),
      parent: tip,
      height: HEIGHT,
      coinbaseValue: VALUE,
      transactionCount: 3,
      jobId: 4,
      jobSerial: session.jobSerial(4),
      sessionId: 7n,
      splitId: undefined,
      pin: 50n,
      username: new Uint8Array(sent.username),
      finder: {
        script: Uint8Array.from(Buffer.from("0014751e76e8199196d454941c45d1b3a323f1433bd6", "hex")),
        address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
      },
    });
    expect(Buffer.from(header).subarray(4, 36)).toEqual(Buffer.alloc(32, 0x11));
    expect(header.length).toBe(80);
    const built = buildJob(builderJob());
    const { coinb1, coinb2 } = built.coinbases.get(0)!;
    const whole = Buffer.concat([coinb1, sent.extranonce, coinb2]);
    whole[built.targetByteIndex] = 0;
    expect(Buffer.from(coinbase)).toEqual(whole);
  });

  test("of a bad username has no finder", () => {
    const { judge, session } = easy();
    const verdict = judge.judge(session, easyShare({ username: Buffer.from("bob") }));
    expect(reason(verdict)).toBe(14);
    expect(verdict.block).toMatchObject({ finder: undefined, username: Uint8Array.from(Buffer.from("bob")) });
  });

  test("of subsidy-only work has no transactions and the subsidy's value, whatever id the share gives", () => {
    for (const coinbaseId of [255, 1]) {
      const { judge, session } = easy();
      const parts = easyShare({ coinbaseId: 255 });
      session.keep(parts);
      const verdict = judge.judge(session, { ...bare(parts), coinbaseId });
      expect(reason(verdict)).toBe(coinbaseId === 255 ? 0 : 22);
      expect(verdict.block).toMatchObject({ transactionCount: 0, coinbaseValue: 312_500_000n, hash: hashOf(parts) });
    }
  });

  test("is handed on whatever refuses its share", () => {
    const faults: readonly (readonly [number, ShareChanges, ((w: World, sent: Share) => void)?])[] = [
      [14, { username: Buffer.from("bob") }],
      [15, { coinbaseId: 1, jobChanges: { coinbaserId: 9 } }],
      [16, { jobChanges: { branches: Buffer.alloc(32) } }],
      [26, { built: builderJob({ primeId: 5 }) }],
      [27, { built: builderJob({ poolScript: payee(9, 0n).script }) }],
      [28, { built: builderJob({ primaryTag: Buffer.from("Other") }) }],
      [24, { version: 2 }],
      [23, { ntime: 5 }],
      [13, {}, ({ session }) => session.setMinimum(9, NOW - 400_000)],
      [25, {}, ({ chain }) => chain.advance(block(0x22, { childBits: EASY_BITS }), NOW - 60_000)],
      [29, {}, ({ judge, session }, sent) => judge.judge(session, sent)],
    ];
    for (const [code, changes, prepare] of faults) {
      const w = easy();
      const sent = easyShare(changes);
      prepare?.(w, sent);
      const verdict = w.judge.judge(w.session, sent);
      expect([code, reason(verdict)]).toEqual([code, code]);
      expect(verdict.block?.hash).toEqual(hashOf(sent));
    }
  });

  test("whose parent the chain has no room for is handed on too", () => {
    const w = easy();
    w.chain.full = true;
    const sent = easyShare({ jobChanges: { prevhash: Buffer.alloc(32, 0x99) } });
    const verdict = w.judge.judge(w.session, sent);
    expect(reason(verdict)).toBe(30);
    expect(verdict.block).toMatchObject({ hash: hashOf(sent), parent: { state: "unknown" } });
  });

  test("of another pool is none of ours: neither its prime id nor an output is", () => {
    const w = easy();
    const foreign = builderJob({ primeId: 5, poolScript: payee(9, 0n).script });
    const verdict = w.judge.judge(w.session, easyShare({ built: foreign }));
    expect([reason(verdict), verdict.block]).toEqual([26, undefined]);
  });

  test("on a parent left behind must be hard enough to matter: old blocks were easy", () => {
    const w = world();
    w.tip.childBits = EASY_BITS;
    const sent = easyShare();
    w.chain.advance(block(0x22, { childBits: EASY_BITS }), NOW - 60_000);
    expect(w.judge.judge(w.session, sent).block).toBeDefined();
    w.chain.advance(block(0x33, { childBits: HARD_BITS }), NOW - 60_000);
    const verdict = w.judge.judge(w.session, sent);
    expect([reason(verdict), verdict.block]).toEqual([25, undefined]);
  });

  test("goes by the node's bits, not by the wire's", () => {
    const { judge, session } = world();
    const verdict = judge.judge(session, easyShare());
    expect([reason(verdict), verdict.block]).toEqual([30, undefined]);
    const w = easy();
    const hard = w.judge.judge(w.session, good(share()));
    expect(reason(hard)).toBe(30);
    expect(hard.block).toBeDefined();
  });

  test("carries the split that its coinbase pays", () => {
    const { judge, session } = easy();
    session.addSplit(split(6, [payee(1, 1000n)]), 0);
    const sent = easyShare({ coinbaseId: 3, built: builderJob({ split: [payee(1, 1000n)] }) });
    expect(judge.judge(session, sent).block).toMatchObject({ splitId: 906n, pin: 30n });
  });

  test("that became the tip before its share came is accepted, at any age", () => {
    const { judge, session, chain } = easy();
    const sent = easyShare();
    chain.advance(block(0, { hash: hashOf(sent), childBits: EASY_BITS }), NOW - 60_000);
    accepted(judge.judge(session, sent));
    const other = good({ ...bare(sent), nonce: sent.nonce + 1 }, regtest, sent);
    expect(reason(judge.judge(session, other))).toBe(25);
  });
});

describe("parents", () => {
  const elsewhere = { prevhash: Buffer.alloc(32, 0x99) };

  test("the node does not know: accepted tentatively, and for good once it does", () => {
    const { judge, session, chain } = world();
    const sent = good(share({ jobChanges: elsewhere }));
    expect(accepted(judge.judge(session, sent)).tentative).toBe(true);
    expect(chain.asked).toEqual([{ hash: "99".repeat(32), claimedHeight: HEIGHT - 1, proven: false }]);
    const parent = chain.parent(elsewhere.prevhash, HEIGHT - 1)!;
    parent.state = "tip";
    parent.childBits = HARD_BITS;
    const next = good(bare(share({ nonce: sent.nonce + 1 })), regtest, sent);
    expect(accepted(judge.judge(session, next)).tentative).toBe(false);
    parent.childBits = 0x1d7ffffe;
    expect(reason(judge.judge(session, good({ ...next, nonce: next.nonce + 1 }, regtest, sent)))).toBe(30);
  });

  test("named by a session that has proven itself may take the room that is kept for those", () => {
    const { judge, session, chain } = world();
    const first = good(share());
    accepted(judge.judge(session, first));
    expect(session.proven).toBe(false);
    let nonce = first.nonce;
    for (let i = 1; i < 100; i++) {
      const next = good(bare(share({ nonce: nonce + 1 })), regtest, first);
      nonce = next.nonce;
      accepted(judge.judge(session, next));
    }
    expect(session.proven).toBe(true);
    accepted(judge.judge(session, good(share({ jobChanges: elsewhere }))));
    expect(chain.asked.map(({ proven }) => proven)).toEqual([true]);
  });

  test("over the chain's bound: refused, and asked for again with the next share", () => {
    const { judge, session, chain } = world();
    chain.full = true;
    const sent = good(share({ jobChanges: elsewhere }));
    expect(reason(judge.judge(session, sent))).toBe(30);
    chain.full = false;
    accepted(judge.judge(session, bare(sent)));
  });

  test("are entered with the chain only by a share that is good for everything else", () => {
    const { judge, session, chain } = world();
    const bad: readonly (readonly [number, ShareChanges])[] = [
      [14, { username: Buffer.from("bob") }],
      [26, { built: builderJob({ primeId: 5 }) }],
      [27, { built: builderJob({ poolScript: payee(9, 0n).script }) }],
      [24, { version: 2 }],
    ];
    for (const [code, changes] of bad) {
      expect(reason(judge.judge(session, good(share({ ...changes, jobChanges: elsewhere }))))).toBe(code);
    }
    const high = mine(share({ targetByte: 2, jobChanges: elsewhere }), (hash) => hash > regtest.difficultyOne >> 2n);
    expect(reason(judge.judge(session, high))).toBe(21);
    expect(chain.asked).toEqual([]);
    const sent = good(share({ jobChanges: elsewhere }));
    accepted(judge.judge(session, sent));
    expect(reason(judge.judge(session, sent))).toBe(29);
    expect(chain.asked).toHaveLength(1);
  });

  test("the node does not know, of a height that it passed long ago: stale, and not asked for", () => {
    const at = (height: number, changes: Partial<World["chain"]> = {}) => {
      const w = world();
      Object.assign(w.chain, changes);
      const verdict = w.judge.judge(w.session, good(share({ built: builderJob({ height }), jobChanges: elsewhere })));
      return [reason(verdict), w.chain.asked.length];
    };
    // The tip is at HEIGHT - 1: its rivals and what came a moment before it are still taken on trust.
    expect(at(HEIGHT + 5)).toEqual([0, 1]);
    expect(at(HEIGHT)).toEqual([0, 1]);
    expect(at(HEIGHT - 1)).toEqual([0, 1]);
    expect(at(HEIGHT - 2)).toEqual([25, 0]);
    expect(at(HEIGHT - 2, { reachable: false })).toEqual([0, 1]);
  });

  test("the node does not know, of a height that no block can have: refused", () => {
    const { judge, session } = world();
    for (const height of [0x80000000, 0xffffffff]) {
      expect(reason(judge.judge(session, good(share({ built: builderJob({ height }), jobChanges: elsewhere }))))).toBe(26);
    }
    accepted(judge.judge(session, good(share({ built: builderJob({ height: 0x7fffffff }), jobChanges: elsewhere }))));
  });

  test("stale ones are good for the grace time, and for ever while no node answers", () => {
    const { judge, session, chain, clock } = world();
    const sent = good(share());
    session.keep(sent);
    chain.advance(block(0x22), NOW);
    const at = (now: number, nonce: number) => {
      clock.now = now;
      const next = good({ ...bare(sent), nonce }, regtest, sent);
      return reason(judge.judge(session, next));
    };
    expect(at(NOW + 5000, 1000)).toBe(0);
    expect(at(NOW + 5001, 2000)).toBe(25);
    chain.reachable = false;
    expect(at(NOW + 60_000, 3000)).toBe(0);
    chain.current = undefined;
    expect(at(NOW + 60_000, 4000)).toBe(0);
    chain.reachable = true;
    expect(at(NOW + 60_000, 5000)).toBe(25);
  });

  test("rivals of the tip are good until one of them wins", () => {
    const { judge, session, chain, clock } = world();
    const ours = good(share());
    const theirs = good(share({ jobId: 1, jobChanges: { prevhash: Buffer.alloc(32, 0x33) } }));
    for (const sent of [ours, theirs]) session.keep(sent);
    // The other one was told of first: ours is no tip, but nothing is built on either.
    const tip = chain.current!;
    tip.state = "stale";
    chain.enter(block(0x33, { height: tip.height }));
    const at = (sent: Share, now: number, nonce: number) => {
      clock.now = now;
      const next = good({ ...bare(sent), nonce }, regtest, sent);
      const verdict = judge.judge(session, next);
      return verdict.kind === "accepted" ? [0, verdict.share.late] : [verdict.reason];
    };
    expect(at(ours, NOW + 600_000, 1000)).toEqual([0, false]);
    expect(at(theirs, NOW + 600_000, 1000)).toEqual([0, false]);
    // Theirs wins: the chain has passed ours from here on.
    chain.advance(block(0x44, { height: tip.height + 1 }), NOW + 600_000);
    tip.staleSince = NOW + 600_000;
    expect(at(ours, NOW + 605_000, 2000)).toEqual([0, true]);
    expect(at(ours, NOW + 605_001, 3000)).toEqual([25]);
    expect(at(theirs, NOW + 605_001, 2000)).toEqual([25]);
    // Ours after all, by a reorganisation: good again. An invalidated one never is.
    tip.staleSince = undefined;
    expect(at(ours, NOW + 605_001, 4000)).toEqual([0, false]);
    tip.state = "invalid";
    expect(at(ours, NOW + 605_001, 5000)).toEqual([25]);
    chain.reachable = false;
    expect(at(ours, NOW + 605_001, 6000)).toEqual([25]);
    expect(at(theirs, NOW + 605_001, 3000)).toEqual([0, false]);
  });

  test("a share that made the tip is good however late it comes", () => {
    const { judge, session, chain, clock } = world();
    const sent = good(share());
    chain.advance({ ...block(0x22), hash: hashOf(sent) }, NOW);
    clock.now = NOW + 60_000;
    accepted(judge.judge(session, sent));
    expect(reason(judge.judge(session, good({ ...bare(sent), nonce: sent.nonce + 1 }, regtest, sent)))).toBe(25);
  });

  test("block candidates on unknown ones need bits near the tip's, and are few in a minute", () => {
    let overLimit = 0;
    const found = (w: World, nbits: number, nonce: number) => {
      const sent = good(share({ nonce, jobChanges: { ...elsewhere, nbits } }));
      const verdict = w.judge.judge(w.session, sent);
      if (verdict.overLimit === true) overLimit++;
      return verdict.block !== undefined;
    };
    const near = world();
    expect(found(near, EASY_BITS, 0)).toBe(false);
    near.tip.childBits = 0x203fffff;
    const found8 = Array.from({ length: 20 }, (_, index) => found(near, EASY_BITS, index * 1000)).filter(Boolean);
    expect([found8.length, overLimit]).toEqual([8, expect.any(Number)]);
    expect(overLimit).toBeGreaterThan(0);
    near.clock.now += 60_000;
    expect(found(near, EASY_BITS, 50_000)).toBe(true);
    near.tip.childBits = 0x201ffffe;
    expect(found(near, EASY_BITS, 51_000)).toBe(false);
    // With no tip to compare with, the network's limit is the measure.
    near.chain.current = undefined;
    expect(found(near, EASY_BITS, 52_000)).toBe(true);
    expect(found(near, 0x2100ffff, 53_000)).toBe(false);
  });

  test("bits that no target has make no block and no throw", () => {
    const { judge, session } = world();
    for (const [index, nbits] of [0, 0x01800000, 0x1d800001, 0xff7fffff].entries()) {
      const verdict = judge.judge(session, good(share({ nonce: index * 1000, jobChanges: { ...elsewhere, nbits } })));
      expect([reason(verdict), verdict.block]).toEqual([0, undefined]);
    }
  });
});

describe("the minimum", () => {
  test("raised: what was good stays good for 300 s", () => {
    const { judge, session, clock } = world();
    session.setMinimum(4, clock.now);
    expect(session.minimumTargetByte).toBe(4);
    const sent = good(share({ targetByte: 1 }));
    accepted(judge.judge(session, sent));
    clock.now += 300_000;
    expect(reason(judge.judge(session, good({ ...bare(sent), nonce: sent.nonce + 1 }, regtest, sent)))).toBe(13);
    accepted(judge.judge(session, good({ ...bare(sent), targetByte: 4 }, regtest, sent)));
  });
});

test("whatever a share says, judging it with the real prover does not throw", async () => {
  const base = share({ coinbaseId: 1, built: builderJob({ split: [payee(1, 10n)] }) });
  const anything = fc.record({
    jobId: fc.nat(255),
    coinbaseId: fc.nat(255),
    subsidyOnly: fc.boolean(),
    quickdiff: fc.boolean(),
    targetByte: fc.nat(255),
    ntime: fc.nat(0xffffffff),
    version: fc.nat(0xffffffff),
    extranonce: fc.oneof(fc.constant(base.extranonce), fc.uint8Array({ maxLength: 30 })),
    username: fc.uint8Array({ maxLength: 384 }),
  });
  const job = fc.record({
    targetByteIndex: fc.nat(65535),
    nbits: fc.nat(0xffffffff),
    height: fc.nat(0xffffffff),
    coinbaseValue: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    transactionCount: fc.nat(0xffffffff),
    branches: fc.nat(255).map((count) => Buffer.alloc(count * 32)),
  });
  const coins = fc.record({ coinb1: fc.uint8Array({ maxLength: 50 }), coinb2: fc.uint8Array({ maxLength: 50 }) });
  const w = world({}, await ShareProver.create());
  fc.assert(
    fc.property(anything, fc.option(job), fc.option(coins), (fields, jobFields, parts) => {
      const verdict = w.judge.judge(w.session, {
        ...base,
        ...fields,
        ...(jobFields === null ? {} : { job: { ...base.job!, ...jobFields } }),
        ...(parts === null ? {} : { coinbase: { coinbaseId: fields.coinbaseId, ...parts } }),
      });
      expect(verdict.kind).toBe("refused");
      expect(reason(verdict)).toBeGreaterThanOrEqual(10);
      expect(reason(verdict)).toBeLessThanOrEqual(30);
    }),
    { numRuns: 1000 },
  );
});
