/** What every way of sending has in common. */

/** One message: a notice, or several in one. */
export interface Message {
  /** The same for each try of the same message. */
  readonly id: string;
  /** One line. */
  readonly subject: string;
  /** Plain text, several lines. */
  readonly text: string;
  /** The body for webhooks. */
  readonly json: string;
  /** Milliseconds, pool clock: when the newest notice in it was written. */
  readonly at: number;
}

/** Where a message goes. */
export interface Destination {
  readonly target: string;
  /** The receiver's id, or `operator`: names the secret that webhooks are signed with. */
  readonly name: string;
  /** May be in a private network. */
  readonly privateAllowed: boolean;
}

export interface Channel {
  /** Resolves when the receiver has the message, or whoever keeps it for the receiver. @throws NoticeError */
  send(destination: Destination, message: Message, signal: AbortSignal): Promise<void>;
  close(): Promise<void> | void;
}
