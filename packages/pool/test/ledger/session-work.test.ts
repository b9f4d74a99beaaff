/** The work of sessions in the books: what is saved comes back, and only from the pool whose turn it is. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Database, openDatabase, Sessions } from "../../src/ledger/index.js";
import type { SavedWork } from "../../src/work/index.js";
import { externalServer, hash, MemoryLogger, script, type TestDatabase, testDatabase } from "./support.js";

const NOW = 1_790_000_000_000;
const server = await externalServer();

let place: TestDatabase;
let database: Database;
beforeEach(async () => {
  place = await testDatabase(server === undefined ? "embedded" : "external", server);
  database = await openDatabase(place.options, { log: new MemoryLogger() });
});
afterEach(async () => {
  await database.close();
  await place.remove();
});

const work: SavedWork = {
  minimum: { targetByte: 17, earlier: [{ targetByte: 12, until: NOW + 1000 }] },
  payee: script("payee"),
  proven: true,
  jobs: [
    { slot: 0, digest: hash("job 0"), pin: 2n ** 62n, splitId: 5n, templateId: 2n ** 41n, commitment: hash("commitment") },
    { slot: 3, digest: hash("job 3"), pin: 0n, splitId: undefined, templateId: 2n ** 41n + 1n, commitment: undefined },
    { slot: 7, digest: hash("job 7"), pin: 9n, splitId: 77n, templateId: 2n ** 41n + 2n, commitment: undefined },
  ],
};

test("what is saved comes back, with the splits and final verdicts that the books have", async () => {
  const sessions = new Sessions(database, () => NOW);
  const { id, work: none } = await sessions.open(hash("gateway"), "v1");
  expect(none).toBeUndefined();
  await database.pool.query(
    `INSERT INTO splits (id, session, coinbaser_id, position, prevhash, value, outputs, offered_at, fee_ppm)
     VALUES (5, $1, 1, 3, $2, 1000, '', $3, 0)`,
    [String(id), Buffer.from(hash("parent")), new Date(NOW)],
  );
  const states = ["unsound", "pending", "sound"].entries();
  for (const [i, state] of states) {
    await database.pool.query(
      `INSERT INTO templates (id, session, prevhash, height, value, transactions, weight, size, sigops, opened_at, state, detail, judged_at)
       VALUES ($1, $2, $3, 1, 1, 1, 1, 1, 1, now(), $4, $5, CASE WHEN $4 <> 'pending' THEN now() END)`,
      [String(2n ** 41n + BigInt(i)), String(id), Buffer.from(hash("parent")), state, i === 0 ? "spends nothing" : null],
    );
  }
  await sessions.save([{ id, work: { ...work, minimum: { targetByte: 1, earlier: [] } } }]);
  await sessions.save([{ id, work }]);
  const { work: saved, splits } = await sessions.open(hash("gateway"), "v1");
  expect(saved?.savedAt).toBe(NOW);
  const [first, second, third] = work.jobs;
  expect(saved?.restored).toEqual({
    ...work,
    jobs: [
      { ...first, split: splits[0], template: { id: 2n ** 41n, state: "unsound", why: "spends nothing" } },
      { ...second, split: undefined, template: undefined },
      { ...third, split: undefined, template: { id: 2n ** 41n + 2n, state: "sound", why: undefined } },
    ],
  });
  expect(splits[0]?.id).toBe(5n);
});

test("a pool that has lost its turn saves nothing, and what is older than a day goes", async () => {
  let now = NOW;
  const sessions = new Sessions(database, () => now);
  const old = await sessions.open(hash("gateway 1"), "v1");
  const young = await sessions.open(hash("gateway 2"), "v1");
  await sessions.save([{ id: old.id, work }]);
  now += 25 * 60 * 60_000;
  await sessions.save([{ id: young.id, work }]);
  const rows = async () => (await database.pool.query<{ session: string }>("SELECT session FROM session_work")).rows;
  expect(await rows()).toEqual([{ session: String(young.id) }]);
  await database.pool.query("UPDATE log_state SET epoch = epoch + 1");
  await sessions.save([{ id: young.id, work: { ...work, proven: false } }]);
  expect((await sessions.open(hash("gateway 2"), "v1")).work?.restored.proven).toBe(true);
});
