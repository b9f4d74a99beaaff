/**
 * The HTTP server: limits, request ids, errors as JSON, and the routes.
 *
 * It only gives out, takes no bodies, and is meant for the operator's own machine and network. Whatever a caller does costs a bounded amount: sizes
 * and times of requests, connections, requests per address; answers that cost something are shared between those who ask at once.
 */
import type { Socket } from "node:net";
import rateLimit from "@fastify/rate-limit";
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { ApiError, ApiListenError } from "./errors.js";
import { hostAllowed } from "./host-names.js";
import { requestId } from "./request-id.js";
import { RequestMetrics } from "./request-metrics.js";
import { ROUTES } from "./routes/index.js";
import type { Route } from "./routes/route.js";
import { sharedFor } from "./shared.js";
import type { ApiSources } from "./sources.js";

export interface ApiOptions {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** Names besides localhost and IP addresses by which it may be called, lower case. */
  readonly names?: readonly string[];
  /** Requests a minute from one address. Default 600. */
  readonly requestsPerMinute?: number;
  /** A request must be whole within this time, milliseconds. Default 10,000. */
  readonly requestMs?: number;
}

export interface ApiModules {
  readonly sources: ApiSources;
  readonly log: Logger;
  readonly metrics: Registry;
  /** A clock that is never set, milliseconds. */
  readonly monotonic?: () => number;
}

const CONNECTIONS = 200;
const HEADER_BYTES = 8192;
/** Longer than between two scrapes, so that a scraper keeps its connection. */
const KEEP_ALIVE_MS = 75_000;
/** Addresses whose requests are counted; past them the oldest are forgotten. */
const COUNTED_ADDRESSES = 5000;
/** How long a status, or how ready the pool is, is given out again. */
const STATUS_MS = 500;

export class ApiServer {
  private constructor(
    private readonly app: FastifyInstance,
    readonly address: { readonly host: string; readonly port: number },
  ) {}

  /** Listens. @throws ApiListenError */
  static async start(options: ApiOptions, modules: ApiModules): Promise<ApiServer> {
    const app = await makeApp(options, modules);
    try {
      await app.listen({ host: options.host, port: options.port, listenTextResolver: (address) => `the API listens at ${address}` });
    } catch (error) {
      await app.close();
      const why = error instanceof Error ? error.message : String(error);
      throw new ApiListenError(`the API can't listen on ${options.host} port ${options.port}: ${why}`, { cause: error });
    }
    const bound = app.server.address();
    if (bound === null || typeof bound === "string") throw new Error("the API has no address");
    return new ApiServer(app, { host: bound.address, port: bound.port });
  }

  /** Answers what is under way and closes every connection. */
  close(): Promise<void> {
    return this.app.close();
  }
}

async function makeApp(options: ApiOptions, modules: ApiModules): Promise<FastifyInstance> {
  const { requestsPerMinute = 600, requestMs = 10_000 } = options;
  const figures = new RequestMetrics(modules.metrics);
  const app = Fastify({
    loggerInstance: modules.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "request" }),
    genReqId: (request) => requestId(request.headers["x-request-id"]),
    http: { maxHeaderSize: HEADER_BYTES, headersTimeout: requestMs, connectionsCheckingInterval: Math.min(1000, requestMs / 2) },
    requestTimeout: requestMs,
    connectionTimeout: requestMs * 3,
    keepAliveTimeout: KEEP_ALIVE_MS,
    bodyLimit: 1,
    forceCloseConnections: true,
    clientErrorHandler: refuseBytes,
    // Before any hook: a path that can't be decoded.
    frameworkErrors: (error, request, reply) => {
      sendError(asApiError(error, request as FastifyRequest), request as FastifyRequest, reply as FastifyReply);
    },
  });
  app.server.maxConnections = CONNECTIONS;

  const names = new Set(options.names);
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({ "x-request-id": request.id, "x-content-type-options": "nosniff", "cache-control": "no-store" });
    refuseBadRequest(request, reply, names);
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url;
    figures.answered(route, reply.statusCode, reply.elapsedTime / 1000);
    // Who asks often must not fill the log: what went wrong on our side is told where it is known.
    const fields = { method: request.method, route: route ?? "none", status: reply.statusCode, ms: Math.round(reply.elapsedTime) };
    request.log.debug(fields, "request answered");
  });
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    cache: COUNTED_ADDRESSES,
    errorResponseBuilder: () => new ApiError("tooManyRequests", 429, `more than ${requestsPerMinute} requests a minute from one address`),
  });
  app.setErrorHandler((error: FastifyError, request, reply) => sendError(asApiError(error, request), request, reply));
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request, reply) =>
    sendError(new ApiError("notFound", 404, "there is nothing under this path"), request, reply),
  );
  const sources = sharedSources(modules);
  for (const route of ROUTES) addRoute(app, route, sources);
  await app.ready();
  return app;
}

function sharedSources({ sources, monotonic = () => performance.now() }: ApiModules): ApiSources {
  return {
    metrics: sharedFor(0, sources.metrics, monotonic),
    readiness: sharedFor(STATUS_MS, sources.readiness, monotonic),
    status: sharedFor(STATUS_MS, sources.status, monotonic),
  };
}

function addRoute(app: FastifyInstance, { path, answer }: Route, sources: ApiSources): void {
  app.get(path, async (_, reply) => {
    const { status = 200, type = "application/json; charset=utf-8", body } = await answer(sources);
    return reply.code(status).type(type).send(body);
  });
}

/** @throws ApiError for what no caller of ours sends */
function refuseBadRequest({ method, headers }: FastifyRequest, reply: FastifyReply, names: ReadonlySet<string>): void {
  if (!hostAllowed(headers.host, names)) {
    throw new ApiError("hostNotAllowed", 421, "the API is not called by this name: api.names lists those that it may have");
  }
  if (method !== "GET" && method !== "HEAD") {
    // Whatever follows of it is not read.
    reply.headers({ allow: "GET, HEAD", connection: "close" });
    throw new ApiError("methodNotAllowed", 405, "only GET and HEAD are answered");
  }
  if (headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0") {
    reply.header("connection", "close");
    throw new ApiError("bodyNotAllowed", 413, "requests have no bodies here");
  }
}

function asApiError(error: FastifyError, request: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  const { statusCode = 500 } = error;
  if (statusCode < 500) return new ApiError("badRequest", statusCode, "the request can't be read");
  request.log.error({ err: error, route: request.routeOptions.url }, "a fault of ours while a request was answered");
  return new ApiError("internal", 500, "a fault of the pool's: its log has this request's id");
}

function sendError({ code, statusCode, message }: ApiError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply
    .code(statusCode)
    .type("application/json; charset=utf-8")
    .send({ error: { code, message, request: request.id } });
}

/** Bytes that are no request, or came too slowly: there is no request to answer yet. */
function refuseBytes(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, code, message] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["431 Request Header Fields Too Large", "headersTooLarge", `headers of more than ${HEADER_BYTES} bytes`]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ["408 Request Timeout", "requestTimeout", "the request was not whole in time"]
        : ["400 Bad Request", "badRequest", "the request can't be read"];
  const body = JSON.stringify({ error: { code, message } });
  const head = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}`;
  socket.end(`${head}\r\n\r\n${body}`);
}
