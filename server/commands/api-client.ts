/** Asks the platform's HTTP API for the operator's commands. */
import type { Problem } from "../../sdk/protocol/index.ts";
import { clientFilePath, readClientSettings } from "./client-file.ts";
import { CommandError } from "./outcome.ts";

const REQUEST_MS_MAX = 15_000;
const NO_CONTENT = 204;
const TOKEN_STEP = "set FLOTILLA_TOKEN, or run `flotilla up` once on this machine to write one";

/** How long an order may take: a cloud may be slow to answer. */
const ORDER_MS_MAX = 90_000;

/**
 * The JSON answer to `POST path` with a JSON body; absent when there is nothing in it.
 *
 * @throws CommandError as `getJson`; its details are those of the server's problem.
 */
export async function postJson(path: string, body: unknown): Promise<unknown> {
  return ask(path, { method: "POST", body: JSON.stringify(body), waitMs: ORDER_MS_MAX });
}

/**
 * The JSON answer to `GET path`; absent when the server has nothing there.
 *
 * @throws CommandError when no server is known, none answers, or it refuses.
 */
export async function getJson(path: string): Promise<unknown> {
  return ask(path, { method: "GET", waitMs: REQUEST_MS_MAX });
}

interface Question {
  readonly method: "GET" | "POST";
  readonly body?: string;
  readonly waitMs: number;
}

async function ask(path: string, question: Question): Promise<unknown> {
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
  const response = await send(`${serverUrl}${path}`, token, question);
  if (response.status === NO_CONTENT) return undefined;
  const body: unknown = await response.json();
  if (response.ok) return body;
  const problem = body as Partial<Problem>;
  const detail = problem.detail ?? problem.title ?? `status ${response.status}`;
  const kind = kindOf(response.status);
  throw new CommandError(kind, `${question.method} ${path} at ${serverUrl}: ${detail}`, {
    ...(problem.details === undefined ? {} : { details: problem.details }),
    ...(kind === "auth_failed" ? { nextStep: TOKEN_STEP } : {}),
  });
}

async function send(
  url: string,
  token: string,
  { method, body, waitMs }: Question,
): Promise<Response> {
  try {
    return await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(waitMs),
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
  if (status === 400) return "usage";
  return status === 404 ? "not_found" : "failed";
}
