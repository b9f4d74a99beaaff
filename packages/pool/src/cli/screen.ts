/** A table that is shown again and again: over the one before it on a terminal, one after the other elsewhere. */
import type { Output } from "./io.js";
import type { TableSize } from "./live-table.js";

/** Clears the terminal. */
const CLEAR = "\u001b[H\u001b[2J";
/** Lines that begin so tell of trouble. */
const TROUBLE = "! ";

export class Screen {
  /** Whether it is a terminal; elsewhere nothing but text is written. */
  readonly terminal: boolean;
  readonly #stream: Output & Partial<Pick<NodeJS.WriteStream, "isTTY" | "columns" | "rows" | "on" | "off">>;

  constructor(stdout: Output) {
    this.#stream = stdout;
    this.terminal = this.#stream.isTTY === true;
  }

  /** As it is now: a terminal may have another size the next time. */
  get size(): TableSize {
    // The last row stays free: a line end there would scroll the table away.
    return this.terminal
      ? { columns: this.#stream.columns ?? 80, rows: (this.#stream.rows ?? 24) - 1 }
      : { columns: 100, rows: Number.POSITIVE_INFINITY };
  }

  clear(): void {
    if (this.terminal) this.#stream.write(CLEAR);
  }

  /** Writes over what stands there, line by line, so that nothing flickers. */
  show(lines: readonly string[]): void {
    this.#stream.write(
      this.terminal ? `\u001b[H${lines.map((line) => `${this.#coloured(line)}\u001b[K\n`).join("")}\u001b[J` : `${lines.join("\n")}\n\n`,
    );
  }

  #coloured(line: string): string {
    return line.startsWith(TROUBLE) && !process.env.NO_COLOR ? `\u001b[31m${line}\u001b[0m` : line;
  }

  /** Calls back when the terminal has another size. @returns ends it */
  onResize(listener: () => void): () => void {
    this.#stream.on?.("resize", listener);
    return () => void this.#stream.off?.("resize", listener);
  }
}
