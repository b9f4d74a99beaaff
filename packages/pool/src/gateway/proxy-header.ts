/**
 * The PROXY protocol, versions 1 (text) and 2 (binary): a load balancer says in front of a connection's bytes where it comes from.
 * Specification: proxy-protocol.txt of HAProxy. Read strictly, in bounded memory: anything that is not to the letter is refused.
 */
import { isIPv4, isIPv6 } from "node:net";
import { plainAddress } from "./address-key.js";

/** The longest line of version 1, CR LF included. */
const MAX_V1 = 107;
/** Longest part after the fixed 16 bytes of version 2: addresses and a reasonable number of extensions (TLVs). */
const MAX_V2_REST = 2048;
const V2_SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V2_FIXED = 16;

/** What the bytes of a connection begin with. */
export type ProxyHeader =
  | { readonly kind: "more" }
  | { readonly kind: "bad"; readonly why: string }
  | {
      readonly kind: "header";
      /** Where the connection comes from; undefined when the proxy speaks for itself or does not know: then the socket's address holds. */
      readonly source: string | undefined;
      /** Bytes of the header. */
      readonly length: number;
    };

const MORE = { kind: "more" } as const;
const bad = (why: string): ProxyHeader => ({ kind: "bad", why });

/** Whether bytes may be the beginning of a header of either version. At least four are needed to tell. */
export function looksLikeProxyHeader(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 4)).toString("latin1");
  return start === "PROX" || start === "\r\n\r\n";
}

/** Reads a header off the front of what came so far. */
export function readProxyHeader(bytes: Uint8Array): ProxyHeader {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length === 0) return MORE;
  return buffer[0] === V2_SIGNATURE[0] ? readV2(buffer) : readV1(buffer);
}

function readV1(buffer: Buffer): ProxyHeader {
  const begin = "PROXY ";
  if (!begin.startsWith(buffer.toString("latin1", 0, Math.min(begin.length, buffer.length)))) return bad("not a PROXY header");
  const end = buffer.subarray(0, MAX_V1).indexOf("\r\n");
  if (end < 0) return buffer.length < MAX_V1 ? MORE : bad(`no end of line within ${MAX_V1} bytes`);
  const line = buffer.toString("latin1", begin.length, end);
  const length = end + 2;
  // What follows UNKNOWN is for nobody.
  if (line === "UNKNOWN" || line.startsWith("UNKNOWN ")) return { kind: "header", source: undefined, length };
  const [family, source = "", destination = "", sourcePort = "", destinationPort = "", ...more] = line.split(" ");
  if (family !== "TCP4" && family !== "TCP6") return bad("neither TCP4, TCP6 nor UNKNOWN");
  const isAddress = family === "TCP4" ? isIPv4 : isIPv6WithoutZone;
  if (more.length > 0 || !isAddress(source) || !isAddress(destination)) return bad(`not two addresses of ${family}`);
  if (!isPort(sourcePort) || !isPort(destinationPort)) return bad("not two ports");
  return { kind: "header", source: plainAddress(source), length };
}

function readV2(buffer: Buffer): ProxyHeader {
  const known = Math.min(buffer.length, V2_SIGNATURE.length);
  if (buffer.compare(V2_SIGNATURE, 0, known, 0, known) !== 0) return bad("not a PROXY header");
  if (buffer.length < V2_FIXED) return MORE;
  const command = buffer[12]!;
  if (command !== 0x20 && command !== 0x21) return bad(`version and command 0x${command.toString(16)}`);
  const family = buffer[13]!;
  const rest = buffer.readUInt16BE(14);
  if (rest > MAX_V2_REST) return bad(`${rest} bytes after the fixed part, at most ${MAX_V2_REST}`);
  const length = V2_FIXED + rest;
  if (buffer.length < length) return MORE;
  // LOCAL: the proxy's own connection, a check of health. What it says of addresses is to be skipped.
  if (command === 0x20 || family === 0x00) return { kind: "header", source: undefined, length };
  const width = family === 0x11 ? 4 : family === 0x21 ? 16 : undefined;
  if (width === undefined) return bad(`address family and protocol 0x${family.toString(16)}`);
  const addresses = 2 * width + 4;
  if (rest < addresses) return bad(`${rest} bytes for two addresses and ports`);
  if (!areTlvs(buffer.subarray(V2_FIXED + addresses, length))) return bad("extensions that do not end where the header does");
  const source = buffer.subarray(V2_FIXED, V2_FIXED + width);
  return { kind: "header", source: width === 4 ? source.join(".") : ipv6Text(source), length };
}

/** Type, length (two bytes) and value, one after the other; what they say is not looked at. */
function areTlvs(bytes: Buffer): boolean {
  let at = 0;
  while (at + 3 <= bytes.length) at += 3 + bytes.readUInt16BE(at + 1);
  return at === bytes.length;
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  const mapped = groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff";
  return mapped ? bytes.subarray(12).join(".") : groups.join(":");
}

const isIPv6WithoutZone = (text: string): boolean => isIPv6(text) && !text.includes("%");

/** Decimal without leading zeros. */
const isPort = (text: string): boolean => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 0xffff;
