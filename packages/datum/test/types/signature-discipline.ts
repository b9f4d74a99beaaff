/**
 * What the long-term key signs and what the session key signs can't be mixed up: each marked line must be refused by the compiler. An
 * expected error that does not come is an error itself. `keys.types.test.ts` compiles this file; it is never run.
 */
import {
  type DatumCrypto,
  encodePublicKey,
  GatewayChannel,
  type LongTermKeys,
  PoolChannel,
  type PoolPublicKey,
  type SessionKeys,
  signLongTerm,
  signSession,
  signStatement,
} from "../../src/index.js";

declare const crypto: DatumCrypto;
declare const longTerm: LongTermKeys;
declare const session: SessionKeys;
declare const poolPublicKey: PoolPublicKey;
declare const message: Uint8Array;

// The right way round.
signLongTerm(crypto, longTerm, message);
signSession(crypto, session, message);
signStatement(crypto, longTerm, message);
encodePublicKey(longTerm);
new PoolChannel({ crypto, longTermKeys: [longTerm], sessionKeys: session, motd: "" });
new GatewayChannel({ crypto, poolPublicKey, longTermKeys: longTerm, sessionKeys: session, version: "", nk: 1 });

// @ts-expect-error session keys never sign as the identity
signLongTerm(crypto, session, message);
// @ts-expect-error session keys make no statements
signStatement(crypto, session, message);
// @ts-expect-error the identity never signs inside a connection
signSession(crypto, longTerm, message);
// @ts-expect-error session keys are no identity to show
encodePublicKey(session);
// @ts-expect-error a pool's identity is not its session keys
new PoolChannel({ crypto, longTermKeys: [session], sessionKeys: session, motd: "" });
// @ts-expect-error a connection of the pool does not run on its identity
new PoolChannel({ crypto, longTermKeys: [longTerm], sessionKeys: longTerm, motd: "" });
// @ts-expect-error a gateway's identity is not its session keys
new GatewayChannel({ crypto, poolPublicKey, longTermKeys: session, sessionKeys: session, version: "", nk: 1 });
// @ts-expect-error a connection of the gateway does not run on its identity
new GatewayChannel({ crypto, poolPublicKey, longTermKeys: longTerm, sessionKeys: longTerm, version: "", nk: 1 });
// @ts-expect-error one kind is not made of the other
export const disguised: SessionKeys = longTerm;
// @ts-expect-error nor the other of the one
export const promoted: LongTermKeys = session;
// @ts-expect-error keys come from the functions that make them, not from their parts
export const handmade: SessionKeys = { kind: "session", sign: longTerm.sign, box: longTerm.box };
