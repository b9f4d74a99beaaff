/** E-mail against a real SMTP server: what arrives, TLS, refused mailboxes, and header lines that nobody can add. */
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { EmailChannel } from "../../src/notices/channels/email.js";
import { codeOf, message } from "./support.js";

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly headers: string;
  readonly body: string;
  readonly secure: boolean;
  readonly user: string | undefined;
}

class Relay {
  readonly mails: Mail[] = [];
  port = 0;

  static async start(options: SMTPServerOptions = {}): Promise<Relay> {
    const relay = new Relay();
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _, done) =>
        password === "right" ? done(null, { user: username }) : done(new Error("bad password")),
      onData(stream, session, done) {
        let text = "";
        stream.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        stream.on("end", () => {
          const end = text.indexOf("\r\n\r\n");
          const { mailFrom, rcptTo } = session.envelope;
          relay.mails.push({
            from: mailFrom === false ? "" : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
            headers: text.slice(0, end),
            body: text.slice(end + 4),
            secure: session.secure,
            user: session.user as unknown as string | undefined,
          });
          done();
        });
      },
      ...options,
    });
    server.on("error", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    relay.port = (server.server.address() as AddressInfo).port;
    onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
    return relay;
  }
}

function channel(url: string): EmailChannel {
  const made = new EmailChannel({ url, from: "pool@example.com", timeoutMs: 2000 });
  onTestFinished(() => made.close());
  return made;
}

const alice = { target: "alice@example.com", name: "7", privateAllowed: false };

describe("EmailChannel", () => {
  it("hands a plain text to the relay", async () => {
    const relay = await Relay.start();
    await channel(`smtp://127.0.0.1:${relay.port}`).send(alice, message({ text: "Workers without shares: 1\n- rig\n" }));
    expect(relay.mails).toMatchObject([{ from: "pool@example.com", to: ["alice@example.com"] }]);
    const { headers, body } = relay.mails[0]!;
    expect(headers).toMatch(/^Subject: \[Pool\] Workers without shares: 1$/m);
    expect(headers).toMatch(/^Message-ID: <7-1-2@example\.com>$/m);
    expect(headers).toMatch(/^Auto-Submitted: auto-generated$/m);
    expect(headers).toMatch(/^Content-Type: text\/plain/m);
    expect(body).toBe("Workers without shares: 1\r\n- rig\r\n");
  });

  it("uses the user and password of its URL, whatever characters they have", async () => {
    const relay = await Relay.start();
    await channel(`smtp://po%40ol:right@127.0.0.1:${relay.port}`).send(alice, message());
    expect(relay.mails[0]?.user).toBe("po@ol");
    const refused = channel(`smtp://pool:hunter2@127.0.0.1:${relay.port}`).send(alice, message());
    await expect(refused).rejects.toThrow(expect.objectContaining({ code: "notices.refused" }));
    await refused.catch((error: Error) => expect(error.message).not.toContain("hunter2"));
  });

  it("lets nobody's text become a header or another receiver", async () => {
    const relay = await Relay.start();
    const mail = channel(`smtp://127.0.0.1:${relay.port}`);
    const evil = "rig\r\nBcc: everyone@example.com\r\n\r\nnot a body";
    await mail.send(alice, message({ subject: evil, text: `${evil}\n.\nQUIT\n` }));
    const [sent] = relay.mails;
    expect(sent?.to).toEqual(["alice@example.com"]);
    expect(sent?.headers).not.toMatch(/^Bcc/im);
    expect(sent?.headers.replace(/\r\n /g, " ")).toMatch(/^Subject: rig Bcc: everyone@example.com not a body$/m);
    expect(sent?.body).toContain("\r\n.\r\nQUIT");
    for (const target of ["a@example.com\r\nRCPT TO:<b@example.com>", "a@example.com,b@example.com", "<a@example.com> b@example.com"]) {
      expect(await codeOf(mail.send({ ...alice, target }, message()))).toBe("notices.badTarget");
    }
    expect(relay.mails).toHaveLength(1);
  });

  it("knows a mailbox that does not exist from a relay that is busy", async () => {
    const relay = await Relay.start({
      onRcptTo: ({ address }, _, done) => {
        const code = address.startsWith("gone") ? 550 : 451;
        done(address.startsWith("alice") ? null : Object.assign(new Error("no"), { responseCode: code }));
      },
    });
    const mail = channel(`smtp://127.0.0.1:${relay.port}`);
    expect(await codeOf(mail.send({ ...alice, target: "gone@example.com" }, message()))).toBe("notices.gone");
    expect(await codeOf(mail.send({ ...alice, target: "busy@example.com" }, message()))).toBe("notices.refused");
    expect(await codeOf(mail.send(alice, message()))).toBe("none");
  });

  it("sends nothing without TLS to a relay that is not this machine", async () => {
    // The relay listens on loopback all the same, under a name that does not look like it.
    const relay = await Relay.start();
    const mail = channel(`smtp://user:right@0:${relay.port}`);
    expect(await codeOf(mail.send(alice, message()))).toMatch(/^notices\.(unreachable|refused)$/);
    expect(relay.mails).toEqual([]);
  });

  it("refuses a certificate that nobody vouches for, unless the relay is this machine", async () => {
    const relay = await Relay.start({ disabledCommands: [] });
    const here = channel(`smtp://127.0.0.1:${relay.port}`);
    await here.send(alice, message());
    expect(relay.mails).toMatchObject([{ secure: true }]);
    expect(await codeOf(channel(`smtp://0:${relay.port}`).send(alice, message()))).toBe("notices.unreachable");
    expect(relay.mails).toHaveLength(1);
  });

  it("says so when nobody listens, and when the relay is silent", async () => {
    const relay = await Relay.start();
    const { createServer } = await import("node:net");
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const quick = new EmailChannel({ url: `smtp://127.0.0.1:${port}`, from: "pool@example.com", timeoutMs: 50 });
    expect(await codeOf(quick.send(alice, message()))).toBe("notices.timeout");
    await new Promise((resolve) => silent.close(resolve));
    expect(await codeOf(channel(`smtp://127.0.0.1:${port}`).send(alice, message()))).toBe("notices.unreachable");
    expect(relay.mails).toEqual([]);
  });
});
