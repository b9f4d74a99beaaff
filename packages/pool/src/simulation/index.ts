/** A pool's life simulated, to judge reward schemes and those who try to get around them. */
export * from "./judge.js";
export * from "./miners.js";
export * from "./network.js";
export * from "./random.js";
export * from "./replay.js";
export * from "./reserve.js";
export * from "./schemes.js";
export * from "./statistics.js";
export * from "./summary.js";
export * from "./turns.js";
