/** Address ↔ scriptPubKey, per network: base58check (P2PKH, P2SH), bech32 (BIP173: P2WPKH, P2WSH) and bech32m (BIP350: P2TR). */
import { base58, bech32, bech32m } from "@scure/base";
import { AddressError } from "./errors.js";
import { sha256d } from "./hash.js";
import { NETWORKS, type Network } from "./network.js";
import { scriptType } from "./script.js";

/** A bech32 string's longest form (BIP173); base58 addresses have at most 35 characters. */
const MAX_ADDRESS = 90;
const MAX_BASE58_ADDRESS = 35;

/**
 * The script that an address stands for.
 *
 * Witness versions from 2 on, and version 1 with anything but 32 bytes, are refused: they are valid by BIP350, but no rule guards such
 * outputs yet, so anyone could spend what a pool paid there.
 *
 * @throws AddressError; it names the network where the address is of another one, and never repeats the address (it is a stranger's text)
 */
export function addressToScript(address: string, network: Network): Uint8Array {
  if (address.length > MAX_ADDRESS || !/^[\x21-\x7e]+$/.test(address)) {
    throw new AddressError("malformed", `expected 1 to ${MAX_ADDRESS} printable ASCII characters, got ${address.length} characters`);
  }
  const lower = address.toLowerCase();
  const prefix = lower.slice(0, Math.max(0, lower.lastIndexOf("1")));
  const owners = networksWhere((candidate) => candidate.bech32.includes(prefix));
  return owners.length > 0 ? fromBech32(address, prefix, owners, network) : fromBase58(address, network);
}

function fromBech32(address: string, prefix: string, owners: readonly Network[], network: Network): Uint8Array {
  if (address !== address.toLowerCase() && address !== address.toUpperCase()) {
    throw new AddressError("mixedCase", "expected a bech32 address in one case, got upper and lower case mixed");
  }
  const v0 = bech32.decodeUnsafe(address, MAX_ADDRESS);
  const decoded = v0 ?? bech32m.decodeUnsafe(address, MAX_ADDRESS);
  if (decoded === undefined)
    throw new AddressError("checksum", `expected a valid checksum in the address with prefix ${prefix}, got a wrong one`);
  const [version, ...words] = decoded.words;
  if (version === undefined || version > 16) {
    throw new AddressError("malformed", `expected a witness version from 0 to 16, got ${version ?? "none"}`);
  }
  // BIP350: version 0 has bech32's checksum, every later one bech32m's.
  if ((version === 0) !== (v0 !== undefined)) {
    throw new AddressError(
      "checksum",
      `expected ${version === 0 ? "bech32" : "bech32m"} for witness version ${version}, got the other checksum`,
    );
  }
  const program = bech32.fromWordsUnsafe(words);
  if (!(program instanceof Uint8Array)) throw new AddressError("malformed", "expected zero bits as bech32 padding, got others");
  checkNetwork(network.bech32.includes(prefix), owners, network);
  const length = program.length;
  if (length < 2 || length > 40 || (version === 0 && length !== 20 && length !== 32)) {
    throw new AddressError("witnessProgram", `expected a witness program that version ${version} can have, got ${length} bytes`);
  }
  if (version > 1 || (version === 1 && length !== 32)) {
    throw new AddressError(
      "witnessVersion",
      `expected witness version 0, or 1 with 32 bytes, got version ${version} with ${length} bytes: no rule guards such outputs yet`,
    );
  }
  return Uint8Array.from([version === 0 ? 0 : 0x51, length, ...program]);
}

function fromBase58(address: string, network: Network): Uint8Array {
  const bytes = address.length > MAX_BASE58_ADDRESS ? undefined : decodeBase58(address);
  if (bytes === undefined || bytes.length !== 25) {
    throw new AddressError("malformed", "expected a Bitcoin address (base58 or bech32), got other text");
  }
  const checksum = sha256d(bytes.subarray(0, 21));
  if (!checksum.subarray(0, 4).every((byte, i) => byte === bytes[21 + i])) {
    throw new AddressError("checksum", "expected a valid checksum in the base58 address, got a wrong one");
  }
  const version = bytes[0]!;
  const owners = networksWhere((candidate) => candidate.pubKeyHash === version || candidate.scriptHash === version);
  if (owners.length === 0) {
    throw new AddressError("malformed", `expected an address version of a Bitcoin network, got ${version}`);
  }
  checkNetwork(version === network.pubKeyHash || version === network.scriptHash, owners, network);
  const hash = bytes.subarray(1, 21);
  return version === network.pubKeyHash
    ? Uint8Array.from([0x76, 0xa9, 20, ...hash, 0x88, 0xac])
    : Uint8Array.from([0xa9, 20, ...hash, 0x87]);
}

function decodeBase58(text: string): Uint8Array | undefined {
  // The library throws on a foreign character; here that is an ordinary "no".
  return /^[1-9A-HJ-NP-Za-km-z]+$/.test(text) ? base58.decode(text) : undefined;
}

function networksWhere(test: (network: Network) => boolean): readonly Network[] {
  return Object.values(NETWORKS).filter(test);
}

function checkNetwork(matches: boolean, owners: readonly Network[], network: Network): void {
  if (matches) return;
  const names = owners.map((owner) => owner.name).join(", ");
  throw new AddressError("wrongNetwork", `expected an address of ${network.name}, got one of ${names}`);
}

/** The address of a standard script on `network`, in the spelling we write; undefined where the script has none. */
export function scriptToAddress(script: Uint8Array, network: Network): string | undefined {
  switch (scriptType(script)) {
    case "p2pkh":
      return toBase58(network.pubKeyHash, script.subarray(3, 23));
    case "p2sh":
      return toBase58(network.scriptHash, script.subarray(2, 22));
    case "p2wpkh":
    case "p2wsh":
      return bech32.encode(network.bech32[0], [0, ...bech32.toWords(script.subarray(2))]);
    case "p2tr":
      return bech32m.encode(network.bech32[0], [1, ...bech32m.toWords(script.subarray(2))]);
    case undefined:
      return undefined;
  }
}

function toBase58(version: number, hash: Uint8Array): string {
  const payload = Uint8Array.from([version, ...hash]);
  return base58.encode(Uint8Array.from([...payload, ...sha256d(payload).subarray(0, 4)]));
}
