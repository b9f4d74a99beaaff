/** What can be set on the regtest node, and what its process and the one that started it say to each other. */

/** All optional: the defaults make a node that a demo or a test can use at once. */
export interface RegtestNodeOptions {
  /**
   * Compact target of every block after the pre-mined ones. The default 0x1e7fffff takes 2^17 hashes; 0x1b00ffff is out of a CPU's reach
   * and leaves only shares; 0x207fffff is plain regtest, where every valid share is a block. See `bitsForHashes`.
   */
  readonly bits?: number;
  /** Blocks between halvings of the subsidy; plain regtest's 150 would soon take the subsidy under what a gateway asks splits for. */
  readonly halvingInterval?: number;
  /** Signed transactions to send each second; 0 for none until asked. */
  readonly transactionsPerSecond?: number;
  /**
   * Begins with the best chain of this node instead of a pre-mined one of its own, and has none of its mempool; `bits` must be the same.
   * Nothing connects the two afterwards: a test hands over what one shall have of the other, by `submitblock` and `RegtestNode.receive`.
   */
  readonly chainOf?: RpcAccess;
}

/** How to reach the node's RPC; fits the options of `NodeClient`. */
export interface RpcAccess {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

export interface NodeTip {
  /** Display order, hex. */
  readonly hash: string;
  readonly height: number;
}

/** Calls over the control channel: name → parameters and result. */
export interface NodeCalls {
  tip: { params: Record<string, never>; result: NodeTip };
  mine: { params: { count: number; transactions: boolean }; result: string[] };
  branch: { params: { fork: number; blocks: number }; result: string[] };
  send: { params: { count: number }; result: string[] };
  receive: { params: { transactions: readonly string[] }; result: null };
  feed: { params: { transactionsPerSecond: number }; result: null };
  invalidate: { params: { hash: string }; result: null };
  reconsider: { params: { hash: string }; result: null };
  stop: { params: Record<string, never>; result: null };
}

export type NodeCall = { [M in keyof NodeCalls]: { id: number; method: M; params: NodeCalls[M]["params"] } }[keyof NodeCalls];

export type NodeReport =
  | { readonly type: "ready"; readonly rpc: RpcAccess }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "answer"; readonly id: number; readonly result: unknown }
  | { readonly type: "error"; readonly id: number; readonly message: string };
