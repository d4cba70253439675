/**
 * Sends requests of user code on to the server: containers have no network, but functions call
 * functions. The server checks that the container is this node's and what it may ask for.
 */
import http from "node:http";
import https from "node:https";
import { messageOf } from "../../core/index.ts";
import { GatheredBytes, giveBack } from "../../sdk/protocol/index.ts";
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
/** Where chunks of large arguments and results are kept and fetched. */
const BLOBS_PATH = "/v1/blobs";
const BLOB_PATH = /^\/v1\/blobs\/[0-9a-f]{64}$/;

/** Whether a request moves a blob. */
export function isBlobRequest({ method, path }: Pick<RelayedRequest, "method" | "path">): boolean {
  return method === "GET" ? BLOB_PATH.test(path) : method === "POST" && path === BLOBS_PATH;
}

/** A relay to one server. */
export function createRelay({ serverUrl, token }: RelayOptions): Relay {
  const isSecure = serverUrl.startsWith("https:");
  const open = isSecure ? https.request : http.request;
  const agent = isSecure
    ? new https.Agent({ keepAlive: true })
    : new http.Agent({ keepAlive: true });
  return async (containerId, request, signal) => {
    const { method, path, contentType, body } = request;
    const hasDots = path.split(/[/?]/).some((part) => /^(\.|%2e){1,2}$/i.test(part));
    if (!METHODS.includes(method) || !PATH.test(path) || hasDots) {
      return problemAnswer(400, "invalid_request", "a container cannot send this request");
    }
    try {
      const headers = {
        authorization: `Bearer ${token()}`,
        [CONTAINER_HEADER]: containerId,
        ...(contentType === undefined ? {} : { "content-type": contentType }),
        ...(method === "GET" ? {} : { "content-length": body.byteLength }),
      };
      const sending = open(serverUrl + path, { method, headers, agent, signal });
      return await answerTo(sending, method === "GET" ? undefined : body);
    } catch (error) {
      return problemAnswer(503, "unavailable", `the server is not reached: ${messageOf(error)}`);
    }
  };
}

/** The answer to a request; redirects are answers like others. @throws the system's error. */
function answerTo(
  sending: http.ClientRequest,
  body: Uint8Array | undefined,
): Promise<RelayedAnswer> {
  return new Promise((resolve, reject) => {
    sending.once("error", reject);
    sending.once("response", (message) => {
      bodyOf(message).then((bytes) => {
        const retryAfter = message.headers["retry-after"];
        const status = message.statusCode ?? 0;
        resolve({ status, ...(retryAfter === undefined ? {} : { retryAfter }), body: bytes });
      }, reject);
    });
    sending.end(body);
  });
}

function bodyOf(message: http.IncomingMessage): Promise<Uint8Array> {
  const gathered = new GatheredBytes(Number(message.headers["content-length"] ?? 0));
  return new Promise((resolve, reject) => {
    message.on("data", (part: Buffer) => {
      gathered.add(part);
      giveBack(part);
    });
    message.once("error", reject);
    message.once("close", () => {
      if (message.complete) resolve(gathered.take());
      else reject(new Error("the answer was cut off"));
    });
  });
}

/** An answer of the agent itself, in the form of the server's. */
export function problemAnswer(status: number, code: string, detail: string): RelayedAnswer {
  const problem = { status, code, detail, retryable: status === 503 || status === 429 };
  return { status, body: new TextEncoder().encode(JSON.stringify(problem)) };
}
