/** Share windows, reward schemes and splits as pure integer arithmetic. */
export * from "./errors.js";
export * from "./largest-remainder.js";
export * from "./scheme.js";
export * from "./share-window.js";
export * from "./split.js";
export * from "./tides.js";
