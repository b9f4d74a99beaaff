/** A Bitcoin node that says what a test wants: JSON-RPC over HTTP on a port of the system's choice. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { meetsTarget, NodeClient, reverseHex, sha256d, targetBytes, targetFromBits } from "@openprime/bitcoin";

const REGTEST_GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

const REGTEST_GENESIS_HEADER = `01000000${"00".repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000`;

export interface FakeHeader {
  hash: string;
  confirmations: number;
  height: number;
  version: number;
  merkleroot: string;
  time: number;
  mediantime: number;
  bits: string;
  chainwork?: string;
  previousblockhash?: string;
}

const BITS = 0x207fffff;
const TARGET = targetBytes(targetFromBits(BITS));

export class RpcFailure extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export class FakeNode {
  chain = "regtest";
  genesis = REGTEST_GENESIS;
  synchronising = false;
  /** Connections are cut without an answer. */
  down = false;
  /** Bits and fees of the template on a tip; undefined: the node gives no template. */
  template: { bits: string; fees: number[]; subsidy: number } | undefined = { bits: "207fffff", fees: [], subsidy: 5_000_000_000 };
  /** Fees of blocks, where getblockstats is supported. */
  stats: Map<string, number> | undefined;
  submit: (hex: string) => string | null = () => null;
  /** Answers wait for its end; undefined: they don't. */
  hanging: Promise<void> | undefined;
  /** Calls that wait for it. */
  held = 0;
  /** Claimed for the tip in place of the work that was done, hex; "" for no claim. */
  claimedWork: string | undefined;
  /** Blocks that the node calls invalid, as getchaintips tells; undefined: it has no such call. */
  invalid: Set<string> | undefined;
  /** Serialized blocks that it gives, hex by hash. */
  readonly blocks = new Map<string, string>();
  /** Whether preciousblock is supported. */
  prefers = false;
  /** Questions about this hash are answered when the promise resolves. */
  withheld: { readonly hash: string; readonly until: Promise<void> } | undefined;
  readonly calls: string[] = [];
  /** 80 bytes in hex, by hash; of blocks that `block` and `mine` made. */
  readonly raw = new Map<string, string>();
  readonly headers = new Map<string, FakeHeader>();
  best: string;
  readonly #server: Server;
  readonly #clients: NodeClient[] = [];

  private constructor() {
    this.best = this.genesis;
    this.add(this.genesis, undefined, 0);
    this.raw.set(this.genesis, REGTEST_GENESIS_HEADER);
    this.#server = createServer((request, response) => {
      if (this.down) {
        request.socket.destroy();
        return;
      }
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", async () => {
        if (this.hanging !== undefined) {
          this.held += 1;
          await this.hanging;
          this.held -= 1;
        }
        const { id, method, params } = JSON.parse(Buffer.concat(parts).toString()) as { id: number; method: string; params: unknown[] };
        this.calls.push(method);
        if (this.withheld !== undefined && params[0] === this.withheld.hash) await this.withheld.until;
        try {
          response.end(JSON.stringify({ id, result: this.#answer(method, params), error: null }));
        } catch (error) {
          const { code, message } = error instanceof RpcFailure ? error : new RpcFailure(-1, String(error));
          response.statusCode = 500;
          response.end(JSON.stringify({ id, result: null, error: { code, message } }));
        }
      });
    });
  }

  static async start(): Promise<FakeNode> {
    const node = new FakeNode();
    node.#server.listen(0, "127.0.0.1");
    await once(node.#server, "listening");
    return node;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  client(timeoutMs = 5000): NodeClient {
    const client = new NodeClient({ url: this.url, timeoutMs });
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** A header the node knows of; it is not the tip. */
  add(hash: string, parent: string | undefined, height: number, time = 1_700_000_000 + height * 600): FakeHeader {
    const header: FakeHeader = {
      hash,
      confirmations: 1,
      height,
      version: 0x20000000,
      merkleroot: "00".repeat(32),
      time,
      mediantime: time - 3000,
      bits: "207fffff",
      chainwork: (2 * (height + 1)).toString(16).padStart(64, "0"),
      ...(parent === undefined ? {} : { previousblockhash: parent }),
    };
    this.headers.set(hash, header);
    return header;
  }

  /** A new block on a parent (the tip by default), of random contents and with proof of work; not the tip. */
  block(parent = this.best): string {
    const header = Buffer.concat([Buffer.from("00000020", "hex"), Buffer.from(parent, "hex").reverse(), randomBytes(36), Buffer.alloc(8)]);
    header.writeUInt32LE(BITS, 72);
    let nonce = 0;
    do header.writeUInt32LE(nonce++, 76);
    while (!meetsTarget(sha256d(header), TARGET));
    const hash = reverseHex(sha256d(header));
    this.raw.set(hash, header.toString("hex"));
    this.add(hash, parent, this.headers.get(parent)!.height + 1);
    return hash;
  }

  /** Learns blocks of another node, up from where they part. */
  learn(other: FakeNode, hash = other.best): void {
    const header = other.headers.get(hash)!;
    if (this.headers.has(hash)) return;
    if (header.previousblockhash !== undefined) this.learn(other, header.previousblockhash);
    this.headers.set(hash, { ...header });
    this.raw.set(hash, other.raw.get(hash)!);
  }

  /** Learns another node's best block and makes it its own. */
  follow(other: FakeNode): void {
    this.learn(other);
    this.best = other.best;
  }

  /** A new tip. */
  mine(parent = this.best): string {
    this.best = this.block(parent);
    return this.best;
  }

  #isActive({ hash, height }: FakeHeader): boolean {
    let at = this.headers.get(this.best);
    while (at !== undefined && at.height > height) at = this.headers.get(at.previousblockhash ?? "");
    return at?.hash === hash;
  }

  #answer(method: string, params: unknown[]): unknown {
    switch (method) {
      case "getblockchaininfo":
        return {
          chain: this.chain,
          blocks: this.headers.get(this.best)!.height,
          headers: 500,
          bestblockhash: this.best,
          chainwork: this.claimedWork === "" ? undefined : (this.claimedWork ?? this.headers.get(this.best)!.chainwork),
          difficulty: 1,
          mediantime: 0,
          initialblockdownload: this.synchronising,
        };
      case "getblockhash": {
        const height = params[0] as number;
        let at = this.headers.get(this.best);
        if (height === 0) return this.genesis;
        while (at !== undefined && at.height !== height) at = this.headers.get(at.previousblockhash ?? "");
        if (at === undefined) throw new RpcFailure(-8, "Block height out of range");
        return at.hash;
      }
      case "getbestblockhash":
        return this.best;
      case "getblockheader": {
        const header = this.headers.get(params[0] as string);
        if (header === undefined) throw new RpcFailure(-5, "Block not found");
        if (params[1] === false) return this.raw.get(header.hash);
        return { ...header, confirmations: this.#isActive(header) ? 1 : -1 };
      }
      case "getblock": {
        const block = this.blocks.get(params[0] as string);
        if (block === undefined) throw new RpcFailure(-1, "Block not available (pruned data)");
        return block;
      }
      case "getblocktemplate": {
        if (this.template === undefined) throw new RpcFailure(-9, "Bitcoin is not connected!");
        const { bits, fees, subsidy } = this.template;
        const height = this.headers.get(this.best)!.height + 1;
        return {
          version: 0x20000000,
          previousblockhash: this.best,
          transactions: fees.map((fee) => ({ data: "00", txid: "00", hash: "00", fee, sigops: 1, weight: 400 })),
          coinbasevalue: subsidy + fees.reduce((sum, fee) => sum + fee, 0),
          mintime: 0,
          curtime: 0,
          bits,
          height,
          sizelimit: 4_000_000,
          weightlimit: 4_000_000,
          sigoplimit: 80_000,
        };
      }
      case "getblockstats": {
        const totalfee = this.stats?.get(params[0] as string);
        if (this.stats === undefined) throw new RpcFailure(-32601, "Method not found");
        if (totalfee === undefined) throw new RpcFailure(-8, "Can't read undo data from disk");
        return { totalfee };
      }
      case "getchaintips":
        if (this.invalid === undefined) throw new RpcFailure(-32601, "Method not found");
        return [{ hash: this.best, status: "active" }, ...[...this.invalid].map((hash) => ({ hash, status: "invalid" }))];
      case "preciousblock":
        if (!this.prefers) throw new RpcFailure(-32601, "Method not found");
        this.best = params[0] as string;
        return null;
      case "submitblock":
        return this.submit(params[0] as string);
      default:
        throw new RpcFailure(-32601, "Method not found");
    }
  }
}
