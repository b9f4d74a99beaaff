/**
 * The nodes of a pool as one. The best chain (most work, checked header by header) among the good nodes is the pool's; of equals the node
 * that was followed stays. A node that can't be relied on is set aside, said so once, and taken back when it has recovered.
 *
 * With a single node nothing is compared and every call goes straight to it.
 */
import { type BlockchainInfo, type BlockHeaderInfo, type BlockTemplate, type Network, NodeError } from "@openprime/bitcoin";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type ChainNode, type FollowedNode, isInvalid, nodeAnswered } from "../node.js";
import { CheckedHeaders } from "./checked-headers.js";
import { NodeMetrics } from "./metrics.js";
import type { GroupedNode, NamedNode, NodeState, NodeStatus } from "./types.js";
import { NodeWatch } from "./watch.js";

export interface NodeGroupOptions {
  readonly network: Network;
  /** A node without an answer for so long is unreachable; 3 s by default. */
  readonly silentMs?: number;
  /** A node behind the best chain for so long is set aside; 30 s by default. */
  readonly lagMs?: number;
  /** A node behind for so long is asked whether it takes the best chain for invalid; 5 s by default. */
  readonly disputeMs?: number;
}

export interface NodeGroupModules<N extends NamedNode> {
  /** The operator's first node first. */
  readonly nodes: readonly [N, ...N[]];
  readonly log: Logger;
  readonly metrics: Registry;
  /** A clock that is never set, milliseconds. */
  readonly monotonic?: () => number;
}

/** As long as a single node's answer is waited for. */
const SLOW_MS = 30_000;

export class NodeGroup<N extends NamedNode = NamedNode> implements ChainNode {
  readonly #watches: readonly [NodeWatch<N>, ...NodeWatch<N>[]];
  readonly #lagMs: number;
  readonly #disputeMs: number;
  readonly #log: Logger;
  readonly #metrics: NodeMetrics;
  readonly #monotonic: () => number;
  readonly #listeners = new Set<() => void>();
  readonly #states = new Map<NodeWatch<N>, NodeState>();
  #followed: NodeWatch<N>;
  /** The last look found none that was good in time, and one that was late: it is waited for. */
  #onlySlow = false;
  /** The tip that was last told of, display order. */
  #toldTip: string | undefined;

