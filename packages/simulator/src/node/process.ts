/** Main program of the node's process: answers the calls of the process that started it, and ends when that one ends. */
import { BcoinNode } from "./bcoin-node.js";
import type { NodeCall, NodeReport, RegtestNodeOptions } from "./options.js";

const report = (what: NodeReport): void => {
  process.send?.(what);
};
const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

// The channel closes when the parent is gone, however it went.
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group; the parent decides when the node stops.
process.on("SIGINT", () => undefined);

async function answer(node: BcoinNode, call: NodeCall): Promise<unknown> {
  switch (call.method) {
    case "tip":
      return node.tip();
    case "mine":
      return node.mine(call.params.count, call.params.transactions);
    case "branch":
      return node.branch(call.params.fork, call.params.blocks);
    case "send":
      return node.send(call.params.count);
    case "receive":
      await node.receive(call.params.transactions);
      return null;
    case "feed":
      node.feed(call.params.transactionsPerSecond);
      return null;
    case "invalidate":
      await node.invalidate(call.params.hash);
      return null;
    case "reconsider":
      await node.reconsider(call.params.hash);
      return null;
    case "stop":
      await node.stop();
      return null;
  }
}

const options = JSON.parse(process.argv[2] ?? "{}") as RegtestNodeOptions;
try {
  const node = await BcoinNode.start(options, (error) => process.stderr.write(`regtest node: ${error.message}\n`));
  process.on("message", (call: NodeCall) => {
    answer(node, call).then(
      (result) => {
        report({ type: "answer", id: call.id, result });
        if (call.method === "stop") process.disconnect();
      },
      (error: unknown) => report({ type: "error", id: call.id, message: message(error) }),
    );
  });
  report({ type: "ready", rpc: node.rpc });
} catch (error) {
  report({ type: "failed", message: message(error) });
  process.disconnect();
}
