/** Share windows, reward schemes, splits and luck: what a pool owes to whom, as pure arithmetic. */
export * from "./balances.js";
export * from "./errors.js";
export * from "./largest-remainder.js";
export * from "./luck.js";
export * from "./per-share.js";
export * from "./pplns.js";
export * from "./scheme.js";
export * from "./schemes.js";
export * from "./segment-limit.js";
export * from "./share-window.js";
export * from "./solo.js";
export * from "./split.js";
export * from "./tides.js";
