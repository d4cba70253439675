/**
 * Sends requests of user code on to the server: containers have no network, but functions call
 * functions. The server checks that the container is this node's and what it may ask for.
 */
import { messageOf } from "../../core/index.ts";
import { CONTAINER_HEADER } from "./link.ts";

/** A request of the API as the user's code sends it; nothing of it is checked. */
export interface RelayedRequest {
  readonly method: string;
  /** From `/v1` on, with its query. */
  readonly path: string;
  readonly contentType?: string;
  readonly body: Uint8Array;
}

export interface RelayedAnswer {
  readonly status: number;
  readonly retryAfter?: string;
  readonly body: Uint8Array;
}

export interface RelayOptions {
  readonly serverUrl: string;
  /** The token of the agent's session. */
  readonly token: () => string;
}

/** Sends a request on in the name of a container. Never rejects: a failure is an answer too. */
export type Relay = (
  containerId: string,
  request: RelayedRequest,
  signal: AbortSignal,
) => Promise<RelayedAnswer>;

/** Paths of the API and nothing that a URL reads otherwise. */
const PATH = /^\/v1\/[A-Za-z0-9_\-.~%/]*(\?[A-Za-z0-9_\-.~%=&]*)?$/;
const METHODS: readonly string[] = ["GET", "POST"];

/** A relay to one server. */
export function createRelay({ serverUrl, token }: RelayOptions): Relay {
  return async (containerId, request, signal) => {
    const { method, path, contentType, body } = request;
    const hasDots = path.split(/[/?]/).some((part) => /^(\.|%2e){1,2}$/i.test(part));
    if (!METHODS.includes(method) || !PATH.test(path) || hasDots) {
      return problemAnswer(400, "invalid_request", "a container cannot send this request");
    }
    try {
      const response = await fetch(serverUrl + path, {
        method,
        redirect: "error",
        headers: {
          authorization: `Bearer ${token()}`,
          [CONTAINER_HEADER]: containerId,
          ...(contentType === undefined ? {} : { "content-type": contentType }),
        },
        ...(method === "GET" ? {} : { body: new Uint8Array(body) }),
        signal,
      });
      const retryAfter = response.headers.get("retry-after");
      return {
        status: response.status,
        ...(retryAfter === null ? {} : { retryAfter }),
        body: new Uint8Array(await response.arrayBuffer()),
      };
    } catch (error) {
      return problemAnswer(503, "unavailable", `the server is not reached: ${messageOf(error)}`);
    }
  };
}

/** An answer of the agent itself, in the form of the server's. */
export function problemAnswer(status: number, code: string, detail: string): RelayedAnswer {
  const problem = { status, code, detail, retryable: status === 503 || status === 429 };
  return { status, body: new TextEncoder().encode(JSON.stringify(problem)) };
}
