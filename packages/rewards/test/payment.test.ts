/** Blocks one after the other: what is earned, paid and carried over, and how long a claim waits. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addBalances, type CarriedBalance, type Earnings, largestRemainder, type Output, ShareWindow, split, tides } from "../src/index.js";

const payee = { script: new Uint8Array(22), dustLimit: 294n, legacySigops: false };
const DUST = 546n;
const sumOf = (list: Iterable<bigint>): bigint => [...list].reduce((total, amount) => total + amount, 0n);

/** Balances as the ledger keeps them: an account is due since the entry that brought it to its threshold. */
class Books {
  readonly balances = new Map<number, CarriedBalance>();
  entry = 0n;

  constructor(readonly threshold: (account: number) => bigint) {}

  book({ accounts, amounts }: Earnings, paid: readonly Output[]): void {
    this.entry++;
    const changes = new Map<number, bigint>();
    const add = (account: number, amount: bigint) => changes.set(account, (changes.get(account) ?? 0n) + amount);
    for (const [i, account] of accounts.entries()) add(account, amounts[i] as bigint);
    for (const { account, value } of paid) add(account, -value);
    for (const [account, change] of changes) {
      const before = this.balances.get(account);
      const balance = (before?.balance ?? 0n) + change;
      this.balances.set(account, { balance, dueSince: balance < this.threshold(account) ? undefined : (before?.dueSince ?? this.entry) });
    }
  }
}

interface Waiting {
  readonly account: number;
  /** Claims that became due before it or with it, itself among them. */
  readonly ahead: number;
  /** Blocks since then whose split was paid, the one that paid it among them. */
  blocks: number;
  /** True while the value of all of these was enough for the turns of the due, and it was too small to have one by size. */
  lasted: boolean;
  /** Claims ahead of it, or due as long as it is, that these blocks paid in full. */
  paidAhead: number;
}

interface PoolRun {
  readonly weights: readonly bigint[];
  readonly thresholds: readonly bigint[];
  readonly feePpm: number;
  /** By block and account: what its weight is multiplied with. */
  readonly jitter: (block: number, account: number) => bigint;
  readonly blocks: number;
  /** Outputs that a coinbase has room for. */
  readonly room: number;
  /** Blocks at the beginning that pay the pool's script only. */
  readonly withoutSplit: number;
  /** False to pay by size only. */
  readonly byTurns?: boolean;
}

const VALUE = 312_500_000n;

/** Runs a pool block by block. Tells every wait that ended, and those that go on. */
function run({ weights, thresholds, feePpm, jitter, blocks, room, withoutSplit, byTurns = true }: PoolRun) {
  const threshold = (account: number) => thresholds[account - 1] as bigint;
  const books = new Books(threshold);
  const waiting = new Map<number, Waiting>();
  const ended: Waiting[] = [];
  for (let block = 0; block < blocks; block++) {
    const fee = (VALUE * BigInt(feePpm)) / 1_000_000n;
    const now = weights.map((weight, i) => weight * jitter(block, i + 1));
    const earnings = { fee, accounts: weights.map((_, i) => i + 1), amounts: largestRemainder(VALUE - fee, now, sumOf(now)) };
    const { accounts, amounts, dueSince = [] } = addBalances(earnings, books.balances);
    const claims = byTurns ? { accounts, amounts, dueSince } : { accounts, amounts };
    const outputs = split(claims, { value: VALUE, dust: DUST, payee: () => payee, threshold });
    expect(sumOf(outputs.map(({ value }) => value)) <= VALUE).toBe(true);
    const paid = block < withoutSplit ? [] : outputs.slice(0, room);
    if (block >= withoutSplit) {
      countBlock(
        paid,
        accounts
          .map((account, i) => ({ account, amount: amounts[i] as bigint, since: dueSince[i] }))
          .filter(({ account, amount }) => amount >= threshold(account)),
      );
    }
    books.book(earnings, paid);
    const due = [...books.balances].filter(([, { dueSince: since }]) => since !== undefined);
    // One that was paid so far that the rest is under its threshold waits no more.
    for (const account of waiting.keys()) if (books.balances.get(account)?.dueSince === undefined) waiting.delete(account);
    for (const [account] of due) {
      if (!waiting.has(account)) waiting.set(account, { account, ahead: due.length, blocks: 0, lasted: true, paidAhead: 0 });
    }
  }
  return { ended, open: [...waiting.values()] };

  function countBlock(paid: readonly Output[], payable: readonly Payable[]): void {
    const of = new Map(payable.map((one) => [one.account, one]));
    const inFull = paid.flatMap(({ account, value }) => (of.get(account)?.amount === value ? [of.get(account) as Payable] : []));
    const { due, large } = turns(payable);
    const enough = sumOf(due.map(({ amount }) => amount)) <= VALUE;
    for (const [account, wait] of waiting) {
      const age = books.balances.get(account)?.dueSince as bigint;
      wait.blocks++;
      wait.paidAhead += inFull.filter((one) => one.account !== account && one.since !== undefined && one.since <= age).length;
      if (inFull.some((one) => one.account === account)) {
        ended.push(wait);
        waiting.delete(account);
      } else if (!enough || large.some((one) => one.account === account)) wait.lasted = false;
    }
  }
}

