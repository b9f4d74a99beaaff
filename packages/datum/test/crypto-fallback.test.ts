/** Where the native binding can't be loaded, the WebAssembly build takes its place by itself; asked for by name, its absence is an error. */
import { expect, it, vi } from "vitest";

vi.mock("sodium-native", () => {
  throw new Error("no prebuilt binary for this platform");
});

it("falls back to the WebAssembly build", async () => {
  const { loadCrypto } = await import("../src/index.js");
  expect((await loadCrypto()).name).toBe("wasm");
  expect((await loadCrypto("wasm")).name).toBe("wasm");
  await expect(loadCrypto("native")).rejects.toThrow();
});
