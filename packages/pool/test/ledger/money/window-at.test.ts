/** The window at a pin: the same from the database, from the raw entries, and from a split book that followed the log. */
import { type NetworkTargets, type Scheme, tides, type WindowRule, type WindowWeights } from "@openprime/rewards";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inSnapshot } from "../../../src/ledger/check/snapshot.js";
import { SplitBook } from "../../../src/ledger/index.js";
import { type WindowAt, windowAt } from "../../../src/ledger/money/window-at.js";
import { FakeBalances } from "../fake-balances.js";
import { externalServer, hash } from "../support.js";
import { World } from "./world.js";

const server = await externalServer();
const TARGETS: NetworkTargets = { difficultyOne: 1n, target: 1n };

type Step =
  | { readonly kind: "share"; readonly account: number; readonly weight: bigint; readonly feePpm: number; readonly parent: number }
  /** `perShare`: its shares are paid one by one, and are in no window. */
  | { readonly kind: "segment"; readonly perShare: boolean }
  /** Takes back the shares of a parent that came so far. */
  | { readonly kind: "void"; readonly parent: number };

const parent = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("share" as const),
      account: fc.integer({ min: 1, max: 4 }),
      weight: fc.bigInt(1n, 50n),
      feePpm: fc.integer({ min: 0, max: 1_000_000 }),
      parent,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("segment" as const), perShare: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("void" as const), parent: fc.integer({ min: 1, max: 2 }) }) },
);

/** An account's shares and voids in order, each with the segment of its share. */
interface Entry {
  readonly position: bigint;
  readonly segment: number;
  readonly account: number;
  readonly weight: bigint;
  readonly feePpm: number;
  readonly sign: 1n | -1n;
}