interface Payable {
  readonly account: number;
  readonly amount: bigint;
  readonly since: bigint | undefined;
}

/** The claims that age and size bring among the first ten, written plainly. */
function turns(payable: readonly Payable[]): { due: Payable[]; large: Payable[] } {
  const least = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
  const bySize = [...payable].sort((a, b) => least(b.amount, a.amount) || a.account - b.account);
  const byAge = bySize.filter(({ since }) => since !== undefined).sort((a, b) => least(a.since as bigint, b.since as bigint));
  const due: Payable[] = [];
  const large: Payable[] = [];
  const free = (one: Payable) => !due.includes(one) && !large.includes(one);
  for (let i = 0; i < 10; i++) {
    const oldest = i % 2 === 1 ? byAge.find(free) : undefined;
    const largest = bySize.find(free);
    if (oldest !== undefined) due.push(oldest);
    else if (largest !== undefined) large.push(largest);
  }
  return { due, large };
}

const bound = ({ ahead }: Waiting, room: number) => Math.ceil(ahead / Math.floor(room / 2));

describe("every claim over its threshold gets its turn", () => {
  const pools = fc
    .record({
      large: fc.array(fc.bigInt({ min: 1_000n, max: 40_000n }), { maxLength: 6 }),
      small: fc.array(fc.bigInt({ min: 1n, max: 300n }), { minLength: 1, maxLength: 400 }),
      least: fc.bigInt({ min: 1_000n, max: 2_000_000n }),
      feePpm: fc.integer({ min: 0, max: 30_000 }),
      seed: fc.integer({ min: 1, max: 1_000_000 }),
      room: fc.integer({ min: 2, max: 10 }),
      withoutSplit: fc.constantFrom(0, 0, 20),
    })
    .map(({ large, small, least, seed, ...rest }): PoolRun => {
      const weights = [...large, ...small];
      return {
        ...rest,
        weights,
        thresholds: weights.map((_, i) => least * BigInt(1 + ((i * 7 + seed) % 5))),
        jitter: (block, account) => BigInt(1 + (((block * 31 + account * 17 + seed) * 7919) % 8)),
        blocks: 100,
      };
    });

  test("a wait ends when as many were paid ahead of it as there were; within the bound where the value lasts", () => {
    fc.assert(
      fc.property(pools, (pool) => {
        const { ended, open } = run(pool);
        for (const wait of [...ended, ...open]) expect(wait.paidAhead).toBeLessThan(wait.ahead);
        // Both kinds are there: 400 claims can't all be among the largest.
        if (pool.weights.length > 200) expect([...ended, ...open].some(({ lasted }) => lasted)).toBe(true);
        for (const wait of ended) if (wait.lasted) expect(wait.blocks).toBeLessThanOrEqual(bound(wait, pool.room));
        for (const wait of open) if (wait.lasted) expect(wait.blocks).toBeLessThan(bound(wait, pool.room));
      }),
      { numRuns: 15 },
    );
  });

  // One miner or four with half of the work, and 400 who share the rest, the least of them a 160,000th; all want 20,000 satoshis at least.
  const pool = (large: number): PoolRun => ({
    weights: [...Array<bigint>(large).fill(160_000n / BigInt(large)), ...Array.from({ length: 400 }, (_, i) => BigInt(i + 1))],
    thresholds: Array<bigint>(400 + large).fill(20_000n),
    feePpm: 20_000,
    jitter: (block, account) => (account <= large ? 1n : BigInt(1 + ((block + account) % 3))),
    blocks: 300,
    room: 10,
    withoutSplit: 0,
  });

  test.each([1, 4])("400 small miners, %d large, ten outputs: each waits ceil(M / 5) blocks at most", (large) => {
    const { ended, open } = run(pool(large));
    expect(ended.length).toBeGreaterThan(1000);
    expect(Math.max(...ended.map(({ ahead }) => ahead))).toBeGreaterThan(300);
    for (const wait of ended) expect(wait.blocks).toBeLessThanOrEqual(bound(wait, 10));
    for (const wait of open) expect(wait.blocks).toBeLessThan(bound(wait, 10));
  });

  test("by size alone some wait far longer", () => {
    const { open } = run({ ...pool(4), byTurns: false });
    expect(open.filter((wait) => wait.blocks > 2 * bound(wait, 10)).length).toBeGreaterThan(10);
  });

  test("after blocks that paid the pool only, a large miner's balance does not keep the others waiting", () => {
    const { ended, open } = run({ ...pool(1), withoutSplit: 30 });
    const others = [...ended, ...open].filter(({ account }) => account > 1);
    expect(others.length).toBeGreaterThan(1000);
    for (const wait of others) expect(wait.blocks).toBeLessThanOrEqual(bound(wait, 10) + 20);
  });

  test("the largest claim is paid in every block whose value the five due longest leave something of", () => {
    const amounts = [200n, 1n, 2n, 3n, 4n, 5n, 6n, 50n].map((part) => part * 1_000_000n);
    const dueSince = [undefined, 6n, 5n, 4n, 3n, 2n, 1n, undefined];
    const claims = { accounts: amounts.map((_, i) => i + 1), amounts, dueSince };
    const of = (value: bigint) =>
      split(claims, { value, dust: DUST, payee: () => payee }).map((output) => [output.account, Number(output.value) / 1e6]);
    expect(of(300_000_000n)).toEqual([
      [1, 200],
      [7, 6],
      [8, 50],
      [6, 5],
      [5, 4],
      [4, 3],
      [3, 2],
      [2, 1],
    ]);
    // What is short is the large one's.
    expect(of(100_000_000n)).toEqual([
      [1, 85],
      [7, 6],
      [6, 5],
      [4, 3],
      [2, 1],
    ]);
  });
});

