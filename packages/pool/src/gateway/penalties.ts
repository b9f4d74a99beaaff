/** What a peer's misbehaviour adds to the score of its address (`bans.ts`). An honest gateway earns none of the high ones. */
import type { CloseReason } from "./connection.js";

/** For HELLOs to another key: what a gateway with a mistyped key sends every 5 to 20 s. One alone never comes to a ban. */
const UNREADABLE_HELLO = 1;
/** Bytes that no gateway sends, before HELLO (a scanner, a wrong port) and after. */
const GARBAGE = 2;
const BROKEN_SESSION = 10;

const PENALTIES: Partial<Record<CloseReason, number>> = {
  replayedHello: 10,
  // Nothing that is a whole HELLO: slow lines too.
  handshakeTimeout: 1,
  http: 0.5,
  stratum: 0.5,
  tooManyHandshakes: 0.5,
  tooManyNewSessions: 1,
  notListed: 0.5,
  accountNotListed: 0.5,
  slowReader: 2,
  invalidShares: 25,
};

/**
 * @param open whether the handshake was over
 * @param code of a protocol error
 */
export function penalty(reason: CloseReason, open: boolean, code: unknown): number {
  if (reason !== "protocolError") return PENALTIES[reason] ?? 0;
  if (code === "helloUnreadable") return UNREADABLE_HELLO;
  return open ? BROKEN_SESSION : GARBAGE;
}
