/** The part of bcoin 1.0.2 that the regtest node uses; the package has no types of its own. */
declare module "bcoin" {
  export interface Script {
    toRaw(): Buffer;
  }
  export interface Address {
    toString(network?: string): string;
  }
  export interface Output {
    readonly value: number;
    readonly script: Script;
  }
  export interface TX {
    readonly outputs: readonly Output[];
    hash(enc: "hex"): string;
    txid(): string;
    toRaw(): Buffer;
  }
  export interface Coin {
    readonly value: number;
  }
  export interface Block {
    readonly txs: readonly TX[];
    time: number;
    toRaw(): Buffer;
    rhash(): string;
  }
  export interface ChainEntry {
    readonly hash: string;
    readonly height: number;
    rhash(): string;
  }
  export interface BlockTemplate {
    items: readonly unknown[];
    fees: number;
    time: number;
    readonly bits: number;
    refresh(): void;
    getRoot(nonce1: number, nonce2: number): Buffer;
    getHeader(root: Buffer, time: number, nonce: number): Buffer;
    getProof(nonce1: number, nonce2: number, time: number, nonce: number): unknown;
    commit(proof: unknown): Block;
  }
  export interface Deployment {
    readonly name: string;
  }
  export interface Chain {
    readonly tip: ChainEntry;
    readonly height: number;
    getTarget(time: number, prev: ChainEntry | null): Promise<number>;
    getState(prev: ChainEntry, deployment: Deployment): Promise<number>;
    getEntryByHeight(height: number): Promise<ChainEntry | null>;
    getBlock(hash: string): Promise<Block | null>;
    add(block: Block): Promise<ChainEntry | null>;
    invalidate(hash: string): Promise<void>;
    removeInvalid(hash: string): void;
  }
  export interface FullNode {
    readonly chain: Chain;
    readonly mempool: { addTX(tx: TX): Promise<readonly string[] | null>; readonly map: ReadonlyMap<string, { readonly tx: TX }> };
    readonly pool: { forceSync: () => void };
    readonly miner: { createBlock(tip: ChainEntry, address: Address): Promise<BlockTemplate> };
    readonly rpc: { readonly attempt: unknown; refreshBlock(): void };
    readonly http: { readonly http: { address(): { readonly port: number } | null } };
    open(): Promise<void>;
    close(): Promise<void>;
    on(event: "connect" | "disconnect", listener: (entry: ChainEntry, block: Block) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
  }
  export interface KeyRing {
    witness: boolean;
    getAddress(): Address;
  }
  export interface MTX {
    addCoin(coin: Coin): void;
    addOutput(address: Address, value: number): void;
    sign(ring: KeyRing): number;
    toTX(): TX;
  }
  export interface Network {
    halvingInterval: number;
    addressPrefix: { pubkeyhash: number; scripthash: number; bech32: string };
    block: { bip34height: number; bip65height: number; bip66height: number };
  }
  export interface Bcoin {
    readonly FullNode: new (options: Readonly<Record<string, unknown>>) => FullNode;
    readonly Network: { get(name: string): Network };
    readonly KeyRing: { fromPrivate(key: Buffer): KeyRing };
    readonly MTX: new () => MTX;
    readonly TX: { fromRaw(data: Buffer): TX };
    readonly Block: { fromRaw(data: Buffer): Block };
    readonly Coin: { fromTX(tx: TX, index: number, height: number): Coin };
  }
  const bcoin: Bcoin;
  export default bcoin;
}
