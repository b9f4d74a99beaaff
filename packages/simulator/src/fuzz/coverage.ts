/** What code has run, by V8's own precise coverage: blocks, not lines, and no instrumented build. */
import { type Profiler, Session } from "node:inspector";

/** Half-open places of a script that have never run. */
type Gap = readonly [start: number, end: number];

/**
 * Which parts of the watched scripts have run since the start. Must be started before they are imported: code that was compiled earlier is
 * counted by function only.
 */
export class Coverage {
  readonly #session = new Session();
  /** Of each function that ran at all. */
  readonly #gaps = new Map<string, readonly Gap[]>();
  readonly #sizes = new Map<string, number>();

  /** @param watched whether a script, by its URL, is looked at */
  constructor(private readonly watched: (url: string) => boolean) {
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Whether anything that has run since the last look had never run before. */
  look(): boolean {
    return this.#compare(true);
  }

  /** As `look`, but what was new stays new: to be run again, one input at a time. */
  glance(): boolean {
    return this.#compare(false);
  }

  #compare(take: boolean): boolean {
    const { result } = this.#post<Profiler.TakePreciseCoverageReturnType>("Profiler.takePreciseCoverage");
    let grown = false;
    for (const { url, functions } of result) {
      if (!this.watched(url)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        const name = `${url} ${whole.startOffset} ${whole.endOffset}`;
        const gaps = ranges.filter(({ count }) => count === 0).map(({ startOffset, endOffset }): Gap => [startOffset, endOffset]);
        const before = this.#gaps.get(name);
        const after = before === undefined ? gaps : common(before, gaps);
        grown ||= before === undefined || total(after) < total(before);
        if (!take) continue;
        this.#gaps.set(name, after);
        this.#sizes.set(name, whole.endOffset - whole.startOffset);
      }
    }
    return grown;
  }

  /** Functions that have run, and how much of their text. */
  get figures(): { readonly functions: number; readonly percent: number } {
    const size = [...this.#sizes.values()].reduce((sum, one) => sum + one, 0);
    const missing = [...this.#gaps.values()].reduce((sum, gaps) => sum + total(gaps), 0);
    return { functions: this.#gaps.size, percent: size === 0 ? 0 : (100 * (size - missing)) / size };
  }

  stop(): void {
    this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** A session to our own thread answers before `post` returns. */
  #post<T = unknown>(method: string, params: object = {}): T {
    let answer: unknown;
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer as T;
  }
}

/** What is in both lists. */
function common(a: readonly Gap[], b: readonly Gap[]): Gap[] {
  return a.flatMap(([start, end]) =>
    b.flatMap(([otherStart, otherEnd]): Gap[] => {
      const [from, to] = [Math.max(start, otherStart), Math.min(end, otherEnd)];
      return from < to ? [[from, to]] : [];
    }),
  );
}

/** Gaps may lie inside each other; only the size's change is of use. */
const total = (gaps: readonly Gap[]): number => gaps.reduce((sum, [start, end]) => sum + end - start, 0);
