/** Reads the platform's HTTP API for the operator's listings. */
import type { Problem } from "../../sdk/protocol/index.ts";
import { clientFilePath, readClientSettings } from "./client-file.ts";
import { CommandError } from "./outcome.ts";

const REQUEST_MS_MAX = 15_000;
const NO_CONTENT = 204;
const TOKEN_STEP = "set FLOTILLA_TOKEN, or run `flotilla up` once on this machine to write one";

/**
 * The JSON answer to `GET path`; absent when the server has nothing there.
 *
 * @throws CommandError when no server is known, none answers, or it refuses.
 */
export async function getJson(path: string): Promise<unknown> {
  const { serverUrl, token } = readClientSettings();
  if (serverUrl === undefined) {
    throw new CommandError("unreachable", `no platform is known: ${clientFilePath()} is missing`, {
      nextStep: "start one with `flotilla up`, or point FLOTILLA_SERVER_URL at the one you mean",
    });
  }
  if (token === undefined) {
    throw new CommandError("auth_failed", `there is no token for the server at ${serverUrl}`, {
      nextStep: TOKEN_STEP,
    });
  }
  const response = await send(`${serverUrl}${path}`, token);
  if (response.status === NO_CONTENT) return undefined;
  const body: unknown = await response.json();
  if (response.ok) return body;
  const problem = body as Partial<Problem>;
  const detail = problem.detail ?? problem.title ?? `status ${response.status}`;
  const kind = kindOf(response.status);
  throw new CommandError(kind, `GET ${path} at ${serverUrl}: ${detail}`, {
    ...(kind === "auth_failed" ? { nextStep: TOKEN_STEP } : {}),
  });
}

async function send(url: string, token: string): Promise<Response> {
  try {
    return await fetch(url, {
      headers: { authorization: `Bearer ${token}`, accept: "application/json" },
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    });
  } catch (error) {
    const origin = new URL(url).origin;
    throw new CommandError("unreachable", `no platform answers at ${origin}`, {
      nextStep: "start it with `flotilla up`, or see what is wrong with `flotilla doctor`",
      cause: error,
    });
  }
}

function kindOf(status: number): CommandError["kind"] {
  if (status === 401 || status === 403) return "auth_failed";
  return status === 404 ? "not_found" : "failed";
}
