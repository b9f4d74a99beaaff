/** The version of this program, from its package. */
import { readFileSync } from "node:fs";

/** `0.1.0`; the package file lies two folders above, in the sources as in dist/. */
export function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}
