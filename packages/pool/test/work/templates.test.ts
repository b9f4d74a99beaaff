/** When a job is handed to the desk that judges its transactions, and what its verdict does to the shares. */
import { NETWORKS } from "@openprime/bitcoin";
import type { Share } from "@openprime/datum";
import { describe, expect, test } from "vitest";
import {
  type JobTemplate,
  type JudgedShare,
  type OpenedJob,
  SUBSIDY_ONLY,
  type TransactionSource,
  type Verdict,
  WorkSession,
} from "../../src/work/index.js";
import { ReferenceProver } from "./support/reference-prover.js";
import { bare, builderJob, good, HEIGHT, mine, NOW, PRIME_ID, payee, share, type World, world } from "./support/world.js";

const { regtest } = NETWORKS;

const SOURCE: TransactionSource = {
  shortIdKey: new Uint8Array(16),
  shortIds: () => Promise.reject(new Error("not asked here")),
  byIndex: () => Promise.reject(new Error("not asked here")),
  fullSet: () => Promise.reject(new Error("not asked here")),
  tell: () => undefined,
};

interface Desk extends World {
  readonly opened: OpenedJob[];
  readonly templates: JobTemplate[];
}

function desk(state: JobTemplate["state"] = "pending"): Desk {
  const opened: OpenedJob[] = [];
  const templates: JobTemplate[] = [];
  const w = world({}, undefined, {
    open(job) {
      opened.push(job);
      const template: JobTemplate = { id: BigInt(opened.length), state, why: undefined };
      templates.push(template);
      return template;
    },
  });
  w.session.source = SOURCE;
  return { ...w, opened, templates };
}

function accepted(verdict: Verdict): JudgedShare {
  if (verdict.kind === "refused") throw new Error(`${verdict.reason} ${verdict.detail}`);
  return verdict.share;
}

/** Further shares of a job, each another one. */
const next = (sent: Share, nonce: number) => good({ ...bare(sent), nonce }, regtest, sent);

describe("a job is opened", () => {
  test("once, by its first good share, with what that was hashed from", () => {
    const { judge, session, opened, tip } = desk();
    const sent = good(share({ jobId: 2 }));
    expect(accepted(judge.judge(session, sent)).templateId).toBe(1n);
    accepted(judge.judge(session, next(sent, 5000)));
    const prover = new ReferenceProver();
    const { coinb1, coinb2 } = sent.coinbase!;
    prover.prove({ ...sent, ...sent.job!, coinb1, coinb2 });
    expect(opened).toEqual([
      {
        sessionId: 7n,
        jobId: 2,
        jobSerial: session.jobSerial(2),
        job: session.slot(2)?.job,
        coinbase: prover.coinbase(),
        header: prover.header(),
        parent: tip,
        source: SOURCE,
      },
    ]);
  });

  test.each<[string, (w: Desk) => Share]>([
    ["a username of nobody", () => share({ username: Buffer.from("bob") })],
    ["another pool's outputs", () => share({ built: builderJob({ poolScript: payee(9, 0n).script }) })],
    ["too little work", () => mine(share({ targetByte: 2 }), (hash) => hash > regtest.difficultyOne >> 2n)],
    [
      "stale work",
      (w) => {
        w.tip.state = "stale";
        w.tip.staleSince = NOW - 60_000;
        return good(share());
      },
    ],
    [
      "a parent over the bound",
      (w) => {
        w.chain.full = true;
        return good(share({ jobChanges: { prevhash: Buffer.alloc(32, 9) } }));
      },
    ],
  ])("not by a share with %s", (_, make) => {
    const w = desk();
    expect(w.judge.judge(w.session, make(w)).kind).toBe("refused");
    expect(w.opened).toEqual([]);
  });

  test("on a parent that the node does not know, with the parent that was entered for it", () => {
    const { judge, session, opened } = desk();
    const judged = accepted(judge.judge(session, good(share({ jobChanges: { prevhash: Buffer.alloc(32, 9) } }))));
    expect(judged.tentative).toBe(true);
    expect(opened[0]?.parent).toBe(judged.parent);
  });

  test("not for subsidy-only work, which has no transactions", () => {
    const { judge, session, opened } = desk("unsound");
    const sent = good(share({ coinbaseId: SUBSIDY_ONLY, built: builderJob({ height: HEIGHT }) }));
    expect(accepted(judge.judge(session, sent)).templateId).toBeUndefined();
    expect(opened).toEqual([]);
  });

  test("not by an announcement", () => {
    const { judge, session, opened } = desk();
    const sent = good(share({ jobId: 4 }));
    session.announce({ type: "jobAnnouncement", jobId: 4, job: sent.job!, coinbases: [sent.coinbase!] });
    expect(opened).toEqual([]);
    accepted(judge.judge(session, bare(sent)));
    expect(opened).toHaveLength(1);
  });

  test("anew when its slot is filled anew, not when the same job comes again", () => {
    const { judge, session, opened } = desk();
    const sent = good(share());
    accepted(judge.judge(session, sent));
    accepted(judge.judge(session, { ...next(sent, 5000), job: sent.job!, coinbase: sent.coinbase! }));
    expect(opened).toHaveLength(1);
    accepted(judge.judge(session, good(share({ nonce: 9000, jobChanges: { totalSize: 999 } }))));
    expect(opened.map(({ jobSerial }) => jobSerial)).toEqual([1, 2]);
  });

  test("for nobody where the gateway can't be asked, or no desk is there", () => {
    const { judge, opened } = desk();
    const unasked = new WorkSession({ sessionId: 8n, primeId: PRIME_ID, minimumTargetByte: 0, head: () => 1n });
    expect(accepted(judge.judge(unasked, good(share()))).templateId).toBeUndefined();
    expect(opened).toEqual([]);
    const w = world();
    w.session.source = SOURCE;
    expect(accepted(w.judge.judge(w.session, good(share()))).templateId).toBeUndefined();
  });
});

