/** Names of the schemes that a run can judge, as the command line takes them. */
import type { SchemeOptions } from "@openprime/rewards";

export interface JudgedScheme {
  /** The name it was asked by. */
  readonly label: string;
  readonly options: SchemeOptions;
}

/** What a run judges unless told otherwise. One block of PPLNS is the proportional scheme, whose weakness is known: it shows that the judge can see one. */
export const DEFAULT_SCHEMES = ["tides", "pplns-difficulty", "pplns-blocks", "pplns-blocks:1", "solo", "pps", "fpps"];

/** `tides`, `tides:8`, `pplns-difficulty:2`, `pplns-blocks:4`, `solo`, `pps` or `fpps`; undefined for anything else. */
export function schemeNamed(label: string): JudgedScheme | undefined {
  const [, name, digits] = /^([a-z-]+)(?::([1-9]\d{0,3}))?$/.exec(label) ?? [];
  if (name === undefined) return undefined;
  const size = digits === undefined ? undefined : Number(digits);
  switch (name) {
    case "tides":
      return { label, options: { name: "tides", multiplier: BigInt(size ?? 8) } };
    case "pplns-difficulty":
      return { label, options: { name: "pplns", multiplier: BigInt(size ?? 2) } };
    case "pplns-blocks":
      return { label, options: { name: "pplns", blocks: size ?? 8 } };
    case "solo":
    case "pps":
    case "fpps":
      return size === undefined ? { label, options: { name } } : undefined;
    default:
      return undefined;
  }
}
