/** Private messages against a real Nostr relay (NIP-01 over WebSocket) that checks what it takes, read as the receiver would read them. */
import type { AddressInfo } from "node:net";
import { generateSecretKey, getPublicKey, type NostrEvent, verifyEvent } from "nostr-tools";
import { unwrapEvent } from "nostr-tools/nip59";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { NostrChannel, nostrSender } from "../../src/notices/channels/nostr.js";
import { codeOf, message, NEVER, NOW, SECRETS } from "./support.js";

type Answer = "take" | "refuse" | "silent" | "close" | "auth" | "nonsense";

class NostrRelay {
  readonly events: NostrEvent[] = [];
  url = "";
  authenticated: string | undefined;

  static async start(answer: Answer): Promise<NostrRelay> {
    const relay = new NostrRelay();
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise<void>((resolve) => server.once("listening", resolve));
    relay.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.on("connection", (socket) => {
      const say = (...words: unknown[]): void => socket.send(JSON.stringify(words));
      if (answer === "auth") say("AUTH", "challenge");
      socket.on("error", () => undefined);
      socket.on("message", (data) => {
        const [kind, event] = JSON.parse(String(data)) as [string, NostrEvent];
        if (kind === "AUTH") {
          const tags = Object.fromEntries(event.tags as [string, string][]);
          const good = verifyEvent(event) && event.kind === 22_242 && tags.challenge === "challenge" && tags.relay === relay.url;
          relay.authenticated = good ? event.pubkey : undefined;
          say("OK", event.id, good, "");
          return;
        }
        if (kind !== "EVENT" || answer === "silent") return;
        if (answer === "close") socket.terminate();
        else if (answer === "nonsense") socket.send("x".repeat(200_000));
        else if (answer === "refuse") say("OK", event.id, false, "blocked: not here");
        else if (answer === "auth" && relay.authenticated === undefined) say("OK", event.id, false, "auth-required: who are you?");
        else {
          if (!verifyEvent(event)) throw new Error("a relay would refuse this event");
          relay.events.push(event);
          // Of another event first, and words that are none.
          say("NOTICE", "welcome");
          say("OK", "0".repeat(64), false, "");
          say("OK", event.id, true, "");
        }
      });
    });
    onTestFinished(
      () =>
        new Promise<void>((resolve) => {
          for (const client of server.clients) client.terminate();
          server.close(() => resolve());
        }),
    );
    return relay;
  }
}

const receiver = generateSecretKey();
const pool = nostrSender(SECRETS.nostrKey());
const alice = { target: getPublicKey(receiver), name: "7", privateAllowed: false };
const channel = (...relays: string[]) => new NostrChannel({ relays, secretKey: SECRETS.nostrKey(), timeoutMs: 300 });

describe("NostrChannel", () => {
  it("leaves a gift wrap that only the receiver can open, and that names no sender", async () => {
    const relay = await NostrRelay.start("take");
    await channel(relay.url).send(alice, message(), NEVER);
    const [event] = relay.events;
    expect(event).toMatchObject({ kind: 1059, tags: [["p", alice.target]] });
    expect(JSON.stringify(event)).not.toContain(pool);
    expect(event?.pubkey).not.toBe(pool);
    const rumor = unwrapEvent(event!, receiver);
    expect(rumor).toMatchObject({
      kind: 14,
      pubkey: pool,
      content: message().text,
      created_at: NOW / 1000,
      tags: [
        ["p", alice.target],
        ["subject", message().subject],
      ],
    });
    expect(() => unwrapEvent(event!, generateSecretKey())).toThrow();
  });

  it("is the same message at each try, in another wrap", async () => {
    const relay = await NostrRelay.start("take");
    for (let i = 0; i < 2; i++) await channel(relay.url).send(alice, message(), NEVER);
    const [first, second] = relay.events;
    expect(first?.id).not.toBe(second?.id);
    expect(unwrapEvent(first!, receiver).id).toBe(unwrapEvent(second!, receiver).id);
  });

  it("needs the OK of one relay", async () => {
    const good = await NostrRelay.start("take");
    const others = await Promise.all((["refuse", "close", "silent"] as const).map((answer) => NostrRelay.start(answer)));
    await channel(...others.map(({ url }) => url), good.url).send(alice, message(), NEVER);
    expect(good.events).toHaveLength(1);
  });

  it.each([
    ["refuse", "notices.refused"],
    ["close", "notices.unreachable"],
    ["silent", "notices.timeout"],
    ["nonsense", "notices.unreachable"],
  ] as const)("takes a relay that answers with %s for %s", async (answer, code) => {
    const relay = await NostrRelay.start(answer);
    expect(await codeOf(channel(relay.url).send(alice, message(), NEVER))).toBe(code);
  });

  it("says who it is to a relay that asks (NIP-42)", async () => {
    const relay = await NostrRelay.start("auth");
    await channel(relay.url).send(alice, message(), NEVER);
    expect(relay.events).toHaveLength(1);
    expect(relay.authenticated).toBe(pool);
  });

  it("can't reach a relay that is not there, and has none when none is configured", async () => {
    expect(await codeOf(channel("ws://127.0.0.1:1/").send(alice, message(), NEVER))).toBe("notices.unreachable");
    expect(await codeOf(channel().send(alice, message(), NEVER))).toBe("notices.channelOff");
  });

  it("ends at once when it is told to", async () => {
    const relay = await NostrRelay.start("silent");
    const stop = new AbortController();
    const sending = codeOf(new NostrChannel({ relays: [relay.url], secretKey: SECRETS.nostrKey() }).send(alice, message(), stop.signal));
    stop.abort();
    expect(await sending).toBe("notices.timeout");
  });
});
