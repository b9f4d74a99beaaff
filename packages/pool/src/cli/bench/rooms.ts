/** Where the pool's processor time goes: a CPU profile of this process, added up by room. */
import type { Profiler } from "node:inspector";
import { Session } from "node:inspector/promises";

/** Fractions of the time in which the process was busy; they add up to 1. */
export type RoomShares = Readonly<Record<string, number>>;

const SAMPLE_MICROSECONDS = 500;

/** Rooms by where their code lies, the more special ones first. What a room calls in Node or a library counts as its own. */
const ROOMS: readonly (readonly [name: string, place: RegExp])[] = [
  ["datum", /\/packages\/datum\//],
  ["bitcoin", /\/packages\/bitcoin\/|wasm/],
  ["rewards", /\/packages\/rewards\//],
  ["work", /\/packages\/pool\/(dist|src)\/work\//],
  ["gateway", /\/packages\/pool\/(dist|src)\/gateway\//],
  ["ledger", /\/packages\/pool\/(dist|src)\/ledger\/|\/node_modules\/pg/],
  ["chain", /\/packages\/pool\/(dist|src)\/chain\//],
];
/** Node's own work that no room called: sockets, timers, garbage collection. */
const REST = "node";

/** Runs `work` under the sampling profiler. */
export async function profileRooms(work: () => Promise<void>): Promise<RoomShares> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_MICROSECONDS });
    await session.post("Profiler.start");
    await work();
    const { profile } = await session.post("Profiler.stop");
    return addUp(profile);
  } finally {
    session.disconnect();
  }
}

function addUp({ nodes, samples = [] }: Profiler.Profile): RoomShares {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const roomOf = new Map<number, string | undefined>();
  const walk = (id: number, caller: string): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const { functionName, url } = node.callFrame;
    const idle = functionName === "(idle)" || functionName === "(program)";
    const room = ROOMS.find(([, place]) => place.test(url))?.[0] ?? caller;
    roomOf.set(id, idle ? undefined : room);
    for (const child of node.children ?? []) walk(child, room);
  };
  const root = nodes[0];
  if (root !== undefined) walk(root.id, REST);
  const counts = new Map<string, number>();
  let busy = 0;
  for (const sample of samples) {
    const room = roomOf.get(sample);
    if (room === undefined) continue;
    counts.set(room, (counts.get(room) ?? 0) + 1);
    busy++;
  }
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a).map(([room, count]) => [room, count / busy]));
}
