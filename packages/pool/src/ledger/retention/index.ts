/** How long single shares are kept. */
export { Retention, type RetentionModules, type RetentionOptions, type RetentionReport } from "./retention.js";
