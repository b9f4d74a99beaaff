/** The rooms around the desk, each doing what a test says. */
import { parseTransaction } from "@openprime/bitcoin";
import { crosscheck, shortId } from "@openprime/datum";
import { MempoolError } from "../../../src/chain/index.js";
import type { KnownTransaction, MempoolView, TemplateRecord, TemplateStore, TemplateVerdict } from "../../../src/chain/templates/types.js";
import type { TransactionSource } from "../../../src/work/index.js";
import { FEE } from "./made-job.js";

/** As the gateway room's: known to `chain` by name and code. */
export class FakeSourceError extends Error {
  override readonly name = "SourceError";

  constructor(readonly code: string) {
    super(`the gateway: ${code}`);
  }
}

/** A gateway that has a job's transactions, or others, or is silent. */
export class FakeSource implements TransactionSource {
  readonly shortIdKey = Buffer.alloc(16, 5);
  readonly asked: string[] = [];
  readonly told: string[] = [];
  /** Codes that the next questions fail with, in turn. */
  failures: string[] = [];
  /** Questions wait for this. */
  gate: Promise<void> = Promise.resolve();
  /** Called at each question. */
  onAsk: () => void = () => undefined;
  /** Sent in the place of the right one. */
  crosscheck: Uint8Array | undefined;

  constructor(public transactions: readonly Uint8Array[]) {}

  async shortIds(): ReturnType<TransactionSource["shortIds"]> {
    await this.#ask("shortIds");
    const wtxids = this.transactions.map((raw) => parseTransaction(raw).wtxid);
    const ids = Buffer.concat(wtxids.map((wtxid) => shortId(this.shortIdKey, wtxid)));
    return { ids, crosscheck: this.crosscheck ?? (wtxids.length === 0 ? undefined : crosscheck(wtxids)) };
  }

  async byIndex(_jobId: number, _serial: number, indices: readonly number[]): Promise<readonly Uint8Array[]> {
    await this.#ask(`byIndex ${indices.join(" ")}`);
    return indices.map((index) => this.transactions[index]!);
  }

  async fullSet(): Promise<readonly Uint8Array[]> {
    await this.#ask("fullSet");
    return this.transactions;
  }

  tell(text: string): void {
    this.told.push(text);
  }

  async #ask(question: string): Promise<void> {
    this.asked.push(question);
    this.onAsk();
    await this.gate;
    const code = this.failures.shift();
    if (code !== undefined) throw new FakeSourceError(code);
  }
}

/** A mempool that has what it was given or has learned. */
export class FakeMempool implements MempoolView {
  readonly known = new Map<string, Uint8Array>();
  readonly learned: Uint8Array[] = [];
  /** Known, but its bytes are gone. */
  readonly forgotten = new Set<string>();
  away = false;
  feesKnown = true;
  feesAsked = 0;

  add(transactions: readonly Uint8Array[]): this {
    for (const raw of transactions) this.known.set(hex(parseTransaction(raw).wtxid), raw);
    return this;
  }

  get size(): number {
    return this.known.size;
  }

  async match(key: Uint8Array, ids: Uint8Array): Promise<(KnownTransaction | undefined)[]> {
    this.#check();
    const byId = new Map([...this.known.values()].map((raw) => [hex(shortId(key, parseTransaction(raw).wtxid)), parseTransaction(raw)]));
    return Array.from({ length: ids.length / 6 }, (_, i) => {
      const found = byId.get(hex(ids.subarray(6 * i, 6 * i + 6)));
      return found === undefined ? undefined : { ...found, fee: undefined };
    });
  }

  async raw(transactions: readonly KnownTransaction[]): Promise<(Uint8Array | undefined)[]> {
    this.#check();
    return transactions.map(({ wtxid }) => (this.forgotten.has(hex(wtxid)) ? undefined : this.known.get(hex(wtxid))));
  }

  async fees(transactions: readonly KnownTransaction[]): Promise<(bigint | undefined)[]> {
    this.#check();
    this.feesAsked++;
    return transactions.map(() => (this.feesKnown ? FEE : undefined));
  }

  learn(raw: readonly Uint8Array[]): void {
    this.learned.push(...raw);
    this.add(raw);
  }

  #check(): void {
    if (this.away) throw new MempoolError("threadEnded", "away");
  }
}

export class FakeStore implements TemplateStore {
  readonly records: TemplateRecord[] = [];
  readonly verdicts: (TemplateVerdict & { readonly id: bigint })[] = [];
  readonly voided: bigint[] = [];
  failing = false;
  #id = 0n;

  nextId(): bigint {
    if (this.failing) throw new Error("no numbers");
    return ++this.#id;
  }

  opened(record: TemplateRecord): void {
    this.records.push(record);
  }

  judged(id: bigint, verdict: TemplateVerdict): void {
    this.verdicts.push({ id, ...verdict });
  }

  async voidShares(id: bigint): Promise<number> {
    // The verdict must be there before.
    if (!this.verdicts.some((one) => one.id === id && one.state === "unsound")) throw new Error("voided without a verdict");
    this.voided.push(id);
    return 3;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
