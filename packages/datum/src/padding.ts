/** Padding hides lengths: how much, and of which byte, is random, and comes in from outside so that tests can hold it still. */
import { randomBytes } from "node:crypto";

export interface Padding {
  readonly length: number;
  readonly byte: number;
}

/** Chooses padding of `least` to `most` bytes. */
export type PaddingSource = (least: number, most: number) => Padding;

export const randomPadding: PaddingSource = (least, most) => {
  const random = randomBytes(5);
  return { length: least + (random.readUInt32LE() % (most - least + 1)), byte: random[4] as number };
};
