/** What waits to leave on one socket: frames in the order in which they were sealed, gathered into few writes. */
import type { Socket } from "node:net";

export class Outbox {
  /** Steady milliseconds at which something was queued last. */
  lastQueued: number;
  #frames: Uint8Array[] = [];
  #planned = false;

  constructor(
    private readonly socket: Socket,
    private readonly monotonic: () => number,
    /** Bytes that may stand unsent after a write. */
    private readonly most: number,
    private readonly overflow: (unsent: number) => void,
  ) {
    this.lastQueued = monotonic();
  }

  /** Bytes that have not left the process. */
  get unsent(): number {
    return this.#frames.reduce((sum, frame) => sum + frame.length, this.socket.writableLength);
  }

  queue(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.lastQueued = this.monotonic();
  }

  /** Flushes at the end of this turn: answers of one group commit come one by one, and leave in one write. */
  plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#frames.length === 0) return;
    this.drain();
    if (this.socket.writableLength > this.most) this.overflow(this.socket.writableLength);
  }

  /** Hands everything to the socket, however much stands there. */
  drain(): void {
    const frames = this.#frames;
    this.#frames = [];
    if (frames.length > 0 && this.socket.writable) this.socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }
}
