/** The nodes of a configuration, with the names that logs, metrics and answers have for them. */
import { NodeClient } from "@openprime/bitcoin";
import type { NamedNode } from "../chain/index.js";
import type { Config, NodeAccess } from "./config/index.js";

/** A node with the settings that it is reached by. */
export interface OpenNode extends NamedNode<NodeClient> {
  readonly access: NodeAccess;
}

/** Named by host and port, which hold no secret. To be closed one by one. */
export function openNodes(
  { nodes: [first, ...others] }: Pick<Config, "nodes">,
  options: { readonly timeoutMs?: number } = {},
): readonly [OpenNode, ...OpenNode[]] {
  const names = new Set<string>();
  const open = (access: NodeAccess): OpenNode => {
    const { host } = new URL(access.url);
    // Two nodes behind one address differ by their path.
    let name = host;
    for (let count = 2; names.has(name); count++) name = `${host}#${count}`;
    names.add(name);
    return { name, access, client: new NodeClient({ ...access, ...options }) };
  };
  return [open(first), ...others.map(open)];
}
