/** Shares of an attacker: good ones, and bad ones for each reason that can be earned on purpose. */
import { randomBytes } from "node:crypto";
import type { Configuration, Share } from "@openprime/datum";
import { minerAddress } from "../gateway/addresses.js";
import { Job } from "../gateway/job.js";
import type { Template } from "../gateway/template.js";
import { mineOne } from "../wire/wire-gateway.js";

/** Bits so easy that every share is a block, if one believes them. */
const EASY_BITS = 0x207fffff;

export class ShareMaker {
  readonly #job: Job;
  #told = false;

  constructor(
    private readonly template: Template,
    private readonly configuration: Configuration,
  ) {
    this.#job = new Job(template, 0, randomBytes(2).readUInt16LE(), { configuration, secondaryTag: new Uint8Array(0), uniqueId: 9 });
  }

  /** A share that is worth what the pool asks for at least. The first brings its sections. */
  good(username = minerAddress("attack", 0)): Share {
    const targetByte = this.configuration.minimumDifficulty.toString(2).length - 1;
    const { work, nonce } = mineOne(this.#job, { username, kind: 0, targetByte });
    const first = !this.#told;
    this.#told = true;
    return this.#share({ work, nonce }, username, first);
  }

  /** Bad in another way each time; a good one with the job's sections comes first. */
  bad(number: number): Share {
    if (!this.#told) return this.good();
    const share = this.good();
    const changes: readonly Partial<Share>[] = [
      { jobId: 7 },
      { extranonce: new Uint8Array(11) },
      { username: Buffer.from("nobody") },
      { coinbaseId: 3 },
      { targetByte: 200 },
      { version: 1 },
      { ntime: 1 },
      { nonce: (share.nonce ^ 0x5a5a5a5a) >>> 0 },
      { targetByte: share.targetByte + 20 },
      { coinbaseId: 77 },
    ];
    return { ...share, ...changes[number % changes.length] };
  }

  /** A block on a parent that nobody knows, with bits of its own choice. */
  falseBlock(): Share {
    const template = { ...this.template, prevhash: randomBytes(32), nbits: EASY_BITS };
    const job = new Job(template, 1, randomBytes(2).readUInt16LE(), {
      configuration: this.configuration,
      secondaryTag: new Uint8Array(0),
      uniqueId: 9,
    });
    const { work, nonce } = mineOne(job, { username: minerAddress("attack", 1), kind: 0, block: true });
    return { ...this.#share({ work, nonce }, minerAddress("attack", 1), true), isBlock: true };
  }

  #share({ work, nonce }: Pick<ReturnType<typeof mineOne>, "work" | "nonce">, username: string, sections: boolean): Share {
    return {
      type: "share",
      jobId: work.job.slot,
      coinbaseId: 0,
      isBlock: false,
      subsidyOnly: false,
      quickdiff: false,
      unknownFlags: 0,
      targetByte: work.targetByte,
      ntime: work.ntime,
      nonce,
      version: work.version,
      extranonce: work.extranonce,
      username: Buffer.from(username),
      reserved: 0,
      ...(sections && { job: work.job.jobSection(), coinbase: work.job.coinbaseSection(0) }),
    };
  }
}
