/** One node of a group: asked how it is, one question at a time, and what its answer says of it. */
import type { BlockchainInfo, Network } from "@openprime/bitcoin";
import { GENESIS } from "../genesis.js";
import { type CheckedHeaders, FalseClaim } from "./checked-headers.js";
import type { CheckedTip, GroupedNode, NamedNode, NodeFault } from "./types.js";

/** What the group knows and a single node does not. */
export interface WatchSurroundings {
  readonly network: Network;
  readonly headers: CheckedHeaders;
  /** A node that says nothing for so long is taken for unreachable, milliseconds. */
  readonly silentMs: number;
  /** A clock that is never set, milliseconds. */
  readonly monotonic: () => number;
  /** The node that is followed; undefined when it is this one. */
  neighbour(watch: NodeWatch): GroupedNode | undefined;
  /** Whether this node's word may be taken where nothing is known to hold it against. */
  trusted(watch: NodeWatch): boolean;
  /** A look has ended, in time or late. */
  looked(watch: NodeWatch): void;
}

export class NodeWatch<N extends NamedNode = NamedNode> {
  /** Its best block at the last look that went well. Stays while it is away. */
  tip: CheckedTip | undefined;
  /** What is wrong with it by itself, and in words. */
  fault: { readonly code: Exclude<NodeFault, "lagging" | "disagrees">; readonly why: string } | undefined;
  /** Steady milliseconds since which others have had a better chain; undefined while it has the best. */
  behindSince: number | undefined;
  /** The best block of others that it calls invalid, display order. */
  refused: string | undefined;
  /** The best block of others that it was last asked about. */
  askedAbout: string | undefined;
  #asking: Promise<void> | undefined;
  #askedAt = 0;
  #genesisSeen = false;

  constructor(
    readonly node: N,
    private readonly around: WatchSurroundings,
  ) {}

  /** The answer that a look has stopped waiting for; undefined when none is under way. Never rejects. */
  get answer(): Promise<void> | undefined {
    return this.#asking;
  }

  /** Looks at the node; resolves when it has answered or was silent for too long, and never rejects. */
  async look(silentMs = this.around.silentMs): Promise<void> {
    const { monotonic } = this.around;
    if (this.#asking === undefined) {
      this.#askedAt = monotonic();
      this.#asking = this.#ask().finally(() => {
        this.#asking = undefined;
        this.around.looked(this);
      });
    }
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<true>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, this.#askedAt + silentMs - monotonic()), true);
    });
    const silent = await Promise.race([this.#asking.then(() => false), silence]);
    clearTimeout(timer);
    if (!silent) return;
    this.#genesisSeen = false;
    this.fault = { code: "unreachable", why: `no answer within ${silentMs} ms` };
  }

  async #ask(): Promise<void> {
    const { client } = this.node;
    try {
      const info = await client.blockchainInfo();
      this.fault = await this.#faultOf(info);
      if (this.fault !== undefined) return;
      const { headers } = this.around;
      const trusted = this.around.trusted(this);
      // What the first node says comes first.
      if (headers.empty && !trusted) return;
      this.tip = await headers.check(client, info, this.around.neighbour(this), trusted);
    } catch (error) {
      if (error instanceof FalseClaim) this.fault = { code: "lying", why: error.message };
      else {
        this.#genesisSeen = false;
        this.fault = { code: "unreachable", why: error instanceof Error ? error.message : String(error) };
      }
    }
  }

  async #faultOf(info: BlockchainInfo): Promise<NodeWatch["fault"]> {
    const { network } = this.around;
    if (info.chain !== network.chain) return { code: "wrongChain", why: `it is on ${info.chain}, the pool on ${network.chain}` };
    // It may be another program behind the same address after it was away.
    if (!this.#genesisSeen) {
      const genesis = await this.node.client.blockHash(0);
      if (genesis !== GENESIS[network.name]) return { code: "wrongChain", why: `its chain begins with block ${genesis}` };
      this.#genesisSeen = true;
    }
    if (info.initialblockdownload) return { code: "synchronising", why: `block ${info.blocks} of ${info.headers}` };
    return undefined;
  }
}
