/** Who may use which route: checked before anything of a request's body is read. */
import type { FastifyRequest } from "fastify";
import { assert, PlatformError } from "../../core/index.ts";
import { CONTAINER_HEADER } from "../../sandbox/index.ts";
import { WORKSPACE_HEADER } from "../../sdk/protocol/index.ts";
import { allows } from "../auth/scopes.ts";
import type { Authenticator } from "../auth/tokens.ts";
import type { FleetService, Principal } from "../services.ts";
import type { RecordStore, StoredToken } from "../store/record-store.ts";
import { RefusedError } from "./problem.ts";
import type { RouteAccess } from "./route-access.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set on every route but public ones. */
    principal: Principal | undefined;
  }
  interface FastifyContextConfig {
    /** Open for as long as its client wants; left out of latency figures. */
    isStream?: boolean;
  }
}

/** Where `authorize` looks things up. */
export interface Gate {
  readonly authenticator: Authenticator;
  readonly fleet: Pick<FleetService, "ownerOf">;
  readonly workspaces: Pick<RecordStore["workspaces"], "find">;
}

/** A path that is no route tells those with a token, and nobody else, that it is none. */
const NO_ROUTE: RouteAccess = { scopes: "any", agents: "as-node" };

/**
 * Notes on the request who is asking.
 *
 * @throws PlatformError `auth_failed`: 401 without a good token, 403 with one that may not do
 * this; `not_found` for a workspace that is not there or not the asker's.
 */
export async function authorize(request: FastifyRequest, gate: Gate): Promise<void> {
  const { access = NO_ROUTE } = request.routeOptions.config;
  if (access.scopes === "public") return;
  const token = await gate.authenticator.authenticate(request.headers.authorization);
  if (token === undefined) {
    throw new PlatformError(
      "this needs a valid token: send `Authorization: Bearer fl_…` (unknown, expired and " +
        "revoked ones are all refused alike)",
      { code: "auth_failed", retryable: false },
    );
  }
  request.principal =
    token.kind === "user"
      ? await userOf(token, access.scopes, request.headers[WORKSPACE_HEADER], gate)
      : agentOf(token, access, request.headers[CONTAINER_HEADER], gate);
}

async function userOf(
  { workspaceId, tokenId, scopes: held = [] }: StoredToken,
  needed: Exclude<RouteAccess["scopes"], "public">,
  workspace: string | string[] | undefined,
  { workspaces }: Gate,
): Promise<Principal> {
  if (needed !== "any" && !needed.some((scope) => allows(held, scope))) {
    const has = held.length === 0 ? "no scope" : `the scope ${held.join(", ")}`;
    throw new RefusedError(
      403,
      "auth_failed",
      `this needs a token with the scope ${needed.join(" or ")}, and yours has ${has}; ` +
        "an admin of the workspace makes one with `flotilla token create`",
    );
  }
  const own = { workspaceId, tokenId, scopes: held };
  if (workspace === undefined) return own;
  const name = String(workspace).slice(0, 100);
  const found = await workspaces.find(name);
  const isAllowed = found?.workspaceId === workspaceId || allows(held, "operator");
  if (found !== undefined && isAllowed) return { ...own, workspaceId: found.workspaceId };
  throw new PlatformError(`there is no workspace ${name} for this token`, {
    code: "not_found",
    retryable: false,
  });
}

function agentOf(
  { workspaceId, tokenId, kind, nodeId }: StoredToken,
  { agents }: RouteAccess,
  containerId: unknown,
  { fleet }: Gate,
): Principal {
  if (kind !== "agent" || nodeId === undefined || agents === undefined) {
    throw new RefusedError(403, "auth_failed", `a token of kind ${kind} may not do this`);
  }
  // What a container asks is never answered as if its node had asked.
  const isNode = containerId === undefined && agents !== "as-container";
  if (isNode) return { workspaceId, tokenId, nodeId };
  if (agents === "as-node") {
    throw new RefusedError(403, "auth_failed", "a container may not do this, only its node");
  }
  return { tokenId, ...ownerOf(fleet, nodeId, containerId) };
}

/** An agent may speak for the containers on its own node, and for nobody else. */
function ownerOf(
  fleet: Gate["fleet"],
  nodeId: string,
  containerId: unknown,
): Pick<Required<Principal>, "workspaceId" | "appId"> {
  const owner = typeof containerId === "string" ? fleet.ownerOf(nodeId, containerId) : undefined;
  if (owner !== undefined) return { workspaceId: owner.workspaceId, appId: owner.appId };
  throw new RefusedError(403, "auth_failed", "an agent may do this for its own containers only");
}

/** Who sent a request that `authorize` has let through. */
export function principalOf(request: FastifyRequest): Principal {
  assert(request.principal !== undefined, "the route has a principal");
  return request.principal;
}
