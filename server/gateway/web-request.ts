/** What a client sent: who it is for, whether it may, and the input that it becomes. */
import type { IncomingMessage } from "node:http";
import { INLINE_PAYLOAD_BYTES_MAX, type HttpMethod } from "../../sdk/protocol/index.ts";
import type { WebRequest } from "../../sandbox/index.ts";
import { PlatformError } from "../../core/index.ts";
import { findByPath, findWebApp, appPrefixOf } from "../apps/web-paths.ts";
import { allows } from "../auth/scopes.ts";
import type { Authenticator } from "../auth/tokens.ts";
import { RefusedError } from "../http/problem.ts";
import type { Registry, StoredFunction } from "../store/record-store.ts";
import { nothingHere } from "./failures.ts";
import { tunnelIn } from "./tunnels.ts";
import { requestHeaders, TOKEN_HEADER, urlBehind } from "./headers.ts";

/** Largest body of a request. */
export const REQUEST_BYTES_MAX = 4 * 1024 ** 3;
/** Bodies up to this size go with the input, so that it can run again. */
const INLINE_BODY_BYTES_MAX = INLINE_PAYLOAD_BYTES_MAX - 16 * 1024;

/** Where a request goes, as its path says. */
export interface WebAddress {
  readonly workspaceId: string;
  readonly app: string;
  /** What follows the app's part: path and query, beginning with `/`. */
  readonly rest: string;
}

/** A function with a URL, and how it was addressed. */
export interface WebPlace {
  readonly stored: StoredFunction;
  readonly workspaceId: string;
  /** What the function does not see of the path. */
  readonly prefix: string;
  /** Path and query as the function sees them. */
  readonly path: string;
  /** The port of its container that is asked; absent: the one of its spec, if any. */
  readonly tunnel?: number;
}

/** The address in a URL below `/web`; undefined when it is none. */
export function addressOf(url: string): WebAddress | undefined {
  const [, workspaceId, app, rest] = /^\/web\/([^/?]+)\/([^/?]+)([^]*)$/.exec(url) ?? [];
  if (workspaceId === undefined || app === undefined) return undefined;
  return { workspaceId, app, rest: rest ?? "" };
}

/** @param key Of the platform: what tunnels are known by. @throws PlatformError `not_found` */
export async function findPlace(
  { registry, key }: { readonly registry: Pick<Registry, "list">; readonly key: Uint8Array },
  { workspaceId, app, rest }: WebAddress,
): Promise<WebPlace> {
  const deployment = findWebApp(await registry.list(workspaceId), app);
  const pathEnd = rest.search(/[?#]/);
  const path = pathEnd < 0 ? rest : rest.slice(0, pathEnd);
  if (deployment === undefined) throw nothingHere();
  const tunnel = tunnelIn(deployment, path, key);
  const match = tunnel ?? findByPath(deployment.functions, path);
  if (match === undefined) throw nothingHere();
  const below = rest.slice(match.part.length);
  return {
    stored: { ...match.found, deployment },
    workspaceId,
    prefix: appPrefixOf(deployment) + match.part,
    path: below.startsWith("/") ? below : `/${below}`,
    ...(tunnel === undefined ? {} : { tunnel: tunnel.port }),
  };
}

/**
 * Refuses what the function does not take, or not from this client.
 *
 * @returns Names of the headers that are not the function's.
 * @throws PlatformError `auth_failed`, RefusedError 405
 */
export async function admit(
  request: Pick<IncomingMessage, "method" | "headers">,
  { stored, workspaceId }: WebPlace,
  authenticator: Authenticator,
): Promise<readonly string[]> {
  const { methods, requiresToken = false } = stored.spec.web ?? {};
  const hidden = requiresToken ? await checkToken(request, workspaceId, authenticator) : [];
  const method = request.method ?? "GET";
  if (methods !== undefined && !isTaken(method, methods)) {
    throw new MethodRefusedError(method, allowedOf(methods));
  }
  return [TOKEN_HEADER, ...hidden];
}

/** The function takes other methods. */
export class MethodRefusedError extends RefusedError {
  /** For the header `Allow`. */
  readonly allowed: string;

  constructor(method: string, allowed: string) {
    super(405, "invalid_request", `this URL does not take ${method}: it takes ${allowed}`);
    this.allowed = allowed;
  }
}

/** The port in the container that answers; undefined when the function itself does. */
export function portOf({ tunnel, stored }: WebPlace): number | undefined {
  return tunnel ?? stored.spec.web?.port;
}

/** What of a request becomes its input; a body that is not small is left to be streamed. */
export async function webRequestOf(
  request: IncomingMessage,
  place: WebPlace,
  { hidden, upgrade }: { readonly hidden: readonly string[]; readonly upgrade?: string },
): Promise<WebRequest> {
  const port = portOf(place);
  const facts = {
    rawHeaders: request.rawHeaders,
    remoteAddress: request.socket.remoteAddress ?? "unknown",
    prefix: place.prefix,
    hidden,
    ...(upgrade === undefined ? {} : { upgrade }),
  };
  return {
    method: request.method ?? "GET",
    url: urlBehind(request, place.path),
    headers: requestHeaders(facts),
    ...(port === undefined ? {} : { port }),
    ...(place.tunnel === undefined ? {} : { isTunnel: true }),
    ...(upgrade === undefined ? await bodyOf(request) : { upgrades: true }),
  };
}

/** @throws RefusedError 413 */
async function bodyOf(request: IncomingMessage): Promise<Pick<WebRequest, "body" | "streamsBody">> {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if (length === undefined && coding === undefined) return {};
  const bytes = length === undefined ? Infinity : Number(length);
  if (bytes === 0) return { body: new Uint8Array(0) };
  if (length !== undefined && bytes > REQUEST_BYTES_MAX) throw tooLarge();
  if (bytes > INLINE_BODY_BYTES_MAX) return { streamsBody: true };
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return { body: Buffer.concat(parts) };
}

export function tooLarge(): RefusedError {
  const message = `the body of a request has at most ${REQUEST_BYTES_MAX} bytes`;
  return new RefusedError(413, "payload_too_large", message);
}

async function checkToken(
  { headers }: Pick<IncomingMessage, "headers">,
  workspaceId: string,
  authenticator: Authenticator,
): Promise<readonly string[]> {
  const own = headers[TOKEN_HEADER];
  const authorization = own === undefined ? headers.authorization : `Bearer ${String(own)}`;
  const token = await authenticator.authenticate(authorization);
  const held = token?.kind === "user" ? (token.scopes ?? []) : [];
  const isOwn = token?.workspaceId === workspaceId || allows(held, "operator");
  if (isOwn && held.length > 0) {
    if (!allows(held, "call")) throw noScope();
    return own === undefined ? ["authorization"] : [];
  }
  throw new PlatformError(
    `this URL needs a token of its workspace: send it as \`Authorization: Bearer fl_…\`, ` +
      `or as \`${TOKEN_HEADER}\``,
    { code: "auth_failed", retryable: false },
  );
}

function noScope(): RefusedError {
  return new RefusedError(403, "auth_failed", "this needs a token with the scope call");
}

function isTaken(method: string, methods: readonly HttpMethod[]): boolean {
  const asked = method === "HEAD" ? ["HEAD", "GET"] : [method];
  return method === "OPTIONS" || methods.some((each) => asked.includes(each));
}

function allowedOf(methods: readonly HttpMethod[]): string {
  const head = methods.includes("GET") ? ["HEAD"] : [];
  return [...new Set([...methods, ...head, "OPTIONS"])].join(", ");
}
