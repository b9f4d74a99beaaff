/** Questions to a gateway without a socket: what is asked, what a reply answers, and for how long large frames are let in. */
import { LARGEST_PAYLOAD, type TransactionsReply, type ValidationError } from "@openprime/datum";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Question, Questions, type Reply } from "../../src/gateway/questions.js";

const ONE = Uint8Array.of(1);
const FULL: Question = { type: "fullSetRequest", jobId: 3 };
const IDS: Question = { type: "shortIdsRequest", jobId: 3 };
const by = (...indices: number[]): Question => ({ type: "transactionsByIndexRequest", jobId: 3, indices });
const set = (change: Partial<TransactionsReply> = {}): TransactionsReply => ({ type: "fullSet", jobId: 3, transactions: [], ...change });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world() {
  const w = {
    serial: 1 as number | undefined,
    sent: [] as Question[],
    payload: undefined as number | undefined,
    counted: [] as string[],
  };
  const questions = new Questions(
    { shortIdsMs: 100, transactionsMs: 1000 },
    {
      serial: () => w.serial,
      send: (question) => void w.sent.push(question),
      allow: (payload) => {
        w.payload = payload;
      },
      count: (kind, outcome) => void w.counted.push(`${kind} ${outcome}`),
    },
  );
  return Object.assign(w, { questions });
}

/** A rejection that is looked at later. */
const failing = (asked: Promise<Reply>): Promise<string> =>
  asked.then(
    () => "answered",
    (error: { code: string }) => error.code,
  );

describe("a question", () => {
  it("is sent once for all who ask it of the same job, and answers all", async () => {
    const { questions, sent, counted } = world();
    const both = [questions.ask(FULL, 1), questions.ask(FULL, 1)];
    expect(questions.reply(set({ jobId: 4 }))).toBe(false);
    expect(questions.reply(set({ type: "transactionsByIndex" }))).toBe(false);
    expect(questions.reply(set({ transactions: [ONE] }))).toBe(true);
    expect(await Promise.all(both)).toEqual([set({ transactions: [ONE] }), set({ transactions: [ONE] })]);
    expect(sent).toEqual([FULL]);
    expect(questions.reply(set())).toBe(false);
    expect(counted).toEqual(["fullSet answered"]);
  });

  it("is one of its kind about a job at a time; kinds and slots do not wait for each other", async () => {
    const { questions, sent } = world();
    const first = questions.ask(by(1, 2), 1);
    expect(await failing(questions.ask(by(2, 3), 1))).toBe("busy");
    for (const other of [IDS, FULL, { ...FULL, jobId: 4 }]) void failing(questions.ask(other, 1));
    expect(sent).toEqual([by(1, 2), IDS, FULL, { ...FULL, jobId: 4 }]);
    questions.reply(set({ type: "transactionsByIndex", transactions: [ONE, ONE] }));
    expect(await failing(first)).toBe("answered");
    void failing(questions.ask(by(2, 3), 1));
    expect(sent).toHaveLength(5);
  });

  it("is not sent about a slot that holds another job, or none", async () => {
    const w = world();
    expect(await failing(w.questions.ask(FULL, 2))).toBe("slotRefilled");
    w.serial = undefined;
    expect(await failing(w.questions.ask(FULL, 1))).toBe("slotRefilled");
    expect(w.sent).toEqual([]);
  });

  it("about a slot that was filled anew gives way to one about the new job, and each reply goes to its own", async () => {
    const w = world();
    const before = failing(w.questions.ask(FULL, 1));
    w.serial = 2;
    const after = w.questions.ask(FULL, 2);
    expect(await before).toBe("slotRefilled");
    expect(w.sent).toEqual([FULL, FULL]);
    expect(w.questions.reply(set({ transactions: [ONE] }))).toBe(true);
    expect(w.questions.reply(set({ transactions: [ONE, ONE] }))).toBe(true);
    expect(await after).toEqual(set({ transactions: [ONE, ONE] }));
    expect(w.questions.reply(set())).toBe(false);
  });

  it("whose slot was filled anew before the reply is not answered by it", async () => {
    const w = world();
    const asked = failing(w.questions.ask(FULL, 1));
    w.serial = 2;
    expect(w.questions.reply(set())).toBe(true);
    expect(await asked).toBe("slotRefilled");
  });

  it.each<ValidationError>(["noJob", "noTemplate", "tooManyTransactions", "badRequest", "badJobIndex"])("fails with %s", async (error) => {
    const { questions, counted } = world();
    const asked = failing(questions.ask(FULL, 1));
    questions.reply(set({ error, jobId: error === "badJobIndex" ? 0xff : 3 }));
    expect(await asked).toBe(error);
    expect(counted).toEqual([`fullSet ${error}`]);
  });

  it.each([0, 1, 3])("for two transactions is not answered by %i", async (count) => {
    const { questions } = world();
    const asked = failing(questions.ask(by(5, 7), 1));
    questions.reply(set({ type: "transactionsByIndex", transactions: Array<Uint8Array>(count).fill(ONE) }));
    expect(await asked).toBe("badReply");
  });

  it("that can't be sent leaves nothing behind", async () => {
    const questions = new Questions(
      { shortIdsMs: 1, transactionsMs: 1 },
      {
        serial: () => 1,
        send: () => {
          throw new Error("an index twice");
        },
        allow: () => undefined,
        count: () => undefined,
      },
    );
    await expect(questions.ask(by(1, 1), 1)).rejects.toThrow("twice");
    expect(questions.reply(set({ type: "transactionsByIndex" }))).toBe(false);
  });
});

