/**
 * The coinbases of a gateway, built the way a real one builds them (its behaviour, read from its source; no code of it): two passes over the
 * split, first to count what fits, then to write. It shares nothing with the checker that it is the test of.
 */

export interface BuilderOutput {
  readonly value: bigint;
  readonly script: Uint8Array;
}

export interface BuilderJob {
  readonly height: number;
  readonly primaryTag: Uint8Array;
  readonly secondaryTag: Uint8Array;
  readonly uniqueId: number;
  readonly primeId: number;
  /** Two bytes that differ per job. */
  readonly prefix: Uint8Array;
  readonly value: bigint;
  readonly poolScript: Uint8Array;
  readonly split: readonly BuilderOutput[];
  /** Bytes that a full template takes from each kind's budget. */
  readonly shortage?: number;
}

export interface Built {
  readonly coinb1: Buffer;
  readonly coinb2: Buffer;
}

export interface BuiltJob {
  /** Kinds 0-5 and 255. */
  readonly coinbases: ReadonlyMap<number, Built>;
  readonly targetByteIndex: number;
}

export const COMMITMENT = Buffer.concat([Buffer.from("6a24aa21a9ed", "hex"), Buffer.alloc(32, 0xc7)]);
const START = Buffer.concat([Buffer.from("0100000001", "hex"), Buffer.alloc(32), Buffer.from("ffffffff", "hex")]);
const SEQUENCE = Buffer.alloc(4, 0xff);
const LOCKTIME = Buffer.alloc(4);
const KINDS: readonly (readonly [kind: number, size: number])[] = [
  [1, 500],
  [2, 755],
  [3, 6500],
  [4, 16000],
  [5, 2250],
];

function number(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

export function varint(n: number): Buffer {
  return n < 0xfd ? Buffer.from([n]) : Buffer.from([0xfd, n & 0xff, n >> 8]);
}

export function output(value: bigint, script: Uint8Array): Buffer {
  return Buffer.concat([number(value), varint(script.length), script]);
}

/** scriptSig up to and with the push of 7, and where the target byte is in it. */
export function coinbaseInput(job: BuilderJob): { bytes: Buffer; targetAt: number } {
  const height: number[] = [];
  for (let n = job.height; n > 0 || height.length === 0; n = Math.floor(n / 256)) height.push(n % 256);
  if ((height.at(-1) ?? 0) > 127) height.push(0);
  const { primaryTag, secondaryTag } = job;
  let secondary = secondaryTag.length;
  let size = primaryTag.length + secondary + 2;
  if (secondary === 0) size = primaryTag.length === 0 ? 0 : primaryTag.length + 1;
  if (size > 86) {
    secondary -= size - 86;
    size = 86;
  }
  const tags =
    size === 0
      ? Buffer.from([1, 0])
      : Buffer.concat([
          Buffer.from(size <= 75 ? [size] : [0x4c, size]),
          primaryTag,
          ...(secondary > 0 ? [Buffer.from([0x0f]), secondaryTag.subarray(0, secondary)] : []),
          Buffer.from([0]),
        ]);
  const ids = Buffer.alloc(8);
  ids[0] = 7;
  ids[1] = 0xff;
  ids.writeUInt16LE(job.uniqueId, 2);
  ids.writeUInt32LE(job.primeId, 4);
  const head = Buffer.concat([Buffer.from([height.length, ...height]), tags]);
  return { bytes: Buffer.concat([head, ids]), targetAt: head.length + 1 };
}

/** All coinbases of a job. */
export function buildJob(job: BuilderJob): BuiltJob {
  const input = coinbaseInput(job);
  const fits = input.bytes.length <= 85;
  const pool = (value: bigint) => output(value, job.poolScript);
  const commitment = output(0n, COMMITMENT);
  const opReturn = Buffer.concat([number(0n), Buffer.from("106a0e", "hex"), job.prefix]);
  const begin = (inScript: boolean) =>
    inScript
      ? Buffer.concat([START, varint(input.bytes.length + 15), input.bytes, Buffer.from([0x0e]), job.prefix])
      : Buffer.concat([START, varint(input.bytes.length), input.bytes, SEQUENCE]);

  const plain = (value: bigint, last: readonly Buffer[]): Built => {
    const outputs = 1 + last.length;
    return fits
      ? { coinb1: begin(true), coinb2: Buffer.concat([SEQUENCE, varint(outputs), pool(value), ...last, LOCKTIME]) }
      : { coinb1: Buffer.concat([begin(false), varint(outputs + 1), opReturn]), coinb2: Buffer.concat([pool(value), ...last, LOCKTIME]) };
  };
  const coinbases = new Map<number, Built>();
  coinbases.set(0, plain(job.value, [commitment]));
  coinbases.set(255, plain(5_000_000_000n >> BigInt(Math.min(63, Math.floor(job.height / 210_000))), []));

  const read: BuilderOutput[] = [];
  let tally = 0n;
  for (const entry of job.split) {
    if (tally + entry.value > job.value || read.length === 512) break;
    tally += entry.value;
    read.push(entry);
  }

  for (const [kind, size] of KINDS) {
    if (read.length === 0) {
      coinbases.set(kind, coinbases.get(0) as Built);
      continue;
    }
    const special = kind === 2;
    const inScript = fits && !special;
    const fixed = 119 + job.poolScript.length + input.bytes.length + (inScript ? 0 : 10);
    const budget = Math.max(0, size - fixed - (job.shortage ?? 0));
    const start = begin(inScript);
    // First pass: how many fit, and how many of them go before the extranonce.
    let room = special ? Math.max(0, 150 - start.length) : 0;
    let full = false;
    let early = 0;
    let left = budget;
    let count = 0;
    let paid = 0n;
    for (const entry of read) {
      const bytes = entry.script.length + 9;
      if (bytes > left || paid + entry.value > job.value) continue;
      if (special && !full && bytes <= room) {
        room -= bytes;
        early++;
      } else {
        full = true;
      }
      left -= bytes;
      count++;
      paid += entry.value;
      if (left < 30 || paid >= job.value) break;
    }
    // Second pass: write them.
    const before: Buffer[] = [];
    const after: Buffer[] = [];
    left = budget;
    paid = 0n;
    for (const [index, entry] of read.entries()) {
      const bytes = entry.script.length + 9;
      if (bytes > left || paid + entry.value > job.value) continue;
      left -= bytes;
      paid += entry.value;
      (special && index < early ? before : after).push(output(entry.value, entry.script));
      if (left < 30 || paid >= job.value) break;
    }
    const rest = job.value > paid ? pool(job.value - paid) : output(0n, Buffer.from("6a0100", "hex"));
    coinbases.set(
      kind,
      inScript
        ? { coinb1: start, coinb2: Buffer.concat([SEQUENCE, varint(count + 2), ...after, rest, commitment, LOCKTIME]) }
        : {
            coinb1: Buffer.concat([start, varint(count + 3), ...before, opReturn]),
            coinb2: Buffer.concat([...after, rest, commitment, LOCKTIME]),
          },
    );
  }
  return { coinbases, targetByteIndex: START.length + 1 + input.targetAt };
}