describe("shares of a job", () => {
  test("carry its template while that is pending only", () => {
    const { judge, session, templates } = desk();
    const sent = good(share());
    const ids = [accepted(judge.judge(session, sent)).templateId];
    for (const [index, state] of (["sound", "unjudged", "pending"] as const).entries()) {
      templates[0]!.state = state;
      ids.push(accepted(judge.judge(session, next(sent, 5000 * (index + 1)))).templateId);
    }
    expect(ids).toEqual([1n, undefined, undefined, 1n]);
  });

  test("are refused once it is unsound, with the reason in words, and a block among them is handed on all the same", () => {
    const w = desk();
    const { judge, session, templates, tip } = w;
    tip.childBits = 0x207fffff;
    const sent = good(share({ jobChanges: { nbits: 0x207fffff } }));
    accepted(judge.judge(session, sent));
    templates[0]!.state = "unsound";
    templates[0]!.why = "a transaction spends what another one spends";
    const after = next(sent, 5000);
    const verdict = judge.judge(session, after);
    expect(verdict).toMatchObject({ kind: "refused", reason: 30, detail: expect.stringContaining("spends what another") });
    expect(verdict.block).toBeDefined();
    // It was not taken, so it is no duplicate; what was taken before is.
    expect(judge.judge(session, after)).toMatchObject({ reason: 30 });
    expect(judge.judge(session, bare(sent))).toMatchObject({ reason: 29 });
  });

  test("are refused at once when the desk knows the set for unsound", () => {
    const { judge, session, opened } = desk("unsound");
    const sent = good(share());
    expect(judge.judge(session, sent)).toMatchObject({ kind: "refused", reason: 30 });
    expect(judge.judge(session, next(sent, 5000))).toMatchObject({ kind: "refused", reason: 30 });
    expect(opened).toHaveLength(1);
  });

  test("commit to one set of transactions: what was judged with one coinbase holds for no other commitment", () => {
    const { judge, session, opened, templates } = desk("sound");
    const split = builderJob({ split: [] });
    accepted(judge.judge(session, good(share({ built: split }))));
    const honest = good(share({ built: split, coinbaseId: 1, nonce: 3000 }));
    accepted(judge.judge(session, honest));
    const { coinb1, coinb2 } = honest.coinbase!;
    const forged = new Uint8Array(coinb2);
    // Before the locktime.
    forged[forged.length - 5]! ^= 1;
    // Under another kind, and in the place of the one that was judged.
    for (const coinbaseId of [1, 0]) {
      const sent = good(share({ built: split, coinbaseId, nonce: 5000, coins: { coinb1, coinb2: forged } }));
      expect(judge.judge(session, sent)).toMatchObject({ kind: "refused", reason: 27, detail: expect.stringContaining("commitment") });
    }
    expect([opened.length, templates.length]).toEqual([1, 1]);
    // The next job has its own.
    accepted(judge.judge(session, good(share({ jobChanges: { totalSize: 999 }, nonce: 9000, coins: { coinb1, coinb2: forged } }))));
  });
});
