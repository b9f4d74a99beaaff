/** What the tests of channels share: a key, a message, and a signal that never fires. */

import type { Message } from "../../src/notices/channels/types.js";
import { NoticeSecrets } from "../../src/notices/secrets.js";

export const SECRETS = new NoticeSecrets("07".repeat(32));
export const NEVER = new AbortController().signal;
export const NOW = 1_790_000_000_000;

export function message(changes: Partial<Message> = {}): Message {
  return {
    id: "7-1-2",
    subject: "[Pool] Workers without shares: 1",
    text: "Workers without shares: 1\n- rig ä\n",
    json: JSON.stringify({ version: 1, notices: [] }),
    at: NOW,
    ...changes,
  };
}

/** The code of the NoticeError that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}
