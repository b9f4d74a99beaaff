/** The check's reader and the command `check` against a real node (bcoin, regtest), and what only other nodes answer. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fromReverseHex } from "@openprime/bitcoin";
import { RegtestNode } from "@openprime/simulator";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { check } from "../../../src/cli/ledger/check.js";
import { NodeChainReader } from "../../../src/cli/ledger/node-chain-reader.js";
import type { ReadCoinbase } from "../../../src/ledger/index.js";
import { externalServer, script } from "../../ledger/support.js";
import { capture } from "../support.js";
import { type CommandBooks, commandBooks } from "./support.js";

const server = await externalServer();

describe("a real node", () => {
  let node: RegtestNode;
  let reader: NodeChainReader;
  let begin: number;
  let hashes: string[];

  beforeAll(async () => {
    node = await RegtestNode.start({ bits: 0x207fffff, halvingInterval: 10_000 });
    reader = new NodeChainReader(node.rpc);
    begin = (await node.tip()).height;
    hashes = await node.mine(3);
  });
  afterAll(async () => {
    await reader.close();
    await node.stop();
  });

  const coinbaseAt = async (index: number): Promise<ReadCoinbase> =>
    (await reader.coinbase(fromReverseHex(hashes[index] as string))) as ReadCoinbase;

  test("tip, hashes, coinbases, and unspent outputs", async () => {
    expect(await reader.tip()).toEqual({ height: begin + 3, hash: fromReverseHex(hashes[2] as string) });
    expect(await reader.hashAt(begin + 1)).toEqual(fromReverseHex(hashes[0] as string));
    expect(await reader.hashAt(begin + 4)).toBeUndefined();
    expect(await reader.coinbase(new Uint8Array(32).fill(7))).toBeUndefined();
    const coinbase = await coinbaseAt(0);
    expect(coinbase.outputs[0]?.value).toBeGreaterThan(0n);
    expect(coinbase.time).toBeGreaterThan(1_500_000_000);
    expect(await reader.unspent({ txid: coinbase.txid, vout: 0 })).toEqual({ ...coinbase.outputs[0] });
    expect(await reader.unspent({ txid: coinbase.txid, vout: 9 })).toBeUndefined();
    expect(await reader.unspent({ txid: new Uint8Array(32).fill(7), vout: 0 })).toBeUndefined();
    expect(await reader.scan([script(1)])).toMatch(/scantxoutset/);
    await reader.checkNetwork("regtest");
    await expect(reader.checkNetwork("main")).rejects.toMatchObject({ code: "wrongNetwork" });
  });

  describe.skipIf(server === undefined)("openprime ledger check", () => {
    let books: CommandBooks;
    afterEach(() => books.remove());

    /** Books that took the three blocks for receipts of the pool. */
    const make = async (): Promise<void> => {
      const coinbases = [await coinbaseAt(0), await coinbaseAt(1), await coinbaseAt(2)];
      const pools = coinbases[0]?.outputs[0]?.script as Uint8Array;
      const start = (await reader.hashAt(begin)) as Uint8Array;
      books = await commandBooks(server as string, async ({ pool }) => {
        await pool.query("INSERT INTO accounts (script, kind, address) VALUES ($1, 'operator', '')", [Buffer.from(pools)]);
        await pool.query("INSERT INTO pool_scripts (script, account) SELECT script, id FROM accounts");
        await pool.query("INSERT INTO chain VALUES ($1, $2, false)", [begin, Buffer.from(start)]);
        for (const [i, { txid, outputs }] of coinbases.entries()) {
          const hash = Buffer.from(fromReverseHex(hashes[i] as string));
          const value = outputs[0]?.value;
          await pool.query("INSERT INTO chain VALUES ($1, $2)", [begin + 1 + i, hash]);
          await pool.query("INSERT INTO coins (txid, vout, script, value, height, coinbase) VALUES ($1, 0, $2, $3, $4, true)", [
            Buffer.from(txid),
            Buffer.from(pools),
            value,
            begin + 1 + i,
          ]);
          await pool.query("INSERT INTO entries (id, key, kind, block, height, at) VALUES ($1, $2, 'receipt', $3, $4, now())", [
            i + 1,
            `receipt:${i}`,
            hash,
            begin + 1 + i,
          ]);
          await pool.query(
            `INSERT INTO postings (entry, line, book, reason, amount)
             SELECT $1, r.line, r.book, 'received', r.amount FROM (VALUES (1, 'unattributed', $2::bigint), (2, 'coins', -$2::bigint)) AS r (line, book, amount)`,
            [i + 1, value],
          );
        }
        await pool.query("UPDATE money_state SET last_entry = 3");
      });
    };

    test("is clean, in words and in JSON", async () => {
      await make();
      const config = books.config({ node: node.rpc });
      const words = capture();
      expect(await check(config, { json: false, scan: true }, words), words.out()).toBe(0);
      expect(words.out()).toMatch(/^unattributed receipts +\d+\.\d{8} BTC$/m);
      expect(words.out()).toContain("The books agree with the chain.\n");
      const json = capture();
      expect(await check(config, { json: true, scan: false }, json)).toBe(0);
      expect(JSON.parse(json.out())).toMatchObject({ ok: true, differences: [], figures: { height: begin + 3, entries: 3, owed: 0 } });
      expect(json.err()).toBe("");
    });

    test("names what differs, and ends with 1", async () => {
      await make();
      const { pool } = books.database;
      await pool.query("ALTER TABLE postings DISABLE TRIGGER ALL");
      await pool.query("ALTER TABLE entries DISABLE TRIGGER ALL");
      await pool.query("DELETE FROM postings WHERE entry = 3");
      await pool.query("DELETE FROM entries WHERE id = 3");
      await pool.query("UPDATE money_state SET last_entry = 2");
      const io = capture();
      expect(await check(books.config({ node: node.rpc }), { json: false, scan: true }, io)).toBe(1);
      expect(io.out()).toMatch(new RegExp(`^WRONG booked: block ${hashes[2]} at height ${begin + 3} pays \\d+ to the pool`, "m"));
      expect(io.out()).toContain("The books are wrong in 3 places.\n");
      const other = {
        ...books.config({ node: node.rpc }),
        network: books.config({ network: "signet", pool: { payoutAddress: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx" } }).network,
      };
      await expect(check(other, { json: false, scan: false }, capture())).rejects.toMatchObject({ code: "wrongNetwork" });
    });
  });
});

