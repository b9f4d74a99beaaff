/** The gateway's side of one connection, the mirror of the pool's: for simulators, tests, and pools that are gateways of other pools. */
import { type DatumCrypto, SEAL_BYTES, SIGNATURE_BYTES } from "./crypto.js";
import { DatumError } from "./errors.js";
import { feedback } from "./feedback.js";
import { COMMAND, type Frame, type FrameHeader, FrameReader, HELLO_HEADER_KEY, HeaderKey, LARGEST_PAYLOAD } from "./frame.js";
import { encodeGatewayMessage } from "./gateway-messages.js";
import { decodeResponse, encodeHello, type HandshakeResponse, MAX_RESPONSE_BYTES } from "./handshake.js";
import { decodeInfo } from "./info.js";
import type { LongTermKeys, PoolPublicKey, SessionKeys } from "./keys.js";
import type { GatewayMessage, PoolMessage } from "./messages.js";
import { firstNonces } from "./nonce.js";
import { type PaddingSource, randomPadding } from "./padding.js";
import { describe } from "./pool-channel.js";
import { decodePoolMessage } from "./pool-messages.js";
import { frame, SessionCipher } from "./session-cipher.js";

export interface GatewayChannelOptions {
  readonly crypto: DatumCrypto;
  readonly poolPublicKey: PoolPublicKey;
  /** The gateway's identity. */
  readonly longTermKeys: LongTermKeys;
  /** For this connection alone. */
  readonly sessionKeys: SessionKeys;
  /** At most 256 bytes. */
  readonly version: string;
  /** A random u32. */
  readonly nk: number;
  readonly padding?: PaddingSource;
}

export type PoolEvent =
  | { readonly type: "accepted"; readonly motd: string; readonly poolSessionSignKey: Uint8Array; readonly poolSessionBoxKey: Uint8Array }
  | { readonly type: "message"; readonly message: PoolMessage };

export class GatewayChannel {
  readonly #options: GatewayChannelOptions;
  readonly #padding: PaddingSource;
  readonly #reader: FrameReader;
  readonly #receiveKey: HeaderKey;
  #cipher: SessionCipher | undefined;
  #failure: DatumError | undefined;

