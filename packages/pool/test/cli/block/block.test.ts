/** `openprime block`: kept blocks listed and sent once more, to nodes that a test speaks for. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assembleBlock, reverseHex, sha256d } from "@openprime/bitcoin";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/main.js";
import { FakeNode, RpcFailure } from "../../chain/fake-node.js";
import { capture } from "../support.js";

const ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
let dir: string;
let config: string;
let a: FakeNode;
let b: FakeNode;

beforeEach(async () => {
  [a, b] = [await FakeNode.start(), await FakeNode.start()];
  dir = mkdtempSync(join(tmpdir(), "openprime-block-"));
  config = join(dir, "openprime.yaml");
  writeFileSync(
    config,
    `network: regtest\npool: { payoutAddress: ${ADDRESS} }\nnode: { url: "${a.url}", user: me, password: hunter2 }\nnodes:\n  - url: "${b.url}"\n`,
    { mode: 0o600 },
  );
});

afterEach(async () => {
  await a.close();
  await b.close();
  rmSync(dir, { recursive: true });
});

async function openprime(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = capture();
  const code = await run(["block", ...args, "--config", config], {}, io);
  return { code, out: io.out(), err: io.err() };
}

/** A block on disk, as the pool keeps it. @returns its path, hash and hex */
function keep(ending: string): { path: string; hash: string; hex: string } {
  const coinbase = Buffer.concat([
    Buffer.from(`0100000001${"00".repeat(32)}ffffffff03`, "hex"),
    randomBytes(3),
    Buffer.from("ffffffff0100f2052a01000000015100000000", "hex"),
  ]);
  const header = randomBytes(80);
  const hex = Buffer.from(assembleBlock(header, coinbase, [])).toString("hex");
  const hash = reverseHex(sha256d(header));
  mkdirSync(join(dir, "blocks"), { recursive: true });
  const path = join(dir, "blocks", `${hash}.${ending}`);
  writeFileSync(path, hex);
  return { path, hash, hex };
}

const host = (node: FakeNode): string => new URL(node.url).host;

describe("list", () => {
  it("names what waits and what was refused", async () => {
    expect((await openprime("list")).out).toBe("No found block is kept: the nodes have them all.\n");
    const [waiting, refused] = [keep("hex"), keep("rejected")];
    writeFileSync(join(dir, "blocks", `${waiting.hash}.claim.json`), "{}");
    const { code, out } = await openprime("list");
    expect(code).toBe(0);
    expect(out.trim().split("\n").sort()).toEqual([`refused  ${refused.path}`, `waiting  ${waiting.path}`]);
  });
});

describe("submit", () => {
  it("sends the block to every node and prints what each says; one that has it is enough", async () => {
    const { path, hash, hex } = keep("rejected");
    const given: string[] = [];
    a.submit = (block) => {
      given.push(block);
      return "bad-cb-amount";
    };
    b.submit = (block) => {
      given.push(block);
      return null;
    };
    const { code, out, err } = await openprime("submit", path);
    expect(given).toEqual([hex, hex]);
    expect(out).toBe(`${host(a)}: rejected (bad-cb-amount)\n${host(b)}: accepted\n`);
    expect(err).toBe(`submitting block ${hash}\n`);
    expect(code).toBe(0);
  });

  it("reads a file as long as blocks can be", async () => {
    const { path, hex } = keep("hex");
    const long = Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(4_000_000)]).toString("hex");
    writeFileSync(path, long);
    // Too long for this one, which is told by who reads it: the matcher of hex must have gone through.
    const { err } = await openprime("submit", path);
    expect(err).toContain("holds no block");
  });

  it("fails when no node has it then, and tells why", async () => {
    const { path } = keep("hex");
    a.down = true;
    b.submit = () => "prev-blk-not-found";
    const { code, out } = await openprime("submit", path);
    expect(code).toBe(1);
    expect(out).toMatch(
      /^127\.0\.0\.1:\d+: no answer \(.*no connection.*\)\n.*rejected \(prev-blk-not-found: the node does not have its parent yet\)\n$/,
    );
    expect(out).not.toContain("hunter2");
    b.submit = () => {
      throw new RpcFailure(-22, "Block decode failed");
    };
    expect((await openprime("submit", path)).out).toContain("rejected (submitblock: Block decode failed");
  });

  it.each([
    ["absent.hex", undefined, "can't read"],
    ["words.hex", "not a block", "expected a block in hex"],
    ["short.hex", "00ff", "holds no block"],
  ])("asks no node for %s", async (name, text, words) => {
    const path = join(dir, name);
    if (text !== undefined) writeFileSync(path, text);
    const { code, err } = await openprime("submit", path);
    expect(code).toBe(1);
    expect(err).toContain(words);
    expect(err).toContain("what to do: `openprime block list`");
    expect(a.calls).toEqual([]);
  });
});
