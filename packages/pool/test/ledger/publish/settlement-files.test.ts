/** Settlements as files, from rows of a real database. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Database, openDatabase, SettlementFiles } from "../../../src/ledger/index.js";
import { decodeIndex } from "../../../src/proofs/index.js";
import { externalServer, hash, MemoryLogger, type TestDatabase, temporaryDirectory, testDatabase } from "../support.js";

const server = await externalServer();

let home: TestDatabase;
let folder: { path: string; remove: () => void };
let database: Database;

beforeEach(async () => {
  home = await testDatabase(server === undefined ? "embedded" : "external", server);
  folder = temporaryDirectory();
  database = await openDatabase(home.options, { log: new MemoryLogger() });
});
afterEach(async () => {
  await database.close();
  await home.remove();
  folder.remove();
});

const files = (logger = new MemoryLogger()) => new SettlementFiles({ dir: folder.path }, { database, logger });
const index = () => decodeIndex(readFileSync(join(folder.path, "index.json"), "utf8")).settlements;

async function settle(number: number, kind: "settlement" | "reversal", height: number): Promise<void> {
  await database.pool.query("INSERT INTO entries (id, key, kind, at) VALUES ($1, $2, 'receipt', now())", [number, `test:${number}`]);
  await database.pool.query(
    `INSERT INTO settlements (number, kind, block, height, pin, window_size, log_weight, entry, previous, hash, document)
     VALUES ($1::int, $2, $3, $4, 0, 0, 0, $1::int, $5, $6, $7)`,
    [
      number,
      kind,
      Buffer.from(hash(`block ${height}`)),
      height,
      Buffer.from(hash(`text ${number - 1}`)),
      Buffer.from(hash(`text ${number}`)),
      gzipSync(`text ${number}`),
    ],
  );
}

test("each settlement is a file, and the index lists them; a missing one is written again at start", async () => {
  const first = files();
  await first.catchUp();
  expect(index()).toEqual([]);
  await settle(1, "settlement", 120);
  await first.catchUp();
  await settle(2, "reversal", 120);
  await settle(3, "settlement", 121);
  await first.catchUp();
  const names = [
    "settlements/000001-settlement-120.ndjson.gz",
    "settlements/000002-reversal-120.ndjson.gz",
    "settlements/000003-settlement-121.ndjson.gz",
  ];
  const texts = () => names.map((name) => gunzipSync(readFileSync(join(folder.path, name))).toString());
  expect(texts()).toEqual(["text 1", "text 2", "text 3"]);
  expect(index()).toEqual(
    [
      [1, "settlement", 120],
      [2, "reversal", 120],
      [3, "settlement", 121],
    ].map(([number, kind, height]) => ({ number, kind, height, block: hash(`block ${height}`), hash: hash(`text ${number}`) })),
  );
  rmSync(join(folder.path, names[1] as string));
  rmSync(join(folder.path, "index.json"));
  await files().catchUp();
  expect(texts()).toEqual(["text 1", "text 2", "text 3"]);
  expect(index()).toHaveLength(3);
});

test("nothing is written while there is nothing new", async () => {
  await settle(1, "settlement", 120);
  const publishing = files();
  await publishing.catchUp();
  rmSync(join(folder.path, "index.json"));
  await publishing.catchUp();
  expect(existsSync(join(folder.path, "index.json"))).toBe(false);
});

test("files of books that were lost are set aside at the first look, and the right ones written", async () => {
  await settle(1, "settlement", 120);
  await settle(2, "settlement", 121);
  await settle(3, "settlement", 122);
  await files().catchUp();
  const path = (name: string) => join(folder.path, "settlements", name);
  writeFileSync(path("000002-settlement-121.ndjson.gz"), gzipSync("of the lost books"));
  writeFileSync(path("000003-settlement-122.ndjson.gz"), "damaged");
  writeFileSync(path("000004-settlement-123.ndjson.gz"), gzipSync("after the backup"));
  const logger = new MemoryLogger();
  await files(logger).catchUp();
  const names = readdirSync(join(folder.path, "settlements")).sort();
  expect(names.map((name) => name.replace(/\d+$/, "T"))).toEqual([
    "000001-settlement-120.ndjson.gz",
    "000002-settlement-121.ndjson.gz",
    "000002-settlement-121.ndjson.gz.replaced-T",
    "000003-settlement-122.ndjson.gz",
    "000003-settlement-122.ndjson.gz.replaced-T",
    "000004-settlement-123.ndjson.gz.replaced-T",
  ]);
  expect(gunzipSync(readFileSync(path(names[1] as string))).toString()).toBe("text 2");
  expect(gunzipSync(readFileSync(path(names[2] as string))).toString()).toBe("of the lost books");
  expect(gunzipSync(readFileSync(path(names[3] as string))).toString()).toBe("text 3");
  expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(3);
});
