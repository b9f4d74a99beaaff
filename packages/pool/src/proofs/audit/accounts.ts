/** The lines of a settlement, account by account, compared with what they must be. */
import { hex } from "../hex.js";
import type { Settlement, SettlementLine } from "../types.js";
import { Line } from "./difference.js";

/** What is expected of one account; what is not named is 0. */
export interface ExpectedLine {
  weight: bigint;
  netWeight: bigint;
  before: bigint;
  earned: bigint;
  fee: bigint;
  paid: bigint;
}

/** Expectations by script in hex. */
export class ExpectedLines {
  readonly #lines = new Map<string, ExpectedLine>();

  of(script: string): ExpectedLine {
    let line = this.#lines.get(script);
    if (line === undefined) {
      line = { weight: 0n, netWeight: 0n, before: 0n, earned: 0n, fee: 0n, paid: 0n };
      this.#lines.set(script, line);
    }
    return line;
  }

  /** Scripts with anything that is not 0, ascending. */
  scripts(): string[] {
    const named = [...this.#lines].filter(([, line]) => Object.values(line).some((value) => value !== 0n));
    return named.map(([script]) => script).sort();
  }
}

const FIELDS = ["weight", "netWeight", "before", "earned", "fee", "paid"] as const;

/** Number of the first account's line in the document. */
function firstLine({ entries }: Settlement): number {
  return 2 + entries.length;
}

/** Where the line of an account stands. */
export function lineAt(file: string, settlement: Settlement, index: number): Line {
  return new Line(file, firstLine(settlement) + index);
}

/** That each account which must have a line has one. Lines for more accounts are compared like the others. */
export function checkScripts(file: string, settlement: Settlement, expected: ExpectedLines): void {
  const { lines } = settlement;
  let at = 0;
  for (const script of expected.scripts()) {
    while (at < lines.length && hex((lines[at] as SettlementLine).script) < script) at++;
    const found = lines[at];
    const there = found === undefined ? "the end of the lines" : hex(found.script);
    if (there !== script) lineAt(file, settlement, at).differs("script", script, there);
  }
}

/** Field by field; then that the balance is what follows from them. */
export function checkLines(file: string, settlement: Settlement, expected: ExpectedLines): void {
  for (const [i, found] of settlement.lines.entries()) {
    const place = lineAt(file, settlement, i);
    const wanted = expected.of(hex(found.script));
    for (const field of FIELDS) place.check(field, wanted[field], found[field]);
    place.check("balance", found.before + found.earned + found.fee - found.paid, found.balance);
  }
}

/** Ids tell accounts apart, and an account keeps its own. */
export function checkIds(file: string, settlement: Settlement, before: Settlement | undefined): void {
  const known = new Map(before?.lines.map(({ script, account }) => [hex(script), account]));
  const owners = new Map(before?.lines.map(({ script, account }) => [account, hex(script)]));
  for (const [i, { script, account }] of settlement.lines.entries()) {
    const place = lineAt(file, settlement, i);
    const name = hex(script);
    place.check("account", known.get(name) ?? account, account);
    const owner = owners.get(account) ?? name;
    if (owner !== name) place.differs("account", `an id of its own, ${account} is that of ${owner}`, String(account));
    owners.set(account, name);
  }
}