describe("the deadline", () => {
  it("is the kind's own", async () => {
    const { questions } = world();
    const settled: string[] = [];
    for (const question of [IDS, by(1), FULL])
      void failing(questions.ask(question, 1)).then((code) => settled.push(`${question.type} ${code}`));
    await vi.advanceTimersByTimeAsync(100);
    expect(settled).toEqual(["shortIdsRequest timeout"]);
    await vi.advanceTimersByTimeAsync(900);
    expect(settled).toHaveLength(3);
  });

  it("over, the late reply is known, and answers whoever asked the same again", async () => {
    const { questions, sent } = world();
    const first = failing(questions.ask(FULL, 1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await first).toBe("timeout");
    const again = questions.ask(FULL, 1);
    expect(sent).toHaveLength(2);
    expect(questions.reply(set({ transactions: [ONE] }))).toBe(true);
    expect(await again).toEqual(set({ transactions: [ONE] }));
    expect(questions.reply(set())).toBe(true);
    expect(questions.reply(set())).toBe(false);
  });

  it("of other transactions is not met by the late reply", async () => {
    const { questions } = world();
    void failing(questions.ask(by(1), 1));
    await vi.advanceTimersByTimeAsync(1000);
    const other = failing(questions.ask(by(2), 1));
    questions.reply(set({ type: "transactionsByIndex", transactions: [ONE] }));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await other).toBe("timeout");
  });

  it("missed over and over ends the questions of that kind about the slot", async () => {
    const { questions, sent } = world();
    for (let i = 0; i < 10; i++) {
      const asked = failing(questions.ask(FULL, 1));
      await vi.advanceTimersByTimeAsync(1000);
      expect(await asked).toBe(i < 4 ? "timeout" : "busy");
    }
    expect(sent).toHaveLength(4);
  });
});

describe("large frames", () => {
  it("are let in only while they are asked for", async () => {
    const w = world();
    expect(w.payload).toBeUndefined();
    void failing(w.questions.ask(IDS, 1));
    expect(w.payload).toBe(128 * 1024);
    void failing(w.questions.ask(by(1), 1));
    expect(w.payload).toBe(LARGEST_PAYLOAD);
    w.questions.reply(set({ type: "transactionsByIndex", transactions: [ONE] }));
    expect(w.payload).toBe(128 * 1024);
    w.questions.reply({ type: "shortIds", jobId: 3, ids: new Uint8Array(0) });
    expect(w.payload).toBeUndefined();
  });

  it("that come long after the deadline are not", async () => {
    const w = world();
    void failing(w.questions.ask(FULL, 1));
    await vi.advanceTimersByTimeAsync(1999);
    expect(w.payload).toBe(LARGEST_PAYLOAD);
    await vi.advanceTimersByTimeAsync(1);
    expect(w.payload).toBeUndefined();
    // A short one, such as an error, is still known.
    expect(w.questions.reply(set({ error: "noJob" }))).toBe(true);
  });
});

it("a connection that goes ends all questions, and takes none after", async () => {
  const { questions } = world();
  const asked = [IDS, by(1), FULL].map((question) => failing(questions.ask(question, 1)));
  questions.disconnect();
  expect(await Promise.all(asked)).toEqual(["disconnected", "disconnected", "disconnected"]);
  expect(await failing(questions.ask(FULL, 1))).toBe("disconnected");
  expect(vi.getTimerCount()).toBe(0);
});
