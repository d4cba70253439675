/**
 * Sends requests of user code on to the server: containers have no network, but functions call
 * functions. The server checks that the container is this node's and what it may ask for.
 */
import http from "node:http";
import https from "node:https";
import { messageOf } from "../../core/index.ts";
import { GatheredBytes, giveBack, keptMemory } from "../../sdk/protocol/index.ts";
import { readBlobFile } from "./blob-files.ts";
import { BLOB_DIR_HEADER, CONTAINER_HEADER } from "./link.ts";

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
  /** Folder of the server's blobs, on the server's machine. */
  readonly blobDir?: string | undefined;
}

/** Sends a request on in the name of a container. Never rejects: a failure is an answer too. */
export type Relay = (
  containerId: string,
  request: RelayedRequest,
  signal: AbortSignal,
) => Promise<RelayedAnswer>;

/** Paths of the API and nothing that a URL reads otherwise. */
const PATH = /^\/v1\/[A-Za-z0-9_\-.~%/]*(\?[A-Za-z0-9_\-.~%=&]*)?$/;
const NO_CONTENT = 204;
const METHODS: readonly string[] = ["GET", "POST"];
/** Where chunks of large arguments and results are kept and fetched. */
const BLOBS_PATH = "/v1/blobs";
const BLOB_PATH = /^\/v1\/blobs\/[0-9a-f]{64}$/;

/** Whether a request moves a blob. */
export function isBlobRequest({ method, path }: Pick<RelayedRequest, "method" | "path">): boolean {
  return method === "GET" ? BLOB_PATH.test(path) : method === "POST" && path === BLOBS_PATH;
}

/** A relay to one server. */
export function createRelay(options: RelayOptions): Relay {
  const ask = askerOf(options);
  return async (containerId, request, signal) => {
    const { method, path } = request;
    const hasDots = path.split(/[/?]/).some((part) => /^(\.|%2e){1,2}$/i.test(part));
    if (!METHODS.includes(method) || !PATH.test(path) || hasDots) {
      return problemAnswer(400, "invalid_request", "a container cannot send this request");
    }
    try {
      const isBlob = method === "GET" && isBlobRequest(request);
      const file = isBlob ? await fromFile(options.blobDir, request) : undefined;
      return file ?? (await ask(containerId, request, { signal }));
    } catch (error) {
      return problemAnswer(503, "unavailable", `the server is not reached: ${messageOf(error)}`);
    }

    /** The server says whether the container may have it, and that its bytes are what they were. */
    async function fromFile(
      dir: string | undefined,
      asked: RelayedRequest,
    ): Promise<RelayedAnswer | undefined> {
      if (dir === undefined) return undefined;
      const answer = await ask(containerId, asked, { signal, blobDir: dir });
      if (answer.status !== NO_CONTENT) return answer;
      const bytes = await readBlobFile(dir, asked.path.slice(BLOBS_PATH.length + 1));
      return bytes && { status: 200, body: bytes };
    }
  };
}

type Ask = (
  containerId: string,
  request: RelayedRequest,
  options: { readonly signal: AbortSignal; readonly blobDir?: string },
) => Promise<RelayedAnswer>;

/** Sends requests over connections that are kept. Throws the system's error. */
function askerOf({ serverUrl, token }: RelayOptions): Ask {
  const isSecure = serverUrl.startsWith("https:");
  const open = isSecure ? https.request : http.request;
  const agent = isSecure
    ? new https.Agent({ keepAlive: true })
    : new http.Agent({ keepAlive: true });
  return async (containerId, { method, path, contentType, body }, { signal, blobDir }) => {
    const headers = {
      authorization: `Bearer ${token()}`,
      [CONTAINER_HEADER]: containerId,
      ...(contentType === undefined ? {} : { "content-type": contentType }),
      ...(method === "GET" ? {} : { "content-length": body.byteLength }),
      ...(blobDir === undefined ? {} : { [BLOB_DIR_HEADER]: blobDir }),
    };
    const sending = open(serverUrl + path, { method, headers, agent, signal });
    return answerTo(sending, method === "GET" ? undefined : body);
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
  const expectedBytes = Number(message.headers["content-length"] ?? 0);
  const gathered = new GatheredBytes(expectedBytes, keptMemory(expectedBytes));
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
