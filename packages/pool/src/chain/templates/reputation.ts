/** How the gateways' templates turned out: who is looked at first, and for whom leaving before an answer is no way out any more. Bounded memory. */

interface GatewayRecord {
  /** Sound templates ever. */
  sound: number;
  soundInRow: number;
  /** Templates that were not judged because the gateway did not answer; sound ones make up for them. */
  evasions: number;
  bad: boolean;
}

/** Templates of a gateway that must have turned out sound before it is no new one. */
const NEW_JOBS = 5;
/** Sound templates in a row that clear a bad record. */
const CLEARED_BY = 20;
/** Sound templates in a row that make up for one evasion: a gateway on a bad line is cut off now and then. */
const FORGIVEN_BY = 10;
/** One more makes the template unsound. */
const EVASIONS_ALLOWED = 2;
const MAX_RECORDS = 10_000;

export class Reputation {
  /** The one used last at the end. Bad ones apart, so that a crowd of new gateways can't make them forgotten. */
  readonly #good = new Map<bigint, GatewayRecord>();
  readonly #bad = new Map<bigint, GatewayRecord>();

  isBad(sessionId: bigint): boolean {
    return this.#bad.has(sessionId);
  }

  isNew(sessionId: bigint): boolean {
    const record = this.#bad.get(sessionId) ?? this.#good.get(sessionId);
    return record === undefined || record.sound < NEW_JOBS;
  }

  get badCount(): number {
    return this.#bad.size;
  }

  sound(sessionId: bigint): void {
    const record = this.#take(sessionId);
    record.sound++;
    record.soundInRow++;
    if (record.soundInRow % FORGIVEN_BY === 0 && record.evasions > 0) record.evasions--;
    if (record.soundInRow >= CLEARED_BY) record.bad = false;
    this.#put(sessionId, record);
  }

  /** @returns whether its record was good until now. */
  unsound(sessionId: bigint): boolean {
    const record = this.#take(sessionId);
    const first = !record.bad;
    record.bad = true;
    record.soundInRow = 0;
    this.#put(sessionId, record);
    return first;
  }

  /** A gateway left, or filled the slot anew, before its answer. @returns whether that was once too often. */
  evaded(sessionId: bigint): boolean {
    const record = this.#take(sessionId);
    record.evasions++;
    record.soundInRow = 0;
    this.#put(sessionId, record);
    return record.evasions > EVASIONS_ALLOWED;
  }

  #take(sessionId: bigint): GatewayRecord {
    const record = this.#bad.get(sessionId) ?? this.#good.get(sessionId);
    this.#bad.delete(sessionId);
    this.#good.delete(sessionId);
    return record ?? { sound: 0, soundInRow: 0, evasions: 0, bad: false };
  }

  #put(sessionId: bigint, record: GatewayRecord): void {
    const records = record.bad ? this.#bad : this.#good;
    records.set(sessionId, record);
    const [oldest] = records.keys();
    if (records.size > MAX_RECORDS && oldest !== undefined) records.delete(oldest);
  }
}
