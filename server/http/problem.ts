/**
 * Every error answer: RFC 9457 problem details with our code, the request's id and whether
 * trying again can help. No stack and no path of this machine ever leaves through here.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { messageOf, PlatformError, type ErrorCode } from "../../core/index.ts";
import { FrameError, SerializationError, type Problem } from "../../sdk/protocol/index.ts";
import { explainIssues } from "../apps/explain-issues.ts";

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** `internal` is a bug of the server; all other codes are the platform's own. */
type ProblemCode = ErrorCode | "internal";

/** The status that goes with each code; a code without one does not compile. */
const STATUS_OF: Readonly<Record<ProblemCode, number>> = {
  auth_failed: 401,
  capacity_unavailable: 503,
  conflict: 409,
  internal: 500,
  invalid_request: 400,
  not_found: 404,
  payload_too_large: 413,
  quota_exceeded: 429,
  rate_limited: 429,
  timed_out: 504,
  unavailable: 503,
};

const TITLE_OF: Readonly<Record<ProblemCode, string>> = {
  auth_failed: "Not allowed",
  capacity_unavailable: "No capacity",
  conflict: "Conflict",
  internal: "Internal error",
  invalid_request: "Invalid request",
  not_found: "Not found",
  payload_too_large: "Too large",
  quota_exceeded: "Quota exceeded",
  rate_limited: "Too many requests",
  timed_out: "Timed out",
  unavailable: "Unavailable",
};

/** Seconds after which a busy or restarting server is worth another try. */
const RETRY_AFTER_SECONDS = 1;
const DETAIL_CHARACTERS_MAX = 2_000;
/** An absolute path of two parts or more. */
const HOST_PATH = /(?<![\w.:/])\/[\w.@+-]+(?:\/[\w.@+-]*)+/g;

/** A refusal whose status differs from its code's usual one. */
export class RefusedError extends PlatformError {
  readonly status: number;

  constructor(status: number, code: ErrorCode, message: string) {
    super(message, { code, retryable: false });
    this.status = status;
  }
}

/** The problem that stands for anything thrown while a request was handled. */
export function problemOf(thrown: unknown, requestId: string): Problem {
  const { code, status = STATUS_OF[code], detail, retryable = false, details } = factsOf(thrown);
  const clean = status >= 500 ? detail.replaceAll(HOST_PATH, "(path)") : detail;
  return {
    type: `urn:flotilla:problem:${code}`,
    title: TITLE_OF[code],
    status,
    detail: clean.slice(0, DETAIL_CHARACTERS_MAX),
    code,
    requestId,
    retryable,
    ...(details === undefined || Object.keys(details).length === 0 ? {} : { details }),
  };
}

/** Answers a request with the problem that `thrown` is; logs it when the server is at fault. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(thrown, request.id);
  if (problem.status >= 500) {
    const { method, routeOptions } = request;
    request.log.error({ err: thrown, route: `${method} ${routeOptions.url ?? "?"}` }, "failed");
  }
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  if (problem.retryable && (problem.status === 429 || problem.status === 503)) {
    reply.header("retry-after", RETRY_AFTER_SECONDS);
  }
  // As bytes, so that fastify adds no charset, which the media type does not have.
  reply.code(problem.status).header("content-type", PROBLEM_MEDIA_TYPE);
  reply.send(Buffer.from(JSON.stringify(problem)));
}

interface Facts {
  readonly code: ProblemCode;
  readonly status?: number;
  readonly detail: string;
  readonly retryable?: boolean;
  readonly details?: PlatformError["details"];
}

function factsOf(thrown: unknown): Facts {
  if (thrown instanceof RefusedError) {
    return { code: thrown.code, status: thrown.status, detail: thrown.message };
  }
  if (thrown instanceof PlatformError) {
    const { code, message: detail, retryable, details } = thrown;
    return { code, detail, retryable, details };
  }
  if (thrown instanceof FrameError || thrown instanceof SerializationError) {
    return { code: "invalid_request", detail: thrown.message };
  }
  if (isAbort(thrown)) {
    return { code: "unavailable", detail: "the server is stopping; try again", retryable: true };
  }
  return (
    factsOfFramework(thrown) ?? {
      code: "internal",
      detail: "the server failed on this request; its log has the reason under the request's id",
    }
  );
}

/** What fastify found wrong before a handler ran. */
function factsOfFramework(thrown: unknown): Facts | undefined {
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const where = thrown.validationContext ?? "request";
    const issues = thrown.validation.map(({ instancePath, message }) => ({
      path: instancePath.split("/").filter(Boolean).map(pathPart),
      message: message ?? "is wrong",
    }));
    return { code: "invalid_request", detail: explainIssues(where, issues) };
  }
  if (!isFrameworkError(thrown)) return undefined;
  const { statusCode: status = 500 } = thrown;
  if (status < 400 || status >= 500) return undefined;
  return { code: codeOfStatus(status), status, detail: messageOf(thrown) };
}

function codeOfStatus(status: number): ProblemCode {
  if (status === 404) return "not_found";
  if (status === 413) return "payload_too_large";
  if (status === 429) return "rate_limited";
  return "invalid_request";
}

function isFrameworkError(thrown: unknown): thrown is FastifyError {
  return thrown instanceof Error && "statusCode" in thrown && typeof thrown.statusCode === "number";
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

function pathPart(text: string): string | number {
  return /^[0-9]+$/.test(text) ? Number(text) : text;
}
