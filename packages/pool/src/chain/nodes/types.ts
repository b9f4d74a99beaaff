/** The nodes of a pool as the group sees them. */
import type { NodeClient } from "@openprime/bitcoin";
import type { ChainNode, FollowedNode } from "../node.js";

/** The calls that a node of a group must answer; a NodeClient does. */
export type GroupedNode = ChainNode & FollowedNode & Pick<NodeClient, "submitBlock" | "preciousBlock">;

/** A node under the name by which logs and metrics tell of it; the name holds no secret. */
export interface NamedNode<N extends GroupedNode = GroupedNode> {
  readonly name: string;
  readonly client: N;
}

/** Why a node is not followed, whatever its chain says. */
export type NodeFault =
  | "unreachable"
  /** Another network or genesis block. */
  | "wrongChain"
  /** In initial block download. */
  | "synchronising"
  /** Its best header does not hash to its name, lacks the work or the ancestors that the node claims for it. */
  | "lying"
  /** Behind the best chain for too long. */
  | "lagging"
  /** It and the first node do not agree about which blocks are valid; the first node decides. */
  | "disagrees";

/** `unchecked`: not looked at yet. */
export type NodeState = "unchecked" | "good" | NodeFault;

export interface NodeStatus {
  readonly name: string;
  readonly state: NodeState;
  /** What is wrong, in words; undefined when nothing is. */
  readonly why: string | undefined;
  /** Whether the pool goes by this node now. */
  readonly followed: boolean;
  /** Of its best block at the last look. */
  readonly height: number | undefined;
}

/** A best block whose header was checked. */
export interface CheckedTip {
  /** Display order. */
  readonly hash: string;
  readonly height: number;
  /** Of the chain up to it. */
  readonly work: bigint;
}
