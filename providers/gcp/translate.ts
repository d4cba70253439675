/**
 * Compute Engine's words into ours: error reasons, codes inside operations, instance states.
 *
 * A reason that is not in the table is judged by its HTTP status, and a code of an operation that
 * is not, as a refusal of that one offer. What is neither an answer of Compute Engine nor a
 * failure of the network is a bug and is thrown on unchanged.
 */
import {
  assertNever,
  messageOf,
  PlatformError,
  type ErrorCode,
  type ErrorDetails,
  type Offer,
} from "../../core/index.ts";
import { quotaGroupOf } from "../catalog/index.ts";
import type { ProviderNode, RefusalScope } from "../provider.ts";

/** What an error means for a rent, or for any other call. */
export type GcpMeaning =
  /** A rent was refused: the offer is short, or a quota is used up. */
  | { readonly kind: "refused"; readonly scope: "offer" | "quota" }
  /** There is an instance of that name already: ours, perhaps. */
  | { readonly kind: "exists" }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly retryable: boolean };

/** A row of an error table. */
export interface GcpErrorRow {
  readonly code: string;
  readonly meaning: GcpMeaning;
  readonly source: string;
}

const DOCS = "Compute Engine documentation, troubleshooting API errors (read 2026-11)";
const QUOTAS = "Compute Engine documentation, API rate and allocation quotas (read 2026-11)";
const SKYPILOT = "SkyPilot, the GCP handler of its failover (read 2026-11)";
const KARPENTER = "karpenter-provider-gcp, its instance errors (read 2026-11)";
const AUTH_LIBRARY = "google-auth-library 11.3, the messages of its errors";
const GAX = "google-gax 6.17, normalCalls and fallbackServiceStub";

const SHORT: GcpMeaning = { kind: "refused", scope: "offer" };
const QUOTA: GcpMeaning = { kind: "refused", scope: "quota" };
const EXISTS: GcpMeaning = { kind: "exists" };
const THROTTLED: GcpMeaning = { kind: "failed", code: "rate_limited", retryable: true };
const DOWN: GcpMeaning = { kind: "failed", code: "unavailable", retryable: true };
const SILENT: GcpMeaning = { kind: "failed", code: "timed_out", retryable: true };
const NO_AUTH: GcpMeaning = { kind: "failed", code: "auth_failed", retryable: false };
const NOT_FOUND: GcpMeaning = { kind: "failed", code: "not_found", retryable: false };
const INVALID: GcpMeaning = { kind: "failed", code: "invalid_request", retryable: false };
const CONFLICT: GcpMeaning = { kind: "failed", code: "conflict", retryable: false };

/** Reasons of error documents, each once. Three of them come with the same HTTP status, 403. */
export const GCP_ERRORS: readonly GcpErrorRow[] = [
  row("rateLimitExceeded", THROTTLED, QUOTAS),
  row("userRateLimitExceeded", THROTTLED, QUOTAS),
  row("quotaExceeded", QUOTA, QUOTAS),
  row("limitExceeded", QUOTA, QUOTAS),
  row("forbidden", NO_AUTH, DOCS),
  row("accessNotConfigured", NO_AUTH, DOCS),
  row("authError", NO_AUTH, DOCS),
  row("required", INVALID, DOCS),
  row("invalid", INVALID, DOCS),
  row("notFound", NOT_FOUND, DOCS),
  row("alreadyExists", EXISTS, DOCS),
  row("conditionNotMet", CONFLICT, DOCS),
  row("resourceNotReady", DOWN, DOCS),
  row("backendError", DOWN, DOCS),
  row("internalError", DOWN, DOCS),
];

/** Codes inside DONE operations, each once. */
export const OPERATION_ERRORS: readonly GcpErrorRow[] = [
  row("ZONE_RESOURCE_POOL_EXHAUSTED", SHORT, SKYPILOT),
  row("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", SHORT, SKYPILOT),
  row("insufficientCapacity", SHORT, SKYPILOT),
  row("UNSUPPORTED_OPERATION", SHORT, SKYPILOT),
  row("RESOURCE_NOT_READY", SHORT, SKYPILOT),
  row("RESOURCE_NOT_FOUND", SHORT, SKYPILOT),
  row("IP_SPACE_EXHAUSTED", SHORT, KARPENTER),
  row("IP_SPACE_EXHAUSTED_WITH_DETAILS", SHORT, KARPENTER),
  row("QUOTA_EXCEEDED", QUOTA, SKYPILOT),
  row("VPC_NOT_FOUND", INVALID, SKYPILOT),
  row("PERMISSIONS_ERROR", NO_AUTH, SKYPILOT),
  row("RESOURCE_ALREADY_EXISTS", EXISTS, DOCS),
  row("RESOURCE_OPERATION_RATE_EXCEEDED", THROTTLED, DOCS),
];

