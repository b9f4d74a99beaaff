/**
 * Questions to one gateway about the transactions of its jobs (0x50), each with a deadline.
 *
 * A reply names kind and slot, not the job, and a gateway answers in the order in which it was asked. So replies are matched in that order,
 * also to questions that were given up, and what a gateway says of a slot that was filled anew meanwhile is not taken for the job asked about.
 * Whether the transactions are really the job's is told by its merkle branches, in `chain`.
 */
import { LARGEST_PAYLOAD, type ShortIdsReply, type TransactionsReply, type ValidationError } from "@openprime/datum";

export type SourceErrorCode =
  | "disconnected"
  | "timeout"
  | "slotRefilled"
  | "busy"
  | "badReply"
  | "noJob"
  | "noTemplate"
  | "tooManyTransactions"
  | "badJobIndex"
  | "badRequest";

/** The transactions of a job could not be had from its gateway. The codes from `noJob` on are the gateway's own words. */
export class SourceError extends Error {
  constructor(
    readonly code: SourceErrorCode,
    detail: string,
  ) {
    super(detail);
    this.name = "SourceError";
  }
}

/** What can be asked about a job. */
export type Question =
  | { readonly type: "shortIdsRequest"; readonly jobId: number }
  /** At least one index, and none twice: a gateway checks neither. */
  | { readonly type: "transactionsByIndexRequest"; readonly jobId: number; readonly indices: readonly number[] }
  | { readonly type: "fullSetRequest"; readonly jobId: number };

export type Reply = ShortIdsReply | TransactionsReply;
export type QuestionKind = Reply["type"];
export type QuestionOutcome = "answered" | SourceErrorCode;

const REPLY = {
  shortIdsRequest: "shortIds",
  transactionsByIndexRequest: "transactionsByIndex",
  fullSetRequest: "fullSet",
} as const satisfies Record<Question["type"], QuestionKind>;

/** The longest list of short ids (16,383 of 6 bytes, the check and padding), with room; the gateway builds it in a buffer of this size. */
const SHORT_IDS_PAYLOAD = 128 * 1024;
/** A slot that has so many questions of a kind without an answer, given up ones too, gets no more of them on this connection. */
const MAX_UNANSWERED = 4;
/** The slot that a gateway names where ours is none it has. */
const NO_SLOT = 0xff;

interface Asked {
  readonly question: Question;
  /** Of the slot when asked. */
  readonly serial: number;
  readonly deadlineMs: number;
  readonly reply: Promise<Reply>;
  readonly settle: (outcome: Reply | SourceError) => void;
  timer: NodeJS.Timeout | undefined;
  /** Its reply may no longer begin: the connection takes small frames again. */
  expired: boolean;
  settled: boolean;
}

export interface QuestionsModules {
  /** Serial of the job in a slot now; undefined for an empty slot. */
  readonly serial: (jobId: number) => number | undefined;
  readonly send: (question: Question) => void;
  /** Called whenever it may have changed: the largest frame to let in, undefined for the usual. */
  readonly allow: (payload: number | undefined) => void;
  readonly count: (kind: QuestionKind, outcome: QuestionOutcome) => void;
}

export class Questions {
  /** Not yet answered, in the order asked; given up ones stay until their reply comes. */
  readonly #asked: Asked[] = [];
  #left = false;

  constructor(
    private readonly deadlines: { readonly shortIdsMs: number; readonly transactionsMs: number },
    private readonly modules: QuestionsModules,
  ) {}

