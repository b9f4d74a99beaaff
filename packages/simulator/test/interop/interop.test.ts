import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { NodeClient } from "@openprime/bitcoin";
import { describe, expect, it } from "vitest";
import { BlockGate } from "../../src/interop/block-gate.js";
import { emptyGatewayLog, readGatewayLine } from "../../src/interop/gateway.js";
import { describeReport, missing } from "../../src/interop/interop.js";
import { main } from "../../src/interop/main.js";
import { readNotify, stratumHeader } from "../../src/interop/stratum-work.js";
import { countTemplates, templateProblems } from "../../src/interop/templates.js";
import { RegtestNode } from "../../src/node/regtest-node.js";

/** Lines as a gateway at log level debug writes them. */
const LINES = [
  "2026-11-22 22:00:00.001 [            datum_protocol_handshake_response] DEBUG: Handshake response received.",
  "2026-11-22 22:00:00.001 [            datum_protocol_handshake_response]  INFO: DATUM Server MOTD: Welcome: all",
  "2026-11-22 22:00:00.002 [               datum_protocol_client_configure] DEBUG: DATUM Pool Payout Scriptsig: (len 22) 0014751e76e8199196d454941c45d1b3a323f1433bd6",
  '2026-11-22 22:00:00.002 [               datum_protocol_client_configure] DEBUG: DATUM Pool Coinbase Tag:     "OpenPrime"',
  "2026-11-22 22:00:00.002 [               datum_protocol_client_configure] DEBUG: DATUM Pool Prime ID:         aabbccdd",
  "2026-11-22 22:00:00.002 [               datum_protocol_client_configure] DEBUG: DATUM Pool Min Diff:         16",
  "2026-11-22 22:00:01.000 [                       datum_coinbaser_thread] DEBUG: Generating coinbases for up to 0 outputs",
  "2026-11-22 22:00:41.000 [                       datum_coinbaser_thread] DEBUG: Generating coinbases for up to 12 outputs",
  "2026-11-22 22:00:42.000 [                datum_protocol_share_response] DEBUG: Share accepted: NONCE: 01020304 / TargetPOT: 00 / Job ID: 2",
  "2026-11-22 22:00:43.000 [                datum_protocol_share_response] DEBUG: DATUM server rejected our share!  Reason code: 21 / TargetPOT: 00 / Job ID: 2 / Nonce: 01020304",
  "2026-11-22 22:00:44.000 [                datum_protocol_share_response] DEBUG: Unknown share response 01.  Your client may need to be upgraded!",
  "2026-11-22 22:00:45.000 [                         client_mining_submit]  WARN: ******** BLOCK FOUND - 00000000abcd ********",
  "2026-11-22 22:00:45.100 [                       assembleBlockAndSubmit]  INFO: Block 00000000abcd submitted to upstream node successfully!",
  "2026-11-22 22:01:50.000 [                        datum_protocol_client]  WARN: No data received from server in over 60 seconds.  Exiting protocol thread to retry.",
];

describe("the gateway's log", () => {
  it("is understood line by line", () => {
    const log = emptyGatewayLog();
    for (const line of LINES) readGatewayLine(log, line);
    expect(log).toMatchObject({
      handshakes: 1,
      motd: "Welcome: all",
      configurations: 1,
      payoutScript: "0014751e76e8199196d454941c45d1b3a323f1433bd6",
      tag: "OpenPrime",
      primeId: "aabbccdd",
      minimumDifficulty: 16,
      coinbaserOutputs: [0, 12],
      accepted: 1,
      rejected: 1,
      reasons: [21],
      unknownResponses: 1,
      blocksFound: 1,
      blocksTaken: 1,
    });
    expect(log.drops).toHaveLength(1);
    expect(log.warnings).toHaveLength(2);
  });
});

describe("the report", () => {
  it("names refusals, disconnections and the pool's warnings", () => {
    const gateway = emptyGatewayLog();
    for (const line of LINES) readGatewayLine(gateway, line);
    gateway.reasons.push(25, 25);
    const text = describeReport({
      node: "a node",
      minutes: 2,
      gateway,
      reconnects: 1,
      miners: { submitted: 3, accepted: 3, refused: 0, hashesPerSecond: 1_234_567 },
      poolWarnings: ['{"level":40,"time":0,"peer":"a b","msg":"no good"}'],
      templates: { sound: { known: 2, byIndex: 1 }, unjudged: { tipMoved: 4 }, unsound: [], pending: 0, mostTransactions: 300 },
      blocksByPool: 5,
      books: "the books agree with the chain",
      settlements: "PASS: 3 settlements",
      problems: ["one"],
    });
    expect(text).toContain("books            the books agree with the chain\nsettlements      PASS: 3 settlements\n");
    expect(text).toContain("3 sound (known 2, byIndex 1), 4 unjudged (tipMoved 4), 0 unsound, 0 pending; up to 300 transactions");
    expect(text).toContain("5 came to the network through the pool alone");
    expect(text).toContain("(highHash 1, stale 2), 1 unknown responses");
    expect(text).toContain("No data received from server in over 60 seconds");
    expect(text).toContain('00:00:00 no good peer="a b"');
    expect(text).toContain("1,234,567 hashes/s");
    expect(text).toContain("PROBLEMS\n  - one");
  });
});

