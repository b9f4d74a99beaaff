/** docs/proofs.md holds a small complete example: its bytes are audited here, so that the document can't drift. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseBlock, reverseHex, sha256d } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import {
  Auditor,
  decodeIndex,
  decodeSettlement,
  encodeIndex,
  INDEX_FILE,
  LOG_FORMAT,
  logFile,
  ProofError,
  SETTLEMENT_FORMAT,
  settlementFile,
} from "../../src/proofs/index.js";
import { nodeOf } from "./pool-history.js";

const page = readFileSync(new URL("../../../../docs/proofs.md", import.meta.url), "utf8");
const [log = "", settlement = ""] = [...page.matchAll(/^```ndjson\n([\s\S]*?)^```$/gm)].map(([, text = ""]) => text);
const raw = Buffer.from(/^```hex\n([0-9a-f]+)\n```$/m.exec(page)?.[1] ?? "", "hex");
const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

/** First cells of the tables under a heading. */
function fieldsUnder(heading: string): string[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const cells = [...section.matchAll(/^\| (`.+?`) \|/gm)].map(([, cell = ""]) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
}

describe("docs/proofs.md", () => {
  it("has an example that passes the audit", async () => {
    const decoded = decodeSettlement(settlement);
    const { number, kind, block } = decoded;
    const row = { number, kind, height: block.height, block: block.hash, hash: sha256(settlement) };
    const files = new Map([
      [logFile(1), log],
      [settlementFile(row), settlement],
      [INDEX_FILE, encodeIndex({ settlements: [row] })],
    ]);
    const hash = reverseHex(sha256d(parseBlock(raw).header));
    const auditor = await Auditor.open({
      source: {
        index: async () => decodeIndex(files.get(INDEX_FILE) ?? ""),
        async *read(path) {
          const text = files.get(path);
          if (text === undefined) throw new ProofError("proof.unreadable", `there is no ${path}`);
          yield Buffer.from(text);
        },
      },
      node: nodeOf({ best: new Map([[block.height, hash]]), blocks: new Map([[hash, raw]]) }),
      seen: { add: () => true },
    });
    expect(await auditor.audit(1)).toMatchObject({ verdict: "PASS", value: 1000n, fee: 10n, accounts: 3, segments: 1, unchecked: [] });
    for (const path of [logFile(1), settlementFile(row)]) expect(page).toContain(`\`${path}\`, with the hash`);
    for (const text of [log, settlement]) expect(page).toContain(`\`${sha256(text).toString("hex")}\``);
    expect(page).toContain(`--root ${Buffer.from(decoded.root).toString("hex").slice(0, 8)}…`);
  });

  it("names every field of the log and of the settlement, in order", () => {
    const keys = (text: string, line: number): string[] => Object.keys(JSON.parse(text.split("\n").at(line) ?? "{}") as object);
    const voidFields = ["position", "share", "hash", "script", "weight", "feePpm", "segment", "reason"];
    // One that only some headers have.
    expect(fieldsUnder("Log files")).toEqual([...keys(log, 0), "paid", ...keys(log, 1), ...voidFields]);
    const [header = "{}"] = settlement.split("\n");
    const { window } = JSON.parse(header) as { window: object };
    expect(fieldsUnder("Settlements")).toEqual([...keys(settlement, 0), ...Object.keys(window), ...keys(settlement, 1)]);
    for (const format of [LOG_FORMAT, SETTLEMENT_FORMAT]) expect(page).toContain(`\`${format}\``);
    for (const key of [...keys(settlement, -2), ...keys(log, -2)]) expect(page).toContain(`\`${key}\``);
  });
});
