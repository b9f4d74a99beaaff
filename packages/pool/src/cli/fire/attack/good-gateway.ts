/** A gateway that does nothing wrong, and measures how long each of its answers takes. */
import { type Job, mineOne, minerAddress, type PoolPlace, type Template, WireGateway } from "@openprime/simulator";

/** Shares a second. */
const RATE = 20;
/** An answer that has not come by then is lost. */
const LOST_MS = 20_000;
const WARM_SHARES = 100;

export interface Latencies {
  readonly shares: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** Shares without an answer, or refused. */
  readonly lost: number;
}

export class GoodGateway {
  /** All that it sent, by hash. */
  readonly sent = new Map<string, unknown>();
  readonly acknowledged = new Set<string>();
  readonly findings: string[] = [];
  readonly #gateway = new WireGateway();
  readonly #waiting = new Set<Promise<void>>();
  #job!: Job;
  #timer: NodeJS.Timeout | undefined;
  #times: number[] = [];
  #lost = 0;

  constructor(
    private readonly place: PoolPlace,
    private readonly template: Template,
  ) {}

  /** Connects, and goes on with its shares until `stop`. */
  async start(): Promise<void> {
    await this.#gateway.connect(this.place);
    this.#job = await this.#gateway.jobWithSplit(this.template);
    void this.#gateway.closed.then(() => {
      if (this.#timer !== undefined) this.findings.push("the good gateway's connection was ended");
    });
    this.#timer = setInterval(() => {
      const one = this.#submit();
      this.#waiting.add(one);
      void one.finally(() => this.#waiting.delete(one));
    }, 1000 / RATE);
  }

  /** Resolves when it has had some shares answered. */
  async warm(): Promise<void> {
    while (this.#times.length < WARM_SHARES && this.#timer !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** What comes from now on is measured anew. */
  begin(): void {
    this.#times = [];
    this.#lost = 0;
  }

  end(): Latencies {
    const sorted = this.#times.sort((a, b) => a - b);
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { shares: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1), lost: this.#lost };
  }

  /** Sends no more; resolves when every share has its answer, or is given up. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await Promise.all(this.#waiting);
    await this.#gateway.close();
  }

  async #submit(): Promise<void> {
    const share = mineOne(this.#job, { username: `${minerAddress("good", 0)}.rig`, kind: 1 });
    this.sent.set(share.hash, share);
    const sent = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), LOST_MS);
    });
    const answer = await Promise.race([this.#gateway.submit(share), late]);
    clearTimeout(timer);
    if (answer === "accepted" || answer === "tentative") {
      this.acknowledged.add(share.hash);
      this.#times.push(performance.now() - sent);
      return;
    }
    this.#lost += 1;
    this.findings.push(`a good share was answered with ${answer}`);
  }
}
