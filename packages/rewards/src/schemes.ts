/** Schemes by name and parameters: from the configuration, and from and to what the pool publishes. */
import { RewardsError } from "./errors.js";
import { perShare } from "./per-share.js";
import { pplns } from "./pplns.js";
import type { Scheme, SchemeOptions } from "./scheme.js";
import { solo } from "./solo.js";
import { tides } from "./tides.js";

/**
 * The scheme that these options describe.
 *
 * @throws RewardsError `rewards.invalidPolicy` for a name that is none, or a parameter that is out of range, or missing, or one too many
 */
export function createScheme(options: SchemeOptions): Scheme {
  switch (options.name) {
    case "tides":
      expectOnly(options, "multiplier");
      return tides(options.multiplier);
    case "pplns":
      expectOnly(options, "multiplier" in options ? "multiplier" : "blocks");
      return pplns(options);
    case "solo":
      expectOnly(options);
      return solo();
    case "pps":
    case "fpps":
      expectOnly(options);
      return perShare(options.name);
    default:
      throw invalid("a scheme named tides, pplns, solo, pps or fpps", options);
  }
}

/** Options as they are published: numbers that can pass 2^53 are decimal text. The order of the fields is always the same. */
export type SchemeJson =
  | { readonly name: "tides" | "pplns"; readonly multiplier: string }
  | { readonly name: "pplns"; readonly blocks: number }
  | { readonly name: "solo" | "pps" | "fpps" };

/** The published form of options that `createScheme` takes. */
export function schemeToJson(options: SchemeOptions): SchemeJson {
  if ("multiplier" in options) return { name: options.name, multiplier: String(options.multiplier) };
  return "blocks" in options ? { name: options.name, blocks: options.blocks } : { name: options.name };
}

/** A multiplier as it is written: no sign, no zeros in front, few digits. */
const MULTIPLIER = /^[1-9]\d{0,18}$/;

/**
 * Reads what `schemeToJson` wrote, and nothing else.
 *
 * @throws RewardsError `rewards.invalidPolicy`
 */
export function schemeFromJson(value: unknown): SchemeOptions {
  if (typeof value !== "object" || value === null) throw invalid("an object that describes a scheme", value);
  const fields: { name?: unknown; multiplier?: unknown } = value;
  const { multiplier } = fields;
  if (multiplier === undefined) return createScheme(fields as SchemeOptions).options;
  if (typeof multiplier !== "string" || !MULTIPLIER.test(multiplier)) throw invalid("a multiplier in decimal digits", multiplier);
  return createScheme({ ...fields, multiplier: BigInt(multiplier) } as SchemeOptions).options;
}

function expectOnly(options: SchemeOptions, parameter?: string): void {
  const fields = Object.keys(options).filter((field) => field !== "name");
  if (fields.length === (parameter === undefined ? 0 : 1) && fields[0] === parameter) return;
  throw invalid(`${options.name} with ${parameter === undefined ? "no parameter" : `the parameter ${parameter} only`}`, options);
}

function invalid(expected: string, got: unknown): RewardsError {
  const text = JSON.stringify(got, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)) ?? typeof got;
  return new RewardsError("rewards.invalidPolicy", `expected ${expected}, got ${text.slice(0, 200)}`);
}
