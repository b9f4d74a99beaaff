/** Every event has its words, and they name nothing that its data does not have. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageOf } from "../../src/notices/digest.js";
import { EVENTS, TEST_EVENT } from "../../src/notices/events.js";
import { namesIn, wordsOf } from "../../src/notices/words.js";

const FOLDER = fileURLToPath(new URL("../../notices/", import.meta.url));
const PAGE = readFileSync(new URL("../../../../docs/notices.md", import.meta.url), "utf8");
const NAMES = [...Object.keys(EVENTS), TEST_EVENT].sort();

/** Names of data by event, as docs/notices.md's table has them. */
const documented = new Map(
  [...PAGE.matchAll(/^\| (`[\w.`, ]+`) \| (.+) \|$/gm)].flatMap(([, events = "", data = ""]) =>
    [...events.matchAll(/`([\w.]+)`/g)].map(([, event = ""]) => [event, data] as const),
  ),
);

describe("the words of events", () => {
  it("are there for every event, and for no other", () => {
    expect(readdirSync(FOLDER).sort()).toEqual(NAMES.map((name) => `${name}.txt`).sort());
  });

  it.each(Object.keys(EVENTS))("%s names what docs/notices.md tells of its data, and says what to do", (event) => {
    const text = readFileSync(`${FOLDER}${event}.txt`, "utf8");
    const same = ["block.refused", "workers.online"].includes(event);
    for (const name of namesIn(text)) if (!same) expect(documented.get(event), `${event} of docs/notices.md`).toContain(`\`${name}\``);
    expect(PAGE).toContain(`\`${event}\``);
    expect(text).toMatch(/^(What to do: |Nothing to do)/m);
    // The title is filled in whatever is told.
    expect(text.split("\n")[0]?.length).toBeGreaterThan(5);
  });

  it("leave out lines that name what is not there", () => {
    const { title, body } = wordsOf("block.joined", { height: 5, hash: "00ab", paid: 7, earned: 9 });
    expect(title).toBe("Block 5 is on the chain");
    expect(body).toBe(
      "Earned: 9 sats\nPaid by the block itself: 7 sats\nBlock: 00ab\nNothing to do. Coins of a block can be spent after 100 more blocks.",
    );
  });

  it("list workers, twenty of them, and tell times for people", () => {
    const workers = Array.from({ length: 25 }, (_, index) => ({ name: `rig${index}`, since: "2026-11-28T11:18:20.000Z" }));
    const { body } = wordsOf("workers.offline", { count: 25, workers, account: "bc1q" });
    expect(body).toContain("- rig19, last share 2026-11-28 11:18 UTC\n- and 5 more\n");
    expect(body).not.toContain("rig20");
  });

  it("take no line and no control character from a worker's name", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
        const { title, body } = wordsOf("workers.offline", { count: 1, workers: [{ name, since: "s" }], account: "a" });
        expect(`${title}${body}`).not.toMatch(/[^\P{Cc}\n]|[\u2028\u2029\u202e]/u);
        expect(body.split("\n")).toHaveLength(4);
      }),
    );
    const { body } = wordsOf("node.aside", { node: "n", state: "lying", why: "x\r\nBcc: everyone@example.com", since: "s" });
    expect(body).toContain("Why: xBcc: everyone@example.com\n");
  });
});

describe("messageOf", () => {
  const POOL = { tag: "Pool", network: "regtest" };
  const notice = (id: number, event: string, data: object) => ({
    id: BigInt(id),
    event,
    at: id * 1000,
    writtenAt: id * 1000,
    data: { ...data },
  });

  it("is the notice itself when there is one", () => {
    const message = messageOf({ id: 3n, address: "bc1q" }, [notice(7, "payout", { amount: 5 })], POOL);
    expect(message).toMatchObject({ id: "3-7-7", subject: "[Pool] You were paid 5 sats", at: 7000 });
    expect(message.text).toBe("You were paid 5 sats\nNothing to do.\n\n-- \nPool (regtest)\n");
    expect(JSON.parse(message.json)).toEqual({
      version: 1,
      pool: { name: "Pool", network: "regtest" },
      account: "bc1q",
      notices: [
        {
          id: "7",
          event: "payout",
          at: "1970-01-01T00:00:07.000Z",
          title: "You were paid 5 sats",
          text: "Nothing to do.",
          data: { amount: 5 },
        },
      ],
    });
  });

  it("tells the newest three of an event in full, counts the others, and gives webhooks all", () => {
    const notices = Array.from({ length: 9 }, (_, index) => notice(index + 1, "payout", { amount: index + 1 }));
    const message = messageOf({ id: 3n, address: undefined }, [...notices, notice(10, "test", { events: "all" })], POOL);
    expect(message.subject).toHaveLength(120);
    expect(message.text).toContain("(6 earlier notices like the next ones are left out)\n\nYou were paid 7 sats (1970-01-01 00:00 UTC)");
    expect(message.text).not.toContain("paid 6 sats");
    expect(message.text).toContain("This is a test");
    expect(JSON.parse(message.json).notices).toHaveLength(10);
  });
});
