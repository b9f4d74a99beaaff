/**
 * Says of an accepted share whether it had to be: from the bodies that were sent under a good MAC, with OpenSSL's hashes and plain arithmetic
 * instead of the pool's judge.
 */
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { addressToScript, NETWORKS, parseTransaction } from "@openprime/bitcoin";
import type { CoinbaseSection, GatewayMessage, JobSection, Share } from "@openprime/datum";
import { holds } from "@openprime/simulator";
import type { JudgedShare } from "../../work/index.js";

const NETWORK = NETWORKS.regtest;
/** Difficulty one of regtest, a target. */
const DIFFICULTY_ONE = 0x7fffffn << 232n;
const OP_RETURN = 0x6a;

const sha256d = (bytes: Uint8Array): Buffer => createHash("sha256").update(createHash("sha256").update(bytes).digest()).digest();
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A job that was said of a slot, and the coinbases that were said while the slot may have held it. */
interface SaidJob {
  readonly job: JobSection;
  coinbases: readonly CoinbaseSection[];
}

/** Jobs of one slot that are remembered, and coinbases of one job: many more than a pool leaves unread in a row. */
const MOST_SAID = 32;

/** A share, and what its hash is made of. */
interface Proof {
  readonly share: Share;
  readonly job: JobSection;
  readonly coinbase: Uint8Array;
}

/**
 * What one gateway said, over all of its connections. A pool reads what is said in order, but how much of it before a connection ends nobody tells: so at
 * the next one a slot may hold any job that was said of it. Within one connection it holds the last, if the pool has come so far.
 */
export class SaidWork {
  /** By slot, the newest last. */
  readonly #said = new Map<number, readonly SaidJob[]>();
  /** By slot, the job that was said last in this conversation: what is read after it is for that one. */
  readonly #last = new Map<number, SaidJob>();
  /** Shares of this conversation, by the hash that they make. */
  readonly #proofs = new Map<string, Proof>();

  /** Before each conversation: shares of an earlier one can be accepted no more. */
  begin(): void {
    this.#proofs.clear();
    this.#last.clear();
  }

  say(message: GatewayMessage): void {
    if (message.type !== "share" && message.type !== "jobAnnouncement") return;
    const { jobId, job } = message;
    if (job !== undefined) this.#last.set(jobId, this.#sayJob(jobId, job));
    const last = this.#last.get(jobId);
    const held = last === undefined ? (this.#said.get(jobId) ?? []) : [last];
    const coinbases = message.type === "share" ? (message.coinbase === undefined ? [] : [message.coinbase]) : message.coinbases;
    for (const one of held) one.coinbases = [...one.coinbases, ...coinbases].slice(-MOST_SAID);
    if (message.type === "share") for (const one of held) this.#prove(message, one);
  }

  /** Another job replaces what was held under that id, its coinbases included; the same one again does not. */
  #sayJob(jobId: number, job: JobSection): SaidJob {
    const before = this.#said.get(jobId) ?? [];
    const said = before.find((one) => isDeepStrictEqual(one.job, job)) ?? { job, coinbases: [] };
    this.#said.set(jobId, [...before.filter((one) => one !== said), said].slice(-MOST_SAID));
    return said;
  }

  /** @throws PropertyError unless what was said makes this share, in all that the books keep of it */
  check(judged: JudgedShare, pool: { readonly script: Uint8Array; readonly payees: readonly Uint8Array[] }): void {
    const proof = this.#proofs.get(hexOf(judged.hash));
    if (proof === undefined) {
      holds(false, "an accepted share was sent under a good MAC, with the sections that its hash is made of");
      return;
    }
    const { share, job, coinbase } = proof;
    const number = BigInt(`0x${hexOf(Uint8Array.from(judged.hash).reverse())}`);
    holds(number <= DIFFICULTY_ONE >> BigInt(share.targetByte), "an accepted share's hash meets its target");
    holds(judged.weight === 1n << BigInt(share.targetByte), "a share weighs what its target byte says");
    const address = Buffer.from(share.username).toString("latin1").split(".")[0] ?? "";
    const account = addressToScript(address, NETWORK);
    holds(hexOf(account) === hexOf(judged.account), "a share is credited to the address that it names");
    holds(hexOf(job.prevhash) === hexOf(judged.prevhash), "a share belongs to the round of its job");
    const { outputs } = parseTransaction(coinbase);
    holds(outputs.reduce((sum, { value }) => sum + value, 0n) === job.coinbaseValue, "an accepted coinbase pays its job's value");
    const known = new Set([pool.script, ...pool.payees].map(hexOf));
    const foreign = outputs.some(({ script, value }) => value > 0n && script[0] !== OP_RETURN && !known.has(hexOf(script)));
    holds(!foreign, "an accepted coinbase pays the pool and its split alone");
  }

  #prove(share: Share, { job, coinbases }: SaidJob): void {
    for (const coinbase of coinbases) if (coinbase.coinbaseId === share.coinbaseId) this.#proveWith(share, job, coinbase);
  }

  #proveWith(share: Share, job: JobSection, section: CoinbaseSection): void {
    const coinb1 = Buffer.from(section.coinb1);
    if (share.quickdiff && coinb1.length >= 2) {
      const at = coinb1.length - 2;
      coinb1.writeUInt16BE(coinb1.readUInt16BE(at) === 0x4451 ? 0xbbae : 0x4451, at);
    }
    const coinbase = Buffer.concat([coinb1, share.extranonce, section.coinb2]);
    if (job.targetByteIndex >= coinbase.length) return;
    coinbase[job.targetByteIndex] = share.targetByte;
    let root = sha256d(coinbase);
    if (!share.subsidyOnly) {
      for (let at = 0; at < job.branches.length; at += 32) root = sha256d(Buffer.concat([root, job.branches.subarray(at, at + 32)]));
    }
    const header = Buffer.alloc(80);
    header.writeUInt32LE(share.version, 0);
    header.set(job.prevhash, 4);
    header.set(root, 36);
    header.writeUInt32LE(share.ntime, 68);
    header.writeUInt32LE(job.nbits, 72);
    header.writeUInt32LE(share.nonce, 76);
    this.#proofs.set(hexOf(sha256d(header)), { share, job, coinbase });
  }
}