/** Failures below the API, by the gRPC code that the client gives them. Source: google-gax 6.17. */
const CLIENT_CODES: ReadonlyMap<number, GcpErrorRow> = new Map([
  [1, row("CANCELLED", SILENT, GAX)],
  [4, row("DEADLINE_EXCEEDED", SILENT, GAX)],
  [14, row("UNAVAILABLE", DOWN, GAX)],
]);

/** Words of errors that are about credentials and carry no status of the API. */
const CREDENTIAL_ERRORS: readonly { readonly words: RegExp; readonly source: string }[] = [
  { words: /Could not load the default credentials/, source: AUTH_LIBRARY },
  { words: /invalid_grant|invalid_client|unauthorized_client/, source: AUTH_LIBRARY },
];

const MEANINGS = meaningsOf(GCP_ERRORS);
const OPERATION_MEANINGS = meaningsOf(OPERATION_ERRORS);

/** The quota that counts the GPUs of all regions together; SkyPilot blocks the whole cloud. */
const ALL_REGIONS_METRIC = "GPUS_ALL_REGIONS";

/** What to do next, by our code. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  auth_failed: "check this machine's Google Cloud credentials and their permissions",
  conflict: "use a new client token",
  invalid_request: "correct the request; repeating it will not help",
  rate_limited: "wait and repeat it",
  timed_out: "repeat it with the same token; it may have taken effect",
  unavailable: "repeat it with the same token; it may have taken effect",
};

/** An error inside a DONE operation. */
export interface OperationFailure {
  readonly code: string;
  readonly message: string;
}

/** What a thrown error of the client means; undefined when it is not the outside world's. */
export function meaningOf(error: unknown): GcpMeaning | undefined {
  const { reason, status, grpcCode, message } = factsOf(error);
  if (CREDENTIAL_ERRORS.some(({ words }) => words.test(message))) return NO_AUTH;
  const known = MEANINGS.get(reason);
  if (known !== undefined) return known;
  if (status !== undefined) return meaningOfStatus(status);
  return grpcCode === undefined ? undefined : CLIENT_CODES.get(grpcCode)?.meaning;
}

/** What the error of a DONE operation means. */
export function meaningOfOperation({ code }: OperationFailure): GcpMeaning {
  return OPERATION_MEANINGS.get(code) ?? SHORT;
}

/** What a refusal speaks of, from Compute Engine's own words. */
export function scopeOf(
  refused: Extract<GcpMeaning, { readonly kind: "refused" }>,
  message: string,
  offer: Offer,
): RefusalScope {
  if (refused.scope === "offer") return { kind: "offer" };
  const [, metric] = /Quota '([A-Z0-9_-]+)' exceeded/.exec(message) ?? [];
  if (metric === ALL_REGIONS_METRIC) return { kind: "cloud" };
  const { cloud, region, purchase, quotaGroups } = offer;
  const named =
    metric && quotaGroupOf({ cloud, region }, metric.replace(/^PREEMPTIBLE_/, ""), purchase);
  // A quota that no offer names (of addresses, say) stands for the offer's own: it binds them too.
  const quotaGroup = quotaGroups.find((group) => group === named) ?? quotaGroups[0];
  return quotaGroup === undefined ? { kind: "offer" } : { kind: "quota", quotaGroup };
}

/**
 * The error to throw instead of one of the client.
 *
 * @param attempted what was tried, such as `list instances`.
 */
export function platformErrorOf(
  error: unknown,
  attempted: string,
  details: ErrorDetails,
): PlatformError {
  if (error instanceof PlatformError) return error;
  const meaning = meaningOf(error);
  if (meaning === undefined) throw error;
  const { reason, status, message } = factsOf(error);
  const { code, retryable } = failureOf(meaning);
  const words = reason === "" ? message : `${reason}: ${message}`;
  return new PlatformError(`could not ${attempted}: ${words}; ${adviceFor(code)}`, {
    code,
    retryable,
    details: { ...details, reason: reason === "" ? undefined : reason, httpStatus: status },
    cause: error,
  });
}

