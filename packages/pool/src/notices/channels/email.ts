/** E-mail through the operator's relay: plain text, over TLS unless the relay is this machine. */
import { isIP } from "node:net";
import nodemailer from "nodemailer";
import { NoticeError } from "../errors.js";
import { parseTarget } from "../targets.js";
import type { Channel, Destination, Message } from "./types.js";

export interface EmailOptions {
  /** smtp://user:password@host:port, or smtps:// for TLS from the first byte. */
  readonly url: string;
  /** A mailbox. */
  readonly from: string;
  /** Over connecting, greeting and each answer; ten seconds by default. */
  readonly timeoutMs?: number;
  /** Certificates to trust besides the system's, PEM. */
  readonly ca?: string;
}

const TIMEOUT_MS = 10_000;
/** Answers that say: there is no such mailbox (RFC 5321). */
const NO_MAILBOX = [550, 551, 553];

export class EmailChannel implements Channel {
  readonly #transport: ReturnType<typeof nodemailer.createTransport>;

  constructor(private readonly options: EmailOptions) {
    const { protocol, hostname, port, username, password } = new URL(options.url);
    const secure = protocol === "smtps:";
    const host = hostname.replace(/^\[|\]$/g, "");
    const timeout = options.timeoutMs ?? TIMEOUT_MS;
    this.#transport = nodemailer.createTransport({
      host,
      port: port === "" ? (secure ? 465 : 587) : Number(port),
      secure,
      requireTLS: !secure && !isLoopback(host),
      ...(username !== "" && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      connectionTimeout: timeout,
      greetingTimeout: timeout,
      socketTimeout: timeout,
      disableFileAccess: true,
      disableUrlAccess: true,
      // A relay on this machine may have a certificate for another name, and nobody is in between.
      tls: { rejectUnauthorized: !isLoopback(host), minVersion: "TLSv1.2", ...(options.ca !== undefined && { ca: options.ca }) },
    });
  }

  async send({ target }: Destination, { id, subject, text, at }: Message): Promise<void> {
    const to = parseTarget("email", target, { privateAllowed: true });
    const domain = this.options.from.slice(this.options.from.lastIndexOf("@") + 1);
    try {
      await this.#transport.sendMail({
        from: { name: "", address: this.options.from },
        to: { name: "", address: to },
        subject: oneLine(subject),
        text,
        date: new Date(at),
        // The same for each try, so that a mailbox that got it twice can tell.
        messageId: `<${id}@${domain}>`,
        headers: { "Auto-Submitted": "auto-generated" },
      });
    } catch (error) {
      throw asNoticeError(error);
    }
  }

  close(): void {
    this.#transport.close();
  }
}

/** A worker's name is anybody's text: no line of it may become a header's next line. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
  return text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, " ");
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** The library's errors name the relay's answer; of that only the number is kept, as the rest can hold the address. */
function asNoticeError(cause: unknown): NoticeError {
  const { code, responseCode } = (cause ?? {}) as { code?: unknown; responseCode?: unknown };
  if (code === "EENVELOPE" && NO_MAILBOX.includes(Number(responseCode))) {
    return new NoticeError("notices.gone", `the relay says that there is no such mailbox (${responseCode})`, { cause });
  }
  if (code === "ETIMEDOUT") return new NoticeError("notices.timeout", "the mail relay did not answer in time", { cause });
  if (code === "EAUTH") return new NoticeError("notices.refused", `the mail relay refused user and password (${responseCode})`, { cause });
  if (typeof responseCode === "number") return new NoticeError("notices.refused", `the mail relay answered ${responseCode}`, { cause });
  const why = typeof code === "string" ? `: ${code}` : "";
  return new NoticeError("notices.unreachable", `the mail relay could not be reached, or offers no TLS${why}`, { cause });
}
