/** Inputs kept in the repository: a file per target, an input per line, as hex. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CORPUS = fileURLToPath(new URL("../../corpus", import.meta.url));
/** Longer ones are made anew by a run. */
const LONGEST_KEPT = 2048;
const MOST_KEPT = 120;

const fileOf = (target: string): string => join(CORPUS, `${target}.hex`);

/** The inputs kept for a target. */
export function readCorpus(target: string): Uint8Array[] {
  const file = fileOf(target);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => new Uint8Array(Buffer.from(line, "hex")));
}

/** Keeps these, the shortest first. */
export function writeCorpus(target: string, inputs: readonly Uint8Array[]): void {
  mkdirSync(CORPUS, { recursive: true });
  const kept = inputs
    .filter(({ length }) => length > 0 && length <= LONGEST_KEPT)
    .sort((a, b) => a.length - b.length)
    .slice(0, MOST_KEPT);
  writeFileSync(fileOf(target), kept.map((input) => `${Buffer.from(input).toString("hex")}\n`).join(""));
}
