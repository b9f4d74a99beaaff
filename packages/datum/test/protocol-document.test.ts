/** docs/protocol.md holds test vectors, reject reasons and limits: each row is checked here, so that the document can't drift. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { encodeHello, encodeResponse } from "../src/handshake.js";
import * as datum from "../src/index.js";
import {
  crosscheck,
  decodeGatewayMessage,
  decodePoolMessage,
  encodeGatewayMessage,
  encodePoolMessage,
  encodePublicKey,
  feedback,
  firstNonces,
  type GatewayMessage,
  Nonce,
  type PoolMessage,
  type PoolMiningMessage,
  REJECT_REASONS,
  shortId,
  shortIdKey,
} from "../src/index.js";
import {
  BOTH,
  fixedPadding,
  fromJson,
  gatewayChannel,
  hex,
  MOTD,
  NK,
  parties,
  poolChannel,
  SEEDS,
  seed,
  toJson,
  unhex,
  VERSION,
} from "./support.js";

const document = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");

/** Rows of the table under a heading, without its head; code marks are taken off. */
function table(heading: string): string[][] {
  const [, after] = document.split(new RegExp(`^#+ ${heading}$`, "m"));
  if (after === undefined) throw new Error(`docs/protocol.md has no heading "${heading}"`);
  const [section = ""] = after.split(/^#+ /m);
  const rows = section.split("\n").filter((line) => line.startsWith("| "));
  return rows.slice(2).map((line) =>
    line
      .slice(2, -2)
      .split(" | ")
      .map((cell) => cell.trim().replace(/^`(.*)`$/, "$1")),
  );
}

const hex32 = (value: number): string => value.toString(16).padStart(8, "0");
const ofTwo = (heading: string): Map<string, string> => new Map(table(heading).map(([a, b]) => [a ?? "", b ?? ""]));

it("says which version it is, and of what", () => {
  expect(document).toContain("**Version 1.0 — describes `datum_gateway` v0.4.1-beta.**");
});

it("names the seeds that the vectors were made with", () => {
  const rows = table("15. Test vectors").map(([, sign, box]) => [Number.parseInt(sign ?? "", 16), Number.parseInt(box ?? "", 16)]);
  expect(rows).toEqual([SEEDS.gateway, SEEDS.gatewaySession, SEEDS.pool, SEEDS.poolSession]);
  for (const text of [`nk is \`${hex32(NK)}\``, `\`${VERSION}\``, `\`${MOTD}\``]) expect(document).toContain(text);
});

it("has every reject reason as the code has it", () => {
  const rows = table("11. Reject reasons").map(([code, name, text]) => [Number(code), name, text]);
  expect(rows).toEqual(Object.entries(REJECT_REASONS).map(([name, { code, text }]) => [code, name, text]));
  expect(rows.map(([code]) => code)).toEqual(Array.from({ length: 21 }, (_, i) => 10 + i));
});

it("has every limit as the code has it", () => {
  const limits = table("12. Sizes and limits");
  const exported = Object.entries(datum).filter(([name]) => /^(MAX_|LARGEST_|DEFAULT_|JOB_COUNT)/.test(name));
  expect(limits.map(([, , name]) => name).sort()).toEqual(exported.map(([name]) => name).sort());
  for (const [, limit, name] of limits) expect([name, Number(limit)]).toEqual([name, Object.fromEntries(exported)[name ?? ""]]);
});

it("feedback", () => {
  const rows = table("Feedback");
  expect(rows).toHaveLength(7);
  for (const [input, output] of rows) expect(hex32(feedback(Number.parseInt(input ?? "", 16)))).toBe(output);
});

it("counting a nonce", () => {
  const rows = table("Counting a nonce");
  expect(rows).toHaveLength(4);
  for (const [before, after] of rows) {
    const nonce = new Nonce(unhex(before ?? ""));
    nonce.advance();
    expect(hex(nonce.bytes)).toBe(after);
  }
});

describe.each(BOTH)("by the $name implementation", (crypto) => {
  const keys = parties(crypto);
  const { gateway, gatewaySession, pool, poolSession } = keys;

  it("keys", () => {
    const idKey = shortIdKey(gateway.sign.publicKey, pool.sign.publicKey);
    expect([...ofTwo("Keys")]).toEqual([
      ["gateway long-term Ed25519", hex(gateway.sign.publicKey)],
      ["gateway long-term X25519", hex(gateway.box.publicKey)],
      ["gateway session Ed25519", hex(gatewaySession.sign.publicKey)],
      ["gateway session X25519", hex(gatewaySession.box.publicKey)],
      ["pool public key", encodePublicKey(pool)],
      ["pool session Ed25519", hex(poolSession.sign.publicKey)],
      ["pool session X25519", hex(poolSession.box.publicKey)],
      ["channel key", hex(crypto.sharedKey(poolSession.box.publicKey, gatewaySession.box.secretKey) ?? new Uint8Array(0))],
      ["short id key", hex(idKey)],
      ["short id of a wtxid of 32 times 0x42", hex(shortId(idKey, seed(0x42)))],
      ["check over that wtxid alone", hex(crosscheck([seed(0x42)]))],
    ]);
  });

  it("header keys and nonces", () => {
    const three = (start: number): string => [start, feedback(start), feedback(feedback(start))].map(hex32).join(" ");
    const nonces = firstNonces(NK, gatewaySession.sign.publicKey);
    const two = (nonce: Nonce): string[] => {
      const first = hex(nonce.bytes);
      nonce.advance();
      return [first, hex(nonce.bytes)];
    };
    const [up, up2] = two(nonces.gatewayToPool);
    const [down, down2] = two(nonces.poolToGateway);
    expect([...ofTwo("Header keys and nonces")]).toEqual([
      ["header keys gateway→pool, first three after HELLO", three(feedback(NK))],
      ["header keys pool→gateway, first three", three(feedback(~NK >>> 0))],
      ["nonce gateway→pool, first", up],
      ["nonce gateway→pool, second", up2],
      ["nonce pool→gateway, first", down],
      ["nonce pool→gateway, second", down2],
    ]);
  });

  const handshake = ofTwo("Handshake frames");
  const frame = (name: string): Uint8Array => unhex(handshake.get(name) ?? "");

  /** Both channels after the handshake of the document. */
  const shakeHands = () => {
    const poolSide = poolChannel(crypto, keys);
    poolSide.receive(frame("HELLO, frame"));
    const hello = poolSide.next();
    poolSide.accept();
    const gatewaySide = gatewayChannel(crypto, keys);
    gatewaySide.receive(frame("response, frame"));
    return { poolSide, gatewaySide, hello, accepted: gatewaySide.next() };
  };

  it("the handshake", () => {
    const { hello, accepted } = shakeHands();
    const said = {
      longTermSignKey: gateway.sign.publicKey,
      longTermBoxKey: gateway.box.publicKey,
      sessionSignKey: gatewaySession.sign.publicKey,
      sessionBoxKey: gatewaySession.box.publicKey,
      version: VERSION,
      nk: NK,
    };
    expect(toJson(hello)).toBe(toJson({ type: "hello", hello: said }));
    const answer = {
      type: "accepted",
      poolSessionSignKey: poolSession.sign.publicKey,
      poolSessionBoxKey: poolSession.box.publicKey,
      motd: MOTD,
    };
    expect(toJson(accepted)).toBe(toJson(answer));
    expect(hex(encodeHello(crypto, gateway, gatewaySession, { version: VERSION, nk: NK }, fixedPadding))).toBe(
      handshake.get("HELLO, plaintext"),
    );
    expect(hex(encodeResponse(crypto, pool, poolSession, said, MOTD))).toBe(handshake.get("response, plaintext"));
  });

  it("frames, made and read", () => {
    const { poolSide, gatewaySide } = shakeHands();
    const rows = table("Frames behind the handshake");
    expect(rows.length).toBeGreaterThan(6);
    for (const [direction, json = "", wire = ""] of rows) {
      if (direction === "pool→gateway") {
        expect(hex(poolSide.send(fromJson<PoolMessage>(json)))).toBe(wire);
        gatewaySide.receive(unhex(wire));
        expect(toJson(gatewaySide.next())).toBe(`{"type":"message","message":${json}}`);
      } else {
        expect(hex(gatewaySide.send(fromJson<GatewayMessage>(json)))).toBe(wire);
        poolSide.receive(unhex(wire));
        expect(toJson(poolSide.next())).toBe(`{"type":"message","message":${json}}`);
      }
    }
  });
});

describe("plaintexts", () => {
  const rows = table("Plaintexts of mining messages");

  it("there is one at least of each type", () => {
    const types = new Set(rows.map(([from, json = ""]) => `${from} ${(JSON.parse(json) as { type: string }).type}`));
    expect(types.size).toBe(7 + 6);
  });

  it.each(rows)("%s: %s", (from = "", json = "", plain = "") => {
    const ofPool = from === "pool";
    const encoded = ofPool
      ? encodePoolMessage(fromJson<PoolMiningMessage>(json))
      : encodeGatewayMessage(fromJson<GatewayMessage>(json), fixedPadding);
    expect(hex(encoded)).toBe(plain);
    expect(JSON.parse(toJson(ofPool ? decodePoolMessage(unhex(plain)) : decodeGatewayMessage(unhex(plain))))).toEqual(JSON.parse(json));
  });
});
