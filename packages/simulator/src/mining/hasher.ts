/** The hashing thread seen from outside: miners are given work and their rate, nonces come back. */
import { Worker } from "node:worker_threads";

/** To the thread. */
export type HasherOrder =
  | {
      readonly type: "work";
      readonly miner: number;
      readonly serial: number;
      readonly header: Uint8Array;
      readonly target: Uint8Array;
      readonly rate: number;
    }
  | { readonly type: "stop"; readonly miner: number }
  | { readonly type: "count"; readonly request: number };

/** From the thread. */
export type HasherEvent =
  | { readonly type: "found"; readonly miner: number; readonly serial: number; readonly nonce: number; readonly hash: Uint8Array }
  | { readonly type: "exhausted"; readonly miner: number; readonly serial: number }
  | { readonly type: "count"; readonly request: number; readonly hashes: number };

/** What a miner is told. `serial` is the one that its work was given with. */
export interface MinerListener {
  /** A nonce whose hash (internal order) meets the target. */
  found(serial: number, nonce: number, hash: Uint8Array): void;
  /** All 2^32 nonces were tried; the miner rests until it gets new work. */
  exhausted(serial: number): void;
}

const workerFile = new URL("../../dist/mining/hasher-worker.js", import.meta.url);

/** One worker thread that hashes for any number of miners. */
export class Hasher {
  readonly #worker: Worker;
  readonly #listeners = new Map<number, MinerListener>();
  readonly #counts = new Map<number, (hashes: number) => void>();
  #nextMiner = 1;
  #nextRequest = 1;

  /** Starts the thread. `onError` hears of its death. */
  constructor(onError: (error: Error) => void) {
    this.#worker = new Worker(workerFile);
    this.#worker.on("error", onError);
    this.#worker.on("message", (event: HasherEvent) => this.#receive(event));
  }

  #receive(event: HasherEvent): void {
    if (event.type === "count") {
      this.#counts.get(event.request)?.(event.hashes);
      this.#counts.delete(event.request);
    } else if (event.type === "found") {
      this.#listeners.get(event.miner)?.found(event.serial, event.nonce, event.hash);
    } else {
      this.#listeners.get(event.miner)?.exhausted(event.serial);
    }
  }

  /** Enters a miner; answers its number. */
  add(listener: MinerListener): number {
    const miner = this.#nextMiner++;
    this.#listeners.set(miner, listener);
    return miner;
  }

  /**
   * Gives a miner work; it replaces what it had.
   *
   * @param header 80 bytes; nonces are tried from 0
   * @param target 32 bytes, little-endian
   * @param rate hashes per second; 0 for as many as the core gives
   */
  work(miner: number, serial: number, header: Uint8Array, target: Uint8Array, rate: number): void {
    this.#send({ type: "work", miner, serial, header, target, rate });
  }

  /** The miner rests. */
  stop(miner: number): void {
    this.#send({ type: "stop", miner });
  }

  /** Takes the miner out. */
  remove(miner: number): void {
    this.stop(miner);
    this.#listeners.delete(miner);
  }

  /** Hashes tried by all miners so far. */
  async hashes(): Promise<number> {
    const request = this.#nextRequest++;
    const answer = new Promise<number>((resolve) => this.#counts.set(request, resolve));
    this.#send({ type: "count", request });
    return answer;
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #send(order: HasherOrder): void {
    this.#worker.postMessage(order);
  }
}
