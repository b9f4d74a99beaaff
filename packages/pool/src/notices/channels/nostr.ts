/**
 * Private messages on Nostr: NIP-17, a kind 14 message, sealed and gift-wrapped (NIP-44, NIP-59), so that relays see neither who writes nor what.
 *
 * They go to the relays of the configuration, and one OK is enough. The receiver's own list (kind 10050) is not looked up: the pool would have to open
 * connections wherever a miner's list says. The old form, NIP-04, is no fallback: it tells every relay who writes to whom.
 */
import { finalizeEvent, getPublicKey } from "nostr-tools";
import { makeAuthEvent } from "nostr-tools/nip42";
import { createRumor, createSeal, createWrap } from "nostr-tools/nip59";
import { NoticeError } from "../errors.js";
import { publish } from "./nostr-relay.js";
import type { Channel, Destination, Message } from "./types.js";

export interface NostrOptions {
  /** wss://… */
  readonly relays: readonly string[];
  /** The secret key of the pool's messages. */
  readonly secretKey: Uint8Array;
  /** For each relay; ten seconds by default. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const PRIVATE_MESSAGE = 14;

export class NostrChannel implements Channel {
  constructor(private readonly options: NostrOptions) {}

  async send({ target }: Destination, { subject, text, at }: Message, signal: AbortSignal): Promise<void> {
    const { relays, secretKey, timeoutMs = TIMEOUT_MS } = this.options;
    // The same moment at each try, so that the message within has the same id and is shown once, whatever the wraps around it.
    const rumor = createRumor(
      {
        kind: PRIVATE_MESSAGE,
        created_at: Math.floor(at / 1000),
        content: text,
        tags: [
          ["p", target],
          ["subject", subject],
        ],
      },
      secretKey,
    );
    const event = createWrap(createSeal(rumor, secretKey, target), target);
    const authenticate = (relay: string, challenge: string) => finalizeEvent(makeAuthEvent(relay, challenge), secretKey);
    const results = await Promise.allSettled(relays.map((relay) => publish(relay, event, { timeoutMs, authenticate }, signal)));
    if (results.some(({ status }) => status === "fulfilled")) return;
    const [first] = results;
    if (first?.status === "rejected" && first.reason instanceof NoticeError) throw first.reason;
    throw new NoticeError("notices.channelOff", "no relay is configured: notices.nostrRelays");
  }

  close(): void {
    // Every connection ends with its message.
  }
}

/** The public key that receivers see as the sender, hex. */
export function nostrSender(secretKey: Uint8Array): string {
  return getPublicKey(secretKey);
}