  constructor(options: NodeGroupOptions, modules: NodeGroupModules<N>) {
    this.#lagMs = options.lagMs ?? 30_000;
    this.#disputeMs = options.disputeMs ?? 5000;
    this.#log = modules.log;
    this.#monotonic = modules.monotonic ?? (() => performance.now());
    const [first, ...others] = modules.nodes;
    const around = {
      network: options.network,
      headers: new CheckedHeaders(),
      silentMs: options.silentMs ?? 3000,
      monotonic: this.#monotonic,
      neighbour: (watch: NodeWatch) => (watch.node === this.#followed.node ? undefined : this.#followed.node.client),
      trusted: (watch: NodeWatch) => this.#trusted(watch),
      looked: () => this.#choose(),
    };
    const watch = (node: N): NodeWatch<N> => new NodeWatch(node, around);
    this.#watches = [watch(first), ...others.map(watch)];
    this.#followed = this.#watches[0];
    this.#metrics = new NodeMetrics(modules.metrics, () => this.statuses());
  }

  /** The node that the pool goes by now, for questions that belong together. */
  get followed(): N {
    return this.#followed.node;
  }

  statuses(): NodeStatus[] {
    return this.#watches.map((watch) => {
      const state = this.#states.get(watch) ?? "unchecked";
      return {
        name: watch.node.name,
        state,
        why: state === "unchecked" || state === "good" ? undefined : this.#why(watch, state),
        followed: watch === this.#followed,
        height: watch.tip?.height,
      };
    });
  }

  /** Calls back when another node, or another block of it, has become the best: the tip has probably changed. @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The followed node for one who asks many questions by height: from one `blockchainInfo` to the next all of them go to one node, so that the
   * chains of two are never mixed. Blocks, which are asked for by hash, may come from any.
   */
  view(): FollowedNode {
    let watch = this.#followed;
    return {
      blockchainInfo: async () => {
        watch = await this.#best();
        return watch.node.client.blockchainInfo();
      },
      blockHash: (height) => watch.node.client.blockHash(height),
      rawBlock: (hash) => this.#fromAny(watch, (client) => client.rawBlock(hash)),
    };
  }

  // ChainNode.

  /** Of the node to follow, after a look at all. @throws NodeError when none can be followed */
  async bestBlockHash(): Promise<string> {
    const watch = await this.#best();
    // One node is asked nothing else; of several the look was the question.
    if (this.#watches.length > 1 && watch.tip !== undefined) return watch.tip.hash;
    try {
      const hash = await watch.node.client.bestBlockHash();
      this.#states.set(watch, "good");
      return hash;
    } catch (error) {
      this.#states.set(watch, "unreachable");
      throw error;
    }
  }

  /** Of the node to follow; where there is none of the first, which tells what it lacks. */
  async blockchainInfo(): Promise<BlockchainInfo> {
    const watch = await this.#best().catch(() => this.#watches[0]);
    return watch.node.client.blockchainInfo();
  }

  blockHash(height: number): Promise<string> {
    return this.#followed.node.client.blockHash(height);
  }

  /** What any good node knows is known. */
  blockHeader(hash: string): Promise<BlockHeaderInfo> {
    return this.#fromAny(this.#followed, (client) => client.blockHeader(hash));
  }

  blockTemplate(): Promise<BlockTemplate> {
    return this.#followed.node.client.blockTemplate();
  }

  call<T>(method: string, params?: readonly unknown[]): Promise<T> {
    return this.#followed.node.client.call<T>(method, params);
  }

  // Choosing.

  /** The node to follow, after a look. @throws NodeError when there is none */
  async #best(): Promise<NodeWatch<N>> {
    if (this.#watches.length === 1) return this.#followed;
    const patience = this.#onlySlow ? SLOW_MS : undefined;
    const looks = this.#watches.map((watch) => watch.look(patience));
    // The others are not waited for as long as it answers: what they bring is told by `onChange`.
    await looks[this.#watches.indexOf(this.#followed)];
    this.#choose();
    if (this.#isGood(this.#followed)) return this.#followed;
    this.#onlySlow = false;
    await Promise.all(looks);
    this.#choose();
    if (this.#isGood(this.#followed)) return this.#followed;
    // A slow node is better than none.
    for (let late = this.#late(); late.length > 0; late = this.#late()) {
      await Promise.race(late);
      this.#choose();
      if (!this.#isGood(this.#followed)) continue;
      this.#onlySlow = true;
      return this.#followed;
    }
    const states = this.statuses().map(({ name, state, why }) => `${name} is ${state}${why === undefined ? "" : ` (${why})`}`);
    throw new NodeError("unreachable", "nodes", `no node can be followed: ${states.join("; ")}`);
  }

  #late(): Promise<void>[] {
    return this.#watches.flatMap((watch) => watch.answer ?? []);
  }

  #isGood(watch: NodeWatch<N>): boolean {
    return this.#states.get(watch) === "good";
  }

  /** Judges all nodes by what was last seen of them, and goes over to the best. */
  #choose(): void {
    if (this.#watches.length === 1) return;
    const before = this.#followed;
    this.#judge();
    let best = this.#isGood(before) ? before : undefined;
    for (const watch of this.#watches) {
      if (this.#isGood(watch) && (best === undefined || work(watch) > work(best))) best = watch;
    }
    if (best === undefined) return;
    this.#followed = best;
    if (best !== before) {
      this.#metrics.switched();
      const fields = { node: best.node.name, height: best.tip?.height, hash: best.tip?.hash, instead: before.node.name };
      this.#log.info({ ...fields, insteadIs: this.#states.get(before) }, "the pool follows another of its nodes");
    }
    if (best.tip?.hash === this.#toldTip) return;
    this.#toldTip = best.tip?.hash;
    for (const listener of this.#listeners) listener();
  }

  #judge(): void {
    const [first] = this.#watches;
    const now = this.#monotonic();
    const sound = this.#watches.filter(({ fault, tip }) => tip !== undefined && (fault === undefined || fault.code === "unreachable"));
    const highest = mostWork(sound);
    for (const watch of this.#watches) if (!isAhead(highest, watch)) watch.refused = undefined;
    const decides = first.refused !== undefined && first.fault === undefined;
    const disputed = (watch: NodeWatch<N>): boolean => decides && isAhead(watch, first);
    const top = mostWork(sound.filter((watch) => !disputed(watch)));
    for (const watch of this.#watches) {
      if (isAhead(top, watch)) watch.behindSince ??= now;
      else watch.behindSince = undefined;
      const behindMs = watch.behindSince === undefined ? 0 : now - watch.behindSince;
      this.#setState(watch, this.#stateOf(watch, disputed(watch), behindMs));
      if (top !== undefined && watch.behindSince !== undefined && watch.fault === undefined && behindMs >= this.#disputeMs) {
        void this.#askAbout(watch, top);
      }
    }
  }

  #stateOf(watch: NodeWatch<N>, disputed: boolean, behindMs: number): NodeState {
    if (watch.fault !== undefined) return watch.fault.code;
    if (watch.tip === undefined) return "unchecked";
    if (disputed || (watch.refused !== undefined && watch !== this.#watches[0])) return "disagrees";
    return behindMs >= this.#lagMs ? "lagging" : "good";
  }

  #setState(watch: NodeWatch<N>, state: NodeState): void {
    const before = this.#states.get(watch) ?? "unchecked";
    if (state === before) return;
    this.#states.set(watch, state);
    const fields = { node: watch.node.name, state, height: watch.tip?.height };
    if (state === "good") this.#log.info(fields, "a node is good");
    else if (state === "lying" || state === "wrongChain" || state === "disagrees") {
      this.#log.error({ ...fields, why: this.#why(watch, state) }, "a node is set aside");
    } else if (state !== "unchecked") this.#log.warn({ ...fields, why: this.#why(watch, state) }, "a node is set aside");
  }

  #why(watch: NodeWatch<N>, state: NodeState): string | undefined {
    if (state === "lagging") return `its best block ${watch.tip?.height} has been behind for over ${this.#lagMs / 1000} s`;
    if (state !== "disagrees") return watch.fault?.why;
    const [first] = this.#watches;
    return watch.refused === undefined
      ? `it follows a chain that the first node (${first.node.name}) calls invalid: block ${first.refused}`
      : `it calls block ${watch.refused} invalid, which others follow`;
  }

  /** Asks a node that stays behind, once a block, whether it takes the better chain for invalid; never throws. */
  async #askAbout(watch: NodeWatch<N>, ahead: NodeWatch<N>): Promise<void> {
    const hash = ahead.tip?.hash;
    if (hash === undefined || watch.askedAbout === hash) return;
    watch.askedAbout = hash;
    try {
      if (!(await isInvalid(watch.node.client, hash))) return;
    } catch (error) {
      this.#log.debug({ node: watch.node.name, error: (error as Error).message }, "a node could not be asked about a better chain");
      watch.askedAbout = undefined;
      return;
    }
    watch.refused = hash;
    this.#log.error(
      { hash, invalidBy: watch.node.name, validBy: ahead.node.name, followed: this.#watches[0].node.name },
      "nodes disagree about the validity of the best block: the first node decides",
    );
    this.#choose();
  }

  #trusted(watch: NodeWatch): boolean {
    const at = this.#watches.findIndex((one) => one.node === watch.node);
    return this.#watches.slice(0, at).every(({ fault }) => fault !== undefined);
  }

  // Asking.

  /** By hash: of one node, else of any good one that has it. @throws the first node's error */
  async #fromAny<T>(watch: NodeWatch<N>, ask: (client: GroupedNode) => Promise<T>): Promise<T> {
    try {
      return await ask(watch.node.client);
    } catch (error) {
      if (!nodeAnswered(error)) throw error;
      for (const other of this.#watches) {
        if (other === watch || !this.#isGood(other)) continue;
        try {
          return await ask(other.node.client);
        } catch (second) {
          // It does not have it either, or is away, which the next look finds out: the first answer stands.
          if (!(second instanceof NodeError)) throw second;
        }
      }
      throw error;
    }
  }
}

const work = ({ tip }: NodeWatch): bigint => tip?.work ?? -1n;

/** Whether one node's chain is better than another's. */
const isAhead = (one: NodeWatch | undefined, other: NodeWatch): boolean => one !== undefined && work(one) > work(other);

/** The node with the best chain, the first of equals; undefined for none. */
function mostWork<N extends NamedNode>(watches: readonly NodeWatch<N>[]): NodeWatch<N> | undefined {
  let most: NodeWatch<N> | undefined;
  for (const watch of watches) if (most === undefined || isAhead(watch, most)) most = watch;
  return most;
}
