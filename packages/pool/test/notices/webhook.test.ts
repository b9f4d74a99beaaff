/** Webhooks against a real HTTP server: signature, deadline, redirects, long answers, and targets in private networks. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Resolve } from "../../src/notices/channels/public-address.js";
import { WebhookChannel, type WebhookModules, webhookSecretText } from "../../src/notices/channels/webhook.js";
import { Hook, verified } from "./hook.js";
import { codeOf, message, NEVER, NOW, SECRETS } from "./support.js";

function channel(modules: Partial<WebhookModules> = {}): WebhookChannel {
  const made = new WebhookChannel({ secrets: SECRETS, now: () => NOW, version: "1", ...modules });
  onTestFinished(() => made.close());
  return made;
}

/** A name server that knows one thing. */
const answers =
  (...addresses: string[]): Resolve =>
  (_, __, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );

const operator = (target: string) => ({ target, name: "operator", privateAllowed: true });
const miner = (target: string) => ({ target, name: "7", privateAllowed: false });

describe("WebhookChannel", () => {
  it("posts JSON that its receiver can verify, and nobody else could have signed", async () => {
    const hook = await Hook.start();
    await channel().send(operator(hook.url), message(), NEVER);
    const [request] = hook.requests;
    expect(request).toMatchObject({
      path: "/hook?token=t0psecret",
      raw: message().json,
      headers: { "content-type": "application/json", "webhook-id": "7-1-2", "webhook-timestamp": String(NOW / 1000) },
    });
    const secret = webhookSecretText(SECRETS.webhookSecret("operator"));
    expect(verified(request!, secret)).toBe(true);
    expect(verified(request!, webhookSecretText(SECRETS.webhookSecret("7")))).toBe(false);
    expect(verified({ ...request!, raw: `${request!.raw} ` }, secret)).toBe(false);
    expect(verified({ ...request!, headers: { ...request!.headers, "webhook-timestamp": "1" } }, secret)).toBe(false);
  });

  it("signs as Standard Webhooks does", async () => {
    // The example of its specification.
    const { webhookSignature } = await import("../../src/notices/channels/webhook.js");
    const secret = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
    const signature = webhookSignature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, '{"test": 2432232314}');
    expect(signature).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });

  it.each([
    [500, "notices.refused"],
    [404, "notices.refused"],
    [410, "notices.gone"],
    [302, "notices.refused"],
  ])("takes an answer of %i for %s", async (status, code) => {
    const hook = await Hook.start();
    hook.answers.push(status);
    expect(await codeOf(channel().send(operator(hook.url), message(), NEVER))).toBe(code);
  });

  it("does not follow a redirect", async () => {
    const inside = await Hook.start();
    const hook = await Hook.start();
    hook.custom = (request, response) => {
      request.resume();
      response.writeHead(307, { location: inside.url }).end();
    };
    expect(await codeOf(channel().send(operator(hook.url), message(), NEVER))).toBe("notices.refused");
    expect(inside.requests).toEqual([]);
  });

  it("waits for no answer past its deadline, and reads none past it", async () => {
    const hook = await Hook.start();
    hook.custom = () => undefined;
    expect(await codeOf(channel({ timeoutMs: 50 }).send(operator(hook.url), message(), NEVER))).toBe("notices.timeout");
    // The head of an answer is the answer: what follows, drop by drop and without end, is cut off.
    const closed = new Promise<void>((resolve) => {
      hook.custom = (request, response) => {
        request.resume();
        response.writeHead(200);
        const timer = setInterval(() => response.write("x"), 5);
        response.on("close", () => {
          clearInterval(timer);
          resolve();
        });
      };
    });
    expect(await codeOf(channel({ timeoutMs: 100 }).send(operator(hook.url), message(), NEVER))).toBe("none");
    await closed;
  });

  it("reads no more than a few kilobytes of a long answer", async () => {
    const hook = await Hook.start();
    let sent = 0;
    const closed = new Promise<void>((resolve) => {
      hook.custom = (request, response) => {
        request.resume();
        response.writeHead(200);
        const more = (): void => {
          while (sent < 64_000_000 && !response.destroyed) {
            sent += 65_536;
            if (!response.write(Buffer.alloc(65_536))) {
              response.once("drain", more);
              return;
            }
          }
        };
        response.on("close", resolve);
        more();
      };
    });
    await channel()
      .send(operator(hook.url), message(), NEVER)
      .catch(() => undefined);
    await closed;
    // What the system's buffers between the two took; the answer would go on.
    expect(sent).toBeLessThan(32_000_000);
  });

  it("ends at once when it is told to", async () => {
    const hook = await Hook.start();
    const stop = new AbortController();
    hook.custom = () => stop.abort();
    expect(await codeOf(channel().send(operator(hook.url), message(), stop.signal))).toBe("notices.unreachable");
  });

  it("says so when nobody listens, or speaks no TLS", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    expect(await codeOf(channel().send(operator(`https://127.0.0.1:${port}/`), message(), NEVER))).toBe("notices.unreachable");
    await new Promise((resolve) => server.close(resolve));
    expect(await codeOf(channel().send(operator(`http://127.0.0.1:${port}/`), message(), NEVER))).toBe("notices.unreachable");
  });
});

describe("a miner's webhook", () => {
  it.each([
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://192.168.0.1:8443/",
  ])("can't be %s", async (url) => {
    expect(await codeOf(channel().send(miner(url), message(), NEVER))).toBe("notices.privateTarget");
  });

  it.each([["127.0.0.1"], ["::1"], ["10.0.0.1"], ["8.8.8.8", "192.168.1.1"], ["fe80::1"]])(
    "can't have a name that is looked up as %s",
    async (...addresses) => {
      expect(await codeOf(channel({ resolve: answers(...addresses) }).send(miner("https://hook.example/"), message(), NEVER))).toBe(
        "notices.privateTarget",
      );
    },
  );

  it("goes to the address that was judged, looked up once, so that a name can't change in between", async () => {
    let lookups = 0;
    const resolve: Resolve = (host, options, done) => {
      lookups += 1;
      // The first answer is one of the test network for documentation, closed too; so nothing is connected to.
      answers(lookups === 1 ? "203.0.113.7" : "127.0.0.1")(host, options, done);
    };
    expect(await codeOf(channel({ resolve }).send(miner("https://hook.example/"), message(), NEVER))).toBe("notices.privateTarget");
    expect(lookups).toBe(1);
  });

  it("needs TLS", async () => {
    expect(await codeOf(channel().send(miner("http://hook.example/"), message(), NEVER))).toBe("notices.badTarget");
  });
});
