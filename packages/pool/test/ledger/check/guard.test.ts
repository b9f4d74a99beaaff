/** The guard: when it checks, what it says, what the metrics show. */
import { Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { LedgerGuard, type MoneyCheck } from "../../../src/ledger/index.js";
import { MemoryLogger, until } from "../support.js";

const CLEAN: MoneyCheck = {
  differences: [],
  notes: [],
  figures: {
    height: 7,
    entries: 3n,
    owed: 540n,
    negativeBalances: 0,
    operator: 20n,
    unattributed: 77n,
    holdings: 637n,
    mature: 40n,
    immature: 597n,
  },
};
const wrong = (count: number): MoneyCheck => ({
  ...CLEAN,
  differences: Array.from({ length: count }, (_, i) => ({ kind: "balance", subject: `account ${i}`, message: `account ${i} is wrong` })),
  notes: ["something of note"],
  figures: { ...CLEAN.figures, negativeBalances: 2 },
});

describe("the guard of the books", () => {
  const set = (results: (() => Promise<MoneyCheck>)[]) => {
    const log = new MemoryLogger();
    const metrics = new Registry();
    const waits: number[] = [];
    let next: () => void = () => undefined;
    const guard = new LedgerGuard(
      { intervalMs: 1000 },
      {
        check: () => (results.shift() as () => Promise<MoneyCheck>)(),
        log,
        metrics,
        now: () => 1_790_000_000_000,
        wait: (ms, signal) => {
          waits.push(ms);
          return new Promise((resolve, reject) => {
            next = () => resolve(undefined);
            signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
          });
        },
      },
    );
    const figure = async (name: string, outcome?: string): Promise<number | undefined> =>
      (await metrics.getSingleMetric(name)?.get())?.values.find(({ labels }) => outcome === undefined || labels.outcome === outcome)?.value;
    return { guard, log, waits, figure, next: () => next() };
  };

  test("checks at start and after each interval, and tells clean books in one line", async () => {
    const { guard, log, waits, figure, next } = set([async () => CLEAN, async () => wrong(1), async () => CLEAN]);
    guard.start();
    await until(() => waits.length === 1, "the first check");
    expect(log.lines).toEqual([
      { level: "info", fields: { height: 7, owed: "540", holdings: "637" }, message: "the books agree with the chain" },
    ]);
    expect(await figure("openprime_ledger_differences")).toBe(0);
    expect(await figure("openprime_ledger_owed_sats")).toBe(540);
    expect(await figure("openprime_ledger_holdings_sats")).toBe(637);
    expect(await figure("openprime_ledger_checked_timestamp_seconds")).toBe(1_790_000_000);
    next();
    await until(() => waits.length === 2, "the second check");
    expect(await figure("openprime_ledger_differences")).toBe(1);
    expect(await figure("openprime_ledger_negative_balances")).toBe(2);
    expect(log.lines.slice(1).map(({ level, fields }) => [level, fields])).toEqual([
      ["info", { note: "something of note" }],
      ["error", { kind: "balance", difference: "account 0 is wrong" }],
    ]);
    next();
    await until(() => waits.length === 3, "the third check");
    expect(await figure("openprime_ledger_differences")).toBe(0);
    expect(await figure("openprime_ledger_checks_total", "clean")).toBe(2);
    expect(await figure("openprime_ledger_checks_total", "different")).toBe(1);
    expect(waits).toEqual([1000, 1000, 1000]);
    await guard.stop();
  });

  test("many differences are some lines and a number", async () => {
    const { guard, log, waits, figure } = set([async () => wrong(50)]);
    guard.start();
    await until(() => waits.length === 1, "the check");
    const errors = log.lines.filter(({ level }) => level === "error");
    expect(errors).toHaveLength(21);
    expect(errors.at(-1)?.fields).toEqual({ more: 30 });
    expect(await figure("openprime_ledger_differences")).toBe(50);
    await guard.stop();
  });

  test("a check that fails is told, counted, and made again", async () => {
    const away = () => Promise.reject(new Error("no connection to the node"));
    const { guard, log, waits, figure, next } = set([away, async () => CLEAN]);
    guard.start();
    await until(() => waits.length === 1, "the failure");
    expect(log.lines).toEqual([
      { level: "error", fields: { error: "no connection to the node" }, message: "the books could not be checked" },
    ]);
    expect(await figure("openprime_ledger_checks_total", "failed")).toBe(1);
    next();
    await until(() => waits.length === 2, "the second check");
    expect(await figure("openprime_ledger_checks_total", "clean")).toBe(1);
    await guard.stop();
  });

  test("stopped in the middle of a check it ends with it, and says nothing of the failure", async () => {
    let fail: (error: Error) => void = () => undefined;
    const { guard, log, waits } = set([
      () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
    ]);
    guard.start();
    const stopped = guard.stop();
    fail(new Error("the connections were closed"));
    await stopped;
    expect(log.lines).toEqual([]);
    // The interval is broken off at once.
    expect(waits.length).toBeLessThanOrEqual(1);
  });
});
