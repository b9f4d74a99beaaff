/** A gateway under load, for tests that end the pool in any way: what it was told of each share is what the books must say. */
import { type Job, type MinedShare, mine, minerAddress, type PoolPlace, type Template, WireGateway } from "@openprime/simulator";
import { expect } from "vitest";

/** Shares that wait for their answers at a time. */
const IN_FLIGHT = 150;
/** Log2 of difficulties over the least that take turns, so that the weights are not all alike. */
const TARGET_BYTES = [0, 1, 2] as const;

/** A gateway that sends shares as fast as it is answered, and keeps account of what it was told. */
export class LoadedGateway {
  readonly sent = new Map<string, MinedShare>();
  /** Told accepted, or that it was sent before: it is in the books. */
  readonly acknowledged = new Set<string>();
  /** Told accepted twice: the books would hold it twice. */
  readonly twice: string[] = [];
  /** Told duplicate without ever having been told accepted: committed, and its answer lost with the connection. */
  lostAnswers = 0;
  /** Any answer that an honest share must not get. */
  readonly refused: string[] = [];
  answers = 0;
  readonly gateway = new WireGateway();
  readonly #accepted = new Set<string>();
  /** Sent, and the connection ended before the answer: only these, and those acknowledged, can be duplicates. */
  readonly #lost = new Set<string>();
  /** Whose answer never came: sent again at the next connection, first of all. */
  #unanswered: MinedShare[] = [];
  #jobs: Job[] = [];
  #mined = 0;
  #running: Promise<void> = Promise.resolve();
  #stopping = false;
  primeId = 0;

  /**
   * @param number tells its miners from those of others
   * @param pinned it has one job for ever, without a split, as a gateway whose node stands still
   */
  constructor(
    readonly number: number,
    private readonly template: Template,
    private readonly pinned = false,
  ) {}

  get connected(): boolean {
    return this.gateway.connected;
  }

  /** Connects and goes on until the connection ends. */
  async connect(place: PoolPlace): Promise<void> {
    await this.#running;
    const { primeId } = await this.gateway.connect(place);
    if (this.primeId !== 0) expect(primeId).toBe(this.primeId);
    this.primeId = primeId;
    // A few of those that were acknowledged in an earlier life, as gateways' queues do: they must be known.
    const known = [...this.acknowledged].slice(-20).map((hash) => this.sent.get(hash)!);
    if (!this.pinned) this.#jobs.push(await this.gateway.jobWithSplit(this.template));
    else if (this.#jobs.length === 0) this.#jobs.push(this.gateway.job(this.template));
    this.#running = this.#load([...this.#unanswered.splice(0), ...known]);
  }

  async #load(again: MinedShare[]): Promise<void> {
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (this.gateway.connected) {
          const share = again.shift() ?? (this.#stopping ? undefined : this.#mine());
          if (share === undefined) return;
          await this.#submit(share);
        }
      }),
    );
    this.#unanswered.push(...again.filter(({ hash }) => !this.acknowledged.has(hash)));
  }

  #mine(): MinedShare {
    const number = this.#mined++;
    // Now and then on the job before, with what it was told in another life.
    const job = this.#jobs.at(number % 5 === 0 ? -2 : -1) ?? this.#jobs[0]!;
    const username = `${minerAddress("loaded", this.number * 2 + (number % 2))}.rig${number % 3}`;
    // The pool may have raised its minimum meanwhile.
    const least = Math.log2(Number(this.gateway.configuration.minimumDifficulty));
    const targetByte = least + TARGET_BYTES[number % TARGET_BYTES.length]!;
    const [share] = mine(job, { username, kind: this.pinned ? 0 : 4, targetByte });
    return share!;
  }

  async #submit(share: MinedShare): Promise<void> {
    const { hash } = share;
    this.sent.set(hash, share);
    const answer = await this.gateway.submit(share);
    if (answer === "lost") {
      this.#lost.add(hash);
      if (!this.acknowledged.has(hash)) this.#unanswered.push(share);
      return;
    }
    this.answers += 1;
    // Tentative: its template is being judged, and is good.
    if (answer === "accepted" || answer === "tentative") {
      if (this.#accepted.has(hash)) this.twice.push(hash);
      this.#accepted.add(hash);
      this.acknowledged.add(hash);
    } else if (answer === 29 && (this.acknowledged.has(hash) || this.#lost.has(hash))) {
      if (!this.acknowledged.has(hash)) this.lostAnswers += 1;
      this.acknowledged.add(hash);
    } else this.refused.push(`${hash}: ${answer}`);
  }

  /** Sends nothing new; resolves when everything is answered. */
  async finish(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await this.gateway.close();
  }

  get unanswered(): number {
    return this.#unanswered.length;
  }
}
