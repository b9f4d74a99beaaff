/** The short form of `npm run attack`: the good gateway loses nothing, and each guard is seen at work. Latencies are printed, not judged. */
import { expect, test } from "vitest";
import type { AttackReport } from "../../src/cli/fire/attack/run.js";
import { program } from "./program.js";

const SECONDS = Number(process.env.OPENPRIME_ATTACK_SECONDS ?? 2);

/** A counter of the pool that must move under an attack. Others wait for their turn, or stay within what a gateway may do, in so short a time. */
const GUARDS: Readonly<Record<string, RegExp>> = {
  garbage: /^protocol_errors /,
  "replayed HELLOs": /^handshakes replayed$/,
  "huge HELLOs": /^protocol_errors frameTooLarge$/,
  "4 MB frames unasked": /^protocol_errors frameTooLarge$/,
  "split flood": /^coinbaser_requests overBudget$/,
  "bad shares": /^shares 1[0-9]$/,
  "false blocks": /^shares \d+$/,
  "PROXY headers": /^handshakes proxyHeader$/,
};

test.skipIf(process.platform !== "linux")(
  `every attack for ${SECONDS} s: no share and no connection of the good gateway is lost`,
  { timeout: 240_000 + SECONDS * 60_000 },
  async () => {
    const { code, report, said } = await program<AttackReport>("attack", "--seconds", String(SECONDS));
    console.info(said);
    expect(code, said).toBe(0);
    expect(report.findings).toEqual([]);
    for (const row of report.rows) {
      expect(row.good.lost, row.attack).toBe(0);
      if (row.attacker !== undefined) expect(row.attacker.actions, row.attack).toBeGreaterThan(0);
      const guard = GUARDS[row.attack];
      if (guard !== undefined)
        expect(
          Object.keys(row.guards).filter((name) => guard.test(name)),
          row.attack,
        ).not.toEqual([]);
    }
    expect(report.rows.map(({ attack }) => attack)).toEqual(expect.arrayContaining(Object.keys(GUARDS)));
    expect(report.goodShares).toBeGreaterThan(SECONDS * 20);
  },
);

test.runIf(process.platform !== "linux")("the attacks", () => {
  console.warn("SKIPPED: attacks come from many loopback addresses, which only Linux has by itself");
});
