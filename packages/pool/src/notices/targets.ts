/** What a receiver's target may be, and how it is shown to people who need not know it whole. */
import { isIP } from "node:net";
import { generateSecretKey } from "nostr-tools";
import { decode, npubEncode } from "nostr-tools/nip19";
import { getConversationKey } from "nostr-tools/nip44";
import type { NoticeChannel } from "../ledger/index.js";
import { NoticeError } from "./errors.js";

const MOST_LENGTH = 2000;
/** One mailbox and nothing else: no quotes, no comments, no list, no line ends, so that it can't become part of a header or a command. */
const MAILBOX = /^[A-Za-z0-9.!#$%&*+/=?^_{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}$/;

/** Whose target it is decides how far it is trusted: the operator's own may be anything that it can reach. */
export interface TargetRules {
  /** http as well as https, and addresses of private networks. */
  readonly privateAllowed: boolean;
}

/**
 * A target in its stored form: an URL, a mailbox, or a Nostr key as hex.
 *
 * @throws NoticeError `notices.badTarget` with what is allowed
 */
export function parseTarget(channel: NoticeChannel, text: string, rules: TargetRules): string {
  if (text.length > MOST_LENGTH) throw bad(`at most ${MOST_LENGTH} characters`);
  if (channel === "webhook") return webhookUrl(text, rules).href;
  if (channel === "nostr") return nostrKey(text);
  if (!MAILBOX.test(text) || text.includes("..") || text.startsWith(".")) throw bad("one mail address such as name@example.com");
  return text;
}

/** @throws NoticeError `notices.badTarget` */
export function webhookUrl(text: string, { privateAllowed }: TargetRules): URL {
  const schemes = privateAllowed ? ["https:", "http:"] : ["https:"];
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !schemes.includes(url.protocol) || url.hostname === "" || url.username !== "" || url.password !== "") {
    throw bad(`an URL that begins with ${schemes.join("// or ")}//, without user and password`);
  }
  url.hash = "";
  return url;
}

function nostrKey(text: string): string {
  try {
    if (/^[0-9a-fA-F]{64}$/.test(text)) return onCurve(text.toLowerCase());
    const decoded = decode(text);
    if (decoded.type === "npub") return onCurve(decoded.data);
  } catch {
    // Told below, as a text of any other kind is.
  }
  throw bad("an npub, or a public key of 64 hex digits");
}

/** Half of all numbers are no key of anybody. @throws an Error for those */
function onCurve(key: string): string {
  getConversationKey(generateSecretKey(), key);
  return key;
}

/** Enough of a target to know it again: what is secret in it (the path of a webhook, most of a mailbox's name) is left out. */
export function maskTarget(channel: NoticeChannel, target: string): string {
  if (channel === "webhook") {
    const { protocol, host, pathname, search } = new URL(target);
    return `${protocol}//${host}${pathname === "/" && search === "" ? "/" : "/…"}`;
  }
  if (channel === "nostr") return npubEncode(target);
  const at = target.lastIndexOf("@");
  return `${target.slice(0, 1)}…${target.slice(at)}`;
}

/** A host as sockets take it: without the brackets of IPv6. */
export function hostOf({ hostname }: URL): string {
  const bare = hostname.replace(/^\[|\]$/g, "");
  return isIP(bare) === 0 ? hostname : bare;
}

function bad(allowed: string): NoticeError {
  return new NoticeError("notices.badTarget", `this can't be a receiver. Allowed: ${allowed}`);
}
