/** `openprime ledger balances, entries, owed, threshold` on the books of the check's tests. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { NETWORKS, scriptToAddress } from "@openprime/bitcoin";
import { minerAddress } from "@openprime/simulator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { coins, table } from "../../../src/cli/ledger/format.js";
import { luck } from "../../../src/cli/ledger/luck.js";
import { payouts } from "../../../src/cli/ledger/owed.js";
import { run } from "../../../src/cli/main.js";
import type { AccountBalance, Database } from "../../../src/ledger/index.js";
import { rowToWrite } from "../../../src/ledger/templates/template-row.js";
import { FakeNode } from "../../chain/fake-node.js";
import { externalServer, OPERATOR, script } from "../../ledger/support.js";
import { capture, folder } from "../support.js";
import { type CommandBooks, commandBooks } from "./support.js";

const server = await externalServer();
const address = (one: Uint8Array): string => scriptToAddress(one, NETWORKS.regtest) as string;

describe.skipIf(server === undefined)("openprime ledger", () => {
  let books: CommandBooks;
  beforeAll(async () => {
    books = await commandBooks(server as string);
  });
  afterAll(() => books.remove());

  /** The command as a user types it, on a configuration file. */
  const ledger = async (args: readonly string[], settings = "") => {
    const { database } = books.config();
    const file = join(folder(), "openprime.yaml");
    const url = "url" in database ? database.url : "";
    writeFileSync(
      file,
      `network: regtest\npool:\n  payoutAddress: ${minerAddress("pool", 0)}\nkeys:\n  file: keys.json\ndatabase:\n  url: ${url}\n${settings}`,
    );
    const io = capture();
    const code = await run(["ledger", ...args, "--config", file], {}, io);
    return { code, out: io.out(), err: io.err() };
  };
  const lines = (text: string): string[] => text.split("\n");
  const low = "split:\n  threshold: 30\n";

  test("check asks the next node where the first is away", async () => {
    const [away, other] = [await FakeNode.start(), await FakeNode.start()];
    try {
      away.down = true;
      // That it is asked shows in what is wrong with it.
      other.chain = "main";
      const { code, err } = await ledger(["check"], `node:\n  url: ${away.url}\nnodes:\n  - url: ${other.url}\n`);
      expect(err).toContain(`${new URL(away.url).host}: `);
      expect(err).toContain("the next node is asked");
      expect(err).toContain("its node is on main");
      expect(code).not.toBe(0);
    } finally {
      await away.close();
      await other.close();
    }
  });

  test("balances, as a table", async () => {
    const { code, out, err } = await ledger(["balances"]);
    expect([code, err]).toEqual([0, ""]);
    expect(lines(out)[0]).toMatch(/^account +balance, BTC +threshold +due since, UTC +last earned$/);
    expect(lines(out)[1]).toMatch(
      new RegExp(`^${address(script(1))} +0\\.00000500 +\\d\\.\\d{8} +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d +105$`),
    );
    expect(lines(out)[3]).toMatch(new RegExp(`^${address(OPERATOR)} \\(operator\\) +0\\.00000020 `));
    expect(out).toContain("3 accounts, 0.00000540 BTC owed to miners\n");
  });

  test("balances, as JSON and CSV, of all accounts", async () => {
    const json = JSON.parse((await ledger(["balances", "--json", "--all"], low)).out) as { accounts: object[] };
    expect(json.accounts).toHaveLength(4);
    expect(json.accounts[0]).toEqual({
      address: address(script(1)),
      operator: false,
      balance: 500,
      threshold: 30,
      ownThreshold: false,
      dueSince: expect.stringMatching(/^\d{4}-.*Z$/),
      lastEarned: 105,
    });
    expect(json.accounts[3]).toMatchObject({ address: address(script(2)), balance: 0, dueSince: null, lastEarned: 103 });
    const csv = lines((await ledger(["balances", "--csv"], low)).out);
    expect(csv[0]).toBe("address,operator,balance,threshold,ownThreshold,dueSince,lastEarned");
    expect(csv[2]).toBe(`${address(script(3))},false,40,30,false,,105`);
    expect(csv).toHaveLength(5);
  });

  test("templates, newest first, as a table and as JSON, of all gateways and of one", async () => {
    expect((await ledger(["templates"])).out).toBe("no templates\n");
    expect(await ledger(["templates", "--json"])).toMatchObject({ code: 0, out: '{\n  "templates": []\n}\n' });
    await writeTemplates(books.database);
    const all = lines((await ledger(["templates"])).out);
    expect(all[0]).toMatch(/^opened, UTC +gateway +height +txs +weight +value, BTC +fees, BTC +own value +lacks +extra +verdict$/);
    expect(all[1]).toMatch(/^2026-11-22 10:00:03 +\? +8 +0 +720 +3\.12500000 +being judged$/);
    expect(all[2]).toMatch(
      /^2026-11-22 10:00:02 +abababab… +8 +3 +4000 +3\.12500009 +0\.00000009 +3\.12500020 +2 +1 +unsound: merkleMismatch$/,
    );
    expect(all.slice(3)).toEqual([""]);
    const json = (await ledger(["templates", "--json", "--gateway", "AB".repeat(32), "--limit", "9"])).out;
    expect(JSON.parse(json)).toEqual({
      templates: [
        {
          ...{ id: "1", session: expect.stringMatching(/^\d+$/), gateway: "ab".repeat(32), prevhash: `${"00".repeat(31)}07`, height: 8 },
          ...{ transactions: 3, weight: 4000, size: 1500, sigops: 12, value: 312_500_009, openedAt: "2026-11-22T10:00:02.000Z" },
          verdict: {
            ...{ state: "unsound", path: "byIndex", code: "merkleMismatch", detail: "words", fees: 9 },
            own: {
              value: 312_500_020,
              transactions: 4,
              weight: 5000,
              lacks: { transactions: 2, fees: 15 },
              extra: { transactions: 1, fees: 4 },
            },
            judgedAt: "2026-11-22T10:00:02.500Z",
          },
        },
      ],
    });
    expect(lines((await ledger(["templates", "--limit", "1"])).out)).toHaveLength(3);
    expect(await ledger(["templates", "--gateway", "ab"])).toMatchObject({ code: 1, err: expect.stringContaining("64 hex digits") });
  });

  test("entries, newest first, of all and of one account", async () => {
    const all = lines((await ledger(["entries", "--limit", "4"])).out);
    expect(all).toHaveLength(6);
    expect(all[0]).toMatch(/^entry +time, UTC +kind +height +of +postings, BTC$/);
    expect(all[1]).toMatch(
      /^ +6 .* spend +107 +transaction [0-9a-f]{8}…[0-9a-f]{8} +spent 0\.00000150, received -0\.00000040, withdrawn -0\.00000110$/,
    );
    expect(all[2]).toMatch(/ receipt +106 +block /);
    expect(all[3]).toMatch(/ block +105 +block .* earned 0\.00000980, paid -0\.00000480, fee 0\.00000020, received -0\.00000520$/);
    expect(all[4]).toMatch(/ reversal +105 +entry 2 /);
    const one = lines((await ledger(["entries", "--account", address(script(3)).toUpperCase()])).out);
    expect(one.slice(1, -1).map((line) => line.trim().split(/ +/)[0])).toEqual(["6", "4", "3", "2", "1"]);
    expect(one[1]).toMatch(/withdrawn -0\.00000100$/);
    const none = await ledger(["entries", "--account", address(script(99))]);
    expect(none.code).toBe(1);
    expect(none.err).toContain(`the pool has no account of ${address(script(99))}`);
    expect((await ledger(["entries", "--account", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"])).err).toContain(
      "expected an address of regtest, got one of mainnet",
    );
    expect((await ledger(["entries", "--limit", "0"])).err).toContain("Allowed: a whole number over 0.");
  });

  test("owed is bound by what is mature, and by dust", async () => {
    const nothing = await ledger(["owed", "--sendmany"], low);
    expect([nothing.code, nothing.out]).toEqual([0, "{}\n"]);
    // 500 is over the dust limit of its script, 40 is not; coins of 40 are mature.
    expect(nothing.err).toContain(
      "0 accounts can be paid 0.00000000 BTC of the 0.00000040 BTC that the pool's scripts can spend; 1 more wait for 0.00000500",
    );
    expect(nothing.err).toContain("booked from the chain when it confirms");
    expect(nothing.err).toContain("pool.coinbase: direct");
    await books.database.pool.query("UPDATE coins SET coinbase = false");
    try {
      const { out, err } = await ledger(["owed", "--sendmany"], `${low}`);
      expect(out).toBe(`{"${address(script(1))}":0.00000500}\n`);
      expect(JSON.parse(out)).toEqual({ [address(script(1))]: 0.000005 });
      expect(err).toContain("1 accounts can be paid 0.00000500 BTC of the 0.00000637 BTC");
      const shown = await ledger(["owed"], low);
      expect(lines(shown.out)[1]).toMatch(new RegExp(`^${address(script(1))} +0\\.00000500 .* now$`));
      expect((await ledger(["owed"])).out).toMatch(/^nothing is due\n/);
    } finally {
      await books.database.pool.query("UPDATE coins SET coinbase = true");
    }
  });

  test("a threshold is shown, set, told to be too low, and given back", async () => {
    const one = address(script(2));
    expect((await ledger(["threshold", one], low)).out).toBe(`${one}: 30 satoshis, the pool's\n`);
    const set = await ledger(["threshold", one, "290"], low);
    expect(set.out).toBe(`${one}: 290 satoshis, its own\n`);
    expect(set.err).toBe("outputs to it need 294 satoshis: below that nodes relay none\na running pool takes it up at its next block\n");
    expect((await ledger(["threshold", one, "100000"])).out).toBe(`${one}: 100000 satoshis, its own\n`);
    expect((await ledger(["balances", "--all"])).out).toMatch(new RegExp(`^${one} +0\\.00000000 +0\\.00100000\\*`, "m"));
    expect((await ledger(["threshold", one, "default"], low)).out).toBe(`${one}: 30 satoshis, the pool's\n`);
    for (const bad of ["1.5", "2100000000000001", "much", ""]) {
      const refused = await ledger(["threshold", one, bad]);
      expect([refused.code, refused.err]).toEqual([1, expect.stringContaining(`the threshold is "${bad}". Allowed: whole satoshis`)]);
    }
    expect((await books.database.pool.query("SELECT FROM thresholds")).rows).toEqual([]);
  });
});

describe.skipIf(server === undefined)("openprime ledger luck", () => {
  test("names the least likely first, over blocks of two difficulties", async () => {
    const books = await commandBooks(server as string, async ({ pool }) => {
      await pool.query("INSERT INTO accounts (script, kind, address) SELECT unnest($1::bytea[]), 'miner', ''", [
        [1, 2, 3].map((n) => Buffer.from(script(n))),
      ]);
      // Half of regtest's easiest target: a share of difficulty 2 is a block.
      await pool.query(
        "INSERT INTO segments (id, after_position, bits) VALUES (1, 0, $1), (2, 0, $2), (3, 0, NULL)",
        [0x207fffff, 0x203fffff],
      );
      await pool.query(
        "INSERT INTO segment_weights VALUES (1, 1, 1, 1, 10, 0), (2, 1, 1, 1, 20, 0), (2, 2, 1, 1, 4, 0), (3, 2, 1, 1, 1000, 0)",
      );
      for (const [hash, life, finder] of [
        [1, "paid", 2],
        [2, "orphaned", 2],
        [3, "foreign", 2],
        [4, "paid", 1],
        [5, "paid", null],
      ] as const) {
        const id = Buffer.alloc(32, hash);
        await pool.query(
          `INSERT INTO blocks (hash, prevhash, height, header, coinbase, coinbase_value, transaction_count, session, pin, username, found_at, life)
           VALUES ($1, $1, 1, $2, '', 0, 1, 1, 0, '', now(), $3)`,
          [id, Buffer.alloc(80), life],
        );
        await pool.query(
          "INSERT INTO block_claims (block, session, pin, finder, found_at) VALUES ($1, 1, 0, $2, now()), ($1, 2, 0, $2, now())",
          [id, finder],
        );
      }
    });
    try {
      const io = capture();
      await luck(books.config(), io);
      const [head, first, second, ...rest] = io.out().split("\n");
      expect(head).toMatch(/^account +found +due +luck +p-value$/);
      // e^-20 (1 + 20), and of a mean of 2: e^-2 (1 + 2 + 2).
      expect(first).toMatch(new RegExp(`^${address(script(1))} +1 +20\\.000 +5\\.0 % +4\\.33e-8$`));
      expect(second).toMatch(new RegExp(`^${address(script(2))} +2 +2\\.000 +100\\.0 % +0\\.677$`));
      expect(rest.join("\n")).toContain("Of 2 accounts one with 0.5 is nothing out of the ordinary.");
      expect(io.err()).toContain("work of weight 1000 is left out");
    } finally {
      await books.remove();
    }
  });

  test("has nothing to say before there is work", async () => {
    const books = await commandBooks(server as string, async () => undefined);
    const io = capture();
    await luck(books.config(), io);
    await books.remove();
    expect([io.out(), io.err()]).toEqual(["no work of a known difficulty yet\n", ""]);
  });
});

describe("what is due", () => {
  const one = (account: number, changes: Partial<AccountBalance>): AccountBalance => ({
    account,
    script: script(account),
    operator: false,
    balance: 1000n,
    threshold: undefined,
    dueSince: undefined,
    lastEarned: undefined,
    ...changes,
  });
  const since = (entry: bigint) => ({ dueSince: { entry, at: undefined } });
  const ids = (accounts: readonly AccountBalance[]): number[] => accounts.map(({ account }) => account);

  test("who has waited longest is first, and nobody is passed over", () => {
    const accounts = [
      one(1, {}),
      one(2, since(9n)),
      one(3, { ...since(4n), balance: 5000n }),
      one(4, { ...since(4n), balance: 6000n }),
      one(5, { ...since(1n), operator: true }),
      one(6, { ...since(1n), threshold: 1001n }),
      one(7, { balance: 999n, threshold: 999n, ...since(2n) }),
      one(8, { balance: 293n, threshold: 0n }),
    ];
    const all = payouts(accounts, 1000n, 1_000_000n);
    expect([ids(all.payable), all.waiting]).toEqual([[7, 4, 3, 2, 1], []]);
    const some = payouts(accounts, 1000n, 6999n);
    expect([ids(some.payable), ids(some.waiting)]).toEqual([
      [7, 4],
      [3, 2, 1],
    ]);
    const exact = payouts(accounts, 1000n, 11_999n);
    expect([ids(exact.payable), ids(exact.waiting)]).toEqual([
      [7, 4, 3],
      [2, 1],
    ]);
    expect(ids(payouts(accounts, 1000n, 0n).payable)).toEqual([]);
  });
});

/** One that was judged, and one of a session that the books don't have. */
async function writeTemplates(database: Database): Promise<void> {
  const { rows } = await database.pool.query<{ id: string }>(
    "INSERT INTO sessions (gateway_key, prime_id, version) VALUES ($1, 4711, 'test') RETURNING id",
    [Buffer.alloc(32, 0xab)],
  );
  const prevhash = new Uint8Array(32);
  prevhash[0] = 7;
  const verdict = { state: "unsound", path: "byIndex", code: "merkleMismatch", detail: "words", fees: 9n } as const;
  const own = {
    value: 312_500_020n,
    transactions: 4,
    weight: 5000,
    lacks: { transactions: 2, fees: 15n },
    extra: { transactions: 1, fees: 4n },
  };
  const at = Date.UTC(2026, 10, 22, 10, 0, 2);
  const judged = { prevhash, height: 8, value: 312_500_009n, transactions: 3, weight: 4000, size: 1500, sigops: 12 };
  const pending = { ...judged, value: 312_500_000n, transactions: 0, weight: 720, size: 180, sigops: 4 };
  const insert = "INSERT INTO templates SELECT * FROM json_populate_recordset(NULL::templates, $1::json)";
  await database.pool.query(insert, [
    JSON.stringify([
      rowToWrite({ ...judged, id: 1n, sessionId: BigInt(rows[0]?.id ?? 0), openedAt: at }, { ...verdict, own, judgedAt: at + 500 }),
      rowToWrite({ ...pending, id: 2n, sessionId: 2n ** 40n, openedAt: at + 1000 }),
    ]),
  ]);
}

describe("amounts and tables", () => {
  test("coins have eight decimals, whatever their sign", () => {
    expect([0n, 1n, -1n, 123_456_789n, -2_100_000_000_000_000n].map(coins)).toEqual([
      "0.00000000",
      "0.00000001",
      "-0.00000001",
      "1.23456789",
      "-21000000.00000000",
    ]);
  });

  test("columns are as wide as what they hold", () => {
    expect(
      table(
        ["name", "n"],
        [
          ["a", "10"],
          ["long name", "7"],
        ],
        [1],
      ),
    ).toEqual(["name        n", "a          10", "long name   7"]);
  });
});
