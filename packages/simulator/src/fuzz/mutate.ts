/** Changes to an input: single bytes and fields, pieces moved, doubled, cut and taken from other inputs, lengths that lie. */
import type { Random } from "./random.js";

/** Longest input that is kept or made. */
export const LONGEST_INPUT = 40_000;
/** Values at which a field turns into something else. */
const INTERESTING = [0, 1, 2, 4, 5, 6, 7, 8, 0x0f, 0x10, 0x11, 0x12, 0x27, 0x28, 0x3f, 0x40, 0x50, 0x7f, 0x80, 0x8f, 0x90, 0xfe, 0xff];
/** Single changes of one mutation at most. */
const MOST_CHANGES = 6;

type Change = (input: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

const at = (input: Uint8Array, random: Random): number => random.below(Math.max(1, input.length));
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const setByte = (input: Uint8Array, place: number, byte: number): Uint8Array => {
  const copy = Uint8Array.from(input);
  if (place < copy.length) copy[place] = byte & 0xff;
  return copy;
};

function piece(input: Uint8Array, random: Random): Uint8Array {
  const from = at(input, random);
  return input.subarray(from, from + 1 + random.below(Math.max(1, Math.min(64, input.length - from))));
}

/** A number written over a place that may be a length or a count: an extreme, or the true one and a little more or less. */
const overwriteNumber: Change = (input, random) => {
  const copy = Uint8Array.from(input);
  const width = random.pick([1, 2, 3, 4, 8]);
  const place = at(input, random);
  const near = input.length - place - width + random.below(9) - 4;
  let value = random.pick([0, 1, near, 0x7f, 0xff, 0x7fff, 0xffff, 0xff_ffff, 0xffff_ffff]);
  for (let i = 0; i < width && place + i < copy.length; i++) {
    copy[place + i] = value & 0xff;
    value = Math.floor(value / 256);
  }
  return copy;
};

const CHANGES: readonly Change[] = [
  (input, random) => setByte(input, at(input, random), random.u32()),
  (input, random) => {
    const place = at(input, random);
    return setByte(input, place, (input[place] ?? 0) ^ (1 << random.below(8)));
  },
  (input, random) => setByte(input, at(input, random), random.pick(INTERESTING)),
  (input, random) => {
    const place = at(input, random);
    return setByte(input, place, (input[place] ?? 0) + random.below(17) - 8);
  },
  overwriteNumber,
  (input, random) => {
    const place = at(input, random);
    return joined(input.subarray(0, place), random.bytes(1 + random.below(8)), input.subarray(place));
  },
  (input, random) => {
    const place = at(input, random);
    return joined(input.subarray(0, place), input.subarray(place + 1 + random.below(16)));
  },
  (input, random) => input.slice(0, at(input, random)),
  (input, random) => joined(input, piece(input, random)),
  (input, random) => {
    const place = at(input, random);
    return joined(input.subarray(0, place), piece(input, random), input.subarray(place));
  },
  (input, random) => {
    const place = at(input, random);
    const length = 1 + random.below(64);
    return joined(input.subarray(0, place), new Uint8Array(length).fill(random.pick(INTERESTING)), input.subarray(place));
  },
  (input, random, others) => {
    const other = random.pick(others);
    const place = at(input, random);
    return joined(input.subarray(0, place), other.subarray(at(other, random)));
  },
  (input, random, others) => {
    const place = at(input, random);
    const part = piece(random.pick(others), random);
    return joined(input.subarray(0, place), part, input.subarray(place + part.length));
  },
];

/**
 * Another input, a few changes away.
 *
 * @param others whose pieces may be put in; at least one
 */
export function mutate(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  let mutated = input;
  for (let changes = 1 + random.below(MOST_CHANGES); changes > 0; changes--) mutated = random.pick(CHANGES)(mutated, random, others);
  return mutated.length > LONGEST_INPUT ? mutated.slice(0, LONGEST_INPUT) : mutated;
}
