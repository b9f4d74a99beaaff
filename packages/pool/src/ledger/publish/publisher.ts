/** Keeps the published folder at what the books hold, in the background. */
import type { LogFollower } from "../types.js";
import { LogFiles, type PublishModules, type PublishOptions } from "./log-files.js";
import { PublishMetrics } from "./publish-metrics.js";
import { SettlementFiles } from "./settlement-files.js";

/** Tell it of closed segments (`ShareLog.follow`) and of settlements (`poke`). */
export class Publisher implements LogFollower {
  /** For who needs the hash of a segment's log file at once. */
  readonly logs: LogFiles;
  readonly #settlements: SettlementFiles;
  readonly #modules: PublishModules;
  readonly #metrics: PublishMetrics | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: PublishOptions, modules: PublishModules) {
    this.logs = new LogFiles(options, modules);
    this.#settlements = new SettlementFiles(options, modules);
    this.#modules = modules;
    this.#metrics = modules.metrics && new PublishMetrics(modules.metrics);
  }

  /** Writes every file that is missing, and resolves when it was tried. What fails is told in the log and tried again the next time. */
  catchUp(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#running !== undefined) this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** There is something new. */
  poke(): void {
    void this.catchUp();
  }

  segmentOpened(): void {
    this.poke();
  }

  shareCommitted(): void {}

  shareVoided(): void {}

  /** Ends with the file that is being written. To be called before the database is closed, after whoever asks `logs` for hashes has stopped. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.logs.stop();
    await this.#running;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      let failed = false;
      for (const part of [this.logs, this.#settlements]) {
        await part.catchUp().catch((error: Error) => {
          failed = true;
          if (this.#stopped) return;
          this.#metrics?.failed();
          this.#modules.logger.error({ error: error.message }, "publishing failed; it is tried again with the next segment");
        });
      }
      if (!failed) this.#metrics?.succeeded((this.#modules.now ?? Date.now)());
    } while (this.#again && !this.#stopped);
  }
}
