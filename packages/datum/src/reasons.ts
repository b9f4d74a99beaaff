/** Why a share is refused: the codes of the wire, a name for programs, a sentence for the miner. */

export const REJECT_REASONS = {
  badJob: { code: 10, text: "The share names a job that was never sent on this connection." },
  badCoinbaseId: { code: 11, text: "There is no coinbase with that id; ids are 0 to 5, and 255 for subsidy-only work." },
  extranonceSize: { code: 12, text: "The extranonce has not 12 bytes." },
  badTarget: { code: 13, text: "The difficulty is under the pool's minimum, or over 2^63." },
  badUsername: { code: 14, text: "The username is no address of this network, optionally followed by a dot and a worker's name." },
  badCoinbaserId: { code: 15, text: "The job names a split that the pool did not give for its value and previous block." },
  badMerkleCount: { code: 16, text: "The number of merkle branches does not fit the number of transactions." },
  coinbaseTooLarge: { code: 17, text: "The coinbase is larger than its kind may be, or makes a block of its job too heavy." },
  coinbaseMissing: { code: 18, text: "That coinbase of the job was never sent on this connection." },
  targetMismatch: { code: 19, text: "The target byte is not where the coinbase has it, or its placeholder is not 0xFF." },
  topWordNotZero: { code: 20, text: "The hash does not begin with 32 zero bits." },
  highHash: { code: 21, text: "The hash is over the share's target." },
  coinbaseIdMismatch: { code: 22, text: "The share's coinbase id, its flags and its coinbase section contradict each other." },
  badTime: { code: 23, text: "The time is not after the median of the last eleven blocks, or over two hours ahead." },
  badVersion: { code: 24, text: "The block version is one that no block can have." },
  stale: { code: 25, text: "The work is on a block that is no longer the tip." },
  badCoinbase: { code: 26, text: "The coinbase is not built as the protocol says, or its height or the gateway's id is wrong." },
  badOutputs: { code: 27, text: "The coinbase does not pay the split that it was made from, with the rest to the pool." },
  missingTag: { code: 28, text: "The coinbase lacks the pool's tag." },
  duplicate: { code: 29, text: "This share was sent before." },
  other: { code: 30, text: "Refused for a reason that has no code of its own; see the pool's log." },
} as const satisfies Record<string, { readonly code: number; readonly text: string }>;

export type RejectReasonName = keyof typeof REJECT_REASONS;
export type RejectReason = (typeof REJECT_REASONS)[RejectReasonName]["code"];

const BY_CODE = new Map<number, RejectReasonName>(
  Object.entries(REJECT_REASONS).map(([name, { code }]) => [code, name as RejectReasonName]),
);

/** Name of a code; undefined for codes that the protocol does not have. */
export function rejectReasonName(code: number): RejectReasonName | undefined {
  return BY_CODE.get(code);
}

/** The sentence for a code, for people. */
export function rejectText(code: number): string {
  const name = BY_CODE.get(code);
  return name === undefined ? `Refused with the unknown code ${code}.` : REJECT_REASONS[name].text;
}
