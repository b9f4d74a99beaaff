/** Balances as the money books would show them, set by hand. */
import type { Balance, BalanceSource, BalanceView } from "../../src/ledger/index.js";

export class FakeBalances implements BalanceSource, BalanceView {
  height = 840_000;
  lastEntry = 0n;
  blockWeights: readonly bigint[] = [];
  readonly balances = new Map<number, Balance>();
  readonly thresholds = new Map<number, bigint>();

  /** `tip`: the block that the followed chain ends at. */
  constructor(public tip: Uint8Array) {}

  view(prevhash: Uint8Array): BalanceView | undefined {
    return Buffer.compare(prevhash, this.tip) === 0 ? this : undefined;
  }

  latest(): BalanceView {
    return this;
  }

  threshold(account: number): bigint | undefined {
    return this.thresholds.get(account);
  }

  /** One more ledger entry. */
  entry(): void {
    this.lastEntry++;
  }

  /** A balance after one more entry. */
  set(account: number, balance: Partial<Balance>): void {
    this.balances.set(account, { balance: 0n, dueSince: undefined, lastEarned: undefined, ...balance });
    this.entry();
  }
}
