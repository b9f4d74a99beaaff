/** The published folder: log files and settlements, for anyone who audits the pool. */
export { LogFiles, type PublishModules, type PublishOptions } from "./log-files.js";
export { Publisher } from "./publisher.js";
export { SettlementFiles } from "./settlement-files.js";
