/** How a block's value becomes earnings: the interface that every reward scheme has. */
import type { AccountId, WindowWeights } from "./share-window.js";

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
}

/** Earnings of one block: parallel arrays, accounts ascending. fee + all amounts = the block's value, exactly. */
export interface Earnings {
  /** The pool's part, satoshis. */
  readonly fee: bigint;
  readonly accounts: readonly AccountId[];
  /** Satoshis, may be 0. */
  readonly amounts: readonly bigint[];
}

/** A reward scheme. Pure: the same arguments give the same numbers on any machine. */
export interface Scheme {
  readonly name: string;
  /** Weight of the last shares that count, in units of difficulty 1; at least 1. */
  windowSize(targets: NetworkTargets): bigint;
  /** Divides a block over a weighed window. */
  earned(block: RewardedBlock, window: WindowWeights): Earnings;
}
