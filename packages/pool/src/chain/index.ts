/** The chain room: the tip as the node sees it, what work is built on, and the way of a found block to the node. */
export { ChainError, type ChainErrorCode } from "./errors.js";
export { ChainFollower, type ChainFollowerModules, type ChainFollowerOptions } from "./follower.js";
export type { ChainNode, FollowedNode } from "./node.js";
export type { BlockOutcome, BlockStatus } from "./submit-answer.js";
export {
  type BlockStore,
  BlockSubmitter,
  type BlockSubmitterModules,
  type BlockSubmitterOptions,
  type FetchTransactions,
} from "./submitter.js";
export { ChainTracker, type ChainTrackerModules, type ChainTrackerOptions } from "./tracker.js";
