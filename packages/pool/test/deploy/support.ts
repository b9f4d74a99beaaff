/** Shared by the tests of what is deployed: the clone's root, and programs that are run to their end. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** The packages that an installed pool is made of, in the folder `packages`. */
export const PACKED = ["datum", "bitcoin", "rewards", "pool"];

export interface Ended {
  readonly code: number | null;
  /** stdout alone. */
  readonly out: string;
  /** stderr and why it could not be run. */
  readonly err: string;
}

export function runProgram(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}, input?: string): Ended {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...env },
    ...(input !== undefined && { input }),
  });
  return { code: status, out: stdout ?? "", err: `${stderr ?? ""}${error?.message ?? ""}` };
}
