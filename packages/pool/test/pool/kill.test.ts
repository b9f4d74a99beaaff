/**
 * kill -9 during load, with real processes and real gateways on the wire: the pool, its database, and both, again and again. At the end the
 * books hold every share that a gateway was told is accepted exactly once, and nothing that no gateway sent; the sums say the same.
 */
import { addressToScript, NETWORKS, NodeClient } from "@openprime/bitcoin";
import { RegtestNode, readTemplate, type Template } from "@openprime/simulator";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountWeights, bookCounts, checkBooks, openDatabase } from "../../src/ledger/index.js";
import { MemoryLogger } from "../ledger/support.js";
import { type Command, lives, postmaster } from "./support/command.js";
import { LoadedGateway } from "./support/loaded-gateway.js";
import { PoolFolder } from "./support/pool-folder.js";
import { until } from "./support/until.js";

const GATEWAYS = 3;
/** Times that each is killed: pool, database, both. */
const ROUNDS = 3;
/** Answers between two kills: at least, and at most as many more. */
const PACE = 150;

let node: RegtestNode;
let template: Template;
beforeAll(async () => {
  // Bits out of reach: no share is a block, and every job is on one parent to the end.
  node = await RegtestNode.start({ bits: 0x1b00ffff });
  await node.send(5);
  const client = new NodeClient(node.rpc);
  template = readTemplate(await client.blockTemplate());
  await client.close();
});
afterAll(() => node.stop());

const scriptOf = (address: string) => Buffer.from(addressToScript(address, NETWORKS.regtest)).toString("hex");

test("whatever is killed, no acknowledged share is missing and none is there twice", { timeout: 240_000 }, async () => {
  const folder = await PoolFolder.init(node.rpc);
  const gateways = Array.from({ length: GATEWAYS }, (_, number) => new LoadedGateway(number, template));
  let pool: Command;
  const start = async (): Promise<void> => {
    pool = folder.serve();
    const place = await pool.listening();
    await Promise.all(gateways.map((gateway) => gateway.connect(place)));
  };
  /** So many answers more, of every gateway. */
  const progress = async (count: number): Promise<void> => {
    const goals = gateways.map(({ answers }) => answers + count);
    await until(`${count} answers`, () => {
      if (pool.end !== undefined) throw new Error(`the pool ended (${pool.end}):\n${pool.stderr.slice(-3000)}`);
      return gateways.every(({ answers }, index) => answers >= goals[index]!);
    });
  };
  const pace = (): number => PACE + Math.floor(Math.random() * PACE);
  const killPool = async (): Promise<void> => {
    pool.kill("SIGKILL");
    expect(await pool.ended).toBe("SIGKILL");
    await until("the end of all connections", () => gateways.every(({ connected }) => !connected));
  };
  const killDatabase = (): number => {
    const pid = postmaster(folder.dataDir);
    expect(pid, "the database's process").toBeDefined();
    process.kill(pid!, "SIGKILL");
    return pid!;
  };

  await start();
  for (let round = 0; round < ROUNDS; round++) {
    // The pool alone: its database lives on, and the next pool goes on with it.
    await progress(pace());
    await killPool();
    const orphan = postmaster(folder.dataDir);
    await start();
    expect(postmaster(folder.dataDir)).toBe(orphan);

    // The database alone: the pool starts it again, and no gateway loses its connection.
    await progress(pace());
    const killed = killDatabase();
    await until("the database's return", () => ![undefined, killed].includes(postmaster(folder.dataDir)));
    await progress(pace());
    expect(gateways.every(({ connected }) => connected)).toBe(true);

    // Both at once, in either order.
    if (round % 2 === 0) killDatabase();
    pool!.kill("SIGKILL");
    if (round % 2 === 1) killDatabase();
    await killPool();
    await start();
  }
  await progress(pace());
  await Promise.all(gateways.map((gateway) => gateway.finish()));
  pool!.kill("SIGTERM");
  expect(await pool!.ended, pool!.stderr.slice(-3000)).toBe(0);
  const left = postmaster(folder.dataDir);
  expect(left === undefined || !lives(left)).toBe(true);

  for (const gateway of gateways) {
    expect(gateway.refused).toEqual([]);
    expect(gateway.twice).toEqual([]);
    expect(gateway.unanswered).toBe(0);
    // Everything was sent again until it was answered, so all that was ever sent is known to be in the books.
    expect(gateway.acknowledged.size).toBe(gateway.sent.size);
  }
  const sent = new Map(gateways.flatMap((gateway) => [...gateway.sent]));
  expect(sent.size).toBeGreaterThan(GATEWAYS * ROUNDS * PACE * 2);

  const database = await openDatabase({ embedded: { dataDir: folder.dataDir } }, { log: new MemoryLogger() });
  try {
    expect(await checkBooks(database)).toEqual([]);
    const { rows } = await database.pool.query<{ hash: Buffer }>("SELECT hash FROM shares");
    expect(rows).toHaveLength(sent.size);
    expect(rows.map(({ hash }) => hash.toString("hex")).filter((hash) => !sent.has(hash))).toEqual([]);
    // Every share with its own account, worker and weight.
    const credited = new Map<string, bigint>();
    const add = (username: string, weight: bigint) => credited.set(username, (credited.get(username) ?? 0n) + weight);
    for (const { username, work } of sent.values()) add(username, 1n << BigInt(work.targetByte));
    const workers = await database.pool.query<{ address: string; name: string; weight: string }>(
      `SELECT a.address, w.name, sum(s.weight) AS weight FROM segment_weights s
       JOIN accounts a ON a.id = s.account JOIN workers w ON w.id = s.worker GROUP BY a.address, w.name`,
    );
    expect(new Map(workers.rows.map(({ address, name, weight }) => [`${address}.${name}`, BigInt(weight)]))).toEqual(credited);
    const total = [...credited.values()].reduce((sum, weight) => sum + weight, 0n);
    expect(await bookCounts(database)).toMatchObject({ shares: BigInt(sent.size), weight: total, voids: 0n, sessions: BigInt(GATEWAYS) });
    const accounts = await accountWeights(database);
    expect(
      accounts
        .filter(({ operator }) => !operator)
        .map(({ script }) => Buffer.from(script).toString("hex"))
        .sort(),
    ).toEqual([...new Set([...credited.keys()].map((username) => scriptOf(username.split(".")[0]!)))].sort());
    // The kills came at a bad time: shares were committed, and their answers never arrived.
    expect(gateways.reduce((sum, { lostAnswers }) => sum + lostAnswers, 0)).toBeGreaterThan(0);
  } finally {
    await database.close();
  }
});