describe.skipIf(server === undefined)("the window at a pin", () => {
  let world: World;
  beforeAll(async () => {
    world = await World.make(server as string);
  });
  afterAll(() => world.close());

  const at = async (pin: bigint, rule: WindowRule, blockWeights: readonly bigint[] = []): Promise<WindowAt> => {
    const client = await world.database.connect();
    try {
      return await inSnapshot(client, () => windowAt(client, { pin, rule, targets: TARGETS, blockWeights }));
    } finally {
      await client.end();
    }
  };

  const scheme: Scheme = { ...tides(), window: { kind: "difficulty", size: () => 1n } };
  const openBook = (): Promise<SplitBook> =>
    SplitBook.open(
      { dust: 1n, threshold: 1n, inactiveBlocks: 1, mode: "direct", feePpm: 0 },
      {
        ...{ log: world.log, scheme, balances: new FakeBalances(hash("no tip")), logger: world.logger },
        targets: () => TARGETS,
        maxValue: () => 0n,
        payee: () => ({ dustLimit: 1n, legacySigops: false }),
        now: () => 0,
      },
    );

  /** The window worked out from the entries of the log one by one. */
  const plain = (entries: readonly Entry[], size: bigint): { weights: Map<number, [bigint, bigint]>; denominator: bigint } => {
    const segments = [...new Set(entries.map(({ segment }) => segment))].sort((a, b) => b - a);
    const weights = new Map<number, [bigint, bigint]>();
    let missing = size;
    for (const segment of segments) {
      const own = entries.filter((entry) => entry.segment === segment);
      const total = own.reduce((sum, { sign, weight }) => sum + sign * weight, 0n);
      const cut = total >= missing;
      if (cut) for (const [account, [weight, net]] of weights) weights.set(account, [weight * total, net * total]);
      for (const { account, sign, weight, feePpm } of own) {
        const [before, net] = weights.get(account) ?? [0n, 0n];
        const part = sign * weight * (cut ? missing : 1n);
        weights.set(account, [before + part, net + part * BigInt(1_000_000 - feePpm)]);
      }
      if (cut) return { weights, denominator: total };
      missing -= total;
    }
    return { weights, denominator: 1n };
  };

  const shown = ({ accounts, weights, netWeights, denominator, totalWeight, totalNetWeight, firstSegment }: WindowWeights) => ({
    accounts,
    weights,
    netWeights,
    denominator,
    totalWeight,
    totalNetWeight,
    firstSegment,
  });

  test("whatever was voided before or after, cut anywhere", async () => {
    let run = 0;
    let live = await openBook();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), fc.bigInt(1n, 300n), async (steps, size) => {
        const name = `run ${run++}`;
        const start = world.log.head();
        await world.log.openSegment(undefined);
        // Everything before this run is outside of every window of it: they are cut within one heavy share.
        await world.mine(9, 1000n, { feePpm: 0 });
        const followed = new Map<bigint, ReturnType<typeof shown>>();
        for (const [i, one] of steps.entries()) {
          const prevhash = (number: number) => hash(`${name} parent ${number}`);
          if (one.kind === "segment") {
            const worth = { bits: 1, subsidy: 1n, averageFees: 0n };
            await world.log.openSegment(hash(`${name} segment ${i}`), one.perShare ? worth : undefined);
          } else if (one.kind === "void") await world.log.voidTentative(prevhash(one.parent));
          else {
            const { weight, feePpm } = one;
            await world.mine(one.account, weight, { feePpm, prevhash: prevhash(one.parent), tentative: one.parent > 0 });
          }
          followed.set(world.log.head(), shown(live.weigh(size)));
        }
        const entries = (
          await world.rows<{ position: string; segment: number; account: number; weight: string; fee_ppm: number; sign: string }>(
            `SELECT e.* FROM (
               SELECT position, segment, account, weight, fee_ppm, 1 AS sign FROM shares UNION ALL
               SELECT position, segment, account, weight, fee_ppm, -1 FROM voids
             ) e JOIN segments s ON s.id = e.segment WHERE s.subsidy IS NULL ORDER BY position`,
          )
        ).map((row) => ({
          position: BigInt(row.position),
          segment: row.segment,
          account: row.account,
          weight: BigInt(row.weight),
          feePpm: row.fee_ppm,
          sign: (Number(row.sign) > 0 ? 1n : -1n) as 1n | -1n,
        }));
        for (let pin = start + 1n; pin <= world.log.head(); pin++) {
          const found = await at(pin, { kind: "difficulty", size: () => size });
          const upTo = entries.filter(({ position }) => position <= pin);
          const expected = plain(upTo, size);
          const weights = [...expected.weights].filter(([, [weight]]) => weight > 0n).sort(([a], [b]) => a - b);
          expect(found.weights.accounts).toEqual(weights.map(([account]) => account));
          expect(found.weights.weights).toEqual(weights.map(([, [weight]]) => weight));
          expect(found.weights.netWeights).toEqual(weights.map(([, [, net]]) => net));
          expect(found.weights.denominator).toBe(expected.denominator);
          expect(found.weights.complete).toBe(true);
          expect(found.logWeight).toBe(upTo.reduce((sum, { sign, weight }) => sum + sign * weight, 0n));
          expect(found.lastSegment).toBeLessThanOrEqual(world.log.segment);
          const then = followed.get(pin);
          if (then !== undefined) expect(shown(found.weights)).toEqual(then);
        }
        expect(world.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
        // Another one, which has read what this one has followed.
        live = await openBook();
        expect(shown(live.weigh(size))).toEqual(followed.get(world.log.head()));
      }),
      { numRuns: 15 },
    );
  });

  test("windows since a block's pin, of no scheme, and of an empty log", async () => {
    const [before, start] = [(await at(world.log.head(), { kind: "none" })).logWeight, world.log.head()];
    await world.log.openSegment(undefined);
    await world.mine(1, 10n);
    await world.mine(2, 30n);
    const since = await at(world.log.head(), { kind: "blocks", count: 1 }, [5n, before]);
    expect(since).toMatchObject({ size: 40n, logWeight: before + 40n });
    expect(since.weights.weights.reduce((sum, weight) => sum + weight, 0n)).toBe(40n * since.weights.denominator);
    expect(await at(start, { kind: "none" })).toMatchObject({ size: 0n, logWeight: before, weights: { accounts: [], totalWeight: 0n } });
    expect(await at(0n, tides().window)).toMatchObject({ logWeight: 0n, lastSegment: 0, weights: { accounts: [], totalWeight: 0n } });
  });

  test("a pin whose raw shares are gone is refused, unless its segment ends there", async () => {
    await world.log.openSegment(undefined);
    await world.mine(1, 10n, { prevhash: hash("dropped") });
    const inside = world.log.head();
    await world.mine(2, 30n, { prevhash: hash("dropped") });
    const end = world.log.head();
    await world.log.openSegment(undefined);
    await world.rows("DELETE FROM shares WHERE round = (SELECT id FROM rounds WHERE prevhash = $1)", [Buffer.from(hash("dropped"))]);
    await expect(at(inside, tides().window)).rejects.toMatchObject({ code: "ledger.pinTooOld" });
    const { weights } = await at(end, { kind: "difficulty", size: () => 40n });
    expect([weights.totalWeight, weights.denominator]).toEqual([1600n, 40n]);
  });
});