  constructor(options: GatewayChannelOptions) {
    this.#options = options;
    this.#padding = options.padding ?? randomPadding;
    this.#receiveKey = new HeaderKey(feedback(~options.nk >>> 0));
    this.#reader = new FrameReader(
      (word) => this.#receiveKey.apply(word),
      (header) => this.#limit(header),
    );
  }

  /** The first frame of the connection, signed by the long-term key and sealed to the pool's. @throws DatumError `badValue`, `badKey` */
  hello(): Uint8Array {
    const { crypto, longTermKeys, sessionKeys, poolPublicKey, version, nk } = this.#options;
    if (crypto.sharedKey(poolPublicKey.box, sessionKeys.box.secretKey) === undefined) {
      throw new DatumError("badKey", "a pool key that a message can be sealed to", "one of low order");
    }
    const plain = encodeHello(crypto, longTermKeys, sessionKeys, { version, nk }, this.#padding);
    const payload = crypto.seal(plain, poolPublicKey.box);
    const header = { length: payload.length, signed: true, sealed: true, channel: false, command: COMMAND.helloOrPing };
    return frame(new HeaderKey(HELLO_HEADER_KEY), header, payload);
  }

  /** Takes bytes as they come; they must not be changed afterwards. @throws DatumError the error that ended the channel */
  receive(chunk: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#reader.push(chunk);
  }

  /** The next event, or undefined when more bytes are needed. @throws DatumError; the channel is dead then and throws the same again */
  next(): PoolEvent | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const next = this.#reader.next();
      if (next === undefined) return undefined;
      return this.#cipher === undefined ? this.#readResponse(next) : { type: "message", message: this.#read(this.#cipher, next) };
    } catch (error) {
      if (error instanceof DatumError) this.#failure = error;
      throw error;
    }
  }

  /** One whole frame for a message. @throws DatumError `badValue`, `frameTooLarge`: the channel stays good; or the error that ended it */
  send(message: GatewayMessage): Uint8Array {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#cipher === undefined) throw new DatumError("unexpectedFrame", "a finished handshake", "none yet");
    return this.#cipher.seal(COMMAND.mining, encodeGatewayMessage(message, this.#padding), false);
  }

  #limit(header: FrameHeader): number {
    if (this.#cipher !== undefined) {
      expectChannel(header);
      return LARGEST_PAYLOAD;
    }
    if (header.command !== COMMAND.handshakeResponse || !header.signed || !header.sealed || header.channel || header.length < SEAL_BYTES) {
      throw new DatumError("unexpectedFrame", "the handshake response, signed and sealed", describe(header));
    }
    return MAX_RESPONSE_BYTES;
  }

  #readResponse({ payload }: Frame): PoolEvent {
    const { crypto, poolPublicKey, longTermKeys, sessionKeys, nk } = this.#options;
    const plain = crypto.openSealed(payload, sessionKeys.box);
    if (plain === undefined) throw new DatumError("responseUnreadable", "a response sealed to this session's key", "another");
    const own = { longTerm: longTermKeys, session: sessionKeys };
    const response: HandshakeResponse = decodeResponse(crypto, poolPublicKey.sign, own, plain);
    const sharedKey = crypto.sharedKey(response.poolSessionBoxKey, sessionKeys.box.secretKey);
    if (sharedKey === undefined) throw new DatumError("badKey", "a session key that a secret can be shared with", "one of low order");
    const nonces = firstNonces(nk, sessionKeys.sign.publicKey);
    this.#cipher = new SessionCipher({
      crypto,
      own: sessionKeys,
      peerSignKey: response.poolSessionSignKey,
      sharedKey,
      sendKey: new HeaderKey(feedback(nk)),
      sendNonce: nonces.gatewayToPool,
      receiveNonce: nonces.poolToGateway,
    });
    return { type: "accepted", ...response };
  }

  #read(cipher: SessionCipher, { header, payload }: Frame): PoolMessage {
    if (!header.channel) return { type: "ping" };
    const body = cipher.open(header, payload);
    // No MAC covers the header: the bodies of the three commands must tell them apart as well.
    if (header.command === COMMAND.helloOrPing) {
      if (body.length > 0) throw new DatumError("malformedMessage", "a PING without content", `${body.length} bytes`);
      return { type: "ping" };
    }
    if (header.command === COMMAND.info) return { type: "info", text: decodeInfo(body) };
    const message = decodePoolMessage(body);
    if (message.type === "configuration" && !header.signed) {
      throw new DatumError("badSignature", "a configuration signed by the pool's session key", `none (${SIGNATURE_BYTES} bytes missing)`);
    }
    return message;
  }
}

/**
 * What may come after the handshake, judged by the header alone. Only the empty PING comes unencrypted: were other such frames taken, then
 * one flipped header byte would turn an encrypted message into a ping, or its ciphertext into a text for the log.
 */
function expectChannel(header: FrameHeader): void {
  const known: readonly number[] = [COMMAND.helloOrPing, COMMAND.mining, COMMAND.info];
  if (!known.includes(header.command)) throw new DatumError("unknownCommand", "command 1, 5 or 7", describe(header));
  if (header.channel && !header.sealed) return;
  if (header.command === COMMAND.mining) {
    throw new DatumError("unencryptedMiningMessage", "mining messages encrypted by the channel", describe(header));
  }
  const emptyPing = header.command === COMMAND.helloOrPing && !header.signed && !header.sealed && header.length === 0;
  if (!emptyPing) throw new DatumError("unexpectedFrame", "a frame of the channel, or an empty PING", describe(header));
}
