/** A real HTTP server that takes webhooks and checks their signatures as a receiver would. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface HookNotice {
  readonly id: string;
  readonly event: string;
  readonly at: string;
  readonly title: string;
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface HookBody {
  readonly version: number;
  readonly pool: { readonly name: string; readonly network: string };
  readonly account: string | null;
  readonly notices: readonly HookNotice[];
}

export interface HookRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: string;
  readonly body: HookBody;
}

export class Hook {
  readonly requests: HookRequest[] = [];
  /** Status codes of the next answers; 204 when there is none. */
  readonly answers: number[] = [];
  /** Instead of an answer. */
  custom: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  url = "";

  /** Ended with the test. */
  static async start(path = "/hook?token=t0psecret"): Promise<Hook> {
    const hook = new Hook();
    const server = createServer(hook.#listener());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return hook;
  }

  /** All notices that came, in order. */
  get notices(): HookNotice[] {
    return this.requests.flatMap(({ body }) => body.notices);
  }

  of(event: string): HookNotice[] {
    return this.notices.filter((notice) => notice.event === event);
  }

  #listener(): RequestListener {
    return (request, response) => {
      if (this.custom !== undefined) {
        this.custom(request, response);
        return;
      }
      let raw = "";
      request.setEncoding("utf8").on("data", (text: string) => {
        raw += text;
      });
      request.on("end", () => {
        const status = this.answers.shift() ?? 204;
        if (status < 300) {
          this.requests.push({ path: request.url ?? "", headers: request.headers, raw, body: JSON.parse(raw) as HookBody });
        }
        response.writeHead(status).end();
      });
    };
  }
}

/** As docs/notices.md shows it. @param secret the text that `openprime notices add` prints */
export function verified({ headers, raw }: Pick<HookRequest, "headers" | "raw">, secret: string): boolean {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${raw}`;
  const expected = createHmac("sha256", key).update(signed).digest();
  const given = Buffer.from(String(headers["webhook-signature"]).replace("v1,", ""), "base64");
  return given.length === expected.length && timingSafeEqual(given, expected);
}
