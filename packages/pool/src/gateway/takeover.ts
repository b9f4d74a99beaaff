/**
 * Two connections with one gateway's key. The newer one wins, once a frame of it has a valid MAC: most often the older one is dead, and nobody has
 * noticed yet. But two real gateways with a copied key would take the session from each other for ever, each losing its shares every few seconds.
 * So only some take-overs are free; after those the newer one waits, and the older one keeps the session if it gives a sign of life.
 */
import { TokenBucket } from "./token-bucket.js";

/** A line on which connections break without the pool noticing may take its own session over so often at once, and then once in ten minutes. */
const FREE_TAKEOVERS = 3;
const TAKEOVERS_PER_SECOND = 1 / 600;
/** A holder that sends nothing for so long is taken for gone. A gateway that waits hangs up after 30 s without an accepted share. */
const CONTEST_MS = 20_000;

export const TAKEN_OVER =
  "Another connection with this gateway's key has taken its place at the pool, so this one is closed. If nothing here has reconnected, a second " +
  "gateway runs with a copy of its key: restart one of them, so that it makes a key of its own.";
export const TURNED_AWAY =
  "A gateway with the same key is connected to the pool and at work, so this connection is closed. A gateway makes its key when it starts: " +
  "restart this one, and don't copy running gateways.";
export const CONTESTED =
  "A second gateway with this one's key tries to connect to the pool, and is turned away. A gateway makes its key when it starts: restart the " +
  "other one, and don't copy running gateways.";

/** A connection that has proved itself while another one has the session. */
export interface Contender {
  /** The session is its own now. */
  wins(): void;
  /** The other one is alive. */
  turnedAway(): void;
}

/** The claims on one session. Times are milliseconds of a steady clock. */
export class Takeovers {
  #contender: { readonly connection: Contender; readonly since: number } | undefined;
  readonly #budget: TokenBucket;

  constructor(now: number) {
    this.#budget = new TokenBucket(FREE_TAKEOVERS, TAKEOVERS_PER_SECOND, now);
  }

  /** Somebody waits: each sign of life of the holder counts. */
  get contested(): boolean {
    return this.#contender !== undefined;
  }

  /** A newer connection claims a session that has a holder. @returns true when it may have it at once; else it is the contender from now on */
  claim(connection: Contender, now: number): boolean {
    if (this.#budget.take(now)) return true;
    const before = this.#contender;
    this.#contender = { connection, since: now };
    // Of two that wait the newer one: the same gateway, again.
    before?.connection.turnedAway();
    return false;
  }

  /** The holder has sent a frame with a valid MAC. @returns whether anybody was turned away by that */
  holderSpoke(): boolean {
    return this.#settle((connection) => connection.turnedAway());
  }

  /** The holder has gone, or time passes: the contender wins when there is nobody, or nobody has spoken for long enough. */
  holderGone(): void {
    this.#settle((connection) => connection.wins());
  }

  check(now: number): void {
    if (this.#contender !== undefined && now - this.#contender.since >= CONTEST_MS) this.holderGone();
  }

  /** A contender has left. */
  left(connection: object): void {
    if (this.#contender?.connection === connection) this.#contender = undefined;
  }

  #settle(how: (connection: Contender) => void): boolean {
    const contender = this.#contender?.connection;
    this.#contender = undefined;
    if (contender !== undefined) how(contender);
    return contender !== undefined;
  }
}
