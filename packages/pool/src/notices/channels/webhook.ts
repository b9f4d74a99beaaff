/**
 * Webhooks: a POST of JSON, signed as Standard Webhooks has it (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
 * No redirects, no more than a few kilobytes of answer, and a deadline over all.
 */
import { createHmac } from "node:crypto";
import { isIP } from "node:net";
import { Agent, type Dispatcher, errors, request } from "undici";
import { NoticeError } from "../errors.js";
import type { NoticeSecrets } from "../secrets.js";
import { hostOf, webhookUrl } from "../targets.js";
import { isPublicAddress, privateTarget, publicLookup, type Resolve } from "./public-address.js";
import type { Channel, Destination, Message } from "./types.js";

export interface WebhookModules {
  readonly secrets: NoticeSecrets;
  /** Pool clock, milliseconds. */
  readonly now: () => number;
  readonly version: string;
  /** Over connecting, sending and the answer; ten seconds by default. */
  readonly timeoutMs?: number;
  /** The system's, for miners' hooks; tests have names of their own. */
  readonly resolve?: Resolve;
  /** Certificates to trust besides the system's, PEM. */
  readonly ca?: string;
}

const TIMEOUT_MS = 10_000;
/** Nobody reads it, but a connection can be used again when it was read. */
const MOST_ANSWER_BYTES = 4096;

/** The form in which receivers of Standard Webhooks take a secret. */
export function webhookSecretText(secret: Uint8Array): string {
  return `whsec_${Buffer.from(secret).toString("base64")}`;
}

/** The signature header's value. @param seconds since 1970, as in the header */
export function webhookSignature(secret: Uint8Array, id: string, seconds: number, body: string): string {
  return `v1,${createHmac("sha256", secret).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}

export class WebhookChannel implements Channel {
  readonly #open: Dispatcher;
  readonly #guarded: Dispatcher;

  constructor(private readonly modules: WebhookModules) {
    const common = { maxHeaderSize: 16_384, connections: 4, keepAliveTimeout: 1000, pipelining: 1 };
    const ca = modules.ca === undefined ? {} : { ca: modules.ca };
    this.#open = new Agent({ ...common, connect: { ...ca } });
    this.#guarded = new Agent({ ...common, connect: { ...ca, lookup: publicLookup(modules.resolve) } });
  }

  async send({ target, name, privateAllowed }: Destination, { id, json }: Message, signal: AbortSignal): Promise<void> {
    const { secrets, now, version, timeoutMs = TIMEOUT_MS } = this.modules;
    const url = webhookUrl(target, { privateAllowed });
    const host = hostOf(url);
    // Sockets look up no address that is one already.
    if (!privateAllowed && isIP(host) !== 0 && !isPublicAddress(host)) throw privateTarget();
    const seconds = Math.floor(now() / 1000);
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const { statusCode, body } = await request(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "user-agent": `OpenPrime/${version}`,
          "webhook-id": id,
          "webhook-timestamp": String(seconds),
          "webhook-signature": webhookSignature(secrets.webhookSecret(name), id, seconds, json),
        },
        body: json,
        dispatcher: privateAllowed ? this.#open : this.#guarded,
        signal: AbortSignal.any([signal, deadline]),
      });
      await body.dump({ limit: MOST_ANSWER_BYTES });
      if (statusCode >= 200 && statusCode < 300) return;
      const code = statusCode === 410 ? "notices.gone" : "notices.refused";
      throw new NoticeError(code, `the webhook answered ${statusCode}, expected 200 to 299`);
    } catch (error) {
      if (deadline.aborted) throw new NoticeError("notices.timeout", `the webhook took over ${timeoutMs} ms`, { cause: error });
      throw asNoticeError(error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#open.destroy(), this.#guarded.destroy()]);
  }
}

function asNoticeError(error: unknown): NoticeError {
  if (error instanceof NoticeError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (error instanceof errors.ConnectTimeoutError) return new NoticeError("notices.timeout", "the webhook could not be reached in time");
  return new NoticeError("notices.unreachable", `the webhook could not be reached${code === "" ? "" : `: ${code}`}`, { cause: error });
}
