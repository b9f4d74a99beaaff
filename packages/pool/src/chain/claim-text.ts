/** The claim of a found block as it is kept on disk: what the books need to know of it when they could not take it before a stop. */
import { z } from "zod";
import type { RecordedBlock } from "../ledger/index.js";

const bytes = z
  .string()
  .regex(/^([0-9a-f]{2})*$/)
  .transform((text) => Uint8Array.from(Buffer.from(text, "hex")));
const bytes32 = bytes.refine(({ length }) => length === 32);
const whole = z
  .string()
  .regex(/^(0|[1-9]\d*)$/)
  .transform(BigInt);
const count = z.number().int().min(0);

const CLAIM = z.strictObject({
  hash: bytes32,
  header: bytes.refine(({ length }) => length === 80),
  coinbase: bytes,
  prevhash: bytes32,
  height: count,
  coinbaseValue: whole,
  transactionCount: count,
  sessionId: whole,
  splitId: whole.optional(),
  pin: whole,
  username: bytes,
  finder: z.strictObject({ script: bytes, address: z.string() }).optional(),
});

/** One line of JSON; hashes in internal order, hex. */
export function encodeClaim(block: RecordedBlock): string {
  const claim: z.input<typeof CLAIM> = {
    hash: hex(block.hash),
    header: hex(block.header),
    coinbase: hex(block.coinbase),
    prevhash: hex(block.parent.hash),
    height: block.height,
    coinbaseValue: String(block.coinbaseValue),
    transactionCount: block.transactionCount,
    sessionId: String(block.sessionId),
    splitId: block.splitId === undefined ? undefined : String(block.splitId),
    pin: String(block.pin),
    username: hex(block.username),
    finder: block.finder && { script: hex(block.finder.script), address: block.finder.address },
  };
  return `${JSON.stringify(claim)}\n`;
}

/** @throws SyntaxError or ZodError for what is no claim */
export function decodeClaim(text: string): RecordedBlock {
  const { prevhash, splitId, finder, ...block } = CLAIM.parse(JSON.parse(text));
  return { ...block, parent: { hash: prevhash }, splitId, finder };
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}
