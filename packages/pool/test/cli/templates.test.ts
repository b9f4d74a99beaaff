import { describe, expect, it } from "vitest";
import type { FetchTransactions } from "../../src/chain/index.js";
import { withJudgedTransactions } from "../../src/cli/templates.js";
import type { BlockSink } from "../../src/gateway/index.js";
import type { BlockCandidate } from "../../src/work/index.js";

const candidate = { sessionId: 7n, jobId: 2, jobSerial: 5 } as BlockCandidate;
const set = (byte: number): Uint8Array[] => [Uint8Array.of(byte)];

describe("a found block's transactions", () => {
  /** What the submitter gets at its first and second try. */
  async function tries(kept: Uint8Array[] | undefined): Promise<unknown[]> {
    let fetch: FetchTransactions = () => Promise.reject(new Error("never found"));
    const submitter: BlockSink = {
      found(_, given) {
        fetch = given;
      },
    };
    const asked: unknown[] = [];
    const desk = {
      transactionsOf: (...job: [bigint, number, number]) => {
        asked.push(job);
        return kept;
      },
    };
    withJudgedTransactions(submitter, desk).found(candidate, async () => set(9));
    expect(asked).toEqual([[7n, 2, 5]]);
    return [await fetch(), await fetch()];
  }

  it("come from the desk first, and from the gateway when they were wrong", async () => {
    expect(await tries(set(1))).toEqual([set(1), set(9)]);
  });

  it("come from the gateway where the job was not judged", async () => {
    expect(await tries(undefined)).toEqual([set(9), set(9)]);
  });

  it("come from the gateway where there is no desk", () => {
    const submitter: BlockSink = { found: () => undefined };
    expect(withJudgedTransactions(submitter, undefined)).toBe(submitter);
  });
});
