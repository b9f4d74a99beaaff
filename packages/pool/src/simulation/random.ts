/** Seeded random numbers: the same seed and stream give the same draws on any machine. */

/** A stream of draws. Streams of one seed are independent, so that what one part of a simulation draws never shifts another's. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spareNormal: number | undefined;

  constructor(seed: number, stream: string) {
    const text = `${seed}/${stream}`;
    [this.#a, this.#b, this.#c] = [hash(text, 0x9e3779b9), hash(text, 0x243f6a88), hash(text, 0xb7e15162)];
    for (let i = 0; i < 16; i++) this.#next();
  }

  /** 0 <= x < 1, 53 bits. */
  uniform(): number {
    return ((this.#next() >>> 5) * 0x4000000 + (this.#next() >>> 6)) / 2 ** 53;
  }

  /** Mean 1. */
  exponential(): number {
    return -Math.log(1 - this.uniform());
  }

  /** Mean 0, variance 1 (Marsaglia's polar method). */
  normal(): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return spare;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1;
      const y = 2 * this.uniform() - 1;
      const square = x * x + y * y;
      if (square === 0 || square >= 1) continue;
      const scale = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spareNormal = y * scale;
      return x * scale;
    }
  }

  /** Mean and variance `shape`, which is 1 or more (Marsaglia and Tsang, 2000). */
  gamma(shape: number): number {
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.uniform()) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  /**
   * A Poisson number. Small means by counting; larger ones are first made small by gamma waiting times (Ahrens and Dieter, 1974), which is exact; over
   * ten thousand by the normal distribution of the same mean and variance.
   */
  poisson(mean: number): number {
    if (mean > 10_000) return Math.round(mean + Math.sqrt(mean) * this.normal());
    let count = 0;
    let left = mean;
    while (left > 16) {
      const order = Math.floor(left * 0.875);
      const waited = this.gamma(order);
      if (waited > left) return count + this.#binomial(order - 1, left / waited);
      count += order;
      left -= waited;
    }
    const limit = Math.exp(-left);
    for (let product = this.uniform(); product > limit; product *= this.uniform()) count++;
    return count;
  }

  /** Of `n` tries, how many succeed with probability `p`: split at the median of the order statistics until few are left. */
  #binomial(n: number, p: number): number {
    let count = 0;
    let tries = n;
    let chance = p;
    while (tries > 16) {
      const middle = (tries + 1) >> 1;
      const x = this.gamma(middle);
      const beta = x / (x + this.gamma(tries + 1 - middle));
      if (beta <= chance) {
        count += middle;
        chance = (chance - beta) / (1 - beta);
        tries -= middle;
      } else {
        chance /= beta;
        tries = middle - 1;
      }
    }
    for (let i = 0; i < tries; i++) if (this.uniform() < chance) count++;
    return count;
  }

  /** 32 bits of the generator sfc32 (Doty-Humphrey, PractRand). */
  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }
}

/** FNV-1a with another start value for each word of the state. */
function hash(text: string, start: number): number {
  let value = start;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value | 0;
}