describe("the pool's verdicts", () => {
  const told = (state: string | undefined, path: string | null = null, code: string | null = null) => ({
    height: 7,
    transactions: 3,
    verdict: state === undefined ? null : { state, path, code, detail: "words" },
  });
  const count = (...templates: object[]) => countTemplates(JSON.stringify({ templates }));

  it("are counted, and wrong when a template was unsound or none was sound", () => {
    const counts = count(
      told("sound", "known"),
      told("sound", "known"),
      told("unjudged", null, "tipMoved"),
      told("unsound", "fullSet", "tooHeavy"),
      told(undefined),
    );
    expect(counts).toMatchObject({ sound: { known: 2 }, unjudged: { tipMoved: 1 }, pending: 1, mostTransactions: 3 });
    expect(templateProblems(counts)).toEqual(["a template was judged unsound: height 7, 3 transactions: tooHeavy, words"]);
    expect(templateProblems(count(told("sound", "byIndex")))).toEqual([]);
    expect(templateProblems(count(told("unjudged", null, "silent")))).toEqual(["no template was judged sound"]);
    expect(templateProblems(count())).toEqual(["no template was judged sound"]);
  });
});

describe("a gate for blocks", () => {
  it("keeps them from the node until it is opened, and nothing else", async () => {
    const node = await RegtestNode.start();
    const gate = await BlockGate.start(node.rpc);
    const client = new NodeClient(gate.rpc);
    try {
      const { hash } = await node.tip();
      expect(await client.bestBlockHash()).toBe(hash);
      await expect(client.call("submitblok")).rejects.toMatchObject({ code: "rpc" });
      const block = Buffer.from(await client.rawBlock(hash)).toString("hex");
      expect(await client.submitBlock(block)).toBe("inconclusive");
      expect(gate.kept).toBe(1);
      gate.open();
      expect(await client.submitBlock(block)).toMatch(/duplicate/);
      expect(gate.kept).toBe(1);
    } finally {
      await client.close();
      await gate.stop();
      await node.stop();
    }
  });
});

describe("the command", () => {
  it("says in words how to get a gateway, and ends with 2", async () => {
    expect(missing({ gateway: "/nowhere/datum_gateway", bitcoind: undefined })).toMatch(/there is no gateway at .*build it/s);
    expect(missing({ gateway: process.execPath, bitcoind: "/nowhere/bitcoind" })).toMatch(/no bitcoind at/);
    expect(missing({ gateway: process.execPath, bitcoind: undefined })).toBeUndefined();
    const text = fileURLToPath(import.meta.url);
    expect(missing({ gateway: text, bitcoind: undefined })).toBe(`${text} is not a program that may be run here.`);
    expect(missing({ gateway: process.execPath, bitcoind: dirname(text) })).toBe(`${dirname(text)} is not a program that may be run here.`);
    expect(await main(["--gateway", "/nowhere/datum_gateway"])).toBe(2);
    expect(await main([])).toBe(2);
    expect(await main(["--gateway", "/nowhere", "--minutes", "0"])).toBe(2);
  });
});

describe("a stratum job", () => {
  // Mainnet's block 1 has one transaction: what the miner hashed is its coinbase.
  const coinbase =
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0104ffffffff0100f2052a0100000043410496b538e853519c726a2c91e61ec11600ae1390813a627c66fb8be7947be63c52da7589379515d4e0a604f8141781e62294721166bf621e73a82cbf2342c858eeac00000000";
  const notify = [
    "job",
    "0a8ce26f72b3f1b646a2a6c14ff763ae65831e939c085ae10019d66800000000".match(/.{8}/g)!.join(""),
    coinbase.slice(0, 84),
    coinbase.slice(84 + 24),
    [],
    "00000001",
    "1d00ffff",
    "4966bc61",
    true,
  ];

  it("becomes the header that it stands for", () => {
    const job = readNotify(notify)!;
    const header = Buffer.from(stratumHeader(job, coinbase.slice(84, 84 + 24)));
    header.writeUInt32LE(0x9962e301, 76);
    expect(header.toString("hex")).toBe(
      "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
    );
  });

  it("that is not one is told apart", () => {
    expect(readNotify(["job", 1])).toBeUndefined();
    expect(readNotify("x")).toBeUndefined();
  });
});
