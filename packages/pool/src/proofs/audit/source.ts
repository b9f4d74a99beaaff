/** What an audit reads: the published files, and a node that says what is on the chain. */
import type { PublishedIndex } from "../published.js";

/** The published folder, wherever it lies. */
export interface ProofSource {
  index(): Promise<PublishedIndex>;
  /**
   * A file's bytes, uncompressed, in pieces.
   *
   * @param path below the published folder
   * @throws ProofError `proof.unreadable`
   */
  read(path: string): AsyncIterable<Uint8Array>;
}

/** A Bitcoin node, or anything that knows the chain. */
export interface AuditNode {
  /** As in `Settlement.network`. */
  network(): Promise<string>;
  /** Hash (internal order) of the block at a height of the best chain; undefined above its tip. */
  blockHash(height: number): Promise<Uint8Array | undefined>;
  /** The serialized block; undefined for one that the node does not have. */
  rawBlock(hash: Uint8Array): Promise<Uint8Array | undefined>;
}

/** A set that remembers the hashes of shares: some ten million of them, so it is handed in. */
export interface SeenHashes {
  /** False when the hash was there; it may say so wrongly once in a long while. */
  add(hash: Uint8Array): boolean;
}
