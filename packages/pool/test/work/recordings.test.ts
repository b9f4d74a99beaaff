/** Every share of the recorded conversations with a real gateway is judged accepted, its payees found in the splits that were offered. */
import { readFileSync } from "node:fs";
import { NETWORKS, type Network, ShareProver } from "@openprime/bitcoin";
import type { Share } from "@openprime/datum";
import { describe, expect, test } from "vitest";
import { ShareJudge, type SplitOutput, type Verdict, WorkSession } from "../../src/work/index.js";
import { FakeChain } from "./support/chain.js";
import { readShare, readSplit } from "./support/wire-share.js";

const RECORDINGS = new URL("../../../datum/test/recordings/", import.meta.url);

const prover = await ShareProver.create();

interface Config {
  readonly payoutHex: string;
  readonly tag: string;
  readonly primeId: number;
}

interface Recording {
  readonly config: Config;
  readonly connections: readonly { readonly frames: readonly { readonly t: number; readonly plain: string }[] }[];
}

interface Message {
  readonly t: number;
  readonly plain: Buffer;
}

interface Outcome {
  readonly share: Share;
  readonly verdict: Verdict;
  /** The coinbaser id of the split that was paid. */
  readonly split: bigint | undefined;
}

/** Judge the shares of a conversation, with the parents that they claim known to the node or not. */
function replay(messages: readonly Message[], config: Config, network: Network, known: boolean): Outcome[] {
  const chain = new FakeChain();
  let now = 0;
  const judge = new ShareJudge(
    {
      network,
      payoutScript: Buffer.from(config.payoutHex, "hex"),
      tag: Buffer.from(config.tag),
      feePpm: 0,
      staleGraceMs: 0,
      limits: { accountsPerSession: 100, workersPerSession: 100 },
    },
    { chain, prover: prover, now: () => now },
  );
  const session = new WorkSession({ sessionId: 1n, primeId: config.primeId, minimumTargetByte: 0, head: () => 77n });
  const prevhashes = new Map<bigint, Buffer>();
  const outcomes: Outcome[] = [];
  for (const { t, plain } of messages) {
    now = t;
    if (plain[0] === 0x10) prevhashes.set(plain.readBigUInt64LE(1), plain.subarray(9, 41));
    if (plain[0] === 0x11) {
      const split = readSplit(plain);
      const prevhash = prevhashes.get(split.value);
      if (prevhash === undefined) throw new Error("a split that nobody asked for");
      session.addSplit({ ...split, id: 1000n + BigInt(split.coinbaserId), prevhash, position: BigInt(split.coinbaserId) }, 0);
    }
    if (plain[0] !== 0x27) continue;
    const share = readShare(plain);
    if (share.job !== undefined && known) {
      const { prevhash, height, nbits } = share.job;
      chain.enter({
        hash: prevhash,
        state: "tip",
        height: height - 1,
        childBits: nbits,
        medianTime: share.ntime - 3600,
        staleSince: undefined,
      });
    }
    const verdict = judge.judge(session, share);
    outcomes.push({ share, verdict, split: verdict.kind === "accepted" ? verdict.share.splitId : undefined });
  }
  return outcomes;
}

function load(name: string): { config: Config; messages: Message[] } {
  const { config, connections } = JSON.parse(readFileSync(new URL(name, RECORDINGS), "utf8")) as Recording;
  const messages = connections.flatMap(({ frames }) => frames.map(({ t, plain }) => ({ t, plain: Buffer.from(plain ?? "", "hex") })));
  return { config, messages };
}

const refusals = (outcomes: readonly Outcome[]) =>
  outcomes.flatMap(({ verdict }) => (verdict.kind === "refused" ? [`${verdict.reason} ${verdict.detail}`] : []));

describe.each(["ordinary.json", "new-blocks.json", "quickdiff.json"])("%s", (name) => {
  const { config, messages } = load(name);
  const outcomes = replay(messages, config, NETWORKS.regtest, true);

  test("all shares are accepted", () => {
    expect(outcomes.length).toBeGreaterThan(20);
    expect(refusals(outcomes)).toEqual([]);
  });

  test("kinds 1-5 pay a split that was offered, the others none", () => {
    const paid = outcomes.filter(({ split }) => split !== undefined);
    for (const { share, verdict, split } of outcomes) {
      if (verdict.kind !== "accepted") continue;
      const { pin } = verdict.share;
      expect(pin).toBe(split === undefined ? 77n : split - 1000n);
      if (share.coinbaseId === 0 || share.coinbaseId === 255) expect(split).toBeUndefined();
    }
    if (name !== "new-blocks.json") expect(paid.length).toBeGreaterThan(10);
  });

  test("they are accepted tentatively while the node does not know their parents", () => {
    const tentative = replay(messages, config, NETWORKS.regtest, false);
    expect(refusals(tentative)).toEqual([]);
    expect(tentative.every(({ verdict }) => verdict.kind === "accepted" && verdict.share.tentative)).toBe(true);
  });

  test("another tag, payout script or prime_id refuses all of them", () => {
    const reasons = (other: Partial<Config>) =>
      new Set(
        replay(messages, { ...config, ...other }, NETWORKS.regtest, true).map(({ verdict }) =>
          verdict.kind === "refused" ? verdict.reason : 0,
        ),
      );
    expect(reasons({ tag: "PROBE2" })).toEqual(new Set([28]));
    expect(reasons({ tag: "PROB" })).toEqual(new Set([28]));
    expect(reasons({ payoutHex: `0014${"22".repeat(20)}` })).toEqual(new Set([27]));
    expect(reasons({ primeId: config.primeId ^ 1 })).toEqual(new Set([26]));
  });
});

