/**
 * How often somebody brings shares, and how long a silence says that they are gone.
 *
 * Shares of a steady miner are a Poisson process: a share of weight w comes after work of w on average. Having seen n shares' worth of work in S seconds
 * (from one share to a later one, so S is Gamma distributed), the next share is later than t with probability (1 + t/S)^-n: the Lomax distribution, which
 * holds the uncertainty of a rate known from few shares. A silence is told when that probability has fallen under {@link FALSE_ALARM}, so that is the
 * chance, per share, of taking an honest miner for gone; it is the same for a farm and for a miner with a share an hour, who just has to wait longer.
 */

/** Chance of a false alarm per share of a steady miner. At the pace where it matters most (a share in half a minute) that is one in a century. */
export const FALSE_ALARM = 1e-8;
/** No silence shorter than this is told: gateways reconnect, pools restart, blocks change. Also what a vardiff step of a fast miner needs. */
export const SHORTEST_SILENCE_MS = 600_000;
/** Shares that a rate is taken from: older ones fade, so that it follows changes of hash rate. */
const MEMORY = 100;

/** Shares that came together: those of one look. */
export interface Shares {
  readonly count: number;
  /** Sum, in units of the network's difficulty one. */
  readonly weight: number;
  /** Of the heaviest one. */
  readonly shareWeight: number;
  /** Milliseconds. */
  readonly firstAt: number;
  readonly lastAt: number;
}

export class Pace {
  /** Faded number of shares, the seconds in which they came, and their weight. */
  shares = 0;
  seconds = 0;
  weight = 0;
  /** Of one share, lately: it tells how long the next one takes. */
  shareWeight = 0;
  /** Milliseconds; 0 before the first share. */
  lastAt = 0;

  /** @param broken time has passed since the last share that says nothing about the rate: the worker, or the pool, was away */
  add({ count, weight, shareWeight, firstAt, lastAt }: Shares, broken: boolean): void {
    if (broken || this.lastAt === 0) {
      // The first share only starts the clock.
      this.shares += count - 1;
      this.weight += (weight * (count - 1)) / count;
      this.seconds += (lastAt - firstAt) / 1000;
    } else {
      this.shares += count;
      this.weight += weight;
      this.seconds += Math.max(0, lastAt - this.lastAt) / 1000;
    }
    this.shareWeight = shareWeight;
    this.lastAt = Math.max(this.lastAt, lastAt);
    if (this.shares > MEMORY) {
      const factor = MEMORY / this.shares;
      this.shares *= factor;
      this.weight *= factor;
      this.seconds *= factor;
    }
  }

  /**
   * Milliseconds of silence after which whoever it is has gone; Infinity while too little is known.
   *
   * @param minimum what a share must weigh now at least: a raised minimum makes the next one come later
   */
  silence(minimum: number): number {
    if (this.shares < 1 || this.weight <= 0) return Number.POSITIVE_INFINITY;
    const next = Math.max(this.shareWeight, minimum);
    // Seconds in which that many shares of the next one's weight would have come.
    const seconds = (this.shares * next * this.seconds) / this.weight;
    return Math.max(SHORTEST_SILENCE_MS, 1000 * seconds * (FALSE_ALARM ** (-1 / this.shares) - 1));
  }
}
