/** What a route of the API is: a file here makes one, and `index.ts` lists them. */
import type { ApiSources } from "../sources.js";

export interface Answer {
  /** HTTP status; 200 by default. */
  readonly status?: number;
  /** `application/json` by default. */
  readonly type?: string;
  /** JSON's value, or text where `type` says so. */
  readonly body: unknown;
}

export interface Route {
  /** Only asked for by GET and HEAD; nothing is sent to it. */
  readonly path: string;
  readonly answer: (sources: ApiSources) => Promise<Answer>;
}
