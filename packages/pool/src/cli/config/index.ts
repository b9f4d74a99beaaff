/** Configuration: one file plus environment overrides, checked at start. */
export { type Config, defaultNodeUrl, type Environment, loadConfig, type NodeAccess, resolveConfig } from "./config.js";
export { ConfigError, type ConfigProblem, redactUrl } from "./problems.js";
export { environmentName, SECTIONS, SETTING_PATHS, SETTINGS, type Setting, type SettingPath } from "./settings.js";
export type { PartialSettings } from "./sources.js";
export { configTemplate } from "./template.js";
