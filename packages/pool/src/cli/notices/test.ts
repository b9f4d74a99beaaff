/** `openprime notices test`: one message to a receiver, beside the outbox. */
import { NoticeBook, type NoticeChannel, type NoticeReceiver } from "../../ledger/index.js";
import { messageOf, NoticeError, nameOf, TEST_EVENT, TOKENS } from "../../notices/index.js";
import type { Config } from "../config/index.js";
import { CliError } from "../errors.js";
import type { CommandIo } from "../io.js";
import { withBooks } from "../ledger/books.js";
import { type OpenChannels, openChannels, poolName } from "./channels.js";
import { openSecrets } from "./key-file.js";

interface Tried {
  readonly name: string;
  readonly channel: NoticeChannel;
  readonly target: string | undefined;
  readonly events: readonly string[];
  readonly address: string | undefined;
  /** Undefined for one of the configuration. */
  readonly id: bigint | undefined;
}

/** @returns the exit code: 0 when every message was taken. @throws CliError `optionInvalid` */
export async function test(config: Config, id: bigint | "operator", io: CommandIo): Promise<number> {
  const secrets = openSecrets(config.notices.keyFile);
  const open = openChannels(config, secrets, Date.now);
  try {
    return await withBooks(config, io, async (database) => {
      const book = new NoticeBook(database, Date.now);
      const tried =
        id === "operator" ? operators(open) : [ofAccount(await book.receivers(), id, (one, target) => secrets.open(one, target))];
      let failures = 0;
      for (const one of tried) {
        try {
          await send(config, open, one);
          if (one.id !== undefined) await book.sent(one.id, [], TOKENS);
          io.stdout.write(`${one.name} ${one.channel}: it was taken\n`);
        } catch (error) {
          if (!(error instanceof NoticeError)) throw error;
          failures += 1;
          io.stderr.write(`${one.name} ${one.channel}: ${error.message} (${error.code})\n`);
        }
      }
      return failures === 0 ? 0 : 1;
    });
  } finally {
    for (const channel of open.channels.values()) await channel.close();
  }
}

function operators({ operator, operatorEvents }: OpenChannels): Tried[] {
  if (operator.size === 0) {
    throw new CliError(
      "optionInvalid",
      "the operator has no receiver",
      "set notices.operatorWebhook, notices.operatorEmail or notices.operatorNostr",
    );
  }
  return [...operator].map(([channel, target]) => ({
    name: "operator",
    channel,
    target,
    events: operatorEvents,
    address: undefined,
    id: undefined,
  }));
}

function ofAccount(receivers: readonly NoticeReceiver[], id: bigint, open: (id: bigint, sealed: Uint8Array) => string): Tried {
  const found = receivers.find((receiver) => receiver.id === id && receiver.account !== undefined);
  if (found === undefined) throw new CliError("optionInvalid", `no account has a receiver ${id}`, "`openprime notices list` shows them");
  const { channel, target, events, address } = found;
  return { name: nameOf(found), channel, target: target && open(id, target), events, address, id };
}

async function send(config: Config, { channels }: OpenChannels, { name, channel, target, events, address, id }: Tried): Promise<void> {
  const way = channels.get(channel);
  if (way === undefined || target === undefined) {
    throw new NoticeError("notices.channelOff", `the configuration has nothing to send by ${channel} with`);
  }
  const now = Date.now();
  const notice = { id: BigInt(now), event: TEST_EVENT, at: now, writtenAt: now, data: { events: events.join(", ") } };
  const message = messageOf({ id: id ?? 0n, address }, [notice], poolName(config));
  const privateAllowed = id === undefined || config.notices.privateWebhooks;
  await way.send({ target, name, privateAllowed }, message, new AbortController().signal);
}
