import { readFileSync } from "node:fs";
import { NodeError } from "@openprime/bitcoin";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Judgement } from "../../../src/chain/templates/codes.js";
import { type Proposal, Proposals, type ProposalsOptions, readAnswer } from "../../../src/chain/templates/proposals.js";
import type { Parent } from "../../../src/work/index.js";
import { makeParent } from "./made-job.js";

const words = JSON.parse(readFileSync(new URL("./data/proposal-answers.json", import.meta.url), "utf8")) as Record<
  "unsound" | "unjudged",
  string[]
>;

describe("the node's word", () => {
  it.each(words.unsound)("%j calls the template bad", (word) => {
    expect(readAnswer(word)).toEqual({ state: "unsound", code: "nodeRefused", detail: `the pool's node refuses it: ${word}` });
  });

  it.each(words.unjudged)("%j says nothing of it", (word) => {
    expect(readAnswer(word)).toMatchObject({ state: "unjudged", code: "nodeUnable" });
  });

  it("null calls it good", () => {
    expect(readAnswer(null)).toEqual({ state: "sound" });
  });
});

describe("proposals", () => {
  let clock: number;
  let asked: string[];
  let answer: (hex: string) => Promise<string | null>;
  let proposals: Proposals;

  beforeEach(() => {
    clock = 0;
    asked = [];
    answer = async () => null;
  });
  afterEach(() => {
    proposals.stop();
  });

  const make = (options: Partial<ProposalsOptions> = {}): void => {
    const node = {
      proposeBlock: (hex: string) => {
        asked.push(hex);
        return answer(hex);
      },
    };
    proposals = new Proposals({ perSecond: 1000, ...options }, { node, monotonic: () => clock });
  };
  const propose = (key: string, more: Partial<Proposal> = {}): Promise<Judgement> =>
    proposals.propose({ key, urgency: { rank: 2, fees: 0n }, parent: makeParent(), block: () => Buffer.from(key, "hex"), ...more });

  it("are asked for one by one, the most urgent first, and no faster than is allowed", async () => {
    make({ perSecond: 100 });
    const began = performance.now();
    const all = [
      propose("aa"),
      propose("01", { urgency: { rank: 2, fees: 1n } }),
      propose("02", { urgency: { rank: 2, fees: 5n } }),
      propose("03", { urgency: { rank: 0, fees: 0n } }),
    ];
    expect(proposals.waiting).toBe(3);
    expect(await Promise.all(all)).toEqual(Array(4).fill({ state: "sound" }));
    expect(asked).toEqual(["aa", "03", "02", "01"]);
    // Timers may be early by a millisecond.
    expect(performance.now() - began).toBeGreaterThanOrEqual(27);
    expect(proposals.waiting).toBe(0);
  });

  it("of one key are asked for once, as urgently as the most urgent asks", async () => {
    make();
    const parts = [propose("aa"), propose("bb"), propose("cc"), propose("cc", { urgency: { rank: 0, fees: 0n } })];
    await Promise.all(parts);
    expect(asked).toEqual(["aa", "cc", "bb"]);
    expect(await propose("cc")).toEqual({ state: "sound" });
    expect(asked.length).toBe(3);
  });

  it("remember what is sound, so many at most", async () => {
    make({ remembered: 2 });
    for (const key of ["aa", "bb", "aa", "cc", "aa", "bb"]) expect(await propose(key)).toEqual({ state: "sound" });
    expect(asked).toEqual(["aa", "bb", "cc", "bb"]);
  });

  it.each(["bad-cb-height", "inconclusive"])("hold a refusal against nobody else: %s", async (word) => {
    make();
    answer = async (hex) => (hex === "01" ? word : null);
    const block = (byte: number) => ({ block: () => Buffer.of(byte) });
    const [bad, good] = await Promise.all([propose("aa", block(1)), propose("aa", block(2))]);
    expect(bad.state).toBe(word === "inconclusive" ? "unjudged" : "unsound");
    expect(good).toEqual(word === "inconclusive" ? bad : { state: "sound" });
    expect(await propose("aa", block(3))).toEqual({ state: "sound" });
    expect(asked).toEqual(word === "inconclusive" ? ["01", "03"] : ["01", "02"]);
  });

  it.each([
    ["does not answer", new NodeError("unreachable", "getblocktemplate", "no connection"), "nodeUnable"],
    ["warms up", new NodeError("rpc", "getblocktemplate", "Loading block index… (RPC error -28)", -28), "nodeUnable"],
    ["is served by a bug", new TypeError("a bug"), "failed"],
  ])("stay unjudged where the node %s", async (_, error, code) => {
    make();
    answer = () => Promise.reject(error);
    expect(await propose("aa")).toMatchObject({ state: "unjudged", code });
    expect(await propose("aa")).toMatchObject({ state: "unjudged" });
    expect(asked.length).toBe(2);
  });

  it("wait for a parent that is unknown, not for one that is passed", async () => {
    make();
    const parents: Parent[] = [makeParent("unknown"), makeParent("unknown"), makeParent("stale")];
    const [known, passed, stale] = parents.map((parent, i) => propose(`0${i}`, { parent }));
    expect(await stale).toMatchObject({ state: "unjudged", code: "parentNotTip" });
    expect(asked).toEqual([]);
    parents[0]!.state = "tip";
    parents[1]!.state = "invalid";
    expect(await known).toEqual({ state: "sound" });
    expect(await passed).toMatchObject({ code: "parentNotTip" });
    expect(asked).toEqual(["00"]);
  });

  it("don't wait for ever", async () => {
    make({ patienceMs: 1000 });
    const unknown = propose("01", { parent: makeParent("unknown") });
    clock = 1001;
    expect(await unknown).toMatchObject({ state: "unjudged", code: "parentUnknown" });
    let release: (word: null) => void = () => undefined;
    answer = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const first = propose("02");
    const second = propose("03");
    await vi.waitFor(() => expect(asked).toEqual(["02"]));
    clock = 3000;
    release(null);
    expect(await first).toEqual({ state: "sound" });
    expect(await second).toMatchObject({ state: "unjudged", code: "overLimit" });
  });

  it("take no refusal for one that crossed with a new tip", async () => {
    make();
    const parent = makeParent();
    answer = async () => {
      parent.state = "stale";
      return "bad-txns-inputs-missingorspent";
    };
    expect(await propose("aa", { parent })).toMatchObject({ state: "unjudged", code: "parentNotTip" });
  });

  it("are bounded: the least urgent goes without", async () => {
    make({ waiting: 2 });
    let release: (word: null) => void = () => undefined;
    answer = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const rest = [propose("aa")];
    const low = propose("01", { urgency: { rank: 2, fees: 1n } });
    rest.push(propose("02", { urgency: { rank: 2, fees: 3n } }), propose("03", { urgency: { rank: 2, fees: 2n } }));
    expect(await low).toMatchObject({ state: "unjudged", code: "overLimit" });
    proposals.stop();
    release(null);
    expect((await Promise.all(rest)).map(({ state }) => state)).toEqual(["sound", "unjudged", "unjudged"]);
    expect(await propose("04")).toMatchObject({ state: "unjudged", code: "nodeUnable" });
    expect(asked).toEqual(["aa"]);
  });
});
