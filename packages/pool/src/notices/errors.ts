/** The error class of notices and its stable codes. */

export type NoticeErrorCode =
  /** The receiver, the relay or the mail server could not be reached, or its certificate is not good. */
  | "notices.unreachable"
  | "notices.timeout"
  /** It answered, and did not take the message. */
  | "notices.refused"
  /** It says that it is gone for good. */
  | "notices.gone"
  /** A miner's webhook that points into a private network. */
  | "notices.privateTarget"
  /** No URL, address or key of the channel. */
  | "notices.badTarget"
  /** The stored target can't be opened with the notice key. */
  | "notices.sealed"
  /** The configuration has nothing to send by that channel with. */
  | "notices.channelOff"
  /** The notice key's file is no key. */
  | "notices.badKey";

/** Why a notice did not reach its receiver, or can't be sent at all. The message holds no target and no secret. */
export class NoticeError extends Error {
  override readonly name = "NoticeError";

  constructor(
    readonly code: NoticeErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
