/** Who may use which route: checked before anything of a request's body is read. */
import type { FastifyRequest } from "fastify";
import { assert, PlatformError } from "../../core/index.ts";
import type { Authenticator } from "../auth/tokens.ts";
import type { Principal } from "../services.ts";
import type { StoredToken } from "../store/record-store.ts";
import { RefusedError } from "./problem.ts";

/** Whose tokens a route takes; `user` unless the route says otherwise. */
export type Access = "public" | "user" | "user-or-agent";

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
};

/**
 * Notes on the request who is asking.
 *
 * @throws PlatformError `auth_failed`: 401 without a good token, 403 with the wrong kind.
 */
export async function authorize(
  request: FastifyRequest,
  authenticator: Authenticator,
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
  request.principal = { workspaceId: token.workspaceId, tokenId: token.tokenId };
}

/** Who sent a request that `authorize` has let through. */
export function principalOf(request: FastifyRequest): Principal {
  assert(request.principal !== undefined, "the route has a principal");
  return request.principal;
}
