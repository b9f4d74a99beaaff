/** The backup of docs/operators.md: a dump taken under load is one moment of the books, and overwrites nothing when it is loaded. */
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { checkBooks, openDatabase, ShareLog } from "../../src/ledger/index.js";
import { append, externalServer, MemoryLogger, OPERATOR, share, temporaryDatabase, temporaryDirectory } from "./support.js";

const server = await externalServer();
const run = promisify(execFile);

function tools(): boolean {
  const missing = ["pg_dump", "pg_restore"].filter((name) => spawnSync(name, ["--version"]).status !== 0);
  if (missing.length > 0) console.warn(`SKIPPED: dumps are not tested, there is no ${missing.join(" and no ")}`);
  return missing.length === 0;
}

/** Appends until `ended`; answers how many shares were committed. */
async function load(log: ShareLog, ended: () => boolean): Promise<number> {
  let committed = 0;
  for (let turn = 0; !ended(); turn++) {
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, index) => append(log, share(`load ${turn} ${index}`))));
    committed += outcomes.filter((outcome) => outcome === "committed").length;
  }
  return committed;
}

test.skipIf(server === undefined || !tools())(
  "a dump under load has every share that was answered before it, and checks clean",
  async () => {
    const home = await temporaryDatabase(server as string);
    const elsewhere = await temporaryDatabase(server as string);
    const folder = temporaryDirectory();
    const log = new MemoryLogger();
    const file = join(folder.path, "books.dump");
    const restore = () => run("pg_restore", ["--exit-on-error", "--single-transaction", "--no-owner", `--dbname=${elsewhere.url}`, file]);
    const openLog = async (url: string) => {
      const database = await openDatabase({ url }, { log });
      return { database, shareLog: await ShareLog.open(database, { operatorScript: OPERATOR }) };
    };
    try {
      const { database, shareLog } = await openLog(home.url);
      const before = Array.from({ length: 200 }, (_, index) => share(`before ${index}`));
      await Promise.all(before.map((entry) => append(shareLog, entry)));
      let dumped = false;
      const loaded = load(shareLog, () => dumped);
      await run("pg_dump", ["--format=custom", "--schema=openprime", `--file=${file}`, home.url]).finally(() => {
        dumped = true;
      });
      expect(await loaded).toBeGreaterThan(0);
      await shareLog.close();
      await database.close();

      await restore();
      await expect(restore()).rejects.toThrow('schema "openprime" already exists');
      const restored = await openLog(elsewhere.url);
      try {
        expect(await checkBooks(restored.database, { full: true })).toEqual([]);
        const again = await Promise.all(before.map((entry) => append(restored.shareLog, entry)));
        expect(new Set(again)).toEqual(new Set(["duplicate"]));
        expect(await append(restored.shareLog, share("new"))).toBe("committed");
        expect(await checkBooks(restored.database, { full: true })).toEqual([]);
      } finally {
        await restored.shareLog.close();
        await restored.database.close();
      }
    } finally {
      folder.remove();
      await elsewhere.remove();
      await home.remove();
    }
  },
);
