/** Every error the SDK throws on purpose; all are `FlotillaError`s but for `RemoteError`. */
import type { CallErrorCode } from "./protocol/api.ts";
import { FlotillaError } from "./protocol/flotilla-error.ts";

export { FlotillaError, isFlotillaError } from "./protocol/flotilla-error.ts";
export { SerializationError } from "./protocol/values.ts";

/** No server answered. Calls that were accepted go on without this client. */
export class ServerUnreachableError extends FlotillaError {
  override readonly name = "ServerUnreachableError";

  constructor(message: string, cause?: unknown) {
    super(message, {
      code: "unreachable",
      nextStep:
        "start a server with `flotilla up`, or point FLOTILLA_SERVER_URL at the one you mean",
      cause,
    });
  }
}

/** The server does not accept this client's token or its scopes, or the client has none. */
export class AuthError extends FlotillaError {
  override readonly name = "AuthError";

  constructor(message: string, nextStep?: string) {
    super(message, {
      code: "auth_failed",
      nextStep:
        nextStep ?? "set FLOTILLA_TOKEN, or run `flotilla up` once on this machine to write one",
    });
  }
}

/** The app, function, call or container does not exist, or is another workspace's. */
export class NotFoundError extends FlotillaError {
  override readonly name = "NotFoundError";

  constructor(message: string, nextStep?: string) {
    super(message, { code: "not_found", ...(nextStep === undefined ? {} : { nextStep }) });
  }
}

/** A quota, rate limit or the capacity of the platform stands in the way. */
export class QuotaError extends FlotillaError {
  override readonly name = "QuotaError";
}

/** The server refused the request for another reason; `code` says which. */
export class RequestError extends FlotillaError {
  override readonly name = "RequestError";
}

/** A function's options, an app's name or a call's options are wrong. */
export class UsageError extends FlotillaError {
  override readonly name = "UsageError";

  constructor(message: string, nextStep?: string) {
    super(message, { code: "usage", ...(nextStep === undefined ? {} : { nextStep }) });
  }
}

/** The result was not there within the time the caller gave; the call itself goes on. */
export class TimeoutError extends FlotillaError {
  override readonly name = "TimeoutError";

  constructor(message: string) {
    super(message, { code: "timeout", nextStep: "wait longer, or cancel() the call" });
  }
}

const CALL_NEXT_STEPS: Readonly<Record<CallErrorCode, string | undefined>> = {
  attempts_exhausted: "look at the logs of its containers with `flotilla app logs`",
  cancelled: undefined,
  deadline_exceeded: "give the call a longer deadlineMs, or less to do",
  container_exited: "look at the logs of its containers with `flotilla app logs`",
  not_serializable: "return plain data, bytes or another value that can be cloned",
  out_of_memory: "raise `memoryMiB` in the function's spec",
  payload_too_large: "return less, or split the work into smaller inputs",
  startup_failed: "run the file locally to see whether it loads: `node FILE`",
  timed_out: "raise `timeoutMs` in the function's spec",
};

/** The platform, not the user's code, ended an input; `code` says why. */
export class CallError extends FlotillaError {
  override readonly name = "CallError";
  declare readonly code: CallErrorCode;

  constructor(
    message: string,
    options: { readonly code: CallErrorCode; readonly cause?: unknown },
  ) {
    const nextStep = CALL_NEXT_STEPS[options.code];
    super(message, { ...options, ...(nextStep === undefined ? {} : { nextStep }) });
  }
}
