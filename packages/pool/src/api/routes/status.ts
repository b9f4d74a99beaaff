/** `/v1/status`: what `openprime top` shows. For the operator: it names gateways' addresses. */
import type { Route } from "./route.js";

export const status: Route = {
  path: "/v1/status",
  answer: async (sources) => ({ body: await sources.status() }),
};
