/** Many byte strings as one, so that they pass between threads in one piece and without a copy for each. */

export interface FlatBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of each; 0 for one that is missing. */
  readonly lengths: Uint32Array<ArrayBuffer>;
}

export function flatten(parts: readonly (Uint8Array | undefined)[]): FlatBytes {
  const lengths = Uint32Array.from(parts, (part) => part?.length ?? 0);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    if (part === undefined) continue;
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, lengths };
}

/** Views of the parts. */
export function unflatten({ bytes, lengths }: FlatBytes): (Uint8Array | undefined)[] {
  let at = 0;
  return Array.from(lengths, (length) => {
    at += length;
    return length === 0 ? undefined : bytes.subarray(at - length, at);
  });
}
