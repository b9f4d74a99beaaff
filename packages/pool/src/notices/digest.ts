/** Several notices as one message, so that a bad hour is one mail and not a hundred. */
import type { NoticeReceiver, WaitingNotice } from "../ledger/index.js";
import type { Message } from "./channels/types.js";
import { wordsOf } from "./words.js";

/** How the pool names itself to receivers. */
export interface PoolName {
  readonly tag: string;
  readonly network: string;
}

/** Of one event, in one text: older ones are counted. Webhooks get all. */
const MOST_OF_ONE_EVENT = 3;
const SUBJECT_LENGTH = 120;
export const SCHEMA_VERSION = 1;

/** @param notices oldest first, one at least. @param now milliseconds, pool clock */
export function messageOf(receiver: Pick<NoticeReceiver, "id" | "address">, notices: readonly WaitingNotice[], pool: PoolName): Message {
  const told = notices.map((notice) => ({ ...notice, ...wordsOf(notice.event, notice.data) }));
  const first = notices[0]?.id ?? 0n;
  const last = notices.at(-1)?.id ?? 0n;
  const title =
    told.length === 1 ? (told[0]?.title ?? "") : `${told.length} notices: ${[...new Set(told.map((one) => one.title))].join("; ")}`;
  const json = {
    version: SCHEMA_VERSION,
    pool: { name: pool.tag, network: pool.network },
    account: receiver.address ?? null,
    notices: told.map(({ id, event, at, title, body, data }) => ({
      id: id.toString(),
      event,
      at: new Date(at).toISOString(),
      title,
      text: body,
      data,
    })),
  };
  return {
    id: `${receiver.id}-${first}-${last}`,
    subject: cut(`[${pool.tag}] ${title}`),
    text: `${shortened(told).join("\n\n")}\n\n-- \n${pool.tag} (${pool.network})\n`,
    json: JSON.stringify(json),
    at: notices.at(-1)?.writtenAt ?? 0,
  };
}

/** In their order; of an event with many only the newest, with the number of the others. */
function shortened(told: readonly (WaitingNotice & { readonly title: string; readonly body: string })[]): string[] {
  const paragraphs: string[] = [];
  for (const [place, { event, at, title, body }] of told.entries()) {
    const later = told.slice(place + 1).filter((one) => one.event === event).length;
    if (later >= MOST_OF_ONE_EVENT) continue;
    const all = told.filter((one) => one.event === event).length;
    if (later === MOST_OF_ONE_EVENT - 1 && all > MOST_OF_ONE_EVENT) {
      paragraphs.push(`(${all - MOST_OF_ONE_EVENT} earlier notices like the next ones are left out)`);
    }
    const when = told.length === 1 ? "" : ` (${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC)`;
    paragraphs.push(`${title}${when}\n${body}`.trimEnd());
  }
  return paragraphs;
}

function cut(text: string): string {
  return text.length <= SUBJECT_LENGTH ? text : `${text.slice(0, SUBJECT_LENGTH - 1)}…`;
}
