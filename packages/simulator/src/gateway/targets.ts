/** Targets of the simulated chain as 32 little-endian bytes. */
import { NETWORKS, shareTarget, targetBytes, targetFromBits } from "@openprime/bitcoin";

const network = new Map<number, Uint8Array>();
const shares = new Map<number, Uint8Array>();

function cached(store: Map<number, Uint8Array>, key: number, make: () => Uint8Array): Uint8Array {
  const known = store.get(key);
  if (known !== undefined) return known;
  const made = make();
  store.set(key, made);
  return made;
}

/** Target of a block. */
export const networkTarget = (nbits: number): Uint8Array => cached(network, nbits, () => targetBytes(targetFromBits(nbits)));

/** Target of a share of difficulty 2^targetByte on regtest, whose difficulty one is its proof-of-work limit. */
export const shareTargetBytes = (targetByte: number): Uint8Array =>
  cached(shares, targetByte, () => targetBytes(shareTarget(targetByte, NETWORKS.regtest)));
