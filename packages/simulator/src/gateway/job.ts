/** A job of the simulated gateway: one template, its coinbases before and after the split came. */
import type { CoinbaserOutput, CoinbaseSection, Configuration, JobSection } from "@openprime/datum";
import { type BuiltCoinbase, buildCoinbase, type CoinbaseKind, type CoinbaseRecipe, targetByteIndex } from "./coinbase.js";
import type { Template } from "./template.js";

/** What of a coinbase does not change from job to job. */
export interface JobSettings {
  readonly configuration: Configuration;
  readonly secondaryTag: Uint8Array;
  readonly uniqueId: number;
}

/** Most outputs that a gateway reads of a split. */
const MAX_OUTPUTS = 512;

export class Job {
  readonly template: Template;
  /** 0-7: its place in the ring, and its name on the wire. */
  readonly slot: number;
  /** Work on it may no longer be sent: the tip has changed. */
  stale = false;
  readonly targetByteIndex: number;
  /** Id of the split it pays, 0 for none. */
  coinbaserId = 0;
  /** The pool has answered, even if with nobody to pay. */
  hasAnswer = false;
  /** What this connection's pool has been told of it. */
  readonly told = { job: false, coinbases: new Set<CoinbaseKind>() };
  #recipe: CoinbaseRecipe;
  readonly #built = new Map<CoinbaseKind, BuiltCoinbase>();

  constructor(template: Template, slot: number, extranoncePrefix: number, settings: JobSettings) {
    this.template = template;
    this.slot = slot;
    this.#recipe = {
      height: template.height,
      primaryTag: settings.configuration.tag,
      secondaryTag: settings.secondaryTag,
      uniqueId: settings.uniqueId,
      primeId: settings.configuration.primeId,
      extranoncePrefix,
      poolScript: settings.configuration.payoutScript,
      value: template.value,
      subsidy: template.subsidy,
      witnessCommitment: template.witnessCommitment,
      outputs: [],
      room: {
        size: template.totalSize,
        weight: template.totalWeight,
        sizeLimit: template.sizeLimit,
        weightLimit: template.weightLimit,
      },
    };
    this.targetByteIndex = targetByteIndex(this.#recipe);
  }

  /** The pool's answer: from now on kinds 1-5 pay it. An empty split leaves them like kind 0. */
  setSplit(coinbaserId: number, outputs: readonly CoinbaserOutput[]): void {
    const read: CoinbaserOutput[] = [];
    let total = 0n;
    for (const output of outputs) {
      total += output.value;
      if (total > this.template.value || read.length === MAX_OUTPUTS) break;
      read.push(output);
    }
    this.hasAnswer = true;
    this.coinbaserId = coinbaserId;
    this.#recipe = { ...this.#recipe, outputs: read };
    for (const kind of [1, 2, 3, 4, 5] as const) this.#built.delete(kind);
  }

  coinbase(kind: CoinbaseKind): BuiltCoinbase {
    const known = this.#built.get(kind);
    if (known !== undefined) return known;
    const built = buildCoinbase(this.#recipe, kind);
    this.#built.set(kind, built);
    return built;
  }

  /** A new connection's pool knows nothing of it. */
  forgetTold(): void {
    this.told.job = false;
    this.told.coinbases.clear();
  }

  jobSection(): JobSection {
    return {
      prevhash: this.template.prevhash,
      targetByteIndex: this.targetByteIndex,
      nbits: this.template.nbits,
      coinbaserId: this.coinbaserId,
      height: this.template.height,
      coinbaseValue: this.template.value,
      transactionCount: this.template.transactions.length,
      totalWeight: this.template.totalWeight,
      totalSize: this.template.totalSize,
      totalSigops: this.template.totalSigops,
      branches: this.template.branches,
    };
  }

  coinbaseSection(kind: CoinbaseKind): CoinbaseSection {
    const built = this.coinbase(kind);
    return { coinbaseId: kind, coinb1: built.coinb1, coinb2: built.coinb2 };
  }
}
