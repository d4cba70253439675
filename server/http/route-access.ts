/**
 * Who may use which route: the one table of it. The OpenAPI document shows it as each route's
 * `security`, and a route without a line here does not come up.
 */
import type { FastifyInstance, RouteOptions } from "fastify";
import { assert } from "../../core/index.ts";
import type { TokenScope } from "../../sdk/protocol/index.ts";

export interface RouteAccess {
  /** Any one of these is enough; `any` takes every user's token, `public` takes none. */
  readonly scopes: readonly TokenScope[] | "any" | "public";
  /**
   * Whether agents may use it: in their own name, in the name of one of their containers and its
   * workspace, either of these, or for the one volume that they have a grant for; absent: they
   * may not.
   */
  readonly agents?: "as-node" | "as-container" | "as-either" | "for-volume";
}

const PUBLIC: RouteAccess = { scopes: "public" };
const ANY: RouteAccess = { scopes: "any" };
const READ: RouteAccess = { scopes: ["read"] };
const DEPLOY: RouteAccess = { scopes: ["deploy"] };
const ADMIN: RouteAccess = { scopes: ["admin"] };
const OPERATOR: RouteAccess = { scopes: ["operator"] };
/** No user's token is enough: what is in the memory of functions is for nodes that run them. */
const NODES: RouteAccess = { scopes: [], agents: "as-node" };
const CALL: RouteAccess = { scopes: ["call"], agents: "as-container" };
const WRITE_VOLUME: RouteAccess = { scopes: ["deploy"], agents: "for-volume" };
const READ_OR_CALL: RouteAccess = { scopes: ["read", "call"], agents: "as-container" };