/** The error for an operation that ended with one which is no refusal. */
export function operationErrorOf(
  failure: OperationFailure,
  attempted: string,
  details: ErrorDetails,
): PlatformError {
  const { code, retryable } = failureOf(meaningOfOperation(failure));
  const words = `${failure.code}: ${failure.message}`;
  return new PlatformError(`could not ${attempted}: ${words}; ${adviceFor(code)}`, {
    code,
    retryable,
    details: { ...details, operationCode: failure.code },
  });
}

/** The error for a well-formed 200 that is no answer of Compute Engine, such as a proxy's. */
export function foreignAnswer(attempted: string, details: ErrorDetails): PlatformError {
  return new PlatformError(
    `could not ${attempted}: the answer is not Compute Engine's, perhaps a proxy's; ` +
      "check the endpoint and the proxy settings",
    { code: "unavailable", retryable: true, details },
  );
}

/**
 * Our state for an instance's status. A stopped machine still has its disk on the bill: it counts
 * as terminating until it is deleted (release.ts). So does a status we do not know.
 * Source: compute.proto of v1, Instance.status.
 */
export function nodeStateOf(status: string | null | undefined): ProviderNode["state"] {
  switch (status) {
    case "PROVISIONING":
    case "STAGING":
    case "PENDING":
      return "booting";
    case "RUNNING":
    case "REPAIRING":
      return "running";
    default:
      return "terminating";
  }
}

function row(code: string, meaning: GcpMeaning, source: string): GcpErrorRow {
  return { code, meaning, source };
}

function meaningsOf(rows: readonly GcpErrorRow[]): ReadonlyMap<string, GcpMeaning> {
  return new Map(rows.map(({ code, meaning }) => [code, meaning]));
}

function adviceFor(code: ErrorCode): string {
  return ADVICE[code] ?? "see the console of Google Cloud";
}

function meaningOfStatus(status: number): GcpMeaning {
  switch (status) {
    case 401:
    case 403:
      return NO_AUTH;
    case 404:
      return NOT_FOUND;
    case 409:
    case 412:
      return CONFLICT;
    case 429:
      return THROTTLED;
    default:
      return status >= 400 && status < 500 ? INVALID : DOWN;
  }
}

/** A refusal outside of a rent, which Compute Engine does not give, as the failure it would be. */
function failureOf(meaning: GcpMeaning): {
  readonly code: ErrorCode;
  readonly retryable: boolean;
} {
  switch (meaning.kind) {
    case "failed":
      return meaning;
    case "exists":
      return { code: "conflict", retryable: false };
    case "refused":
      return {
        code: meaning.scope === "quota" ? "quota_exceeded" : "capacity_unavailable",
        retryable: true,
      };
    default:
      return assertNever(meaning, "meaning of an error");
  }
}

interface ErrorFacts {
  readonly reason: string;
  readonly status: number | undefined;
  readonly grpcCode: number | undefined;
  readonly message: string;
}

/** Where google-gax 6.17 keeps the body of an error answer, which alone has its reason. */
const RAW_BODY = Symbol.for("google-gax.rawHttpResponsePayload");

/** The parts of a client's error that count; the client types its errors as `unknown`. */
function factsOf(error: unknown): ErrorFacts {
  const message = messageOf(error);
  if (!(error instanceof Error)) {
    return { reason: "", status: undefined, grpcCode: undefined, message };
  }
  const {
    code,
    httpStatusCode,
    [RAW_BODY]: body,
  } = error as Error & {
    readonly code?: unknown;
    readonly httpStatusCode?: number;
    readonly [RAW_BODY]?: unknown;
  };
  return {
    reason: typeof body === "string" ? reasonIn(body) : "",
    status: httpStatusCode,
    grpcCode: typeof code === "number" ? code : undefined,
    message,
  };
}

function reasonIn(body: string): string {
  try {
    const document = JSON.parse(body) as {
      readonly error?: { readonly errors?: readonly { readonly reason?: unknown }[] };
    } | null;
    const reason = document?.error?.errors?.[0]?.reason;
    return typeof reason === "string" ? reason : "";
  } catch {
    return "";
  }
}
