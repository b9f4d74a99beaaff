/** A gateway that goes on whatever happens: reconnects, sends what was not answered again, and keeps account of what it was told. */
import { type Job, type MinedShare, mine, mineOne, minerAddress, type PoolPlace, type Template, WireGateway } from "@openprime/simulator";

/** Shares that wait for their answers at a time. */
const IN_FLIGHT = 20;
/** Pause of each of them after an answer, milliseconds: load enough for a pool under fire, and a processor left for it. */
const PACE_MS = 40;
const RECONNECT_MS = 200;
/** An answer that has not come by then never will: a gateway leaves after 30 s without acceptance. */
const PATIENCE_MS = 15_000;
/** Refusals that honest work may meet under fire: the parent was passed, and the books take nothing now. */
const STALE = 25;
const NOT_NOW = 30;
const DUPLICATE = 29;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class LoadedGateway {
  /** Every share that ever left, by its hash. */
  readonly sent = new Map<string, MinedShare>();
  /** Told accepted, or that it was sent before: in the books. */
  readonly acknowledged = new Set<string>();
  readonly findings: string[] = [];
  readonly counts = { connections: 0, stale: 0, notNow: 0, lostAnswers: 0 };
  readonly #gateway = new WireGateway();
  readonly #accepted = new Set<string>();
  readonly #lost = new Set<string>();
  readonly #again: MinedShare[] = [];
  #job: Job | undefined;
  #primeId = 0;
  #mined = 0;
  #stopping = false;
  #running: Promise<void> | undefined;

  /** @param place of the pool now; a pool that restarts may be elsewhere */
  constructor(
    readonly number: number,
    private readonly place: () => PoolPlace,
    private readonly template: () => Template,
  ) {}

  start(): void {
    this.#running = this.#live();
  }

  /** The tip has changed: from the next share on. */
  async renew(): Promise<void> {
    if (this.#gateway.connected) this.#job = await this.#gateway.jobWithSplit(this.template()).catch(() => this.#job);
  }

  /** A block, found on the present job and sent to the pool alone; undefined when the gateway is not connected. */
  async block(): Promise<{ readonly share: MinedShare; readonly answered: boolean } | undefined> {
    const job = this.#job;
    if (job === undefined || !this.#gateway.connected) return undefined;
    const share = mineOne(job, { username: minerAddress("faults", this.number), kind: 4, block: true });
    const known = await this.#submit(share);
    return { share, answered: known };
  }

  /** Sends nothing new; resolves when everything has been answered. */
  async finish(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await this.#gateway.close();
  }

  async #live(): Promise<void> {
    while (!this.#stopping || this.#again.length > 0) {
      try {
        const { primeId } = await within(this.#gateway.connect(this.place()));
        this.counts.connections += 1;
        if (this.#primeId !== 0 && primeId !== this.#primeId) this.findings.push(`prime id ${this.#primeId} became ${primeId}`);
        this.#primeId = primeId;
        this.#job = await within(this.#gateway.jobWithSplit(this.template()));
      } catch {
        await this.#hangUp();
        await pause(RECONNECT_MS);
        continue;
      }
      await Promise.all(Array.from({ length: IN_FLIGHT }, () => this.#load()));
      await this.#hangUp();
    }
  }

  async #hangUp(): Promise<void> {
    if (this.#gateway.connected) await this.#gateway.close();
  }

  async #load(): Promise<void> {
    while (this.#gateway.connected) {
      const share = this.#again.shift() ?? (this.#stopping ? undefined : this.#mine());
      if (share === undefined) return;
      await this.#submit(share);
      await pause(PACE_MS);
    }
  }

  #mine(): MinedShare {
    const number = this.#mined++;
    const username = `${minerAddress("faults", this.number * 3 + (number % 3))}.rig${number % 2}`;
    return mine(this.#job as Job, { username, kind: 4, targetByte: number % 3 })[0] as MinedShare;
  }

  /** @returns whether the pool has told that it has the share */
  async #submit(share: MinedShare): Promise<boolean> {
    const { hash } = share;
    this.sent.set(hash, share);
    const answer = await within(this.#gateway.submit(share)).catch(() => "lost" as const);
    if (answer === "lost") {
      this.#lost.add(hash);
      // A connection that gives no answers is hung up, as a gateway does.
      await this.#hangUp();
      if (!this.acknowledged.has(hash)) this.#again.push(share);
      return false;
    }
    if (answer === "accepted" || answer === "tentative") {
      if (this.#accepted.has(hash)) this.findings.push(`share ${hash} was accepted twice`);
      this.#accepted.add(hash);
      this.acknowledged.add(hash);
      return true;
    }
    if (answer === DUPLICATE && this.#lost.has(hash)) {
      if (!this.acknowledged.has(hash)) this.counts.lostAnswers += 1;
      this.acknowledged.add(hash);
      return true;
    }
    if (answer === STALE) this.counts.stale += 1;
    else if (answer === NOT_NOW) {
      this.counts.notNow += 1;
      this.#again.push(share);
    } else this.findings.push(`share ${hash} was refused with ${answer}`);
    return false;
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing for ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
