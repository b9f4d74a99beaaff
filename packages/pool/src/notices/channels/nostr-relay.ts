/** One event to one Nostr relay (NIP-01), with the relay's own word that it took it. */
import type { NostrEvent } from "nostr-tools/core";
import WebSocket from "ws";
import { NoticeError } from "../errors.js";

export interface PublishOptions {
  readonly timeoutMs: number;
  /** Answers a relay that wants to know who writes (NIP-42). */
  readonly authenticate: (relay: string, challenge: string) => NostrEvent;
}

/** A relay's words are short; a longer message is somebody's trick. */
const MOST_BYTES = 65_536;

/** Resolves when the relay has said OK to the event. @throws NoticeError `notices.unreachable`, `notices.timeout` or `notices.refused` */
export function publish(relay: string, event: NostrEvent, options: PublishOptions, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(relay, { maxPayload: MOST_BYTES, handshakeTimeout: options.timeoutMs, followRedirects: false });
    let challenge: string | undefined;
    let authEvent: NostrEvent | undefined;
    const end = (error?: NoticeError): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      // Nothing that comes after this is of interest, an error of a socket that is ended least of all.
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.terminate();
      if (error === undefined) resolve();
      else reject(error);
    };
    const failed = (code: "notices.unreachable" | "notices.timeout" | "notices.refused", message: string): void =>
      end(new NoticeError(code, `the relay ${message}`));
    const aborted = (): void => failed("notices.timeout", "was not waited for");
    const timer = setTimeout(() => failed("notices.timeout", `gave no OK in ${options.timeoutMs} ms`), options.timeoutMs);
    signal.addEventListener("abort", aborted, { once: true });
    socket.on("open", () => socket.send(JSON.stringify(["EVENT", event])));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      failed("notices.unreachable", `could not be reached: ${error.code ?? "no WebSocket"}`),
    );
    socket.on("close", () => failed("notices.unreachable", "closed the connection without an OK"));
    socket.on("message", (data) => {
      const [kind, id, taken, reason] = parse(String(data));
      if (kind === "AUTH" && typeof id === "string") challenge = id;
      if (kind !== "OK") return;
      if (id === authEvent?.id) {
        if (taken === true) socket.send(JSON.stringify(["EVENT", event]));
        else failed("notices.refused", "refused the pool's authentication");
      } else if (id === event.id && taken === true) {
        end();
      } else if (id === event.id && challenge !== undefined && authEvent === undefined && String(reason).startsWith("auth-required:")) {
        authEvent = options.authenticate(relay, challenge);
        socket.send(JSON.stringify(["AUTH", authEvent]));
      } else if (id === event.id) {
        failed("notices.refused", "refused the event");
      }
    });
  });
}

function parse(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
