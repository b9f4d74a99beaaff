/** `/healthz`: the process lives. Whoever gets no answer in time may restart it; whoever waits for a part of it asks `/readyz`. */
import { setImmediate as turn } from "node:timers/promises";
import type { Route } from "./route.js";

export const health: Route = {
  path: "/healthz",
  async answer() {
    // Through the event loop once: what is answered here is not only a socket that the system still holds open.
    await turn();
    return { body: { status: "ok" } };
  },
};