test("the recordings hold every coinbase kind, quickdiff, blocks and subsidy-only work", () => {
  const shares = ["ordinary.json", "new-blocks.json", "quickdiff.json"].flatMap((name) =>
    load(name)
      .messages.filter(({ plain }) => plain[0] === 0x27)
      .map(({ plain }) => readShare(plain)),
  );
  expect(new Set(shares.map(({ coinbaseId }) => coinbaseId))).toEqual(new Set([0, 1, 2, 3, 4, 5, 255]));
  expect(shares.some(({ quickdiff }) => quickdiff)).toBe(true);
  expect(shares.some(({ isBlock, subsidyOnly }) => isBlock && subsidyOnly)).toBe(true);
});

describe("real-work.plain.txt, with the difficulty one of mainnet", () => {
  const lines = readFileSync(new URL("real-work.plain.txt", RECORDINGS), "utf8").trim().split("\n");
  const shares = lines.map((line) => Buffer.from(line, "hex")).filter((plain) => plain[0] === 0x27);
  // The gateway was on regtest with tb1 addresses; only difficulty one and the check of the top word are mainnet's here.
  const network: Network = { ...NETWORKS.regtest, difficultyOne: NETWORKS.mainnet.difficultyOne, checksTopWord: true };

  /** The file holds no answers of the pool: each job's split is read off its coinbase, where everybody was paid. */
  function judged(mutate: (share: Share) => Share): Verdict[] {
    return shares.map((plain) => {
      const share = readShare(plain);
      const { job, coinbase } = share;
      if (job === undefined || coinbase === undefined) throw new Error("each share of this file is the first of its job");
      const outputs = paidOutputs(coinbase.coinb1, coinbase.coinb2);
      const chain = new FakeChain();
      const bits = { childBits: job.nbits, medianTime: undefined, staleSince: undefined };
      chain.enter({ hash: job.prevhash, state: "tip", height: job.height - 1, ...bits });
      const judge = new ShareJudge(
        {
          network,
          payoutScript: outputs[outputs.length - 1]?.script ?? Buffer.alloc(0),
          tag: Buffer.from("EGPOOL"),
          feePpm: 0,
          staleGraceMs: 0,
          limits: { accountsPerSession: 100, workersPerSession: 100 },
        },
        { chain, prover, now: () => 1_800_000_000_000 },
      );
      const session = new WorkSession({ sessionId: 1n, primeId: 0xa1b2c3d4, minimumTargetByte: 0, head: () => 0n });
      const coinbaserId = job.coinbaserId === 0 ? 9 : job.coinbaserId;
      const split = { id: 5n, coinbaserId, value: job.coinbaseValue, prevhash: job.prevhash, outputs: outputs.slice(0, -1), position: 3n };
      session.addSplit(split, 0);
      return judge.judge(session, mutate(share));
    });
  }

  test("the four shares are accepted, each a block as well", () => {
    const verdicts = judged((share) => share);
    expect(verdicts.map((verdict) => (verdict.kind === "refused" ? verdict.detail : "accepted"))).toEqual(Array(4).fill("accepted"));
    expect(verdicts.every(({ block }) => block !== undefined)).toBe(true);
  });

  test("with another nonce the top word is not zero", () => {
    const verdicts = judged((share) => ({ ...share, nonce: (share.nonce ^ 1) >>> 0 }));
    expect(verdicts.map((verdict) => (verdict.kind === "refused" ? verdict.reason : 0))).toEqual([20, 20, 20, 20]);
  });
});

/** Outputs of a coinbase that hold money: the payees, then the pool. */
function paidOutputs(coinb1: Uint8Array, coinb2: Uint8Array): SplitOutput[] {
  const bytes = Buffer.concat([coinb1, Buffer.alloc(12), coinb2]);
  let at = 42 + bytes.readUInt8(41) + 4;
  const outputs: SplitOutput[] = [];
  for (let left = bytes.readUInt8(at++); left > 0; left--) {
    const length = bytes.readUInt8(at + 8);
    outputs.push({ value: bytes.readBigUInt64LE(at), script: bytes.subarray(at + 9, at + 9 + length) });
    at += 9 + length;
  }
  return outputs.filter(({ value }) => value > 0n);
}
