/**
 * What came to the port: a gateway, or somebody who took the port for another one and should be told.
 *
 * It can't misfire for a HELLO. A HELLO's header is command 1, signed, sealed: as u32 it is 0x0B000000 | length with the reserved bits 22-23
 * clear, and on the wire it is XORed with 0xDC871829: 0xD7871829 ^ length. The length has bits 0-21 only, so the fourth byte (bits 24-31) is
 * always 0xD7 and the third (bits 16-23) always has its top bits 10 (0x80-0xBF), whatever the length. HTTP, JSON and PROXY headers begin with four
 * ASCII bytes, all below 0x80. Everything else goes to the channel, whose refusal is the one that counts.
 */

import { looksLikeProxyHeader } from "./proxy-header.js";

/** A Stratum client's first line; longer is garbage. */
const FIRST_LINE_LIMIT = 2048;

const HTTP_METHODS = new Set(["GET ", "HEAD", "POST", "PUT ", "DELE", "OPTI", "PATC", "TRAC", "CONN", "PRI "]);

/** What is known of a peer by its first bytes: nothing yet, a gateway's (with all that came so far), or somebody else's, and what to tell them. */
export type Peer =
  | { readonly kind: "more" }
  | { readonly kind: "datum"; readonly bytes: Uint8Array }
  | { readonly kind: "proxy" }
  | { readonly kind: "http" | "stratum"; readonly answer: Uint8Array };

/** Holds the first bytes of a connection until it is clear who speaks. */
export class FirstBytes {
  #held: Uint8Array = new Uint8Array(0);

  /** Bytes held. */
  get held(): number {
    return this.#held.length;
  }

  read(chunk: Uint8Array): Peer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = bytes;
    const kind = classify(bytes);
    if (kind === "more" || kind === "proxy") return { kind };
    if (kind === "http") return { kind, answer: httpAnswer() };
    if (kind === "json") {
      const line = firstLine(bytes, FIRST_LINE_LIMIT);
      if (line === undefined) return { kind: "more" };
      const answer = stratumAnswer(line);
      if (answer !== undefined) return { kind: "stratum", answer };
    }
    return { kind: "datum", bytes };
  }
}

/** Tells by the first four bytes; `more` when there are fewer. */
export function classify(bytes: Uint8Array): "more" | "datum" | "http" | "json" | "proxy" {
  if (bytes.length < 4) return "more";
  if (looksLikeProxyHeader(bytes)) return "proxy";
  const first = String.fromCharCode(bytes[0]!, bytes[1]!, bytes[2]!, bytes[3]!);
  if (HTTP_METHODS.has(first)) return "http";
  if (first[0] === "{" && bytes[1]! < 0x80 && bytes[2]! < 0x80 && bytes[3]! < 0x80) return "json";
  return "datum";
}

const WHAT_THIS_IS =
  "This is a DATUM port: it speaks only to datum_gateway. Miners connect to their own datum_gateway (stratum), which connects here.";

/** The whole answer to an HTTP client. */
export function httpAnswer(): Uint8Array {
  const body = `${WHAT_THIS_IS}\n`;
  return Buffer.from(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** The first line of what a JSON-RPC client sent, once it is whole; a line longer than `limit` is cut there. */
export function firstLine(bytes: Uint8Array, limit: number): string | undefined {
  const end = bytes.indexOf(0x0a);
  if (end < 0 && bytes.length < limit) return undefined;
  return Buffer.from(bytes.subarray(0, Math.min(end < 0 ? limit : end, limit))).toString("utf8");
}

/** The error line for a Stratum client, or undefined when the line is no request. */
export function stratumAnswer(line: string): Uint8Array | undefined {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    // Not JSON after all: garbage, and the caller counts it as that.
    return undefined;
  }
  if (typeof request !== "object" || request === null || !("method" in request) || typeof request.method !== "string") return undefined;
  const given = "id" in request ? request.id : null;
  const id = typeof given === "number" || (typeof given === "string" && given.length <= 64) ? given : null;
  return Buffer.from(`${JSON.stringify({ id, result: null, error: [20, WHAT_THIS_IS, null] })}\n`);
}