describe("answers of other nodes", () => {
  let rpc: Server;
  let reader: NodeChainReader;
  let answer: (method: string, params: readonly unknown[]) => object;

  beforeAll(async () => {
    rpc = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { method, params } = JSON.parse(Buffer.concat(parts).toString()) as { method: string; params: unknown[] };
        response.end(JSON.stringify(answer(method, params)));
      });
    });
    rpc.listen(0, "127.0.0.1");
    await once(rpc, "listening");
    reader = new NodeChainReader({ url: `http://127.0.0.1:${(rpc.address() as AddressInfo).port}` });
  });
  afterAll(async () => {
    await reader.close();
    rpc.close();
  });

  test("scantxoutset, as Core answers it", async () => {
    const id = "ab".repeat(32);
    answer = (method, params) => {
      expect([method, params]).toEqual(["scantxoutset", ["start", [`raw(${Buffer.from(script(1)).toString("hex")})`]]]);
      return {
        result: {
          success: true,
          height: 850_000,
          unspents: [
            { txid: id, vout: 2, scriptPubKey: Buffer.from(script(1)).toString("hex"), amount: 0.29, height: 849_999, coinbase: true },
            {
              txid: id,
              vout: 3,
              scriptPubKey: Buffer.from(script(1)).toString("hex"),
              amount: 20_999_999.9769,
              height: 1,
              coinbase: false,
            },
          ],
        },
        error: null,
      };
    };
    expect(await reader.scan([script(1)])).toEqual({
      height: 850_000,
      outputs: [
        { txid: fromReverseHex(id), vout: 2, script: script(1), value: 29_000_000n, height: 849_999 },
        { txid: fromReverseHex(id), vout: 3, script: script(1), value: 2_099_999_997_690_000n, height: 1 },
      ],
    });
  });

  test("a scan that is going on already is a reason; nonsense is an error", async () => {
    answer = () => ({ result: null, error: { code: -8, message: 'Scan already in progress, use action "abort" or "status"' } });
    expect(await reader.scan([script(1)])).toContain("Scan already in progress");
    for (const result of [null, {}, { height: 1, unspents: [{}] }, { height: 1, unspents: [{ txid: "zz", vout: 0, height: 1 }] }]) {
      answer = () => ({ result, error: null });
      await expect(reader.scan([script(1)])).rejects.toThrow(/expected|scantxoutset/);
    }
  });

  test("outputs without sense, pruned blocks, and a node that warms up", async () => {
    const point = { txid: new Uint8Array(32), vout: 0 };
    for (const result of [{}, { value: -1, scriptPubKey: { hex: "00" } }, { value: 1, scriptPubKey: { hex: "0g" } }, { value: 1 }]) {
      answer = () => ({ result, error: null });
      await expect(reader.unspent(point)).rejects.toMatchObject({ code: "badResponse" });
    }
    answer = () => ({ result: null, error: { code: -1, message: "Block not available (pruned data)" } });
    expect(await reader.coinbase(new Uint8Array(32))).toBeUndefined();
    answer = () => ({ result: null, error: { code: -28, message: "Loading block index…" } });
    await expect(reader.coinbase(new Uint8Array(32))).rejects.toMatchObject({ code: "rpc", rpcCode: -28 });
    await expect(reader.hashAt(1)).rejects.toMatchObject({ code: "rpc", rpcCode: -28 });
  });
});
