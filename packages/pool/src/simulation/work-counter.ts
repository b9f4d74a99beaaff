/** Ages that differ by less than this are one: sums of stretches end a little beside their mark. */
const TOLERANCE = 1e-6;

/** Counts work from some moment on, as an age, and knows how much is left until the next age at which something changes. */
export class WorkCounter {
  /** Work that makes an age of 1. */
  unit = 1;
  #age = 0;
  readonly #marks: readonly number[];

  /** @param marks ages at which something changes */
  constructor(marks: readonly number[]) {
    this.#marks = [...new Set(marks)].sort((a, b) => a - b);
  }

  get age(): number {
    return this.#age;
  }

  /** Work until the next mark; infinite after the last. */
  get left(): number {
    const mark = this.#marks.find((each) => each > this.#age);
    return mark === undefined ? Number.POSITIVE_INFINITY : (mark - this.#age) * this.unit;
  }

  /** Adds work that does not go past the next mark. */
  add(work: number): void {
    const age = this.#age + work / this.unit;
    this.#age = this.#marks.find((mark) => Math.abs(mark - age) < TOLERANCE) ?? age;
  }

  restart(unit = this.unit): void {
    this.unit = unit;
    this.#age = 0;
  }
}
