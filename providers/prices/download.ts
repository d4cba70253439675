/**
 * Downloads of public price lists: large files, many pages, far away.
 *
 * A try ends when no byte comes for `IDLE_MS_MAX`, or at its deadline. What may work later (no
 * connection, 408, 429, 5xx, an answer that is cut off or is no JSON) is tried up to
 * `ATTEMPT_COUNT_MAX` times, after `PAUSE_MS * 2^(n-1)` of which a random half is taken off, or
 * for as long as the answer says (Retry-After). Bodies may be gzip, said so or not: mirrors often
 * serve the file as it lies there.
 *
 * Source of the pauses: "Exponential Backoff And Jitter", AWS Architecture Blog (equal jitter).
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import {
  messageOf,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  PlatformError,
  type Clock,
  type ErrorCode,
  type Rng,
} from "../../core/index.ts";

/** What to get. */
export interface DownloadRequest {
  readonly url: URL;
  /** For messages, such as "the EC2 prices of us-east-1". */
  readonly what: string;
  /** May hold secrets: they are in no message, and follow no redirect. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DownloadsOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Ends everything under way. */
  readonly signal?: AbortSignal;
  readonly attemptCountMax?: number;
  /** Longest try. */
  readonly deadlineMs?: number;
}

/** The bytes of an answer, unzipped, in pieces of any size. */
export type Bytes = AsyncIterable<Uint8Array>;

const ATTEMPT_COUNT_MAX = 4;
const PAUSE_MS = MS_PER_SECOND;
const RETRY_AFTER_MS_MAX = MS_PER_MINUTE;
const IDLE_MS_MAX = 30 * MS_PER_SECOND;
const DEADLINE_MS = 15 * MS_PER_MINUTE;
/** Longest answer that is kept in memory as a whole. */
const JSON_BYTES_MAX = 128 * 1024 * 1024;
const GZIP_MAGIC = [0x1f, 0x8b] as const;

/** Gets files over HTTP. */
export class Downloads {
  readonly #options: DownloadsOptions;

  constructor(options: DownloadsOptions) {
    this.#options = options;
  }

  /**
   * What `read` makes of the body. It may be called again, with a new body, after a try that was
   * cut off.
   *
   * @throws PlatformError that says what was asked for and what to do; what `read` throws
   *   itself, unless that is a `PlatformError` that can work later.
   */
  async get<T>(request: DownloadRequest, read: (bytes: Bytes) => Promise<T>): Promise<T> {
    const { attemptCountMax = ATTEMPT_COUNT_MAX, clock, signal } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#try(request, read);
      } catch (error) {
        const failure = failureOf(error, request);
        const isLast = attempt >= attemptCountMax || signal?.aborted === true;
        if (!failure.error.retryable || isLast) throw failure.error;
        await clock.sleep(failure.retryAfterMs ?? this.#pauseMs(attempt), signal);
      }
    }
  }

  /** The body as parsed JSON. @throws PlatformError */
  async json(request: DownloadRequest): Promise<unknown> {
    return this.get(request, async (bytes) => {
      const text = await textOf(bytes, request);
      try {
        return JSON.parse(text) as unknown;
      } catch (error) {
        throw unavailable(request, `the answer is no JSON (${messageOf(error)})`, error);
      }
    });
  }

  #pauseMs(attempt: number): number {
    const pauseMs = PAUSE_MS * 2 ** (attempt - 1);
    return pauseMs * (1 - this.#options.rng.next() / 2);
  }

  async #try<T>(request: DownloadRequest, read: (bytes: Bytes) => Promise<T>): Promise<T> {
    const { clock, signal, deadlineMs = DEADLINE_MS } = this.#options;
    const trying = new AbortController();
    const stop = (): void => trying.abort(stopped(request));
    if (signal?.aborted === true) throw stopped(request);
    signal?.addEventListener("abort", stop, { once: true });
    const ended = new AbortController();
    void clock.sleep(deadlineMs, ended.signal).then(() => {
      trying.abort(timedOut(request, `was not through after ${deadlineMs / MS_PER_MINUTE} min`));
    });
    const idle = new IdleWatch(clock, () => {
      trying.abort(timedOut(request, `gave nothing for ${IDLE_MS_MAX / MS_PER_SECOND} s`));
    });
    try {
      idle.start();
      const response = await fetch(request.url, {
        signal: trying.signal,
        redirect: request.headers === undefined ? "follow" : "error",
        ...(request.headers === undefined ? {} : { headers: request.headers }),
      });
      if (!response.ok) throw await refusalOf(request, response, clock.nowMs());
      return await read(unzipped(idle.watched(response.body ?? [])));
    } catch (error) {
      throw trying.signal.aborted ? trying.signal.reason : error;
    } finally {
      idle.stop();
      ended.abort();
      signal?.removeEventListener("abort", stop);
      trying.abort();
    }
  }
}

/** Calls back when nothing has come for `IDLE_MS_MAX`. */
class IdleWatch {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #current: AbortController | undefined;

