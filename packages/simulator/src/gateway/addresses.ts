/** Addresses for simulated miners: the same ones at every run, and nobody's coins behind them. */
import { createHash } from "node:crypto";
import { NETWORKS, scriptToAddress } from "@openprime/bitcoin";

type Kind = "p2wpkh" | "p2tr" | "p2pkh" | "p2wsh" | "p2sh";
const KINDS: readonly Kind[] = ["p2wpkh", "p2tr", "p2pkh", "p2wsh", "p2sh"];

function script(kind: Kind, digest: Buffer): Uint8Array {
  const short = digest.subarray(0, 20);
  switch (kind) {
    case "p2wpkh":
      return Uint8Array.of(0x00, 0x14, ...short);
    case "p2wsh":
      return Uint8Array.of(0x00, 0x20, ...digest);
    case "p2tr":
      return Uint8Array.of(0x51, 0x20, ...digest);
    case "p2pkh":
      return Uint8Array.of(0x76, 0xa9, 0x14, ...short, 0x88, 0xac);
    case "p2sh":
      return Uint8Array.of(0xa9, 0x14, ...short, 0x87);
  }
}

/** Script of the `index`th miner of `seed`; the kinds take turns. */
export function minerScript(seed: string, index: number): Uint8Array {
  return script(KINDS[index % KINDS.length]!, createHash("sha256").update(`${seed}/${index}`).digest());
}

/** Regtest address of {@link minerScript}. */
export function minerAddress(seed: string, index: number): string {
  const address = scriptToAddress(minerScript(seed, index), NETWORKS.regtest);
  if (address === undefined) throw new Error(`no address for miner ${index} of ${seed}`);
  return address;
}
