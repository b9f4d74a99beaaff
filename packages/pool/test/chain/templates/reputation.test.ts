import { describe, expect, it } from "vitest";
import { Reputation } from "../../../src/chain/templates/reputation.js";

describe("a gateway's record", () => {
  it("is new until five of its templates were sound", () => {
    const reputation = new Reputation();
    for (let i = 0; i < 5; i++) {
      expect(reputation.isNew(1n)).toBe(true);
      reputation.sound(1n);
    }
    expect(reputation.isNew(1n)).toBe(false);
    expect(reputation.isBad(1n)).toBe(false);
  });

  it("is bad from the first unsound one on, until twenty in a row were sound", () => {
    const reputation = new Reputation();
    expect(reputation.unsound(1n)).toBe(true);
    expect(reputation.unsound(1n)).toBe(false);
    for (let i = 0; i < 19; i++) reputation.sound(1n);
    expect(reputation.evaded(1n)).toBe(false);
    for (let i = 0; i < 19; i++) reputation.sound(1n);
    expect([reputation.isBad(1n), reputation.badCount]).toEqual([true, 1]);
    reputation.sound(1n);
    expect([reputation.isBad(1n), reputation.badCount]).toEqual([false, 0]);
  });

  it("bears two evasions, and one more for ten sound ones", () => {
    const reputation = new Reputation();
    expect([reputation.evaded(1n), reputation.evaded(1n), reputation.evaded(1n)]).toEqual([false, false, true]);
    for (let i = 0; i < 20; i++) reputation.sound(1n);
    expect([reputation.evaded(1n), reputation.evaded(1n)]).toEqual([false, true]);
  });

  it("is not pushed out by a crowd of new gateways when it is bad", () => {
    const reputation = new Reputation();
    reputation.unsound(1n);
    for (let i = 0; i < 5; i++) reputation.sound(2n);
    for (let session = 10n; session < 10_010n; session++) reputation.sound(session);
    expect(reputation.isBad(1n)).toBe(true);
    // Forgotten: it counts as new, and is looked at.
    expect(reputation.isNew(2n)).toBe(true);
  });
});
