/** Every fuzz of the protocol library: bytes in, values out, no sockets. */
import type { Target } from "./fuzzer.js";
import { hello, response } from "./handshake-targets.js";
import { gatewayMessages, headers, poolMessages } from "./message-targets.js";
import { seedBodies } from "./seeds.js";
import { lineToGateway, lineToPool, peerAtGateway, peerAtPool } from "./stream-targets.js";

export function decoderTargets(): Target[] {
  const bodies = seedBodies();
  return [
    headers(),
    gatewayMessages([...bodies.gateway, ...bodies.unsound.gateway]),
    poolMessages([...bodies.pool, ...bodies.unsound.pool]),
    hello(),
    response(),
    lineToPool(bodies),
    lineToGateway(bodies),
    peerAtPool(bodies),
    peerAtGateway(bodies),
  ];
}
