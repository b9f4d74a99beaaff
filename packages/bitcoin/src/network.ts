/** What differs between Bitcoin's networks, for a pool: nothing else may. */

export type NetworkName = "mainnet" | "testnet" | "testnet4" | "signet" | "regtest";

export interface Network {
  readonly name: NetworkName;
  /** The node's word for it (`chain` of getblockchaininfo). */
  readonly chain: "main" | "test" | "testnet4" | "signet" | "regtest";
  /** Bech32 prefixes that are taken; the first is the one we write. Regtest takes testnet's too: a stock gateway knows no `bcrt`. */
  readonly bech32: readonly [string, ...string[]];
  /** Version byte of P2PKH addresses. */
  readonly pubKeyHash: number;
  /** Version byte of P2SH addresses. */
  readonly scriptHash: number;
  /** Target of share difficulty 1: 0x00000000ffff0000…, on regtest its proof-of-work limit 0x7fffff0000…. */
  readonly difficultyOne: bigint;
  /** The easiest block target, compact. */
  readonly powLimitBits: number;
  /** Whether a share's hash must have 32 zero bits on top; not on regtest, where difficulty 1 is easier than that. */
  readonly checksTopWord: boolean;
  /** Blocks between two halvings of the subsidy. */
  readonly halvingInterval: number;
}

const DIFFICULTY_ONE = 0xffffn << 208n;

/** What the four public networks share. */
const PUBLIC = { difficultyOne: DIFFICULTY_ONE, checksTopWord: true, halvingInterval: 210_000 } as const;

/** Address forms of every test network. */
const TEST_ADDRESSES = { bech32: ["tb"], pubKeyHash: 0x6f, scriptHash: 0xc4 } as const;

/** All networks, by name (values of Bitcoin Core's chainparams). */
export const NETWORKS: Readonly<Record<NetworkName, Network>> = {
  mainnet: { name: "mainnet", chain: "main", ...PUBLIC, bech32: ["bc"], pubKeyHash: 0x00, scriptHash: 0x05, powLimitBits: 0x1d00ffff },
  testnet: { name: "testnet", chain: "test", ...PUBLIC, ...TEST_ADDRESSES, powLimitBits: 0x1d00ffff },
  testnet4: { name: "testnet4", chain: "testnet4", ...PUBLIC, ...TEST_ADDRESSES, powLimitBits: 0x1d00ffff },
  signet: { name: "signet", chain: "signet", ...PUBLIC, ...TEST_ADDRESSES, powLimitBits: 0x1e0377ae },
  regtest: {
    name: "regtest",
    chain: "regtest",
    ...TEST_ADDRESSES,
    bech32: ["bcrt", "tb"],
    difficultyOne: 0x7fffffn << 232n,
    powLimitBits: 0x207fffff,
    checksTopWord: false,
    halvingInterval: 150,
  },
};
