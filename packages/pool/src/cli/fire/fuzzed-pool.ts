/** The gateway room with the real judge on a loopback port, and everything behind it held by the fuzz. */
import { NETWORKS, ShareProver } from "@openprime/bitcoin";
import { type DatumCrypto, encodePublicKey, generateLongTermKeys } from "@openprime/datum";
import { minerScript } from "@openprime/simulator";
import { pino } from "pino";
import { Registry } from "prom-client";
import { type GatewayLimits, GatewayServer } from "../../gateway/index.js";
import { type JudgedShare, ShareJudge } from "../../work/index.js";
import { StillChain } from "./still-chain.js";

const ERROR = 50;
const PAYEES = [minerScript("fuzz", 0), minerScript("fuzz", 1)];
/** No bound of a connection or an address may stand between the fuzz and the code behind it: the attack run tries those. */
const WIDE = 1_000_000_000;
const WIDE_LIMITS: Partial<GatewayLimits> = {
  connections: WIDE,
  connectionsPerAddress: WIDE,
  connectionsPerPrefix: WIDE,
  handshakesPerSecond: WIDE,
  handshakesPerPrefix: WIDE,
  newSessionsPerHour: WIDE,
  coinbaserBurst: WIDE,
  coinbaserPerSecond: WIDE,
  strangersCoinbaserPerMinute: WIDE,
  sharesPerSecond: WIDE,
  messagesPerSecond: WIDE,
  bytesPerSecond: WIDE,
  invalidSharesPerMinute: WIDE,
  banScore: 0,
  rememberedHellos: 1000,
};
/** Address of a trusted proxy; elsewhere than on Linux there is but one loopback address. */
export const PROXY_ADDRESS = process.platform === "linux" ? "127.9.9.9" : undefined;

export interface FuzzedPool {
  readonly chain: StillChain;
  readonly place: { readonly host: string; readonly port: number; readonly publicKey: string };
  readonly server: GatewayServer;
  readonly money: { readonly script: Uint8Array; readonly payees: readonly Uint8Array[] };
  /** Log lines about faults of ours, since the last look. */
  faults(): string[];
  /** Prime id of a gateway's key. */
  primeId(key: Uint8Array): number;
}

/** @param accepted hears of each share that would be committed */
export async function startFuzzedPool(crypto: DatumCrypto, accepted: (share: JudgedShare) => void): Promise<FuzzedPool> {
  const chain = new StillChain();
  const keys = generateLongTermKeys(crypto);
  const script = minerScript("fuzz pool", 0);
  const tag = Buffer.from("OpenPrime");
  const faults: string[] = [];
  const primeIds = new Map<string, number>();
  const primeId = (key: Uint8Array): number => {
    const name = Buffer.from(key).toString("hex");
    const known = primeIds.get(name) ?? 1 + primeIds.size;
    primeIds.set(name, known);
    return known;
  };
  const judge = new ShareJudge(
    {
      network: NETWORKS.regtest,
      payoutScript: script,
      tag,
      feePpm: 0,
      staleGraceMs: 1000,
      limits: { accountsPerSession: 100, workersPerSession: 100 },
    },
    { chain, prover: await ShareProver.create(), now: Date.now },
  );
  const server = new GatewayServer(
    {
      host: "127.0.0.1",
      port: 0,
      payoutScript: script,
      tag,
      minimumDifficulty: 1n,
      motd: "fuzzed",
      limits: WIDE_LIMITS,
      // Whoever comes from there must say in front where from.
      addresses: { proxies: PROXY_ADDRESS === undefined ? [] : [PROXY_ADDRESS] },
    },
    {
      crypto,
      longTermKeys: [keys],
      judge,
      sink: {
        append: (share, done) => {
          accepted(share);
          setImmediate(() => done("committed"));
          return true;
        },
      },
      splits: {
        offer: (request) => ({
          id: 1n,
          position: 0n,
          outputs: PAYEES.map((payee, i) => ({ value: BigInt(100_000 + i), script: payee })),
          ...request,
        }),
      },
      blocks: { found: () => undefined },
      sessions: { open: async (key) => ({ id: BigInt(primeId(key)), primeId: primeId(key), splits: [] }), save: async () => undefined },
      head: () => 0n,
      log: pino(
        { level: "error" },
        { write: (line: string) => void ((JSON.parse(line) as { level: number }).level >= ERROR && faults.push(line)) },
      ),
      metrics: new Registry(),
      now: Date.now,
    },
  );
  const bound = await server.listen();
  return {
    chain,
    server,
    place: { ...bound, publicKey: encodePublicKey(keys) },
    money: { script, payees: PAYEES },
    faults: () => faults.splice(0),
    primeId,
  };
}
