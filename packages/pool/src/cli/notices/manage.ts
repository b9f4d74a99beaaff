/** `openprime notices add|list|remove|secret`: the receivers of accounts, and the operator's from the configuration. */
import { NoticeBook, type NoticeChannel, type NoticeReceiver } from "../../ledger/index.js";
import {
  MINER_EVENTS,
  maskTarget,
  NoticeError,
  type NoticeSecrets,
  nameOf,
  nostrSender,
  TOKENS,
  USUAL_EVENTS,
  webhookSecretText,
} from "../../notices/index.js";
import type { Config } from "../config/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { accountOf, withBooks } from "../ledger/books.js";
import { addressText, table, timeText } from "../ledger/format.js";
import { eventsOf, targetOf } from "./channels.js";
import { openSecrets } from "./key-file.js";

export interface AddOptions {
  readonly address: string;
  readonly channel: NoticeChannel;
  readonly target: string;
  /** Names with commas between them; undefined for the usual ones. */
  readonly events: string | undefined;
}

/** @throws CliError `optionInvalid` */
export async function add(config: Config, options: AddOptions, io: CommandIo): Promise<void> {
  const { channel } = options;
  const { notices } = config;
  const events = options.events === undefined ? USUAL_EVENTS : eventsOf(options.events, MINER_EVENTS, "--events");
  const target = targetOf(channel, options.target, notices.privateWebhooks, `the ${channel}`);
  const missing = channel === "email" && notices.smtp === undefined ? "notices.smtpUrl" : "notices.nostrRelays";
  if ((channel === "email" && notices.smtp === undefined) || (channel === "nostr" && notices.nostrRelays.length === 0)) {
    throw new CliError("optionInvalid", `the configuration has nothing to send by ${channel} with`, `set ${missing} first`);
  }
  const secrets = openSecrets(notices.keyFile);
  await withBooks(config, io, async (database) => {
    const { account, script } = await accountOf(database, options.address, config.network);
    const book = new NoticeBook(database, Date.now);
    const id = await book.addReceiver(account, channel, events, TOKENS, (receiver) => secrets.seal(receiver, target));
    io.stdout.write(`receiver ${id} of ${addressText(script, config.network)}: ${channel} ${maskTarget(channel, target)}\n`);
    io.stdout.write(`events: ${events.join(", ")}\n`);
    io.stdout.write(partner(secrets, channel, id.toString()));
    io.stderr.write(`a running pool takes it up by itself; \`openprime notices test ${id}\` tries it out\n`);
  });
}

export async function list(config: Config, { json }: { readonly json: boolean }, io: CommandIo): Promise<void> {
  const secrets = openSecrets(config.notices.keyFile);
  const receivers = await withBooks(config, io, (database) => new NoticeBook(database, Date.now).receivers());
  const rows = receivers.map((receiver) => plain(receiver, config, secrets));
  if (json) {
    io.stdout.write(`${JSON.stringify({ receivers: rows }, null, 2)}\n`);
    return;
  }
  if (rows.length === 0)
    io.stdout.write("no receivers: `openprime notices add` adds one for an account, notices.operator… are the operator's\n");
  const cells = rows.map((row) => [
    row.id,
    row.account ?? "operator",
    row.channel,
    row.target,
    row.state,
    String(row.waiting),
    row.events.join(" "),
  ]);
  if (rows.length > 0) {
    const heads = ["id", "account", "channel", "target", "state", "waiting", "events"];
    io.stdout.write(`${table(heads, cells, [5]).join("\n")}\n`);
  }
}

/** @throws CliError `optionInvalid` */
export async function remove(config: Config, id: bigint, io: CommandIo): Promise<void> {
  const removed = await withBooks(config, io, (database) => new NoticeBook(database, Date.now).removeReceiver(id));
  if (!removed) {
    const todo = "`openprime notices list` shows them; the operator's are those of the configuration";
    throw new CliError("optionInvalid", `no account has a receiver ${id}`, todo);
  }
  io.stdout.write(`receiver ${id} is removed\n`);
}

export function secret(config: Config, id: bigint | "operator", io: CommandIo): void {
  const secrets = openSecrets(config.notices.keyFile);
  io.stdout.write(partner(secrets, "webhook", String(id)) + partner(secrets, "nostr", String(id)));
}

/** What the receiver must know to believe what it gets. */
function partner(secrets: NoticeSecrets, channel: NoticeChannel, name: string): string {
  if (channel === "webhook") return `signing secret: ${webhookSecretText(secrets.webhookSecret(name))}\n`;
  return channel === "nostr" ? `sender on Nostr: ${maskTarget("nostr", nostrSender(secrets.nostrKey()))}\n` : "";
}

function plain(receiver: NoticeReceiver, config: Config, secrets: NoticeSecrets) {
  const { account, address, channel, events, waiting, sentAt } = receiver;
  return {
    id: nameOf(receiver),
    account: account === undefined ? null : (address ?? null),
    channel,
    target: shownTarget(receiver, config, secrets),
    state: stateOf(receiver),
    waiting,
    lastSent: sentAt === undefined ? null : new Date(sentAt).toISOString(),
    events,
  };
}

function shownTarget({ id, channel, target }: NoticeReceiver, config: Config, secrets: NoticeSecrets): string {
  try {
    const own = config.notices.operator[channel];
    if (target === undefined) return own === undefined ? "(no longer configured)" : maskTarget(channel, targetOf(channel, own, true, "it"));
    return maskTarget(channel, secrets.open(id, target));
  } catch (error) {
    if (!(error instanceof NoticeError)) throw error;
    return "(sealed with another key)";
  }
}

function stateOf({ disabledAt, failures, failingSince }: NoticeReceiver): string {
  if (disabledAt !== undefined) return `given up ${timeText(new Date(disabledAt))}`;
  return failures > 0 && failingSince !== undefined ? `failing since ${timeText(new Date(failingSince))}` : "good";
}
