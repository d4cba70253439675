/**
 * Functions with a URL: code that answers a `Request`, or an HTTP server of any kind.
 *
 * docs/web.md says what a request goes through and what is promised.
 */
import type { CallTarget } from "./call-target.ts";
import { UsageError } from "./errors.ts";
import { splitPythonSpec, type PythonCodeSpec, type PythonSource } from "./python-function.ts";
import type { HttpMethod, WebSpec } from "./protocol/web.ts";
import type { WrittenSpec } from "./written-spec.ts";

/** The options that all functions with a URL have. */
interface UrlOptions extends Omit<WrittenSpec, "schedule" | "web" | "python" | "batched"> {
  /** See `WebSpec`. Default: the function's name. */
  readonly path?: string;
  /** See `WebSpec`. Default false. */
  readonly requiresToken?: boolean;
  /** See `WebSpec`. Default 150 s. */
  readonly answerWithinMs?: number;
}

/** The options of a web endpoint: those of any function, and how it is asked. */
export interface WebEndpointSpec extends UrlOptions {
  /** The method or methods that it takes; HEAD goes with GET, and OPTIONS always. Default: all. */
  readonly method?: HttpMethod | readonly HttpMethod[];
}

/** The options of a web server: those of any function, and where it listens. */
export interface WebServerSpec extends UrlOptions {
  /** The port that the server listens on in its container. */
  readonly port: number;
}

/** The options of a web endpoint in Python. Its code gets a `flotilla.Request`; docs/web.md. */
export type PythonWebEndpointSpec = WebEndpointSpec & PythonCodeSpec;

/** The options of a web server in Python: its function listens on `port` and does not end. */
export type PythonWebServerSpec = WebServerSpec & PythonCodeSpec;

/** Code that answers requests: a `Response`, a text, bytes, nothing (204), or a value as JSON. */
export type RequestHandler = (request: Request) => unknown;

/** What starts a server: a function that makes it listen, or a program and its arguments. */
export type ServerStart = (() => unknown) | readonly [program: string, ...args: string[]];

/** A web server listens for many at once, unless its options say otherwise. */
export const SERVER_CONCURRENT_INPUTS = 100;

const METHODS = Object.keys({
  GET: 0,
  HEAD: 0,
  POST: 0,
  PUT: 0,
  PATCH: 0,
  DELETE: 0,
  OPTIONS: 0,
} satisfies Record<HttpMethod, 0>);

