/** Schemes as the books hold them: the JSON that is published. */
import { type SchemeOptions, schemeFromJson, schemeToJson } from "@openprime/rewards";

/** The pool's terms at one moment: a block that was made under them is divided by them, whatever they are when it joins the chain. */
export interface Terms {
  readonly scheme: SchemeOptions;
  /** The pool's fee for a scheme without a window, parts per million. */
  readonly feePpm: number;
}

/** Null for undefined. */
export function schemeText(scheme: SchemeOptions | undefined): string | null {
  return scheme === undefined ? null : JSON.stringify(schemeToJson(scheme));
}

/** @throws RewardsError for text that `schemeText` does not write */
export function storedScheme(text: string | null): SchemeOptions | undefined {
  return text === null ? undefined : schemeFromJson(JSON.parse(text));
}
