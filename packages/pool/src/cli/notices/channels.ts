/** The ways of sending that a configuration has the means for, and the operator's own targets. */
import type { NoticeChannel } from "../../ledger/index.js";
import {
  type Channel,
  EmailChannel,
  NostrChannel,
  NoticeError,
  type NoticeSecrets,
  OPERATOR_EVENTS,
  type PoolName,
  parseTarget,
  WebhookChannel,
} from "../../notices/index.js";
import type { Config } from "../config/index.js";
import { CliError } from "../errors.js";
import { version } from "../version.js";

export interface OpenChannels {
  readonly channels: ReadonlyMap<NoticeChannel, Channel>;
  /** The operator's targets, by channel. */
  readonly operator: ReadonlyMap<NoticeChannel, string>;
  readonly operatorEvents: readonly string[];
}

export const CHANNELS: readonly NoticeChannel[] = ["webhook", "email", "nostr"];

/** To be closed one by one. @throws CliError `optionInvalid` for events or targets that are none */
export function openChannels({ notices }: Pick<Config, "notices">, secrets: NoticeSecrets, now: () => number): OpenChannels {
  const operatorEvents =
    notices.operatorEvents === undefined ? OPERATOR_EVENTS : eventsOf(notices.operatorEvents, OPERATOR_EVENTS, "notices.operatorEvents");
  const operator = new Map<NoticeChannel, string>();
  for (const channel of CHANNELS) {
    const text = notices.operator[channel];
    if (text !== undefined) operator.set(channel, targetOf(channel, text, true, `the operator's ${channel}`));
  }
  const channels = new Map<NoticeChannel, Channel>([["webhook", new WebhookChannel({ secrets, now, version: version() })]]);
  if (notices.smtp !== undefined) channels.set("email", new EmailChannel(notices.smtp));
  if (notices.nostrRelays.length > 0) {
    channels.set("nostr", new NostrChannel({ relays: notices.nostrRelays, secretKey: secrets.nostrKey() }));
  }
  return { channels, operator, operatorEvents };
}

/** Names of events in a text, with spaces or commas between them. @throws CliError `optionInvalid` */
export function eventsOf(text: string, allowed: readonly string[], what: string): string[] {
  const names = [...new Set(text.split(/[\s,]+/).filter((name) => name !== ""))];
  const wrong = names.filter((name) => !allowed.includes(name));
  if (names.length > 0 && wrong.length === 0) return names;
  const message = names.length === 0 ? `${what} names no event` : `${what} names ${wrong.join(", ")}`;
  throw new CliError("optionInvalid", `${message}. Allowed: ${allowed.join(", ")}`, "docs/notices.md says what each event is");
}

/** A receiver's target in its stored form. @throws CliError `optionInvalid` */
export function targetOf(channel: NoticeChannel, text: string, privateAllowed: boolean, what: string): string {
  try {
    return parseTarget(channel, text, { privateAllowed });
  } catch (error) {
    if (!(error instanceof NoticeError)) throw error;
    throw new CliError("optionInvalid", `${what}: ${error.message}`, "give one of these", { cause: error });
  }
}

/** How the pool names itself in what it sends. */
export function poolName({ pool, network }: Pick<Config, "pool" | "network">): PoolName {
  return { tag: pool.tag, network: network.name };
}
