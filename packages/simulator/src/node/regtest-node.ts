/** The regtest node seen from outside: started as a child process, driven over its control channel. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SimulatorError } from "../errors.js";
import { expectedHashes } from "./difficulty.js";
import type { NodeCalls, NodeReport, NodeTip, RegtestNodeOptions, RpcAccess } from "./options.js";

const processFile = fileURLToPath(new URL("../../dist/node/process.js", import.meta.url));

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A full node on a private chain with 117 blocks, coins to spend, and blocks as hard as asked.
 *
 * It is a process of its own (bcoin), listens on an ephemeral loopback port, keeps everything in memory, and ends with this process.
 */
export class RegtestNode {
  readonly rpc: RpcAccess;
  /** Compact target of new blocks. */
  readonly bits: number;
  /** Hashes that a new block takes on average. */
  readonly expectedHashes: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended: Error | undefined;

  private constructor(child: ChildProcess, rpc: RpcAccess, bits: number, errors: () => string) {
    this.#child = child;
    this.rpc = rpc;
    this.bits = bits;
    this.expectedHashes = expectedHashes(bits);
    child.on("message", (report: NodeReport) => this.#receive(report));
    child.once("exit", (code, signal) => {
      this.#ended = new SimulatorError("nodeEnded", `the regtest node has ended (${signal ?? `exit ${code}`}) ${errors()}`.trim());
      for (const call of this.#waiting.values()) call.reject(this.#ended);
      this.#waiting.clear();
    });
  }

  /**
   * Starts a node; ready when this resolves.
   *
   * @throws SimulatorError `nodeFailed` with what the node said
   */
  static async start(options: RegtestNodeOptions = {}): Promise<RegtestNode> {
    const child = fork(processFile, [JSON.stringify(options)], {
      // bcoin's native parts are not built (and not needed).
      env: { ...process.env, NODE_BACKEND: "js" },
      execArgv: [],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let errors = "";
    child.stderr?.on("data", (text: Buffer) => {
      errors = (errors + text.toString()).slice(-2000);
    });
    const rpc = await new Promise<RpcAccess>((resolve, reject) => {
      const failed = (why: string): void => reject(new SimulatorError("nodeFailed", `the regtest node did not start: ${why}`));
      child.once("exit", (code) => failed(`exit ${code} ${errors}`));
      child.once("error", (error) => failed(error.message));
      child.once("message", (report: NodeReport) => {
        if (report.type === "ready") resolve(report.rpc);
        else failed(report.type === "failed" ? report.message : `unexpected ${report.type}`);
      });
    });
    return new RegtestNode(child, rpc, options.bits ?? 0x1e7fffff, () => errors);
  }

  #receive(report: NodeReport): void {
    if (report.type !== "answer" && report.type !== "error") return;
    const call = this.#waiting.get(report.id);
    this.#waiting.delete(report.id);
    if (report.type === "answer") call?.resolve(report.result as never);
    else call?.reject(new SimulatorError("nodeRefused", report.message));
  }

  #call<M extends keyof NodeCalls>(method: M, params: NodeCalls[M]["params"]): Promise<NodeCalls[M]["result"]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    const result = new Promise<NodeCalls[M]["result"]>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.send({ id, method, params });
    return result;
  }

  /** @throws SimulatorError `nodeEnded` when it has ended by itself */
  check(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  tip(): Promise<NodeTip> {
    return this.#call("tip", {});
  }

  /** Mines blocks on the tip by itself, paying nobody of the pool: an outside block. Answers their hashes (display order). */
  mine(count = 1, options: { readonly transactions?: boolean } = {}): Promise<string[]> {
    return this.#call("mine", { count, transactions: options.transactions ?? true });
  }

  /**
   * Mines a competing branch of empty blocks after the block at height `fork` of the best chain. The node goes over to it when it is
   * longer than what it competes with: `branch(tip.height - 1, 2)` reorganises one block.
   */
  branch(fork: number, blocks: number): Promise<string[]> {
    return this.#call("branch", { fork, blocks });
  }

  /** Sends signed transactions at once; answers their txids. */
  send(count: number): Promise<string[]> {
    return this.#call("send", { count });
  }

  /**
   * Takes transactions of another node into the mempool; in it when this resolves, unlike with bcoin's `sendrawtransaction`.
   *
   * @param transactions raw, hex
   * @throws SimulatorError `nodeRefused` at the first that it does not take
   */
  async receive(transactions: readonly string[]): Promise<void> {
    await this.#call("receive", { transactions });
  }

  /** Sends that many transactions every second from now on; 0 ends it. */
  async feed(transactionsPerSecond: number): Promise<void> {
    await this.#call("feed", { transactionsPerSecond });
  }

  /** Marks a block of the best chain and all after it invalid; their transactions go back to the mempool. @param hash display order */
  async invalidate(hash: string): Promise<void> {
    await this.#call("invalidate", { hash });
  }

  /** Takes {@link invalidate} back: the blocks that it removed compete again. */
  async reconsider(hash: string): Promise<void> {
    await this.#call("reconsider", { hash });
  }

  /** Ends the node; safe to call twice. */
  async stop(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    await this.#call("stop", {}).catch(() => this.#child.kill("SIGKILL"));
    await exited;
  }
}
