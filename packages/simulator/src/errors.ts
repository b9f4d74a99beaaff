/** Errors of the simulator. */

export type SimulatorErrorCode =
  | "nodeFailed"
  | "nodeEnded"
  | "nodeRefused"
  | "gatewayStopped"
  | "badTemplate"
  | "loadFailed"
  | "interopMissing"
  | "interopFailed";

/** Carries a stable `code`. */
export class SimulatorError extends Error {
  override readonly name = "SimulatorError";

  constructor(
    readonly code: SimulatorErrorCode,
    message: string,
  ) {
    super(message);
  }
}
