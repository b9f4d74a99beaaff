/** After an error a channel is dead: whatever is called next throws that error again, sending included. */
import { describe, expect, it } from "vitest";
import type { DatumError, GatewayMessage, PoolMessage } from "../src/index.js";
import { connected, datumError, gatewayChannel, native, parties, poolChannel, seed } from "./support.js";

const REQUEST: GatewayMessage = { type: "coinbaserRequest", value: 1n, prevhash: seed(0) };
const PING: PoolMessage = { type: "ping" };
/** Four bytes that are no header under any key used here, and their payload. */
const GARBAGE = new Uint8Array(64).fill(0xff);

/** Each call must throw the very same error. */
function expectDead(error: DatumError, calls: readonly (() => unknown)[]): void {
  for (const call of calls) expect(datumError(call)).toBe(error);
}

describe("the pool's channel", () => {
  it("that met bad bytes after the handshake neither reads nor sends", () => {
    const { pool } = connected(native);
    pool.receive(GARBAGE);
    const error = datumError(() => pool.next());
    expectDead(error, [() => pool.next(), () => pool.receive(GARBAGE), () => pool.send(PING), () => pool.accept()]);
  });

  it("that met bad bytes for a HELLO accepts nobody", () => {
    const pool = poolChannel(native);
    pool.receive(GARBAGE);
    const error = datumError(() => pool.next());
    expectDead(error, [() => pool.accept(), () => pool.send(PING)]);
  });

  it("that can't answer a HELLO stays silent for good", () => {
    const keys = parties(native);
    const lowOrder = { ...keys.gatewaySession, box: { ...keys.gatewaySession.box, publicKey: new Uint8Array(32) } };
    const pool = poolChannel(native, keys);
    pool.receive(gatewayChannel(native, { ...keys, gatewaySession: lowOrder }).hello());
    expect(pool.next()?.type).toBe("hello");
    const error = datumError(() => pool.accept());
    expect(error.code).toBe("badKey");
    expectDead(error, [() => pool.accept(), () => pool.next(), () => pool.receive(GARBAGE), () => pool.send(PING)]);
  });
});

describe("the gateway's channel", () => {
  it("that met bad bytes neither reads nor sends", () => {
    const { gateway } = connected(native);
    gateway.receive(GARBAGE);
    const error = datumError(() => gateway.next());
    expectDead(error, [() => gateway.next(), () => gateway.receive(GARBAGE), () => gateway.send(REQUEST)]);
  });
});
