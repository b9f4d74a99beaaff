/** A socket that systemd hands over is taken only by the process that it is for. */
import { expect, test } from "vitest";
import { inheritedSocket } from "../../src/cli/inherited-socket.js";

test.each([
  [{ LISTEN_PID: "7", LISTEN_FDS: "1" }, 3],
  [{ LISTEN_PID: "7", LISTEN_FDS: "2" }, 3],
  [{ LISTEN_PID: "8", LISTEN_FDS: "1" }, undefined],
  [{ LISTEN_PID: "7", LISTEN_FDS: "0" }, undefined],
  [{ LISTEN_PID: "7" }, undefined],
  [{}, undefined],
])("%j: %s", (env, fd) => {
  expect(inheritedSocket(env, 7)).toBe(fd);
});