describe("blocks in a row, of whose splits any outputs are paid", () => {
  const blocks = fc.array(
    fc.record({
      shares: fc.array(
        fc.record({
          account: fc.integer({ min: 1, max: 25 }),
          weight: fc.bigInt({ min: 1n, max: 1000n }),
          feePpm: fc.constantFrom(0, 10_000, 1_000_000),
        }),
        { minLength: 1, maxLength: 25 },
      ),
      value: fc.bigInt({ min: 0n, max: 500_000n }),
      size: fc.bigInt({ min: 1n, max: 20_000n }),
      shown: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
    }),
    { minLength: 1, maxLength: 25 },
  );
  const scheme = tides();
  const threshold = (account: number) => BigInt(account * 300);

  test("earned - paid = balance for each account, every satoshi is somewhere, and any machine makes the same splits of the log", () => {
    fc.assert(
      fc.property(blocks, fc.integer({ min: 1, max: 1000 }), (list, seed) => {
        const [window, other] = [new ShareWindow(), new ShareWindow()];
        const books = new Books(threshold);
        const earned = new Map<number, bigint>();
        const paid = new Map<number, bigint>();
        const add = (to: Map<number, bigint>, account: number, amount: bigint) => to.set(account, (to.get(account) ?? 0n) + amount);
        let [fees, received, values] = [0n, 0n, 0n];
        list.forEach(({ shares, value, size, shown }, i) => {
          for (const one of [window, other]) one.openSegment(i + 1);
          for (const share of shares) window.add(share);
          for (const share of shuffled(shares, seed)) other.add(share);
          const earnings = scheme.earned({ value }, window.weigh(size));
          const policy = { value, dust: DUST, payee: () => payee, threshold };
          const outputs = split(addBalances(earnings, books.balances), policy);
          other.weigh(1n);
          const again = scheme.earned({ value }, other.weigh(size));
          expect(split(addBalances(again, shuffled([...books.balances], seed)), policy)).toEqual(outputs);

          const mined = outputs.filter((_, n) => shown[n % shown.length]);
          for (const [n, account] of earnings.accounts.entries()) add(earned, account, earnings.amounts[n] as bigint);
          for (const output of mined) add(paid, output.account, output.value);
          const left = value - sumOf(mined.map((output) => output.value));
          expect(left >= 0n).toBe(true);
          books.book(earnings, mined);
          fees += earnings.fee;
          received += left;
          values += value;
        });
        for (const [account, { balance }] of books.balances) {
          expect(balance).toBe((earned.get(account) ?? 0n) - (paid.get(account) ?? 0n));
          expect(balance >= 0n).toBe(true);
        }
        const owed = sumOf([...books.balances.values()].map(({ balance }) => balance));
        expect(sumOf(paid.values()) + owed + fees).toBe(values);
        // What the pool's script got is what it owes, to miners and to the pool.
        expect(received).toBe(owed + fees);
      }),
      { numRuns: 60 },
    );
  });
});

/** The same, in another order. */
function shuffled<T>(list: readonly T[], seed: number): T[] {
  return list
    .map((item, i) => ({ item, key: ((i + 1) * seed * 7919) % 104_729 }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
