/** The chain room: the tip as the node sees it, what work is built on, and the way of a found block to the node. */
export { BlockFiles } from "./block-files.js";
export { ChainError, type ChainErrorCode, MempoolError, type MempoolErrorCode } from "./errors.js";
export { ChainFollower, type ChainFollowerModules, type ChainFollowerOptions } from "./follower.js";
export type { ChainNode, FollowedNode } from "./node.js";
export { NodeGroup, type NodeGroupModules, type NodeGroupOptions } from "./nodes/group.js";
export type { GroupedNode, NamedNode, NodeState, NodeStatus } from "./nodes/types.js";
export type { OwnTemplate, OwnTransaction } from "./own-template.js";
export type { SubmitNode } from "./submission.js";
export { type BlockOutcome, type BlockStatus, readSubmitAnswer } from "./submit-answer.js";
export {
  type BlockStore,
  BlockSubmitter,
  type BlockSubmitterModules,
  type BlockSubmitterOptions,
  type FetchTransactions,
} from "./submitter.js";
export type { TemplateErrorCode } from "./templates/codes.js";
export { BackgroundTemplateDesk, type TemplateDeskModules, type TemplateDeskOptions } from "./templates/desk.js";
export { NodeMempool, type NodeMempoolOptions } from "./templates/mempool-view.js";
export { type ProposalNode, Proposals, type ProposalsOptions } from "./templates/proposals.js";
export { ChainTracker, type ChainTrackerModules, type ChainTrackerOptions } from "./tracker.js";