  /**
   * Asks, or joins the same question that is under way.
   *
   * @param serial of the job that is meant: a slot that holds another one is not asked
   * @throws SourceError; DatumError `badValue` for a question that no gateway can take, such as an index twice
   */
  async ask(question: Question, serial: number): Promise<Reply> {
    const kind = REPLY[question.type];
    const { jobId } = question;
    const refused = (code: SourceErrorCode, detail: string): SourceError => {
      this.modules.count(kind, code);
      return new SourceError(code, detail);
    };
    if (this.#left) throw refused("disconnected", "the gateway has left");
    if (this.modules.serial(jobId) !== serial) throw refused("slotRefilled", `job slot ${jobId} holds another job by now`);
    const earlier = this.#asked.filter((one) => one.question.type === question.type && one.question.jobId === jobId);
    const open = earlier.find((one) => !one.settled);
    if (open?.serial === serial) {
      if (sameQuestion(open.question, question)) return open.reply;
      throw refused("busy", `another ${kind} question about job ${jobId} is under way`);
    }
    if (earlier.length >= MAX_UNANSWERED) throw refused("busy", `${earlier.length} ${kind} questions about job ${jobId} have no answer`);
    // What is asked about the slot's former job can't be answered any more.
    open?.settle(refilled(jobId));
    return this.#send(question, serial);
  }

  /** Takes a reply. @returns false when nobody had asked for it. */
  reply(reply: Reply): boolean {
    const index = this.#asked.findIndex(
      ({ question }) =>
        REPLY[question.type] === reply.type &&
        (question.jobId === reply.jobId || (reply.error === "badJobIndex" && reply.jobId === NO_SLOT)),
    );
    const [first] = index < 0 ? [] : this.#asked.splice(index, 1);
    if (first === undefined) return false;
    clearTimeout(first.timer);
    const { question, serial } = first;
    const outcome = this.modules.serial(question.jobId) === serial ? checked(question, reply) : refilled(question.jobId);
    first.settle(outcome);
    // Whoever asked the same again after a deadline has the answer with it; their own comes later, and is of no use then.
    for (const later of this.#asked) if (later.serial === serial && sameQuestion(later.question, question)) later.settle(outcome);
    this.#allow();
    return true;
  }

  /** The connection has gone. */
  disconnect(): void {
    this.#left = true;
    for (const one of this.#asked.splice(0)) {
      clearTimeout(one.timer);
      one.settle(new SourceError("disconnected", `the gateway left before it answered about job ${one.question.jobId}`));
    }
  }

  #send(question: Question, serial: number): Promise<Reply> {
    this.modules.send(question);
    const kind = REPLY[question.type];
    const deadlineMs = kind === "shortIds" ? this.deadlines.shortIdsMs : this.deadlines.transactionsMs;
    let settle: Asked["settle"] = () => undefined;
    const reply = new Promise<Reply>((resolve, reject) => {
      settle = (outcome) => {
        if (asked.settled) return;
        asked.settled = true;
        const failed = outcome instanceof SourceError;
        this.modules.count(kind, failed ? outcome.code : "answered");
        if (failed) reject(outcome);
        else resolve(outcome);
      };
    });
    const asked: Asked = { question, serial, deadlineMs, reply, settle, timer: undefined, expired: false, settled: false };
    asked.timer = setTimeout(() => this.#late(asked), deadlineMs);
    this.#asked.push(asked);
    this.#allow();
    return reply;
  }

  /** The deadline: who asked is told. A reply that begins within as long again is let in: a slow line must not end the connection. */
  #late(asked: Asked): void {
    const { question, deadlineMs } = asked;
    asked.settle(new SourceError("timeout", `no ${REPLY[question.type]} of job ${question.jobId} within ${deadlineMs} ms`));
    asked.timer = setTimeout(() => {
      asked.expired = true;
      this.#allow();
    }, deadlineMs);
  }

  #allow(): void {
    let payload: number | undefined;
    for (const { question, expired } of this.#asked) {
      if (expired) continue;
      if (question.type !== "shortIdsRequest") payload = LARGEST_PAYLOAD;
      else payload ??= SHORT_IDS_PAYLOAD;
    }
    this.modules.allow(payload);
  }
}

function refilled(jobId: number): SourceError {
  return new SourceError("slotRefilled", `job slot ${jobId} was filled anew before the reply`);
}

/** A reply that is no error and as long as the question wants. */
function checked(question: Question, reply: Reply): Reply | SourceError {
  const { jobId } = question;
  if (reply.error !== undefined) {
    return new SourceError(reply.error satisfies ValidationError, `the gateway answered ${reply.error} for job ${jobId}`);
  }
  if (question.type !== "transactionsByIndexRequest" || reply.type === "shortIds") return reply;
  const [expected, got] = [question.indices.length, reply.transactions.length];
  return got === expected ? reply : new SourceError("badReply", `${got} transactions of job ${jobId} where ${expected} were asked for`);
}

function sameQuestion(a: Question, b: Question): boolean {
  if (a.type !== b.type || a.jobId !== b.jobId) return false;
  if (a.type !== "transactionsByIndexRequest" || b.type !== "transactionsByIndexRequest") return true;
  return a.indices.length === b.indices.length && a.indices.every((index, at) => index === b.indices[at]);
}
