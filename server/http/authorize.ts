/** Who may use which route: checked before anything of a request's body is read. */
import type { FastifyRequest } from "fastify";
import { assert, PlatformError } from "../../core/index.ts";
import type { Authenticator } from "../auth/tokens.ts";
import { CONTAINER_HEADER, VOLUME_GRANT_HEADER } from "../../sandbox/index.ts";
import type { FleetService, Principal, VolumeService } from "../services.ts";
import type { VolumeGrant } from "../volumes/grants.ts";
import type { StoredToken } from "../store/record-store.ts";
import { RefusedError } from "./problem.ts";

/**
 * Whose tokens a route takes; `user` unless the route says otherwise. `user-or-container` lets
 * agents in that name one of their containers, in the name of its workspace; `user-or-volume`
 * those that have a grant for a volume, for that one.
 */
export type Access = "public" | "user" | "user-or-agent" | "user-or-container" | "user-or-volume";

declare module "fastify" {
  interface FastifyRequest {
    /** Set on every route but public ones. */
    principal: Principal | undefined;
  }
  interface FastifyContextConfig {
    access?: Access;
    /** Open for as long as its client wants; left out of latency figures. */
    isStream?: boolean;
  }
}

const KINDS: Readonly<Record<Exclude<Access, "public">, readonly StoredToken["kind"][]>> = {
  user: ["user"],
  "user-or-agent": ["user", "agent"],
  "user-or-container": ["user", "agent"],
  "user-or-volume": ["user", "agent"],
};

/** What knows for whom an agent may speak. */
export interface Guards {
  readonly fleet: Pick<FleetService, "ownerOf">;
  readonly volumes: Pick<VolumeService, "openGrant">;
}

/**
 * Notes on the request who is asking.
 *
 * @throws PlatformError `auth_failed`: 401 without a good token, 403 with the wrong kind.
 */
export async function authorize(
  request: FastifyRequest,
  authenticator: Authenticator,
  { fleet, volumes }: Guards,
): Promise<void> {
  const { access = "user" } = request.routeOptions.config;
  if (access === "public") return;
  const token = await authenticator.authenticate(request.headers.authorization);
  if (token === undefined) {
    throw new PlatformError(
      "this needs a valid token: send `Authorization: Bearer fl_…` (unknown, expired and " +
        "revoked ones are all refused alike)",
      { code: "auth_failed", retryable: false },
    );
  }
  if (!KINDS[access].includes(token.kind)) {
    throw new RefusedError(403, "auth_failed", `a token of kind ${token.kind} may not do this`);
  }
  const { workspaceId, tokenId, kind, nodeId } = token;
  request.principal = { workspaceId, tokenId };
  if (kind !== "agent") return;
  if (access === "user-or-container") {
    const owner = ownerOf(fleet, nodeId, request.headers[CONTAINER_HEADER]);
    request.principal = { tokenId, ...owner };
  } else if (access === "user-or-volume") {
    request.principal = { tokenId, ...grantIn(volumes, request.headers[VOLUME_GRANT_HEADER]) };
  }
}

/** An agent may speak for the volumes of containers that it was sent. */
function grantIn(volumes: Guards["volumes"], text: unknown): VolumeGrant {
  const grant = typeof text === "string" ? volumes.openGrant(text) : undefined;
  if (grant !== undefined) return grant;
  throw new RefusedError(403, "auth_failed", "an agent may do this for its volumes only");
}

/** An agent may speak for the containers on its own node, and for nobody else. */
function ownerOf(
  fleet: Pick<FleetService, "ownerOf">,
  nodeId: string | undefined,
  containerId: unknown,
): Pick<Required<Principal>, "workspaceId" | "appId"> {
  const isNamed = nodeId !== undefined && typeof containerId === "string";
  const owner = isNamed ? fleet.ownerOf(nodeId, containerId) : undefined;
  if (owner !== undefined) return { workspaceId: owner.workspaceId, appId: owner.appId };
  throw new RefusedError(403, "auth_failed", "an agent may do this for its own containers only");
}

/** Who sent a request that `authorize` has let through. */
export function principalOf(request: FastifyRequest): Principal {
  assert(request.principal !== undefined, "the route has a principal");
  return request.principal;
}
