/** The nodes besides the first: the list `nodes` of the file, each entry with the settings that `node` has for reaching one. */
import { type ConfigProblem, didYouMean, showValue } from "./problems.js";
import { SETTINGS } from "./settings.js";

/** What an entry of `nodes` can hold; how often nodes are asked (`node.pollSeconds`) is one setting for all. */
export const NODE_KEYS = ["url", "cookieFile", "user", "password", "zmqHashblock"] as const;

export type NodeKey = (typeof NODE_KEYS)[number];

/** One entry as it was given, not yet checked. `V` is a value and where it stands. */
export interface RawNode<V> {
  readonly where: string;
  readonly values: Map<NodeKey, V>;
}

/** Entries by their place in the list, from 1. */
export type RawNodes<V> = Map<number, RawNode<V>>;

export const isNodeKey = (name: string): name is NodeKey => (NODE_KEYS as readonly string[]).includes(name);

/** Dotted name of an entry's setting: `nodes.1.url`. */
export const nodeSetting = (place: number, key: string): string => `nodes.${place}.${key}`;

/** Name of the environment variable that overrides an entry's setting: `OPENPRIME_NODES_1_COOKIE_FILE`. */
export function nodeEnvironmentName(place: number, key: NodeKey): string {
  return `OPENPRIME_NODES_${place}_${key.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** Place and setting that an environment variable names; undefined for other variables. */
export function readNodeEnvironmentName(name: string): { readonly place: number; readonly key: NodeKey } | undefined {
  const place = Number(/^OPENPRIME_NODES_([1-9])_/.exec(name)?.[1]);
  const key = NODE_KEYS.find((one) => nodeEnvironmentName(place, one) === name);
  return key === undefined ? undefined : { place, key };
}

/** The entry at a place, made when it is the first that is heard of it. */
export function nodeAt<V>(nodes: RawNodes<V>, place: number, where: string): RawNode<V> {
  const node = nodes.get(place) ?? { where, values: new Map() };
  nodes.set(place, node);
  return node;
}

export function unknownNodeSetting(where: string, place: number, name: string): ConfigProblem {
  const setting = nodeSetting(place, name);
  const meant = didYouMean(name, NODE_KEYS);
  const guess = meant === undefined ? "" : ` Did you mean ${meant}?`;
  const message = `${where}: unknown setting ${showValue(setting)}.${guess} Allowed in an entry of nodes: ${NODE_KEYS.join(", ")}`;
  return { where, setting, message };
}

/** The list is no list, or an entry no settings. */
export function misshapenNodes(where: string, setting: string, holds: string): ConfigProblem {
  const message = `${where}: ${setting} holds ${holds}. Allowed: a list of nodes, each with ${NODE_KEYS.join(", ")}`;
  return { where, setting, message };
}

/** Checked values of an entry by key. */
export type NodeValues = { readonly [K in NodeKey]?: string };

/**
 * Checks what was given for the further nodes, by the rules of `node`.
 *
 * @param report takes place, dotted setting, and what is wrong
 * @returns the entries in order; those that are wrong are left out and have been reported
 */
export function checkNodes(
  nodes: RawNodes<{ readonly value: unknown; readonly where: string }>,
  report: (where: string, setting: string, message: string) => void,
): NodeValues[] {
  const good: NodeValues[] = [];
  for (const [place, { where, values }] of [...nodes].sort(([a], [b]) => a - b)) {
    const checked: Partial<Record<NodeKey, string>> = {};
    let sound = true;
    const wrong = (at: string, key: NodeKey, message: string): void => {
      sound = false;
      report(at, nodeSetting(place, key), message);
    };
    for (const [key, { value, where: at }] of values) {
      const { schema, secret, allowed } = SETTINGS[`node.${key}`];
      const result = schema.safeParse(value);
      if (result.success) checked[key] = result.data;
      else wrong(at, key, `${nodeSetting(place, key)} is ${secret ? "(hidden)" : showValue(value)}. Allowed: ${allowed}`);
    }
    if (!values.has("url")) wrong(where, "url", `${nodeSetting(place, "url")} is missing. Allowed: ${SETTINGS["node.url"].allowed}`);
    checkAccess(
      (key) => values.has(key),
      (key) => nodeSetting(place, key),
      (key, message) => wrong(values.get(key)?.where ?? where, key, message),
    );
    if (sound) good.push(checked);
  }
  return good;
}

/** A cookie file, or user and password, or nothing. */
export function checkAccess(
  given: (key: NodeKey) => boolean,
  named: (key: NodeKey) => string,
  report: (key: NodeKey, message: string) => void,
): void {
  const user = given("user");
  const password = given("password");
  if (given("cookieFile") && (user || password)) {
    const other = named(user ? "user" : "password");
    const allowed = `${named("cookieFile")} alone, or ${named("user")} and ${named("password")}`;
    report("cookieFile", `${named("cookieFile")} and ${other} are both set. Allowed: ${allowed}`);
  } else if (user !== password) {
    const [set, missing] = user ? (["user", "password"] as const) : (["password", "user"] as const);
    report(set, `${named(set)} is set, ${named(missing)} is not. Allowed: both, or ${named("cookieFile")}`);
  }
}
