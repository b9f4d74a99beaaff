/** How a block's value becomes earnings: the interface that every reward scheme has. */
import { RewardsError } from "./errors.js";
import type { AccountId, AccountSum, WindowWeights } from "./share-window.js";

/** What a scheme may know of the network when it sizes its window. Targets are 256-bit numbers. */
export interface NetworkTargets {
  /** Target of share difficulty 1. */
  readonly difficultyOne: bigint;
  /** Target that the block must meet. */
  readonly target: bigint;
}

/** The block whose value is divided. */
export interface RewardedBlock {
  /** Satoshis, at most 2^53 - 1 (more than there will ever be). */
  readonly value: bigint;
  /** Who found it; a scheme that pays the finder needs it, a split that is offered beforehand names the account that asks. */
  readonly finder?: AccountId;
  /** The pool's fee for a scheme without a window (parts per million); with a window each share carries its own. */
  readonly feePpm?: number;
}

/** Earnings of one block: parallel arrays, accounts ascending. fee + all amounts = the block's value, exactly. */
export interface Earnings {
  /** The pool's part, satoshis. */
  readonly fee: bigint;
  readonly accounts: readonly AccountId[];
  /** Satoshis, may be 0. */
  readonly amounts: readonly bigint[];
}

/** How far back a scheme's window reaches from the pin of a block. */
export type WindowRule =
  /** The last `size` units of weight. */
  | { readonly kind: "difficulty"; readonly size: (targets: NetworkTargets) => bigint }
  /** Everything since the pin of the `count`-th last block of the pool on the block's own chain. */
  | { readonly kind: "blocks"; readonly count: number }
  /** The scheme does not look at the log when a block is found. */
  | { readonly kind: "none" };

/** What a segment's work is worth when shares are paid by the pool's own funds. */
export interface ShareValue extends NetworkTargets {
  /** Satoshis of a block: the subsidy, and the recent fees on average for a scheme that pays them. */
  readonly subsidy: bigint;
  readonly averageFees: bigint;
}

/** Names and parameters by which a scheme can be made again, on any machine. */
export type SchemeOptions =
  | { readonly name: "tides"; readonly multiplier: bigint }
  | { readonly name: "pplns"; readonly blocks: number }
  | { readonly name: "pplns"; readonly multiplier: bigint }
  | { readonly name: "solo" }
  | { readonly name: "pps" }
  | { readonly name: "fpps" };

/** A reward scheme. Pure: the same arguments give the same numbers on any machine. */
export interface Scheme {
  readonly name: SchemeOptions["name"];
  readonly options: SchemeOptions;
  readonly window: WindowRule;
  /**
   * Divides a block over a weighed window (an empty one where the rule is `none`). `only`: places in the window's `accounts`; the scheme may then answer with the
   * same amounts for these accounts alone, in that order. When the value rises no account earns less by more than one satoshi.
   */
  earned(block: RewardedBlock, window: WindowWeights, only?: readonly number[]): Earnings;
  /**
   * Pay-per-share only: what the pool's own funds owe for these sums of one segment, each account's by floor, satoshis in the order of `sums`. Blocks
   * then earn nobody but the pool.
   */
  readonly credit?: (sums: readonly AccountSum[], value: ShareValue) => bigint[];
}

/** What a window's size depends on. */
export interface WindowContext {
  readonly targets: NetworkTargets;
  /** Weight of the whole log up to the pin. */
  readonly logWeight: bigint;
  /** The same at the pins of the pool's blocks on the chain that ends at the block's parent, oldest first; only as many as the rule counts matter. */
  readonly blockWeights: readonly bigint[];
}

/** Weight of the window for a block; 0 where the rule is `none`, else at least 1. */
export function windowSize(rule: WindowRule, context: WindowContext): bigint {
  switch (rule.kind) {
    case "none":
      return 0n;
    case "difficulty":
      return rule.size(context.targets);
    case "blocks": {
      const since = context.blockWeights.at(-rule.count) ?? 0n;
      if (context.logWeight < since) {
        // Voids took more than what came since: then nothing that came since is left.
        return 1n;
      }
      const size = context.logWeight - since;
      return size > 0n ? size : 1n;
    }
    default:
      throw new RewardsError("rewards.invalidPolicy", `expected a window rule, got ${JSON.stringify(rule)}`);
  }
}
