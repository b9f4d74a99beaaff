/** `openprime block submit`: sends a saved block to every node once more. */
import { readFile } from "node:fs/promises";
import { type NodeClient, NodeError, parseBlock, reverseHex, sha256d } from "@openprime/bitcoin";
import { type BlockOutcome, type NamedNode, readSubmitAnswer } from "../../chain/index.js";
import type { Config } from "../config/index.js";
import { CliError, codeOf, messageOf } from "../errors.js";
import type { CommandIo } from "../io.js";
import { openNodes } from "../nodes.js";

/**
 * Sends the block in `file` to all nodes at once and prints each answer.
 *
 * @returns the exit code: 0 when a node has the block now, also off its best chain; 1 when none does
 * @throws CliError `blockInvalid` for a file that can't be read or holds no block
 */
export async function submit(config: Pick<Config, "nodes">, file: string, io: CommandIo): Promise<number> {
  const { hash, hex } = await readBlockFile(file);
  io.stderr.write(`submitting block ${hash}\n`);
  const nodes = openNodes(config);
  try {
    const outcomes = await Promise.all(nodes.map((node) => submitTo(node, hex)));
    for (const [i, { status, detail }] of outcomes.entries()) {
      io.stdout.write(`${nodes[i]?.name}: ${status === detail ? status : `${status} (${detail})`}\n`);
    }
    return outcomes.some(({ status }) => status === "accepted" || status === "duplicate" || status === "inconclusive") ? 0 : 1;
  } finally {
    for (const { client } of nodes) await client.close();
  }
}

async function submitTo(
  { client }: NamedNode<NodeClient>,
  hex: string,
): Promise<Omit<BlockOutcome, "status"> & { readonly status: string }> {
  try {
    const answer = await client.submitBlock(hex);
    const outcome = readSubmitAnswer(answer);
    return outcome === "early" ? { status: "rejected", detail: `${answer ?? ""}: the node does not have its parent yet` } : outcome;
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    return { status: error.code === "rpc" ? "rejected" : "no answer", detail: error.message };
  }
}

async function readBlockFile(file: string): Promise<{ readonly hash: string; readonly hex: string }> {
  const todo = "`openprime block list` names the blocks that are kept";
  let text: string;
  try {
    text = (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new CliError("blockInvalid", `can't read the block file ${file}: ${codeOf(error) ?? messageOf(error)}`, todo, { cause: error });
  }
  // Pairs in the pattern would overflow the stack of the matcher on a full block.
  if (text.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(text))
    throw new CliError("blockInvalid", `expected a block in hex in ${file}, got other characters`, todo);
  try {
    const { header } = parseBlock(Buffer.from(text, "hex"));
    return { hash: reverseHex(sha256d(header)), hex: text };
  } catch (error) {
    throw new CliError("blockInvalid", `${file} holds no block: ${messageOf(error)}`, todo, { cause: error });
  }
}
