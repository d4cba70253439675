/**
 * The HTTP server: fastify, the routes, and what holds for all of them.
 *
 * Every route but `/health` needs a token, which is checked before the body is read. All
 * errors are problem details. Closing refuses new requests, ends streams and lets requests
 * that wait for results answer with what they have.
 */
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { PlatformError, type Clock, type IdSource } from "../../core/index.ts";
import { createAuthenticator } from "../auth/tokens.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Services } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import { authorize, type Gate } from "./authorize.ts";
import { JSON_BYTES_MAX } from "./body-parsers.ts";
import { checkBySchema, writeJson } from "./compilers.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { collectOpenApi } from "./openapi.ts";
import { OpenRequests } from "./open-requests.ts";
import { RefusedError, sendProblem } from "./problem.ts";
import { limitRate, REQUESTS_PER_SECOND } from "./rate-limit.ts";
import { guardRoutes } from "./route-access.ts";
import type { ApiServer, RouteDeps } from "./route-deps.ts";
import { agentFileRoutes } from "./routes/agent-file-routes.ts";
import { appRoutes } from "./routes/app-routes.ts";
import { blobRoutes } from "./routes/blob-routes.ts";
import { callRoutes } from "./routes/call-routes.ts";
import { chunkRoutes } from "./routes/chunk-routes.ts";
import { snapshotRoutes } from "./routes/snapshot-routes.ts";
import { eventRoutes } from "./routes/event-routes.ts";
import { fleetRoutes } from "./routes/fleet-routes.ts";
import { imageReadsRoutes } from "./routes/image-reads-routes.ts";
import { imageRoutes } from "./routes/image-routes.ts";
import { poolRoutes } from "./routes/pool-routes.ts";
import { scheduleRoutes } from "./routes/schedule-routes.ts";
import { functionRoutes } from "./routes/function-routes.ts";
import { secretRoutes } from "./routes/secret-routes.ts";
import { volumeRoutes } from "./routes/volume-routes.ts";
import { systemRoutes } from "./routes/system-routes.ts";
import { tunnelRoutes } from "./routes/tunnel-routes.ts";
import { webRoutes } from "./routes/web-routes.ts";
import { tokenRoutes } from "./routes/token-routes.ts";
import { usageRoutes } from "./routes/usage-routes.ts";
import { workspaceRoutes } from "./routes/workspace-routes.ts";
import { endWith, handleUpgrades, isWebSocketUpgrade } from "./upgrades.ts";

/** Longest time a client may take to send one request. */
const RECEIVE_TIMEOUT_MS = 120_000;
const KEEP_ALIVE_MS = 75_000;
/** While the server closes: how often idle connections are cut, and when all are. */
const IDLE_CHECK_MS = 20;
const LINGER_MS_MAX = 2_000;
/** As long as a URL may be: a parameter that is too long is then refused as wrong, by its name. */
const PATH_PARAMETER_CHARACTERS_MAX = 16 * 1024;

export interface HttpServerOptions {
  readonly services: Services;
  readonly store: Pick<RecordStore, "registry" | "tokens" | "workspaces" | "blobOwners">;
  readonly blobs: BlobStore;
  /** Where payloads are kept while a call names them. */
  readonly payloadBlobs: BlobStore;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Version of the platform, for `/health` and the OpenAPI document. */
  readonly version: string;
  /** A pino logger; nothing is logged without one. */
  readonly logger?: FastifyBaseLogger;
  /** A fresh registry unless given. */
  readonly metrics?: Metrics;
  /** Requests of one token in a second; `REQUESTS_PER_SECOND` unless given. */
  readonly requestsPerSecondMax?: number;
}

/** The server, ready for `listen`; `close()` ends it gracefully. */
export function buildHttpServer(options: HttpServerOptions): FastifyInstance {
  const { services, ids } = options;
  const metrics = options.metrics ?? createMetrics();
  const openRequests = new OpenRequests();
  const app = newServer(options);
  app.setValidatorCompiler(checkBySchema);
  app.setSerializerCompiler(writeJson);
  app.removeContentTypeParser("text/plain");
  const cutUpgraded = handleUpgrades(app.server, services, () => ids.next("re"));
  app.addHook("preClose", async () => {
    openRequests.close();
    cutUpgraded();
    hurryConnections(app.server);
    await Promise.resolve();
  });
  const gate: Gate = {
    authenticator: createAuthenticator(options.store.tokens, options.clock),
    fleet: services.fleet,
    volumes: services.volumes,
    workspaces: options.store.workspaces,
  };
  guard(app, gate, openRequests);
  guardRoutes(app);
  limitRate(app, options.requestsPerSecondMax ?? REQUESTS_PER_SECOND);
  observe(app, metrics);
  collectOpenApi(app, options.version);
  const { store, blobs, payloadBlobs, clock, version } = options;
  const { authenticator } = gate;
  const kept = { store, blobs, payloadBlobs };
  const parts = { services, ...kept, clock, ids, metrics, openRequests, version };
  addRoutes(app, { ...parts, authenticator });
  return app;
}

