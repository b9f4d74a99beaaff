/** `/readyz`: gateways are served and shares committed. 503 names each part that fails. */
import type { Route } from "./route.js";

export const ready: Route = {
  path: "/readyz",
  async answer({ readiness }) {
    const parts = await readiness();
    const failing = parts.filter(({ ok }) => !ok).map(({ name }) => name);
    const body = {
      ready: failing.length === 0,
      failing,
      parts: Object.fromEntries(parts.map(({ name, ok, why }) => [name, { ok, ...(why !== undefined && { why }) }])),
    };
    return { status: body.ready ? 200 : 503, body };
  },
};
