/** The pool's side of one connection: bytes in, events out; messages in, bytes out. No sockets, no clocks. */
import { type DatumCrypto, SEAL_BYTES } from "./crypto.js";
import { DatumError } from "./errors.js";
import { feedback } from "./feedback.js";
import { COMMAND, type Frame, type FrameHeader, FrameReader, HELLO_HEADER_KEY, HeaderKey } from "./frame.js";
import { decodeGatewayMessage } from "./gateway-messages.js";
import { decodeHello, encodeResponse, MAX_HELLO_BYTES, MIN_HELLO_BYTES } from "./handshake.js";
import { encodeInfo } from "./info.js";
import type { LongTermKeys, SessionKeys } from "./keys.js";
import type { GatewayMessage, Hello, PoolMessage } from "./messages.js";
import { firstNonces } from "./nonce.js";
import { encodePoolMessage } from "./pool-messages.js";
import { frame, SessionCipher } from "./session-cipher.js";

/** A share with both sections is the largest message that comes unasked. Replies to 0x50 requests are larger: raise `maxPayload` for them. */
export const DEFAULT_MAX_PAYLOAD = 36_864;

export interface PoolChannelOptions {
  readonly crypto: DatumCrypto;
  /** HELLO may be sealed to any of them; it is answered with the one it is sealed to. */
  readonly longTermKeys: readonly LongTermKeys[];
  /** For this connection alone: with keys used before, a replayed HELLO would make key and nonces repeat. */
  readonly sessionKeys: SessionKeys;
  /** Shown in the gateway's log; at most 511 bytes. */
  readonly motd: string;
}

export type GatewayEvent =
  | { readonly type: "hello"; readonly hello: Hello }
  | { readonly type: "message"; readonly message: GatewayMessage };

export class PoolChannel {
  /** Largest payload taken after the handshake; raise it only while a large reply is expected. */
  maxPayload = DEFAULT_MAX_PAYLOAD;
  readonly #options: PoolChannelOptions;
  readonly #reader: FrameReader;
  #receiveKey: HeaderKey | undefined;
  #hello: Hello | undefined;
  /** A HELLO that is whole but not opened. */
  #sealedHello: Frame | undefined;
  #longTerm: LongTermKeys | undefined;
  #frameBytes = 0;
  #cipher: SessionCipher | undefined;
  #failure: DatumError | undefined;

  constructor(options: PoolChannelOptions) {
    this.#options = options;
    this.#reader = new FrameReader(
      (word) => (this.#receiveKey === undefined ? (word ^ HELLO_HEADER_KEY) >>> 0 : this.#receiveKey.apply(word)),
      (header) => this.#limit(header),
    );
  }

  /** Once HELLO has been read. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** The long-term key that HELLO was sealed to. */
  get longTermKeys(): LongTermKeys | undefined {
    return this.#longTerm;
  }

  /**
   * Takes bytes as they come. They are read by `next`, and must not be changed afterwards.
   *
   * @throws DatumError the error that ended the channel
   */
  receive(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#reader.push(chunk);
  }

  /** Bytes on the wire of the last message, without its header. */
  get frameBytes(): number {
    return this.#frameBytes;
  }

  /** Bytes that wait to be read. */
  get buffered(): number {
    return this.#reader.buffered + (this.#sealedHello?.payload.length ?? 0);
  }