  constructor(clock: Clock, onIdle: () => void) {
    this.#clock = clock;
    this.#onIdle = onIdle;
  }

  start(): void {
    this.stop();
    const current = new AbortController();
    this.#current = current;
    void this.#clock.sleep(IDLE_MS_MAX, current.signal).then(() => {
      if (!current.signal.aborted) this.#onIdle();
    });
  }

  stop(): void {
    this.#current?.abort();
    this.#current = undefined;
  }

  /** The pieces, each of which shows that something comes. */
  async *watched(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Bytes {
    for await (const piece of pieces) {
      // Whoever reads may take their time: only the sender is watched.
      this.stop();
      yield piece;
      this.start();
    }
  }
}

async function* unzipped(bytes: Bytes): Bytes {
  const pieces = bytes[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let isDone = false;
  while (head.length < GZIP_MAGIC.length && !isDone) {
    const next = await pieces.next();
    if (next.done === true) isDone = true;
    else head = Buffer.concat([head, next.value]);
  }
  const rest = { [Symbol.asyncIterator]: () => pieces };
  async function* all(): Bytes {
    if (head.length > 0) yield head;
    if (!isDone) yield* rest;
  }
  if (!GZIP_MAGIC.every((byte, index) => head[index] === byte)) {
    yield* all();
    return;
  }
  const gunzip = createGunzip();
  // A failure destroys `gunzip`, so that whoever reads it below gets it.
  const piping = pipeline(Readable.from(all()), gunzip).catch(() => undefined);
  yield* gunzip as AsyncIterable<Uint8Array>;
  await piping;
}

async function textOf(bytes: Bytes, request: DownloadRequest): Promise<string> {
  const pieces: Uint8Array[] = [];
  let byteCount = 0;
  for await (const piece of bytes) {
    byteCount += piece.byteLength;
    if (byteCount > JSON_BYTES_MAX) {
      throw notUsable(request, `it is longer than ${JSON_BYTES_MAX / 1024 / 1024} MiB`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** An answer can be had and is of no use: another try would give the same. */
export function notUsable(
  { url, what }: Pick<DownloadRequest, "url" | "what">,
  why: string,
): PlatformError {
  return new PlatformError(
    `cannot use ${what} of ${placeOf(url)}: ${why}; check the address in the settings`,
    { code: "unavailable", retryable: false, details: { url: placeOf(url) } },
  );
}

interface Failure {
  readonly error: PlatformError;
  readonly retryAfterMs?: number;
}

/** An HTTP status that is no success, with how long to wait if it says so. */
class RefusedAnswer extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

function failureOf(error: unknown, request: DownloadRequest): Failure {
  if (error instanceof RefusedAnswer) return error.failure;
  if (error instanceof PlatformError) return { error };
  if (!isFromOutside(error)) throw error;
  return { error: unavailable(request, messageOf(error.cause ?? error), error) };
}

/** Failed connections come with a cause, broken gzip with a code; anything else is a bug. */
function isFromOutside(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error.cause !== undefined || ("code" in error && typeof error.code === "string");
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  401: "auth_failed",
  403: "auth_failed",
  404: "not_found",
  429: "rate_limited",
};

async function refusalOf(
  request: DownloadRequest,
  response: Response,
  nowMs: number,
): Promise<RefusedAnswer> {
  const { status } = response;
  const words = (await response.text().catch(() => "")).replace(/\s+/g, " ").slice(0, 200);
  const retryable = status === 408 || status === 429 || status >= 500;
  const where = placeOf(request.url);
  const next = retryable ? "try again later" : "check the address and the key in the settings";
  const error = new PlatformError(
    `cannot get ${request.what}: ${where} answered ${status} (${words}); ${next}`,
    { code: CODES[status] ?? "unavailable", retryable, details: { status, url: where } },
  );
  const retryAfterMs = retryAfterOf(response.headers.get("retry-after"), nowMs);
  return new RefusedAnswer({ error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

/** Seconds or a date (RFC 9110, section 10.2.3), bounded. */
function retryAfterOf(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * MS_PER_SECOND : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), RETRY_AFTER_MS_MAX);
}

function unavailable(request: DownloadRequest, why: string, cause: unknown): PlatformError {
  const url = placeOf(request.url);
  return new PlatformError(`cannot get ${request.what} from ${url}: ${why}; try again later`, {
    code: "unavailable",
    retryable: true,
    details: { url },
    cause,
  });
}

function timedOut(request: DownloadRequest, why: string): PlatformError {
  const url = placeOf(request.url);
  return new PlatformError(`cannot get ${request.what}: ${url} ${why}; try again later`, {
    code: "timed_out",
    retryable: true,
    details: { url },
  });
}

function stopped(request: DownloadRequest): PlatformError {
  const message = `reading ${request.what} was interrupted`;
  return new PlatformError(message, { code: "unavailable", retryable: false });
}

/** A URL without its query: that may be long, or hold a key. */
function placeOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
