/** Error answers of the server, as errors of the SDK. */
import {
  AuthError,
  NotFoundError,
  QuotaError,
  RequestError,
  type FlotillaError,
} from "../errors.ts";
import type { Problem } from "../protocol/api.ts";
import type { HttpAnswer } from "./http.ts";

type AnswerHead = Pick<HttpAnswer, "status" | "header">;

/** A refused request: what to throw, and whether the same request may succeed later. */
export interface Refusal {
  readonly error: FlotillaError;
  readonly retryable: boolean;
  /** What the server asked for in `Retry-After`. */
  readonly retryAfterMs: number | undefined;
}

const RETRY_AFTER_MS_MAX = 30_000;
const QUOTA_CODES: readonly string[] = ["capacity_unavailable", "quota_exceeded", "rate_limited"];

/** What an answer other than 2xx means. `body` is its whole text. */
export function refusalOf(answer: AnswerHead, body: string): Refusal {
  const problem = parseProblem(body);
  const isServersFault = answer.status >= 500 || answer.status === 429;
  return {
    error: errorOf(answer.status, problem),
    retryable: problem.retryable ?? isServersFault,
    retryAfterMs: retryAfterMs(answer),
  };
}

function errorOf(status: number, problem: Partial<Problem>): FlotillaError {
  const message = messageOf(status, problem);
  const code = problem.code ?? `http_${status}`;
  if (status === 401) return new AuthError(message);
  if (status === 403) return new AuthError(message, "use a token that may: `flotilla token list`");
  if (status === 404 || code === "not_found") return new NotFoundError(message);
  if (status === 429 || QUOTA_CODES.includes(code)) {
    return new QuotaError(message, { code, nextStep: "try again later, or ask for less" });
  }
  return new RequestError(message, { code });
}

function messageOf(status: number, { detail, title, requestId }: Partial<Problem>): string {
  const message = detail ?? title ?? `the server answered ${status}`;
  return status >= 500 && requestId !== undefined ? `${message} (request ${requestId})` : message;
}

function parseProblem(body: string): Partial<Problem> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    // Not from this server but from something before it, such as a proxy.
    return {};
  }
}

function retryAfterMs(answer: AnswerHead): number | undefined {
  const seconds = Number(answer.header("retry-after") ?? NaN);
  if (!(seconds >= 0)) return undefined;
  return Math.min(RETRY_AFTER_MS_MAX, seconds * 1_000);
}

/** An answer that is not in the API's form. */
export function strangeAnswer(cause: unknown): RequestError {
  return new RequestError("the answer is not from a Flotilla server, or from another version", {
    code: "strange_answer",
    nextStep: "check the address in FLOTILLA_SERVER_URL",
    cause,
  });
}
