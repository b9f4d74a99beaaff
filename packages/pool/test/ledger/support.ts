/** What the ledger's tests share: databases of their own, shares, and a log that keeps its lines. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { AppendOutcome, DatabaseOptions, LedgerLogger, LoggedShare, ShareLog } from "../../src/ledger/index.js";

const LOCAL = "postgres://postgres@127.0.0.1:5432/postgres";

/** The server that tests may use: DATABASE_URL, or one on this machine that lets us in. Undefined, said aloud, when there is none. */
export async function externalServer(): Promise<string | undefined> {
  const url = process.env.DATABASE_URL ?? LOCAL;
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.end();
    return url;
  } catch (error) {
    if (process.env.DATABASE_URL !== undefined) throw error;
    console.warn(`SKIPPED: tests with an external PostgreSQL (no DATABASE_URL, and 127.0.0.1:5432 says: ${(error as Error).message})`);
    return undefined;
  }
}

/** Runs one statement on the server that `url` names. */
export async function administer(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A database of its own on that server, and its removal. */
export async function temporaryDatabase(server: string): Promise<{ url: string; remove: () => Promise<void> }> {
  const name = `openprime_test_${randomBytes(6).toString("hex")}`;
  await administer(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    remove: async () => {
      await administer(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "ledger-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The kinds of database that every behaviour is tested on. */
export interface TestDatabase {
  readonly options: DatabaseOptions;
  readonly remove: () => Promise<void>;
}

export async function testDatabase(kind: "external" | "embedded", server: string | undefined): Promise<TestDatabase> {
  if (kind === "external") {
    const { url, remove } = await temporaryDatabase(server as string);
    return { options: { url }, remove };
  }
  const { path, remove } = temporaryDirectory();
  return { options: { embedded: { dataDir: path } }, remove: async () => remove() };
}

export interface Line {
  readonly level: "info" | "warn" | "error";
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export class MemoryLogger implements LedgerLogger {
  readonly lines: Line[] = [];

  info(fields: object, message: string): void {
    this.lines.push({ level: "info", fields: { ...fields }, message });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: "warn", fields: { ...fields }, message });
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: "error", fields: { ...fields }, message });
  }
}

export const hash = (seed: string | number): Uint8Array => Uint8Array.from(createHash("sha256").update(String(seed)).digest());

/** A P2WPKH-shaped script. */
export const script = (seed: string | number): Uint8Array => Uint8Array.from([0, 20, ...hash(`script ${seed}`).subarray(0, 20)]);

export const OPERATOR = script("operator");

export function share(seed: string | number, changes: Partial<LoggedShare> = {}): LoggedShare {
  return {
    hash: hash(`share ${seed}`),
    prevhash: hash("parent 1"),
    account: script(1),
    address: "bc1qminer",
    worker: "rig",
    weight: 1024n,
    feePpm: 10_000,
    sessionId: 1n,
    splitId: undefined,
    pin: 0n,
    ntime: 4_000_000_000,
    targetByte: 10,
    coinbaseId: 3,
    height: 840_000,
    tentative: false,
    receivedAt: 1_790_000_000_123,
    ...changes,
  };
}

/** Appends and waits for the answer. */
export function append(log: ShareLog, entry: LoggedShare): Promise<AppendOutcome> {
  return new Promise((resolve, reject) => {
    if (!log.append(entry, resolve)) reject(new Error("the log did not take the share"));
  });
}

/** Waits until `condition` holds, looking every few milliseconds; fails after `limitMs`. */
export async function until(condition: () => boolean, what: string, limitMs = 30_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await new Promise((next) => setTimeout(next, 5));
  }
}
