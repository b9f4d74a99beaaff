/** The regtest node by itself: `node packages/simulator/bin/regtest-node.js`. */
import { parseArgs } from "node:util";
import { RegtestNode } from "./regtest-node.js";

const USAGE = `Runs a regtest node in memory on an ephemeral loopback port until Ctrl-C.

  --bits HEX                compact target of blocks (default 1e7fffff: 2^17 hashes)
  --halving-interval N      blocks between halvings (default 210000)
  --transactions N          signed transactions sent per second (default 2)
  --mine-every SECONDS      mine a block by itself this often (default: never)
`;

/** Runs until it is stopped. */
export async function main(args: readonly string[]): Promise<void> {
  const string = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      bits: string,
      "halving-interval": string,
      transactions: string,
      "mine-every": string,
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const node = await RegtestNode.start({
    ...(values.bits === undefined ? {} : { bits: Number.parseInt(values.bits, 16) }),
    ...(values["halving-interval"] === undefined ? {} : { halvingInterval: Number(values["halving-interval"]) }),
    transactionsPerSecond: Number(values.transactions ?? 2),
  });
  process.stdout.write(`url       ${node.rpc.url}\nuser      ${node.rpc.user}\npassword  ${node.rpc.password}\n`);
  process.stdout.write(`a block takes ${node.expectedHashes} hashes; Ctrl-C ends the node\n`);
  const every = Number(values["mine-every"] ?? 0) * 1000;
  const timer = every > 0 ? setInterval(() => void mine(node), every) : undefined;
  await new Promise((resolve) => process.once("SIGINT", resolve).once("SIGTERM", resolve));
  clearInterval(timer);
  await node.stop();
}

async function mine(node: RegtestNode): Promise<void> {
  const [hash] = await node.mine();
  process.stdout.write(`block ${hash}\n`);
}
