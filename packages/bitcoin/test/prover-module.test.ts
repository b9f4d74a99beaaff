import { readFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { ShareProver } from "../src/index.js";

vi.mock("node:fs/promises", () => ({ readFile: vi.fn() }));

test("a module that was never built is a typed error that says what to run", async () => {
  vi.mocked(readFile).mockRejectedValueOnce(Object.assign(new Error("no such file"), { code: "ENOENT" }));
  await expect(ShareProver.create()).rejects.toMatchObject({
    name: "ProverError",
    code: "moduleMissing",
    message: expect.stringMatching(/ENOENT.*npm run setup/),
  });
});

// The shortest WebAssembly module there is: it exports nothing.
const EMPTY_MODULE = Buffer.from("0061736d01000000", "hex");

test.each([
  ["no WebAssembly", Buffer.from("garbage")],
  ["a module of another kind", EMPTY_MODULE],
])("%s is a typed error too", async (_, file) => {
  vi.mocked(readFile).mockResolvedValueOnce(file);
  await expect(ShareProver.create()).rejects.toMatchObject({ name: "ProverError", code: "moduleInvalid" });
});
