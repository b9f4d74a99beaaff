/** Main program of a node of the bench: nothing but a large mempool of made transactions, asked over RPC. Tells its port. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { parseTransaction, reverseHex } from "@openprime/bitcoin";
import { madeTransaction } from "./made-transaction.js";

interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

const count = Number(process.argv[2]);
const numbers = new Map<string, number>();
for (let number = 0; number < count; number++) numbers.set(reverseHex(parseTransaction(madeTransaction(number)).txid), number);

function answer({ id, method, params }: Request): object {
  const number = numbers.get(String(params[0]));
  if (method === "getrawmempool") return { id, result: [...numbers.keys()], error: null };
  if (number === undefined) return { id, result: null, error: { code: -5, message: "not in the mempool" } };
  if (method === "getmempoolentry") return { id, result: { fees: { base: number / 1e8 } }, error: null };
  return { id, result: Buffer.from(madeTransaction(number)).toString("hex"), error: null };
}

async function read(request: IncomingMessage): Promise<Request | Request[]> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString()) as Request | Request[];
}

const server = createServer((request, response) => {
  void read(request).then((asked) => response.end(JSON.stringify(Array.isArray(asked) ? asked.map(answer) : answer(asked))));
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
