/**
 * Requests that survive a server that restarts.
 *
 * Every request of the API may be sent again: calls carry an id of their own, ranges of inputs
 * their index, pages of results their cursor. So a refused or broken connection, a silent
 * server and a retryable answer are all tried again, with backoff, until the server has been
 * away for `retryForMs`. A server never heard from gets `FIRST_CONTACT_MS` only, so that a
 * wrong address is told at once.
 */
import { ServerUnreachableError, type FlotillaError } from "../errors.ts";
import { resolveConnection, type Connection, type ConnectionOptions } from "./connection.ts";
import { containerLink, exchangeThrough } from "./container-link.ts";
import { exchange, type HttpAnswer, type HttpRequest } from "./http.ts";
import { backoffMs, pause } from "./pause.ts";
import { WORKSPACE_HEADER } from "../protocol/workspace.ts";
import { refusalOf, strangeAnswer } from "./problems.ts";
import { eitherOf } from "./either-of.ts";

/** How long a server known to exist may be away. */
const RETRY_FOR_MS = 60_000;
/** How long a server may be away that never answered this client. */
const FIRST_CONTACT_MS = 2_000;
/** A request without an answer for this long, beyond what it asked to wait, is given up. */
const ANSWER_MS_MAX = 30_000;

export interface TransportOptions extends ConnectionOptions {
  /** How long to keep trying while the server is away. Default 60 s. */
  readonly retryForMs?: number;
}

export interface ApiRequest {
  readonly method: "DELETE" | "GET" | "HEAD" | "PATCH" | "POST" | "PUT";
  /** From `/v1` on, with its query. */
  readonly path: string;
  readonly body?: Uint8Array | string;
  readonly contentType?: string;
  /** Where the body of the answer may be put, if it is just as many bytes. */
  readonly place?: Uint8Array | undefined;
  /** How long the server was asked to wait before it answers; Infinity for an endless answer. */
  readonly waitMs?: number;
  readonly retryForMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** One attempt's end, when it was not an answer to give back. */
interface Failure {
  readonly error: FlotillaError;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
}

/** What all who reach one server through the same transport know of it. */
interface Reached {
  connection: Promise<Connection> | undefined;
  hasAnswered: boolean;
}

export class Transport {
  readonly #options: TransportOptions;
  #reached: Reached = { connection: undefined, hasAnswered: false };
  #signal: AbortSignal | undefined;

  constructor(options: TransportOptions = {}) {
    this.#options = options;
  }

  /** The same transport, all of whose requests end when the signal aborts too. */
  until(signal: AbortSignal | undefined): Transport {
    const bound = new Transport(this.#options);
    bound.#reached = this.#reached;
    bound.#signal = eitherOf(this.#signal, signal);
    return bound;
  }

  /** The server and token in use, settled on first need. */
  connection(): Promise<Connection> {
    this.#reached.connection ??= resolveConnection(this.#options);
    return this.#reached.connection;
  }

  /** The body of the answer. @throws the errors of `errors.ts`, or the signal's reason. */
  async send(asked: ApiRequest): Promise<Uint8Array> {
    const request = this.#bound(asked);
    const startedAtMs = performance.now();
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(request, (answer) => answer.bytes());
      if (!isFailure(outcome)) return outcome;
      request.signal?.throwIfAborted();
      const delayMs = outcome.retryAfterMs ?? backoffMs(attempt);
      const spentMs = performance.now() - startedAtMs + delayMs;
      if (!outcome.retryable || spentMs > this.#patienceMs(request)) throw outcome.error;
      await pause(delayMs, request.signal);
      request.signal?.throwIfAborted();
    }
  }

  /** The JSON of the answer, which the caller says is a `T`. @throws as `send`. */
  async json<T>(request: ApiRequest): Promise<T> {
    const bytes = await this.send(request);
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as T;
    } catch (cause) {
      throw strangeAnswer(cause);
    }
  }

  /** One attempt at an answer to be read as it comes, such as events. @throws as `send`. */
  async open(request: ApiRequest): Promise<HttpAnswer> {
    const outcome = await this.#attempt(this.#bound(request), (answer) => Promise.resolve(answer));
    if (isFailure(outcome)) throw outcome.error;
    return outcome;
  }

  #bound(request: ApiRequest): ApiRequest {
    if (this.#signal === undefined) return request;
    return { ...request, signal: eitherOf(this.#signal, request.signal) };
  }

  #patienceMs(request: ApiRequest): number {
    const patienceMs = request.retryForMs ?? this.#options.retryForMs ?? RETRY_FOR_MS;
    return this.#reached.hasAnswered ? patienceMs : Math.min(patienceMs, FIRST_CONTACT_MS);
  }

  async #attempt<T>(
    request: ApiRequest,
    read: (answer: HttpAnswer) => Promise<T>,
  ): Promise<T | Failure> {
    const link = containerLink();
    const connection = link === undefined ? await this.connection() : WITHIN_CONTAINER;
    try {
      const sent = httpRequestOf(connection, request);
      const answer = await (link === undefined
        ? exchange(connection.serverUrl + request.path, sent)
        : exchangeThrough(link, request.path, sent));
      this.#reached.hasAnswered = true;
      if (answer.status >= 200 && answer.status < 300) return await read(answer);
      return { ...FAILED, ...refusalOf(answer, new TextDecoder().decode(await answer.bytes())) };
    } catch (cause) {
      request.signal?.throwIfAborted();
      // The server may come back at another address, which the file then names.
      this.#reached.connection = undefined;
      return {
        ...FAILED,
        error: new ServerUnreachableError(
          `no Flotilla server at ${connection.serverUrl}: ${reasonOf(cause)}`,
          cause,
        ),
        retryable: true,
        retryAfterMs: undefined,
      };
    }
  }
}

/** Its agent knows the server and has a token. */
const WITHIN_CONTAINER: Connection = { serverUrl: "the end of its node agent", token: "" };
const FAILURE = Symbol("failure");
const FAILED = { [FAILURE]: true } as const;

function isFailure(outcome: unknown): outcome is Failure {
  return typeof outcome === "object" && outcome !== null && FAILURE in outcome;
}

function httpRequestOf({ token, workspace }: Connection, request: ApiRequest): HttpRequest {
  const { method, body, contentType, place } = request;
  return {
    method,
    place,
    headers: {
      authorization: `Bearer ${token}`,
      ...(workspace === undefined ? {} : { [WORKSPACE_HEADER]: workspace }),
      ...(contentType === undefined ? {} : { "content-type": contentType }),
    },
    body,
    signal: signalOf(request),
  };
}

function signalOf({ waitMs = 0, signal }: ApiRequest): AbortSignal | undefined {
  if (waitMs === Infinity) return signal;
  return eitherOf(signal, AbortSignal.timeout(waitMs + ANSWER_MS_MAX));
}

/** What broke, in the words of the system: `connect ECONNREFUSED 127.0.0.1:7070`. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  // An aborted exchange has the abort as its cause.
  const { cause = thrown } = thrown;
  if (cause instanceof Error && cause.name === "TimeoutError") return "it gave no answer in time";
  return thrown.message !== "" ? thrown.message : thrown.name;
}
