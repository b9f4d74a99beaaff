/** Inputs to begin with: what a real gateway and its pool said, and the messages of the protocol's vectors. Only in the repository. */
import { readFileSync } from "node:fs";
import type { Bodies } from "./stream-targets.js";

const TESTS = new URL("../../../datum/test/", import.meta.url);
const RECORDINGS = ["new-blocks", "ordinary", "quickdiff"];
const MINING = 5;
/** Bodies of a kind and size that are much alike: one of each is enough. */
const kindOf = (body: Uint8Array): string => `${body[0]} ${body[0] === 0x50 ? body[1] : ""} ${Math.floor(body.length / 100)}`;

interface Vectors {
  readonly valid: readonly { readonly plain: string }[];
  readonly invalid: readonly { readonly plain: string }[];
}

interface Recording {
  readonly connections: readonly {
    readonly frames: readonly { readonly dir: "gateway>pool" | "pool>gateway"; readonly cmd: number; readonly plain: string }[];
  }[];
}

const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(name, TESTS), "utf8")) as T;
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

/** Bodies of mining messages: the sound ones of vectors and recordings, and the vectors' unsound ones by themselves. */
export function seedBodies(): Bodies & { readonly unsound: Bodies } {
  const gateway = read<Vectors>("vectors/gateway-messages.json");
  const pool = read<Vectors>("vectors/pool-messages.json");
  const frames = RECORDINGS.flatMap((name) => read<Recording>(`recordings/${name}.json`).connections.flatMap((one) => one.frames)).filter(
    ({ cmd }) => cmd === MINING,
  );
  const recorded = (wanted: string): Uint8Array[] => {
    const kinds = new Map<string, Uint8Array>();
    for (const { dir, plain } of frames) {
      const body = bytes(plain);
      if (dir === wanted && !kinds.has(kindOf(body))) kinds.set(kindOf(body), body);
    }
    return [...kinds.values()];
  };
  const plain = (vectors: Vectors["valid"]): Uint8Array[] => vectors.map((one) => bytes(one.plain));
  return {
    gateway: [...plain(gateway.valid), ...recorded("gateway>pool")],
    pool: [...plain(pool.valid), ...recorded("pool>gateway")],
    unsound: { gateway: plain(gateway.invalid), pool: plain(pool.invalid) },
  };
}
