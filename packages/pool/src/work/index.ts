/** Jobs, coinbases, share judgement and duplicates: the hot path. The only door of this room. */
export { HashSet } from "./hash-set.js";
export { type JudgeModules, type JudgeOptions, type Prover, type RetiredScript, ShareJudge } from "./judge.js";
export { outputBudget, SUBSIDY_ONLY } from "./kinds.js";
export { checkOutputs, type OutputsQuery } from "./outputs.js";
export { REASON, type Refusal } from "./refusal.js";
export type { RestoredJob, RestoredWork, SavedJob, SavedWork } from "./saved-work.js";
export { parseScriptSig, type ScriptSig } from "./script-sig.js";
export { SeenShares } from "./seen.js";
export { type JobSlot, WorkSession, type WorkSessionInit } from "./session.js";
export type {
  BlockCandidate,
  ChainView,
  JobTemplate,
  JudgedShare,
  OfferedSplit,
  OpenedJob,
  Parent,
  SplitOutput,
  TemplateDesk,
  TransactionSource,
  Verdict,
} from "./types.js";
export { FOLDED_WORKER, MAX_WORKER_LENGTH, type UsernameLimits } from "./username.js";
