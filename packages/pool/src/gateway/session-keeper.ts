/**
 * Keeps the work of sessions over a restart: what has changed is written about once a second, in the background, and once more when the pool ends.
 * A pool that is killed loses the last second or two, which costs nobody anything (docs/architecture.md, "Sessions").
 */
import type { Logger } from "pino";
import type { SessionStore } from "./ports.js";
import type { GatewaySession, SessionRegistry } from "./session-registry.js";

const SESSIONS_PER_WRITE = 500;
/** Of the end: the database has as long to take what is left, then the pool ends without. */
const FLUSH_MS = 5000;
const RETRY_MS = 100;

export class SessionKeeper {
  #writing: Promise<void> | undefined;
  #failing = false;

  constructor(
    private readonly registry: Pick<SessionRegistry, "sessions">,
    private readonly store: Pick<SessionStore, "save">,
    private readonly log: Logger,
  ) {}

  /** Begins to write what has changed, unless the last write has not ended. Called about once a second. */
  tick(): void {
    this.#writing ??= this.#write((session) => session.unsaved).finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes all that is to be kept, once nothing changes any more. Resolves in any case, after some seconds at most. */
  async flush(): Promise<void> {
    const timedOut = new Promise<"late">((resolve) => setTimeout(resolve, FLUSH_MS, "late").unref());
    const written = (async () => {
      await this.#writing;
      // The payee of each, too, which alone makes no session unsaved.
      await this.#write((session) => session.stats.acceptedWeight > 0n);
      while (this.#failing) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
        await this.#write((session) => session.unsaved);
      }
    })();
    if ((await Promise.race([written, timedOut])) === "late") {
      this.log.warn("what gateways were told last could not be saved: some old work may be pinned anew");
    }
  }

  async #write(which: (session: GatewaySession) => boolean): Promise<void> {
    const changed = [...this.registry.sessions()].filter(which);
    try {
      for (let from = 0; from < changed.length; from += SESSIONS_PER_WRITE) {
        const part = changed.slice(from, from + SESSIONS_PER_WRITE);
        const marks = part.map(({ work }) => work.mark);
        await this.store.save(part.map(({ id, work }) => ({ id, work: work.saved() })));
        part.forEach((session, i) => {
          session.savedMark = marks[i];
        });
      }
      if (this.#failing) this.log.info("the work of sessions is saved again");
      this.#failing = false;
    } catch (error) {
      // Tried again with the next tick; told once.
      if (!this.#failing) this.log.warn({ err: error }, "the work of sessions could not be saved");
      this.#failing = true;
    }
  }
}
