/** Reads raw settings from the places they can come from: the YAML file, the environment, and a plain object (tests, the demo). */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import {
  isNodeKey,
  misshapenNodes,
  NODE_KEYS,
  type NodeKey,
  nodeAt,
  nodeEnvironmentName,
  type RawNodes,
  readNodeEnvironmentName,
  unknownNodeSetting,
} from "./nodes.js";
import { type ConfigProblem, didYouMean, showValue } from "./problems.js";
import { environmentName, SECTIONS, SETTING_PATHS, SETTINGS, type SectionName, type SettingInput, type SettingPath } from "./settings.js";

/** A value as it was given, not yet checked, and where. */
export interface RawSetting {
  readonly value: unknown;
  readonly where: string;
}

export interface RawSettings {
  readonly values: Map<SettingPath, RawSetting>;
  /** The entries of `nodes`. */
  readonly nodes: RawNodes<RawSetting>;
  readonly problems: ConfigProblem[];
}

/** Settings as nested plain values, all optional: `{ network: "regtest", listen: { port: 0 } }`. */
export type PartialSettings = {
  readonly network?: SettingInput;
  readonly nodes?: readonly { readonly [K in NodeKey]?: SettingInput }[];
} & {
  readonly [S in SectionName]?: {
    readonly [P in SettingPath as P extends `${S}.${infer Leaf}` ? Leaf : never]?: SettingInput;
  };
};

const SECTION_NAMES = Object.keys(SECTIONS) as readonly SectionName[];
const NODES = "nodes";
const ROOT_NAMES: readonly string[] = [...SETTING_PATHS.filter((path) => !path.includes(".")), ...SECTION_NAMES, NODES];
const namesIn = (section: string): readonly string[] =>
  SETTING_PATHS.filter((path) => path.startsWith(`${section}.`)).map((path) => path.slice(section.length + 1));

const isSetting = (path: string): path is SettingPath => Object.hasOwn(SETTINGS, path);
const isSection = (name: string): name is SectionName => Object.hasOwn(SECTIONS, name);

function unknownSetting(where: string, section: string, name: string): ConfigProblem {
  const names = section === "" ? ROOT_NAMES : namesIn(section);
  const setting = section === "" ? name : `${section}.${name}`;
  const here = didYouMean(name, names);
  // A setting in the wrong section is as common as a typing error.
  const meant = here === undefined ? SETTING_PATHS.find((path) => path.endsWith(`.${name}`)) : section === "" ? here : `${section}.${here}`;
  const guess = meant === undefined ? "" : ` Did you mean ${meant}?`;
  const message = `${where}: unknown setting ${showValue(setting)}.${guess} Allowed ${section === "" ? "here" : `in ${section}`}: ${names.join(", ")}`;
  return { where, setting, message };
}

/**
 * Reads the text of a configuration file.
 *
 * @param file how the file is named in messages
 */
export function readYaml(text: string, file: string): RawSettings {
  const raw: RawSettings = { values: new Map(), nodes: new Map(), problems: [] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, intAsBigInt: true });
  for (const error of [...document.errors, ...document.warnings]) {
    const where = `${file}:${lines.linePos(error.pos[0]).line}`;
    // What follows a colon in yaml's messages is the file's own text, and that may be a password.
    raw.problems.push({ where, setting: "", message: `${where}: this is not YAML: ${error.message.split(": ", 1)[0]}` });
  }
  if (raw.problems.length > 0) return raw;
  const reader = new YamlReader(file, document, lines, raw);
  if (document.contents !== null) reader.readRoot(document.contents);
  return raw;
}

class YamlReader {
  constructor(
    private readonly file: string,
    private readonly document: Document,
    private readonly lines: LineCounter,
    private readonly raw: RawSettings,
  ) {}

  readRoot(root: Node): void {
    if (isEmpty(root)) return;
    if (!isMap(root)) {
      const where = this.whereIs(root);
      const message = `${where}: the file must hold settings (name: value), it holds ${kindOf(root)}. Allowed: ${ROOT_NAMES.join(", ")}`;
      this.raw.problems.push({ where, setting: "", message });
      return;
    }
    this.readMap(root, "");
  }

  private readMap(map: YAMLMap, section: string): void {
    for (const pair of map.items) {
      const where = this.whereIs(pair.key);
      const name = isScalar(pair.key) ? String(pair.key.value) : "(no name)";
      const path = section === "" ? name : `${section}.${name}`;
      const value = isAlias(pair.value) ? pair.value.resolve(this.document) : pair.value;
      if (section === "" && isSection(name)) this.readSection(value, name, where);
      else if (path === NODES) this.readNodes(value, where);
      else if (isSetting(path)) this.raw.values.set(path, { value: plainValue(value), where });
      else this.raw.problems.push(unknownSetting(where, section, name));
    }
  }

  private readSection(value: unknown, section: SectionName, where: string): void {
    // A section whose settings are all commented out reads as null.
    if (isEmpty(value)) return;
    if (isMap(value)) {
      this.readMap(value, section);
      return;
    }
    const message = `${where}: ${section} must hold settings (name: value), it holds ${kindOf(value)}. Allowed: ${namesIn(section).join(", ")}`;
    this.raw.problems.push({ where, setting: section, message });
  }

