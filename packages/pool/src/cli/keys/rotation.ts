/** How keys follow one another: pure changes of a key file's entries. */
import { CliError } from "../errors.js";
import { type KeyEntry, MAX_KEYS } from "./format.js";

type Entries = readonly KeyEntry[];

/** The one key whose public part begins so. @throws CliError `keyUnknown` when there is none or several */
export function findKey<T extends { readonly publicKey: string }>(entries: readonly T[], prefix: string): T {
  const found = entries.filter(({ publicKey }) => prefix !== "" && publicKey.toLowerCase().startsWith(prefix.toLowerCase()));
  const [entry] = found;
  if (entry !== undefined && found.length === 1) return entry;
  const what = found.length === 0 ? "no key" : `${found.length} keys`;
  throw new CliError("keyUnknown", `${what} of the pool begin with "${prefix}", expected one`, "`openprime keys list` shows them");
}

/** @throws CliError `keyState` when the file has the key, or a next one, already; or is full */
export function addKey(entries: Entries, entry: KeyEntry): Entries {
  const shown = entry.publicKey.slice(0, 16);
  if (entries.some(({ publicKey }) => publicKey.toLowerCase() === entry.publicKey.toLowerCase())) {
    throw state(`the file has the key ${shown} already`, "`openprime keys list` shows it");
  }
  const next = entries.find((one) => one.state === "next");
  if (entry.state === "next" && next !== undefined) {
    throw state(`there is a next key already: ${next.publicKey.slice(0, 16)}`, "`openprime keys use` it, or `openprime keys remove` it");
  }
  if (entries.length >= MAX_KEYS)
    throw state(`the file has ${MAX_KEYS} keys, which is all it can hold`, "`openprime keys remove` ended ones");
  return [...entries, entry];
}

/** Makes a key the present one; the present one becomes old, and ends at `until` if that is given. @throws CliError `keyUnknown`, `keyState` */
export function useKey(entries: Entries, prefix: string, until: Date | undefined): Entries {
  const chosen = findKey(entries, prefix);
  if (chosen.state === "present") throw state(`${prefix} is the present key`, "`openprime keys list` shows the others");
  return entries.map((entry) => {
    if (entry === chosen) return { ...without(entry), state: "present" as const };
    if (entry.state !== "present") return entry;
    return { ...entry, state: "old" as const, ...(until !== undefined && { until: until.toISOString() }) };
  });
}

/** A key that is not the present one ends at `until`. @throws CliError `keyUnknown`, `keyState` */
export function retireKey(entries: Entries, prefix: string, until: Date): Entries {
  const chosen = findKey(entries, prefix);
  if (chosen.state === "present")
    throw state(`${prefix} is the present key`, "make another one the present key first: `openprime keys use`");
  return entries.map((entry) => (entry === chosen ? { ...entry, state: "old" as const, until: until.toISOString() } : entry));
}

/** Forgets a key for ever: one that has ended, or a next one that nobody has yet. @throws CliError `keyUnknown`, `keyState` */
export function removeKey(entries: Entries, prefix: string, now: Date): Entries {
  const chosen = findKey(entries, prefix);
  const ended = chosen.until !== undefined && new Date(chosen.until) <= now;
  if (chosen.state === "present" || (chosen.state === "old" && !ended)) {
    throw state(`gateways may still use ${prefix}`, "`openprime keys retire` it first; the present key can't be removed");
  }
  return entries.filter((entry) => entry !== chosen);
}

function without({ until: _, ...entry }: KeyEntry): KeyEntry {
  return entry;
}

function state(what: string, todo: string): CliError {
  return new CliError("keyState", what, todo);
}