const PATH = /^(\/|[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*)$/;
const PATH_CHARACTERS_MAX = 256;
const ANSWER_WITHIN_MS = { min: 1_000, max: 600_000 };
const PORT_MAX = 65_535;

/**
 * A function of this process that has a URL.
 *
 * @example
 * console.log(await endpoint.url());
 */
export class WebFunction {
  /** What the function asked for, as it was written. */
  readonly spec: WebEndpointSpec | WebServerSpec;
  readonly #target: CallTarget;

  /** Made by `app.webEndpoint` and `app.webServer`. */
  constructor(target: CallTarget, spec: WebEndpointSpec | WebServerSpec) {
    this.spec = spec;
    this.#target = target;
  }

  /** The name under which it is deployed. @throws UsageError when nothing names it. */
  get functionName(): string {
    return this.#target.name;
  }

  /**
   * Its URL on the server that this process talks to: that of the deployed version, and stable
   * over deployments.
   *
   * @throws NotFoundError when it is not deployed, or the signal's reason.
   */
  async url(options: { readonly signal?: AbortSignal } = {}): Promise<string> {
    return this.#target.webUrl(options.signal);
  }
}

/** A web endpoint of this process. */
export class WebEndpoint extends WebFunction {
  readonly #handler: RequestHandler;

  /** Made by `app.webEndpoint`. */
  constructor(target: CallTarget, spec: WebEndpointSpec, handler: RequestHandler) {
    super(target, spec);
    this.#handler = handler;
  }

  /** Runs the code here, in this process, as if it were called directly. */
  local(request: Request): unknown {
    return this.#handler(request);
  }
}

/** Parts options into what every function has and what goes with a URL. */
export function splitWebSpec(spec: WebEndpointSpec & { readonly port?: number }): {
  readonly common: Omit<WrittenSpec, "web">;
  readonly web: WebSpec;
} {
  if (typeof spec !== "object" || (spec as unknown) === null) {
    throw new UsageError('the spec must be an object, such as { method: "POST" }');
  }
  if ("schedule" in spec) throw new UsageError("a function with a URL has no schedule");
  const { method, path, requiresToken, answerWithinMs, port, ...common } = spec;
  const methods = method === undefined ? undefined : [method].flat();
  const web = {
    ...(methods === undefined ? {} : { methods }),
    ...(path === undefined ? {} : { path }),
    ...(requiresToken === undefined ? {} : { requiresToken }),
    ...(answerWithinMs === undefined ? {} : { answerWithinMs }),
    ...(port === undefined ? {} : { port }),
  };
  checkWeb(web);
  return { common, web };
}

/** Parts what is Python's from the options, where they have some. @throws UsageError */
export function splitWebPython<Spec extends object>(
  spec: Spec,
): { readonly rest: Omit<Spec, keyof PythonCodeSpec>; readonly python: PythonSource | undefined } {
  const isPython = typeof spec === "object" && (spec as unknown) !== null && "runtime" in spec;
  if (!isPython) return { rest: spec, python: undefined };
  const { common, python } = splitPythonSpec(spec as Spec & PythonCodeSpec);
  if (python.workers !== undefined) {
    throw new UsageError(
      "a function with a URL has no workers: its inputs run in threads, or as coroutines",
    );
  }
  return { rest: common as Omit<Spec, keyof PythonCodeSpec>, python };
}

/** The program that is a server; undefined when a function starts it. @throws UsageError */
export function commandOf(start: unknown): readonly string[] | undefined {
  if (typeof start === "function") return undefined;
  const isCommand = Array.isArray(start) && start.length > 0;
  if (isCommand && start.every((part) => typeof part === "string")) return start;
  throw new UsageError(
    "app.webServer(spec, start) needs a function that starts the server, or a program and its " +
      'arguments such as ["python3", "-m", "http.server", "8000"]',
  );
}

/** @throws UsageError unless it is a port, which a server must name. */
export function checkPort(port: unknown): void {
  if (isWhole(port, 1, PORT_MAX)) return;
  throw new UsageError(`port must be a whole number from 1 to ${PORT_MAX}, got ${String(port)}`);
}

function checkWeb({ methods, path, requiresToken, answerWithinMs, port }: WebSpec): void {
  const wrong = methods?.find((method) => !METHODS.includes(method));
  if (wrong !== undefined || methods?.length === 0) {
    throw new UsageError(`method must be of ${METHODS.join(", ")}, got ${String(wrong)}`);
  }
  if (path !== undefined && !isPath(path)) {
    throw new UsageError(
      'path must be "/", or parts of letters, digits, "-", ".", "_" and "~" with "/" between ' +
        `them, such as "v1/images", got ${JSON.stringify(path)}`,
    );
  }
  if (requiresToken !== undefined && typeof requiresToken !== "boolean") {
    throw new UsageError("requiresToken must be true or false");
  }
  const { min, max } = ANSWER_WITHIN_MS;
  if (answerWithinMs !== undefined && !isWhole(answerWithinMs, min, max)) {
    throw new UsageError(
      `answerWithinMs must be a whole number from ${min} to ${max} ms, got ${answerWithinMs}`,
    );
  }
  if (port !== undefined) checkPort(port);
}

function isPath(path: unknown): boolean {
  if (typeof path !== "string" || path.length > PATH_CHARACTERS_MAX) return false;
  return PATH.test(path) && !path.split("/").some((part) => part === "." || part === "..");
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}