/** By method and path as they are registered. */
export const ROUTE_ACCESS: Readonly<Record<string, RouteAccess>> = {
  // What these lead to says itself whether it needs a token.
  "GET /web/:workspace/:app/*": PUBLIC,
  "HEAD /web/:workspace/:app/*": PUBLIC,
  "POST /web/:workspace/:app/*": PUBLIC,
  "PUT /web/:workspace/:app/*": PUBLIC,
  "PATCH /web/:workspace/:app/*": PUBLIC,
  "DELETE /web/:workspace/:app/*": PUBLIC,
  "OPTIONS /web/:workspace/:app/*": PUBLIC,
  "GET /web-results/:callId": PUBLIC,

  "GET /health": PUBLIC,
  "GET /openapi.json": ANY,
  "GET /v1/ping": ANY,
  "GET /metrics": OPERATOR,
  // Upgrades go past the routes; the gateway takes join and agent tokens only.
  "GET /v1/agent": { scopes: "any", agents: "as-node" },
  // The token is a batch's, which is stored nowhere: the service knows it.
  "GET /v1/agent/files/:sha256": PUBLIC,

  "PUT /v1/blobs/:sha256": { scopes: ["call", "deploy"] },
  "POST /v1/blobs": { scopes: ["call", "deploy"], agents: "as-container" },
  "HEAD /v1/blobs/:sha256": { scopes: ["read", "call"], agents: "as-node" },
  "GET /v1/blobs/:sha256": { scopes: ["read", "call"], agents: "as-either" },
  "GET /v1/chunks/:chunkId": { scopes: ["operator"], agents: "as-node" },
  "GET /v1/images/:contentId/reads": NODES,
  "PUT /v1/images/:contentId/reads": NODES,

  "GET /v1/snapshots/:snapshotId/:key": NODES,
  "PUT /v1/snapshots/:snapshotId/:key": NODES,
  "DELETE /v1/snapshots/:snapshotId/:key": NODES,
  "GET /v1/snapshots/chunks/:chunkId": NODES,
  "PUT /v1/snapshots/chunks/:chunkId": NODES,

  "GET /v1/apps": READ,
  "POST /v1/apps/:app/deployments": DEPLOY,
  "POST /v1/deployments/:appId/heartbeat": DEPLOY,
  "POST /v1/apps/:app/stop": DEPLOY,
  "GET /v1/apps/:app/versions": READ,
  "POST /v1/apps/:app/rollback": DEPLOY,
  "GET /v1/apps/:app/functions/:function": READ_OR_CALL,
  "GET /v1/functions": READ,
  "PATCH /v1/apps/:app/functions/:function/scaling": DEPLOY,
  "PATCH /v1/functions/:functionId/scaling": DEPLOY,
  "POST /v1/apps/:app/tunnels": { scopes: ["call"] },
  "GET /v1/schedules": READ,
  "POST /v1/apps/:app/functions/:function/schedule/pause": DEPLOY,
  "POST /v1/apps/:app/functions/:function/schedule/resume": DEPLOY,
  "POST /v1/images/builds": DEPLOY,
  "POST /v1/apps/:app/images": DEPLOY,
  "GET /v1/images": READ,
  "DELETE /v1/images/:imageId": DEPLOY,
  "POST /v1/images/prune": DEPLOY,
  "GET /v1/secrets": READ,
  "POST /v1/secrets": DEPLOY,
  "PATCH /v1/secrets/:secret": DEPLOY,
  "DELETE /v1/secrets/:secret": DEPLOY,
  "GET /v1/volumes": READ,
  "POST /v1/volumes": DEPLOY,
  "GET /v1/volumes/:volume": { scopes: ["read"], agents: "for-volume" },
  "DELETE /v1/volumes/:volume": DEPLOY,
  "GET /v1/volumes/:volume/versions": READ,
  "GET /v1/volumes/:volume/entries": READ,
  "GET /v1/volumes/:volume/file": READ,
  "POST /v1/volumes/:volume/uploads": WRITE_VOLUME,
  "POST /v1/volumes/:volume/uploads/:uploadId/missing": WRITE_VOLUME,
  "POST /v1/volumes/:volume/uploads/:uploadId/chunks": WRITE_VOLUME,
  "POST /v1/volumes/:volume/commits": WRITE_VOLUME,

  "POST /v1/functions/:functionId/variants": CALL,
  "POST /v1/functions/:functionId/calls": CALL,
  "POST /v1/calls/:callId/inputs": CALL,
  "POST /v1/calls/:callId/cancel": CALL,
  "GET /v1/calls/:callId": READ_OR_CALL,
  "GET /v1/calls/:callId/results": READ_OR_CALL,
  "GET /v1/calls/:callId/values": READ_OR_CALL,

  "GET /v1/events": READ,
  "GET /v1/containers": READ,
  "POST /v1/containers/:containerId/stop": DEPLOY,
  // Upgrades go past the routes; the gateway of shells looks here.
  "GET /v1/containers/:containerId/shell": DEPLOY,

  "GET /v1/tokens": ADMIN,
  "POST /v1/tokens": ADMIN,
  "DELETE /v1/tokens/:tokenId": ADMIN,

  "GET /v1/usage": READ,
  "PATCH /v1/workspaces/:workspace/quotas": OPERATOR,
  "GET /v1/workspaces": OPERATOR,
  "POST /v1/workspaces": OPERATOR,
  "DELETE /v1/workspaces/:workspace": OPERATOR,
  "GET /v1/nodes": OPERATOR,
  "GET /v1/plan": OPERATOR,
  "GET /v1/status": OPERATOR,
  "GET /v1/pool": OPERATOR,
  "GET /v1/pool/events": OPERATOR,
  "POST /v1/pool/nodes/:nodeId/cordon": OPERATOR,
  "POST /v1/pool/nodes/:nodeId/uncordon": OPERATOR,
  "POST /v1/pool/nodes/:nodeId/drain": OPERATOR,
  "POST /v1/pool/nodes/:nodeId/release": OPERATOR,
  "GET /v1/clouds": OPERATOR,
  "POST /v1/clouds/:cloud/check": OPERATOR,
};

declare module "fastify" {
  interface FastifyContextConfig {
    /** Set by `guardRoutes`; absent where there is no route. */
    access?: RouteAccess;
  }
}

/** Gives every route that is registered after it its line of the table, and the document too. */
export function guardRoutes(app: FastifyInstance): void {
  app.addHook("onRoute", (route) => {
    const access = accessOf(route);
    route.config = { ...route.config, access };
    route.schema = { ...route.schema, security: securityOf(access) };
  });
}

function accessOf({ method, url }: RouteOptions): RouteAccess {
  const key = `${[method].flat().join(",")} ${url}`;
  const access = ROUTE_ACCESS[key];
  assert(access !== undefined, `the route ${key} has no line in server/http/route-access.ts`);
  return access;
}

/** OpenAPI 3.1: any one requirement is enough, and a bearer token's list names its roles. */
function securityOf({ scopes }: RouteAccess): { readonly token: string[] }[] {
  if (scopes === "public") return [];
  return scopes === "any" ? [{ token: [] }] : scopes.map((scope) => ({ token: [scope] }));
}
