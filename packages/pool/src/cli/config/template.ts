/** The commented configuration file that `openprime init` writes. */
import { nodeEnvironmentName } from "./nodes.js";
import { environmentName, SECTIONS, SETTING_PATHS, SETTINGS, type SectionName, type SettingPath } from "./settings.js";

const INDENT = "  ";

/** Folds a sentence into comment lines. */
function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(" ")) {
    if (line.length + word.length > 99) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function settingLines(path: SettingPath, values: Partial<Record<SettingPath, string>>): string[] {
  const { about, allowed, fallback } = SETTINGS[path];
  const indent = path.includes(".") ? INDENT : "";
  const name = path.slice(path.indexOf(".") + 1);
  const value = values[path];
  const line =
    value === undefined ? `# ${name}:${fallback === undefined ? "" : ` ${JSON.stringify(fallback)}`}` : `${name}: ${JSON.stringify(value)}`;
  return [...comment(`${about} Allowed: ${allowed}.`, indent), `${indent}${line}`];
}

const MORE_NODES: readonly string[] = [
  ...comment(
    "More nodes of yours: the best chain among them is followed, and found blocks go to all. An entry takes what node takes, but pollSeconds; " +
      `${nodeEnvironmentName(1, "url")} and so on override the first of the list.`,
    "",
  ),
  "# nodes:",
  '#   - url: "http://10.0.0.2:8332"',
  '#     user: "pool"',
  '#     password: "…"',
];

/**
 * A complete configuration file with every setting explained. Settings in `values` are set, all others are commented out and show
 * their default.
 */
export function configTemplate(values: Partial<Record<SettingPath, string>>): string {
  const lines = [
    "# Configuration of OpenPrime, read once at start.",
    "#",
    "# A setting that is commented out shows its default. Each can be overridden by an environment variable:",
    `# pool.payoutAddress by ${environmentName("pool.payoutAddress")}, listen.port by ${environmentName("listen.port")}, and so on.`,
    "# `openprime doctor` tries the settings out and says what to do.",
    "",
    ...settingLines("network", values),
  ];
  for (const section of Object.keys(SECTIONS) as SectionName[]) {
    lines.push("", ...comment(SECTIONS[section], ""), `${section}:`);
    for (const path of SETTING_PATHS) if (path.startsWith(`${section}.`)) lines.push(...settingLines(path, values));
    if (section === "node") lines.push("", ...MORE_NODES);
  }
  return `${lines.join("\n")}\n`;
}
