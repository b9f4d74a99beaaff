/** Runs one of the programs under fire as a person does, and reads what it printed. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** @returns exit code, the object it printed, and what it said besides */
export async function program<T>(
  name: string,
  ...args: string[]
): Promise<{ readonly code: unknown; readonly report: T; readonly said: string }> {
  const file = fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args, "--json"], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, said] = ["", ""];
  child.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    said += text.toString();
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, report: JSON.parse(out === "" ? "null" : out) as T, said };
}
