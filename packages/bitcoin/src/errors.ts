/** The typed errors of this package. Each has a stable `code`; messages say what was expected and what came, and never hold a secret. */

/** Base of every error here, so that a caller can tell them from its own. */
export abstract class BitcoinError<Code extends string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

export type AddressErrorCode =
  /** Neither base58 nor bech32 of any Bitcoin network. */
  | "malformed"
  /** Looks like an address, but its checksum is wrong: most likely a typing error. */
  | "checksum"
  /** Bech32 in upper and lower case at once (BIP173 forbids it). */
  | "mixedCase"
  /** A good address of another network. */
  | "wrongNetwork"
  /** A witness version or program that nobody can own yet (anyone could spend it). */
  | "witnessVersion"
  /** A witness program of a length that its version doesn't have. */
  | "witnessProgram";

/** An address that can't be paid. */
export class AddressError extends BitcoinError<AddressErrorCode> {
  override readonly name = "AddressError";
}

export type TransactionErrorCode =
  /** The bytes end before the structure does. */
  | "truncated"
  /** Bytes are left over behind the structure. */
  | "trailingBytes"
  /** More bytes than a block may hold. */
  | "tooLarge"
  /** A count or length that isn't in its shortest form. */
  | "nonCanonicalSize"
  /** No inputs, no outputs, or a segwit flag that is unknown or without a witness. */
  | "badStructure"
  /** An amount, or the sum of all, over 21 million coins. */
  | "badValue"
  /** Not a coinbase: its one input must have the null outpoint and a scriptSig of 2 to 100 bytes. */
  | "notCoinbase"
  /** A header that isn't 80 bytes. */
  | "badHeader";

/** Bytes that are no valid transaction, coinbase or block. */
export class TransactionError extends BitcoinError<TransactionErrorCode> {
  override readonly name = "TransactionError";
}

export type TargetErrorCode =
  /** The sign bit of the compact form is set. */
  | "negative"
  /** The compact form stands for more than 256 bits. */
  | "overflow"
  /** No hash can meet it. */
  | "zero"
  /** A number outside its type's range. */
  | "range";

/** A compact target or target byte that stands for no usable target. */
export class TargetError extends BitcoinError<TargetErrorCode> {
  override readonly name = "TargetError";
}

export type ProverErrorCode =
  /** dist/prover.wasm isn't there. */
  | "moduleMissing"
  /** dist/prover.wasm can't be instantiated, or isn't this version's. */
  | "moduleInvalid"
  /** coinb1, extranonce and coinb2 together are longer than the prover holds. */
  | "coinbaseTooLarge"
  /** Branches not a multiple of 32 bytes, or too many. */
  | "badBranches"
  /** The target byte's index is outside the coinbase, or the byte outside 0-255. */
  | "badTargetByte"
  /** Quickdiff on a coinb1 under two bytes. */
  | "badQuickdiff"
  /** prevhash isn't 32 bytes. */
  | "badPrevhash";

/** A share that can't be hashed as it stands, or a prover that can't be made. */
export class ProverError extends BitcoinError<ProverErrorCode> {
  override readonly name = "ProverError";
}

/** A hash in display order that isn't hexadecimal of whole bytes. */
export class HexError extends BitcoinError<"badHex"> {
  override readonly name = "HexError";
}

export type NodeErrorCode =
  /** The configured address is no `http://host:port`. */
  | "badUrl"
  /** No connection, or it broke. */
  | "unreachable"
  /** The node refuses the user, password or cookie, or the cookie file can't be read. */
  | "unauthorized"
  /** The node answered with an error of its own; see `rpcCode`. */
  | "rpc"
  /** No whole answer within the time allowed. */
  | "timeout"
  /** An answer that is no JSON-RPC, or lacks what it should hold. */
  | "badResponse";

/** A call to the node that failed. Never holds a user name, password or cookie. */
export class NodeError extends BitcoinError<NodeErrorCode> {
  override readonly name = "NodeError";
  /** RPC method that was called; `connect` for an address that is none. */
  readonly method: string;
  /** The node's own error code (-5 not found, -28 warming up, …); only with code `rpc`. */
  readonly rpcCode: number | undefined;

  constructor(code: NodeErrorCode, method: string, message: string, rpcCode?: number) {
    super(code, `${method}: ${message}`);
    this.method = method;
    this.rpcCode = rpcCode;
  }

  /** Whether the node says that it doesn't have the block or transaction asked for (Core by code -5, bcoin by its words alone). */
  get notFound(): boolean {
    return this.code === "rpc" && (this.rpcCode === -5 || /(Block|Transaction) not (found|in mempool)/.test(this.message));
  }
}

export type ZmqErrorCode =
  /** The optional package `zeromq` isn't installed, or its binary doesn't load here. */
  | "zmqUnavailable"
  /** An endpoint that ZeroMQ doesn't take. */
  | "badEndpoint"
  /** A message that is no notification of a topic asked for. */
  | "badMessage"
  /** The subscription ended by itself. */
  | "closed";

/** A subscription to the node's notifications that can't be had, or a notification that can't be read. */
export class ZmqError extends BitcoinError<ZmqErrorCode> {
  override readonly name = "ZmqError";
}
