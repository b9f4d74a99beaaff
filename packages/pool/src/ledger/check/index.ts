/** The check of the books, and its guard in a running pool. */
export { checkMoney, type MoneyCheckOptions } from "./check.js";
export { LedgerGuard, type LedgerGuardModules, type LedgerGuardOptions } from "./guard.js";
export * from "./reports.js";
export type {
  ChainReader,
  MoneyCheck,
  MoneyDifference,
  MoneyDifferenceKind,
  MoneyFigures,
  ReadCoinbase,
  UnspentOutput,
  UnspentScan,
} from "./types.js";