  private readNodes(list: unknown, where: string): void {
    if (isEmpty(list)) return;
    if (!isSeq(list)) {
      this.raw.problems.push(misshapenNodes(where, NODES, kindOf(list)));
      return;
    }
    for (const [index, item] of list.items.entries()) this.readNode(isAlias(item) ? item.resolve(this.document) : item, index + 1, where);
  }

  private readNode(entry: unknown, place: number, listWhere: string): void {
    const where = isNode(entry) ? this.whereIs(entry) : listWhere;
    if (!isMap(entry)) {
      this.raw.problems.push(misshapenNodes(where, `nodes.${place}`, kindOf(entry)));
      return;
    }
    const { values } = nodeAt(this.raw.nodes, place, where);
    for (const pair of entry.items) {
      const at = this.whereIs(pair.key);
      const name = isScalar(pair.key) ? String(pair.key.value) : "(no name)";
      const value = isAlias(pair.value) ? pair.value.resolve(this.document) : pair.value;
      if (isNodeKey(name)) values.set(name, { value: plainValue(value), where: at });
      else this.raw.problems.push(unknownNodeSetting(at, place, name));
    }
  }

  private whereIs(node: unknown): string {
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    return `${this.file}:${this.lines.linePos(offset).line}`;
  }
}

const isEmpty = (node: unknown): boolean => node === null || node === undefined || (isScalar(node) && node.value === null);
const kindOf = (node: unknown): string => (isScalar(node) ? "a single value" : isMap(node) ? "settings" : "a list");

/** Stands for a value of a shape that no setting has. */
class Shapeless {
  constructor(private readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

function plainValue(node: unknown): unknown {
  if (isEmpty(node)) return new Shapeless("empty");
  if (!isScalar(node)) return new Shapeless(kindOf(node));
  // Integers are read as bigint, so that one too large for a number is not rounded on the way.
  const { value } = node;
  return typeof value === "bigint" && BigInt.asIntN(53, value) === value ? Number(value) : value;
}

// Kubernetes sets these for a service called "openprime"; no setting has such a name.
const INJECTED = /^OPENPRIME_(SERVICE_(HOST|PORT)|PORT(_|$))/;
/** Variables with our prefix that are no settings: OPENPRIME_CONFIG names the file, OPENPRIME_BITCOIND a program for tests. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(["OPENPRIME_CONFIG", "OPENPRIME_BITCOIND"]);

/** Reads the overrides of the environment. An empty variable counts as not set. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): RawSettings {
  const raw: RawSettings = { values: new Map(), nodes: new Map(), problems: [] };
  const byName = new Map(SETTING_PATHS.map((path) => [environmentName(path), path]));
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith("OPENPRIME_") || OTHER_VARIABLES.has(name) || INJECTED.test(name)) continue;
    if (value === undefined || value === "") continue;
    const path = byName.get(name);
    if (path !== undefined) {
      raw.values.set(path, { value, where: name });
      continue;
    }
    const ofNode = readNodeEnvironmentName(name);
    if (ofNode !== undefined) {
      nodeAt(raw.nodes, ofNode.place, name).values.set(ofNode.key, { value, where: name });
      continue;
    }
    const meant = didYouMean(name, [...byName.keys(), ...NODE_KEYS.map((key) => nodeEnvironmentName(1, key))]);
    const guess = meant === undefined ? "" : ` Did you mean ${meant}?`;
    const message = `${name}: the environment sets an unknown setting.${guess} Allowed: OPENPRIME_ and a setting of docs/operators.md`;
    raw.problems.push({ where: name, setting: name, message });
  }
  return raw;
}

/** Reads settings given as an object by code; unknown names are problems here too. */
export function readObject(settings: PartialSettings): RawSettings {
  const raw: RawSettings = { values: new Map(), nodes: new Map(), problems: [] };
  const where = "settings";
  const put = (section: string, name: string, value: unknown): void => {
    const path = section === "" ? name : `${section}.${name}`;
    if (isSetting(path)) raw.values.set(path, { value, where });
    else raw.problems.push(unknownSetting(where, section, name));
  };
  const { nodes = [], ...others } = settings;
  for (const [index, entry] of nodes.entries()) {
    const { values } = nodeAt(raw.nodes, index + 1, where);
    for (const [name, value] of Object.entries(entry)) {
      if (!isNodeKey(name)) raw.problems.push(unknownNodeSetting(where, index + 1, name));
      else if (value !== undefined) values.set(name, { value, where });
    }
  }
  for (const [name, value] of Object.entries(others)) {
    if (value === undefined) continue;
    if (!isSection(name) || typeof value !== "object") {
      put("", name, value);
      continue;
    }
    for (const [leaf, leafValue] of Object.entries(value)) if (leafValue !== undefined) put(name, leaf, leafValue);
  }
  return raw;
}
