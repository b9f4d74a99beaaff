/** The transactions of one gateway's jobs, asked of whichever connection it has now; and lines for its log. */
import { shortIdKey } from "@openprime/datum";
import type { TransactionSource } from "../work/index.js";
import { type Question, type Reply, SourceError } from "./questions.js";
import { TokenBucket } from "./token-bucket.js";

/** Lines that a gateway's log gets at once, and per second after that: one a minute. */
const TELL_BURST = 5;
const TELL_PER_SECOND = 1 / 60;
/** Longest line, characters. */
const MAX_TELL = 400;

/** What a source needs of the session's connection. */
export interface AskableConnection {
  /** The pool's long-term signing key that the gateway knows it by; undefined before its HELLO. */
  readonly poolSignKey: Uint8Array | undefined;
  ask(question: Question, serial: number): Promise<Reply>;
  /** @returns false when it could not be sent. */
  inform(text: string): boolean;
}

export type TellOutcome = "sent" | "heldBack" | "disconnected";

export interface SessionSourceModules {
  /** The gateway's long-term signing key. */
  readonly gatewayKey: Uint8Array;
  /** The connection that proved itself last, while it lasts. */
  readonly connection: () => AskableConnection | undefined;
  readonly monotonic: () => number;
  /** What became of a line for the gateway's log. */
  readonly told: (outcome: TellOutcome) => void;
}

export class SessionSource implements TransactionSource {
  readonly #budget: TokenBucket;
  #key: { readonly pool: Uint8Array; readonly key: Uint8Array } | undefined;

  constructor(private readonly modules: SessionSourceModules) {
    this.#budget = new TokenBucket(TELL_BURST, TELL_PER_SECOND, modules.monotonic());
  }

  get shortIdKey(): Uint8Array {
    const pool = this.modules.connection()?.poolSignKey ?? this.#key?.pool ?? new Uint8Array(32);
    if (this.#key?.pool !== pool) this.#key = { pool, key: shortIdKey(this.modules.gatewayKey, pool) };
    return this.#key.key;
  }

  async shortIds(jobId: number, jobSerial: number): ReturnType<TransactionSource["shortIds"]> {
    const reply = await this.#ask({ type: "shortIdsRequest", jobId }, jobSerial);
    if (reply.type !== "shortIds") throw new SourceError("badReply", `short ids were asked for, ${reply.type} came`);
    return { ids: reply.ids, crosscheck: reply.crosscheck };
  }

  async byIndex(jobId: number, jobSerial: number, indices: readonly number[]): Promise<readonly Uint8Array[]> {
    // A gateway takes this for a bad request.
    if (indices.length === 0) return [];
    return this.#transactions({ type: "transactionsByIndexRequest", jobId, indices: [...indices] }, jobSerial);
  }

  fullSet(jobId: number, jobSerial: number): Promise<readonly Uint8Array[]> {
    return this.#transactions({ type: "fullSetRequest", jobId }, jobSerial);
  }

  tell(text: string): void {
    const connection = this.modules.connection();
    if (connection === undefined) this.modules.told("disconnected");
    else if (!this.#budget.take(this.modules.monotonic())) this.modules.told("heldBack");
    else this.modules.told(connection.inform(line(text)) ? "sent" : "disconnected");
  }

  async #transactions(question: Question, serial: number): Promise<readonly Uint8Array[]> {
    const reply = await this.#ask(question, serial);
    if (reply.type === "shortIds") throw new SourceError("badReply", "transactions were asked for, short ids came");
    return reply.transactions;
  }

  #ask(question: Question, serial: number): Promise<Reply> {
    const connection = this.modules.connection();
    return connection?.ask(question, serial) ?? Promise.reject(new SourceError("disconnected", "the gateway is not connected"));
  }
}

/** One line without control characters, which would end the connection on the gateway's side. */
function line(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\s\x00-\x1f\x7f]+/g, " ").slice(0, MAX_TELL);
}
