/** What the pool made of the gateway's templates, as `openprime ledger templates --json` tells. */

interface ToldTemplate {
  readonly height: number;
  readonly transactions: number;
  readonly verdict: {
    readonly state: "sound" | "unjudged" | "unsound";
    readonly path: string | null;
    readonly code: string | null;
    readonly detail: string | null;
  } | null;
}

/** Templates by what came of them. */
export interface TemplateCounts {
  /** By the way that their transactions were had. */
  readonly sound: Readonly<Record<string, number>>;
  /** By why they were not judged. */
  readonly unjudged: Readonly<Record<string, number>>;
  /** Each, in words. */
  readonly unsound: readonly string[];
  readonly pending: number;
  /** Transactions of the largest. */
  readonly mostTransactions: number;
}

/** @param text what the command printed */
export function countTemplates(text: string): TemplateCounts {
  const { templates } = JSON.parse(text) as { readonly templates: readonly ToldTemplate[] };
  const sound: Record<string, number> = {};
  const unjudged: Record<string, number> = {};
  const unsound: string[] = [];
  let pending = 0;
  const add = (counts: Record<string, number>, name: string | null): void => {
    counts[name ?? "?"] = (counts[name ?? "?"] ?? 0) + 1;
  };
  for (const { height, transactions, verdict } of templates) {
    if (verdict === null) pending += 1;
    else if (verdict.state === "sound") add(sound, verdict.path);
    else if (verdict.state === "unjudged") add(unjudged, verdict.code);
    else unsound.push(`height ${height}, ${transactions} transactions: ${verdict.code ?? "?"}, ${verdict.detail ?? "?"}`);
  }
  return { sound, unjudged, unsound, pending, mostTransactions: Math.max(0, ...templates.map(({ transactions }) => transactions)) };
}

const total = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((sum, count) => sum + count, 0);
const words = (counts: Readonly<Record<string, number>>): string => {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
};

export function describeTemplates({ sound, unjudged, unsound, pending, mostTransactions }: TemplateCounts): string {
  const counts = [`${total(sound)} sound${words(sound)}`, `${total(unjudged)} unjudged${words(unjudged)}`, `${unsound.length} unsound`];
  return `${counts.join(", ")}, ${pending} pending; up to ${mostTransactions} transactions`;
}

/** A stock gateway's templates are good, and some must have been found so. */
export function templateProblems(counts: TemplateCounts): string[] {
  return [
    ...(total(counts.sound) === 0 ? ["no template was judged sound"] : []),
    ...counts.unsound.map((template) => `a template was judged unsound: ${template}`),
  ];
}
