/** `/metrics`: the figures of all rooms as Prometheus reads them. */
import type { Route } from "./route.js";

export const metrics: Route = {
  path: "/metrics",
  answer: async (sources) => ({ type: "text/plain; version=0.0.4; charset=utf-8", body: await sources.metrics() }),
};
