/** Starts the process that attacks. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SimulatorError } from "../errors.js";
import type { AttackMessage, AttackOrder, AttackTally } from "./messages.js";

const processFile = fileURLToPath(new URL("../../dist/attack/process.js", import.meta.url));

/** Runs one attack. `onBegun` is called when it begins. @throws SimulatorError `loadFailed` */
export function runAttack(order: AttackOrder, onBegun: () => void = () => undefined): Promise<AttackTally> {
  const child = fork(processFile, [JSON.stringify(order)], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let errors = "";
  child.stderr?.on("data", (text: Buffer) => {
    errors = (errors + text.toString()).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => reject(new SimulatorError("loadFailed", `the attack did not finish: ${why}`));
    child.once("error", (error) => failed(error.message));
    child.once("exit", (code) => failed(`exit ${code} ${errors}`));
    child.on("message", (message: AttackMessage) => {
      if (message.type === "begun") onBegun();
      else if (message.type === "done") resolve(message.tally);
      else failed(message.message);
    });
  });
}
