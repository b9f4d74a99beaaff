import { describe, expect, test } from "vitest";
import { dustLimit, legacySigops, scriptType } from "../src/index.js";
import { bytes } from "./support.js";

const key = `21${"02".repeat(33)}`;
const scripts: Record<string, { script: string; type: string | undefined; sigops: number; dust: bigint }> = {
  P2PKH: { script: `76a914${"11".repeat(20)}88ac`, type: "p2pkh", sigops: 1, dust: 546n },
  P2SH: { script: `a914${"11".repeat(20)}87`, type: "p2sh", sigops: 0, dust: 540n },
  P2WPKH: { script: `0014${"11".repeat(20)}`, type: "p2wpkh", sigops: 0, dust: 294n },
  P2WSH: { script: `0020${"11".repeat(32)}`, type: "p2wsh", sigops: 0, dust: 330n },
  P2TR: { script: `5120${"11".repeat(32)}`, type: "p2tr", sigops: 0, dust: 330n },
  P2PK: { script: `${key}ac`, type: undefined, sigops: 1, dust: 576n },
  "pay to anchor": { script: "51024e73", type: undefined, sigops: 0, dust: 240n },
  "bare 1 of 2": { script: `51${key}${key}52ae`, type: undefined, sigops: 20, dust: 684n },
  OP_RETURN: { script: "6a0100", type: undefined, sigops: 0, dust: 0n },
  "a script nobody can spend for its length": { script: "51".repeat(10_001), type: undefined, sigops: 0, dust: 0n },
  "a script with a size of three bytes": { script: "51".repeat(253), type: undefined, sigops: 0, dust: 1236n },
  "hash bytes that look like CHECKSIG": { script: `0014${"ac".repeat(20)}`, type: "p2wpkh", sigops: 0, dust: 294n },
  "CHECKSIGs after pushes of each width": { script: "4c01acac4d0100acac4e01000000acac", type: undefined, sigops: 3, dust: 519n },
  "CHECKSIG behind a push over the end": { script: "ac4c05ac", type: undefined, sigops: 1, dust: 483n },
  "a push without its length": { script: "ac4d01", type: undefined, sigops: 1, dust: 480n },
  CHECKSIGVERIFY: { script: "adaf", type: undefined, sigops: 21, dust: 477n },
  empty: { script: "", type: undefined, sigops: 0, dust: 471n },
};

describe.each(Object.entries(scripts))("%s", (_, { script, type, sigops, dust }) => {
  const raw = bytes(script);
  test("type", () => expect(scriptType(raw)).toBe(type));
  test("legacy sigops, as Core counts them", () => expect(legacySigops(raw)).toBe(sigops));
  test("dust limit, as Core's GetDustThreshold", () => expect(dustLimit(raw)).toBe(dust));
});
