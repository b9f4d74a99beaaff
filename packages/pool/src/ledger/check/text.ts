/** How the check of the books names things. The ledger knows no addresses: an account is its number and script. */

/** A hash as explorers show it. */
export function hashText(hash: Uint8Array): string {
  return Buffer.from(hash).reverse().toString("hex");
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** `1 block`, `2 blocks`. */
export function count(number: number, singular: string): string {
  return `${number} ${singular}${number === 1 ? "" : "s"}`;
}
