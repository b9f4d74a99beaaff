/** All routes. */
import { health } from "./health.js";
import { metrics } from "./metrics.js";
import { ready } from "./ready.js";
import type { Route } from "./route.js";
import { status } from "./status.js";

export const ROUTES: readonly Route[] = [health, ready, metrics, status];
