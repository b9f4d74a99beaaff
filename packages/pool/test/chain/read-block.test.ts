import { reverseHex, sha256d } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { readBlock } from "../../src/chain/read-block.js";
import type { ChainBlock, ChainPosition } from "../../src/ledger/index.js";
import { ModelBooks, type ModelContents, ModelNode, POOL_SCRIPT, readPrimeId, STRANGER, transaction } from "./follower-model.js";

const books = new ModelBooks();
const internal = (hash: string): Uint8Array => new Uint8Array(Buffer.from(hash, "hex").reverse());

interface Made {
  readonly raw: Uint8Array;
  readonly hash: Uint8Array;
  readonly parent: ChainPosition;
}

function made(contents: ModelContents): Made {
  const node = new ModelNode(5);
  const parent = { height: 5, hash: internal(node.tip.hash) };
  const { raw, hash } = node.mine(contents);
  return { raw, hash: internal(hash), parent };
}

const read = ({ raw, hash, parent }: Made): Promise<ChainBlock> => readBlock(raw, hash, parent, { books, readPrimeId });

/** The same with hex for bytes: a Buffer is as good as a Uint8Array. */
function written(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(written);
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, written(field)]))
    : value;
}

describe("readBlock", () => {
  it("gives the header's fields, the coinbase and what touches the pool's coins", async () => {
    const held = { txid: new Uint8Array(32).fill(3), vout: 2 };
    books.coins.add(`${"03".repeat(32)}:2`);
    const foreign = { txid: new Uint8Array(32).fill(4), vout: 2 };
    const pays = transaction(
      [foreign],
      [
        { value: 5n, script: STRANGER },
        { value: 6n, script: POOL_SCRIPT },
      ],
    );
    const payment = { txid: sha256d(pays), vout: 1 };
    const others = transaction([foreign], [{ value: 1n, script: STRANGER }], 2);
    const spends = transaction([held, foreign, payment], [{ value: 1n, script: STRANGER }]);
    const outputs = [
      { value: 50n, script: POOL_SCRIPT },
      { value: 7n, script: STRANGER },
    ];
    const block = made({ primeId: 77, outputs, transactions: [pays, others, spends] });
    const result = await read(block);
    const raw = block.raw.subarray(81, block.raw.length - pays.length - others.length - spends.length);
    const expected: ChainBlock = {
      height: 6,
      hash: block.hash,
      prevhash: block.parent.hash,
      time: 1_700_000_006,
      bits: 0x207fffff,
      coinbase: { txid: sha256d(raw), raw: Uint8Array.from(raw), outputs, primeId: 77 },
      transactions: [
        {
          txid: sha256d(pays),
          spends: [],
          outputs: [
            { value: 5n, script: STRANGER },
            { value: 6n, script: POOL_SCRIPT },
          ],
        },
        {
          txid: sha256d(spends),
          spends: [held, payment].map(({ txid, vout }) => ({ txid: Uint8Array.from(txid), vout })),
          outputs: [{ value: 1n, script: STRANGER }],
        },
      ],
    };
    expect(written(result)).toEqual(written(expected));
  });

  it("refuses another block, other transactions, another parent and bytes that are no block", async () => {
    const block = made({ transactions: [transaction([{ txid: new Uint8Array(32).fill(4), vout: 0 }], [{ value: 1n, script: STRANGER }])] });
    const other = made({ primeId: 1 });
    const refused = (part: Partial<Made>, error: object): Promise<void> => expect(read({ ...block, ...part })).rejects.toMatchObject(error);
    await refused(
      { raw: other.raw },
      {
        code: "wrongBlock",
        expected: reverseHex(block.hash),
        got: reverseHex(other.hash),
        message: expect.stringContaining("another block than the one asked for"),
      },
    );
    const changed = Uint8Array.from(block.raw);
    changed[changed.length - 1] = 1;
    await refused({ raw: changed }, { code: "wrongBlock", message: expect.stringContaining("merkle root") });
    await refused(
      { parent: { height: 5, hash: other.hash } },
      {
        code: "wrongBlock",
        expected: reverseHex(other.hash),
        got: reverseHex(block.parent.hash),
      },
    );
    await refused(
      { raw: block.raw.subarray(0, -1) },
      {
        code: "wrongBlock",
        message: expect.stringContaining("are no block"),
      },
    );
  });

  it("lets the event loop turn while it reads thousands of transactions", async () => {
    const transactions = Array.from({ length: 4000 }, (_, i) =>
      transaction(
        [{ txid: new Uint8Array(32).fill(i & 255), vout: 1 }],
        Array.from({ length: 10 }, () => ({ value: BigInt(i), script: STRANGER })),
      ),
    );
    const block = made({ transactions });
    let turns = 0;
    let reading = true;
    const turn = (): void => {
      turns += 1;
      if (reading) setImmediate(turn);
    };
    setImmediate(turn);
    await read(block);
    reading = false;
    expect(turns).toBeGreaterThanOrEqual(3);
  });
});