  /**
   * Whether a HELLO lies there whole, by its header alone: nothing has been decrypted, which is the costly part, and is left to `next`.
   *
   * @throws DatumError as `next`, for a header that is no HELLO's
   */
  helloArrived(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#hello !== undefined) return false;
    return this.#sound(() => {
      this.#sealedHello ??= this.#reader.next();
      return this.#sealedHello !== undefined;
    });
  }

  /**
   * The next event, or undefined when more bytes are needed.
   *
   * @throws DatumError whatever is wrong with the bytes; the channel is dead then and throws the same again
   */
  next(): GatewayEvent | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#sound(() => {
      const next = this.#sealedHello ?? this.#reader.next();
      if (next === undefined) return undefined;
      this.#sealedHello = undefined;
      if (this.#hello === undefined) return { type: "hello", hello: this.#readHello(next) };
      this.#frameBytes = next.payload.length;
      return { type: "message", message: this.#read(next) };
    });
  }

  /**
   * Answers HELLO: one frame, signed by the LONG-TERM key and sealed to the gateway's session key. Once.
   *
   * @throws DatumError `badKey` when the gateway's session key is one that no secret can be shared with: the channel is dead then
   */
  accept(): Uint8Array {
    if (this.#failure !== undefined) throw this.#failure;
    const { crypto, sessionKeys, motd } = this.#options;
    const hello = this.#hello;
    if (hello === undefined || this.#longTerm === undefined) throw new DatumError("unexpectedFrame", "a HELLO to answer", "none yet");
    if (this.#cipher !== undefined) throw new DatumError("unexpectedFrame", "one answer to HELLO", "a second");
    const sharedKey = crypto.sharedKey(hello.sessionBoxKey, sessionKeys.box.secretKey);
    if (sharedKey === undefined) {
      this.#failure = new DatumError("badKey", "a session key that a secret can be shared with", "one of low order");
      throw this.#failure;
    }
    const nonces = firstNonces(hello.nk, hello.sessionSignKey);
    const sendKey = new HeaderKey(feedback(~hello.nk >>> 0));
    const payload = crypto.seal(encodeResponse(crypto, this.#longTerm, sessionKeys, hello, motd), hello.sessionBoxKey);
    const header = { length: payload.length, signed: true, sealed: true, channel: false, command: COMMAND.handshakeResponse };
    const response = frame(sendKey, header, payload);
    this.#cipher = new SessionCipher({
      crypto,
      own: sessionKeys,
      peerSignKey: hello.sessionSignKey,
      sharedKey,
      sendKey,
      sendNonce: nonces.poolToGateway,
      receiveNonce: nonces.gatewayToPool,
    });
    return response;
  }

  /**
   * One whole frame for a message. The configuration is signed by the SESSION key, as the gateway wants it.
   *
   * @throws DatumError `badValue` for a message that no gateway could work with, `frameTooLarge`: the channel stays good;
   *   or the error that ended the channel
   */
  send(message: PoolMessage): Uint8Array {
    if (this.#failure !== undefined) throw this.#failure;
    const cipher = this.#cipher;
    if (cipher === undefined) throw new DatumError("unexpectedFrame", "a finished handshake", "none yet");
    if (message.type === "ping") return cipher.bare(COMMAND.helloOrPing);
    if (message.type === "info") return cipher.seal(COMMAND.info, encodeInfo(message.text), false);
    return cipher.seal(COMMAND.mining, encodePoolMessage(message), message.type === "configuration");
  }

  /** The channel is dead from the first error on. */
  #sound<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof DatumError) this.#failure = error;
      throw error;
    }
  }

  /** Judged by the header alone, before the payload is waited for. */
  #limit(header: FrameHeader): number {
    if (this.#hello !== undefined) {
      expectMining(header);
      return this.maxPayload;
    }
    if (header.command !== COMMAND.helloOrPing || !header.signed || !header.sealed || header.channel || header.length < SEAL_BYTES) {
      throw new DatumError("unexpectedFrame", "HELLO, signed and sealed", describe(header));
    }
    if (header.length < MIN_HELLO_BYTES) {
      throw new DatumError("helloMalformed", `at least ${MIN_HELLO_BYTES} bytes`, `${header.length}`);
    }
    return MAX_HELLO_BYTES;
  }

  #readHello({ payload }: Frame): Hello {
    const { crypto, longTermKeys } = this.#options;
    for (const keys of longTermKeys) {
      const plain = crypto.openSealed(payload, keys.box);
      if (plain === undefined) continue;
      const hello = decodeHello(crypto, plain);
      this.#hello = hello;
      this.#longTerm = keys;
      this.#receiveKey = new HeaderKey(feedback(hello.nk));
      return hello;
    }
    throw new DatumError("helloUnreadable", "a HELLO sealed to this pool's key", "one that none of its keys opens");
  }

  #read({ header, payload }: Frame): GatewayMessage {
    if (this.#cipher === undefined) throw new DatumError("unexpectedFrame", "nothing before the handshake response", describe(header));
    return decodeGatewayMessage(this.#cipher.open(header, payload));
  }
}

function expectMining(header: FrameHeader): void {
  if (header.command === COMMAND.mining) {
    if (header.channel && !header.sealed) return;
    throw new DatumError("unencryptedMiningMessage", "mining messages encrypted by the channel", describe(header));
  }
  if (header.command === COMMAND.helloOrPing) throw new DatumError("unexpectedFrame", "one HELLO on a connection", "a second");
  throw new DatumError("unknownCommand", `command ${COMMAND.mining}`, describe(header));
}

/** A header in words, for errors. */
export function describe(header: FrameHeader): string {
  const flags = (["signed", "sealed", "channel"] as const).filter((flag) => header[flag]);
  return `command ${header.command} (${flags.join(", ") || "no flags"}), ${header.length} bytes`;
}