/**
 * Closes connections as they fall idle, and whatever is left after a while: a client that keeps
 * one open, or reads its answer slowly, must not hold up the end of the server.
 */
function hurryConnections(server: FastifyInstance["server"]): void {
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const last = setTimeout(() => server.closeAllConnections(), LINGER_MS_MAX);
  server.once("close", () => {
    clearInterval(idle);
    clearTimeout(last);
  });
}

function newServer(options: HttpServerOptions): FastifyInstance {
  const newId = (): string => options.ids.next("re");
  const app: FastifyInstance = fastify({
    ...(options.logger === undefined ? {} : { loggerInstance: options.logger }),
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: newId,
    requestIdHeader: false,
    bodyLimit: JSON_BYTES_MAX,
    exposeHeadRoutes: false,
    // Closing is answered by `guard`, as a problem like any other.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    requestTimeout: RECEIVE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { shouldUpgradeCallback: isWebSocketUpgrade },
    routerOptions: { maxParamLength: PATH_PARAMETER_CHARACTERS_MAX },
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    clientErrorHandler: ({ code, rawPacket }, socket) => {
      endWith(socket, refusalOf(code), newId(), isHead(rawPacket));
    },
  });
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const what = `${request.method} ${request.url.split("?")[0]?.slice(0, 200) ?? ""}`;
    sendProblem(new RefusedError(404, "not_found", `there is no ${what}`), request, reply);
  });
  return app;
}

/** Refuses requests without a token, and all once the server closes. */
function guard(app: FastifyInstance, gate: Gate, openRequests: OpenRequests): void {
  app.decorateRequest("principal", undefined);
  app.addHook("onRequest", async (request, reply) => {
    if (openRequests.isClosing) {
      reply.header("connection", "close");
      throw new PlatformError("the server is stopping; try again", {
        code: "unavailable",
        retryable: true,
      });
    }
    await authorize(request, gate);
  });
}

function observe(app: FastifyInstance, metrics: Metrics): void {
  app.addHook("onResponse", (request: FastifyRequest, reply: FastifyReply, done) => {
    const { method, routeOptions } = request;
    const route = routeOptions.url ?? "none";
    const { statusCode: status, elapsedTime: durationMs } = reply;
    if (routeOptions.config.isStream !== true) {
      metrics.httpAnswered({ method, route, status, durationMs });
    }
    request.log.debug({ method, route, status, durationMs }, "answered");
    done();
  });
}

function addRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const parts = [
    blobRoutes,
    appRoutes,
    functionRoutes,
    scheduleRoutes,
    imageRoutes,
    imageReadsRoutes,
    secretRoutes,
    volumeRoutes,
    chunkRoutes,
    snapshotRoutes,
    callRoutes,
    eventRoutes,
    fleetRoutes,
    poolRoutes,
    systemRoutes,
    agentFileRoutes,
    tunnelRoutes,
    webRoutes,
    workspaceRoutes,
    tokenRoutes,
    usageRoutes,
  ];
  for (const addPart of parts) {
    // Each part has its own scope, so that a body is only taken where it belongs.
    app.register((scope, _options, done) => {
      const api: ApiServer = scope.withTypeProvider<ZodTypeProvider>();
      addPart(api, deps);
      done();
    });
  }
}

/** Whether they begin a request whose answer has no body. */
function isHead(bytes: unknown): boolean {
  return Buffer.isBuffer(bytes) && bytes.subarray(0, 5).toString("latin1") === "HEAD ";
}

/** What to say to bytes that are no HTTP request. */
function refusalOf(code: string): RefusedError {
  if (code === "HPE_HEADER_OVERFLOW") {
    return new RefusedError(431, "invalid_request", "the headers are too large");
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new RefusedError(408, "timed_out", "the request took too long to arrive");
  }
  return new RefusedError(400, "invalid_request", "this is no HTTP request");
}
