/** The fuzz's judge of what the pool accepts: it must neither let a share pass that was not sent, nor find fault with one that was. */
import { NETWORKS } from "@openprime/bitcoin";
import type { Share } from "@openprime/datum";
import { expect, test } from "vitest";
import { SaidWork } from "../../src/cli/fire/share-oracle.js";
import type { JudgedShare } from "../../src/work/index.js";
import { bare, good, POOL_SCRIPT, share, world } from "../work/support/world.js";

const { regtest } = NETWORKS;
const POOL = { script: POOL_SCRIPT, payees: [] };

test("a pool that has not read all of a conversation goes on with what it held before", () => {
  const { judge, session } = world();
  const said = new SaidWork();
  const judged = (sent: Share): JudgedShare => {
    said.say(sent);
    const verdict = judge.judge(session, sent);
    if (verdict.kind === "refused") throw new Error(verdict.detail);
    return verdict.share;
  };
  said.begin();
  const first = good(share({ jobId: 2 }));
  said.check(judged(first), POOL);
  const unread = good(share({ jobId: 2, jobChanges: { totalSize: 999 }, nonce: 2000 }));
  said.say(unread);

  said.begin();
  const later = judged(good({ ...bare(first), nonce: 5000 }, regtest, first));
  said.check(later, POOL);
  // Read after all: from then on the slot holds nothing else.
  said.check(judged(good({ ...unread, nonce: 7000 })), POOL);
  // Of an earlier conversation.
  said.begin();
  expect(() => said.check(later, POOL)).toThrow("sent under a good MAC");
});

test("a gateway that talks for long costs no more at its end than at its beginning", () => {
  const said = new SaidWork();
  const first = good(share({ jobId: 1 }));
  for (let conversation = 0; conversation < 2000; conversation++) {
    said.begin();
    for (const totalSize of [conversation, conversation + 1]) said.say({ ...first, job: { ...first.job!, totalSize } });
    said.say(bare(first));
  }
  expect(() => said.check({ hash: new Uint8Array(32) } as JudgedShare, POOL)).toThrow("sent under a good MAC");
});
