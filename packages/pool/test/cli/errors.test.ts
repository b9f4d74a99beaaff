import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { CliError, printError, shellWord, todoOf } from "../../src/cli/errors.js";
import { capture, listening } from "./support.js";

function printed(error: unknown): string {
  const io = capture();
  printError(error, io.stderr);
  return io.err();
}

describe("printError", () => {
  it("prints the message and what to do of an error with a code", () => {
    expect(printed(new CliError("fileExists", "x exists", "move it away"))).toBe("openprime: x exists\n  what to do: move it away\n");
  });

  it("knows what to do about a port that is taken", async () => {
    const port = await listening(createServer());
    const error = await new Promise((resolve) => createServer().once("error", resolve).listen(port, "127.0.0.1"));
    expect(printed(error)).toContain("what to do: another process has that port");
  });

  it("sends codes of other rooms to their page", () => {
    expect(todoOf(Object.assign(new Error("no"), { code: "ledger.closed" }))).toContain("docs/errors.md explains the code ledger.closed");
  });

  it("shows the stack of what nobody expected", () => {
    const error = new TypeError("x is not a function");
    expect(printed(error)).toContain(error.stack);
    expect(printed(Object.assign(new Error("bad call"), { code: "ERR_INVALID_ARG_TYPE" }))).toContain("unexpected error");
    expect(printed("text")).toContain("unexpected error, please report it:\ntext");
  });
});

describe("shellWord", () => {
  it.each([
    ["/home/pool/openprime.yaml", "/home/pool/openprime.yaml"],
    ["/home/my pool/keys.json", "'/home/my pool/keys.json'"],
    ["it's", "'it'\\''s'"],
  ])("writes %j as %j", (path, word) => {
    expect(shellWord(path)).toBe(word);
  });
});
