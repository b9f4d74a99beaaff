/** A block of the node, checked and reduced to what the books need, without holding up the event loop. */
import { reverseHex, type ScannedBlock, scanBlock, TransactionError } from "@openprime/bitcoin";
import { type ChainBlock, type ChainBooks, type ChainPosition, inSlices } from "../ledger/index.js";
import { ChainError } from "./errors.js";

export interface BlockReaderModules {
  readonly books: Pick<ChainBooks, "isPoolScript" | "holds">;
  /** The DATUM prime id that a coinbase's scriptSig carries; undefined when it has not that form. */
  readonly readPrimeId: (scriptSig: Uint8Array) => number | undefined;
}

/**
 * Reads the block after `parent`.
 *
 * @param raw as the node gave it, with witnesses
 * @param hash that was asked for, internal order
 * @throws ChainError `wrongBlock` when the bytes are no block, or another than the one asked for, or its transactions are not its header's
 */
export async function readBlock(
  raw: Uint8Array,
  hash: Uint8Array,
  parent: ChainPosition,
  { books, readPrimeId }: BlockReaderModules,
): Promise<ChainBlock> {
  const asked = reverseHex(hash);
  const scanned = await scan(raw, asked, books);
  const came = reverseHex(scanned.hash);
  if (came !== asked) throw wrongBlock("the node gave another block than the one asked for", asked, came);
  if (!scanned.merkleRootMatches) throw wrongBlock("the node gave other transactions than the block's merkle root is made of", asked, came);
  const before = reverseHex(scanned.prevhash);
  const expected = reverseHex(parent.hash);
  if (before !== expected)
    throw wrongBlock(`the node gives block ${asked} for the one after the books', but it follows another`, expected, before);
  const { time, bits, prevhash, coinbase, transactions } = scanned;
  return {
    height: parent.height + 1,
    hash: scanned.hash,
    prevhash,
    time,
    bits,
    coinbase: { txid: coinbase.txid, raw: coinbase.raw, outputs: coinbase.outputs, primeId: readPrimeId(coinbase.scriptSig) },
    transactions,
  };
}

async function scan(raw: Uint8Array, asked: string, books: BlockReaderModules["books"]): Promise<ScannedBlock> {
  const steps = scanBlock(raw, {
    pays: (script) => books.isPoolScript(script),
    spends: (txid, vout) => books.holds({ txid, vout }),
  });
  try {
    return await inSlices(steps);
  } catch (error) {
    if (error instanceof TransactionError)
      throw wrongBlock(`the node's bytes are no block (${error.message})`, asked, `${raw.length} bytes`);
    throw error;
  }
}

function wrongBlock(message: string, expected: string, got: string): ChainError {
  return new ChainError("wrongBlock", `${message}: expected ${expected}, got ${got}`, expected, got);
}
