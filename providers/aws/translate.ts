/**
 * EC2's words into ours: error codes and instance states.
 *
 * A code that is not in the table is judged by its HTTP status. What is neither an answer of
 * EC2 nor a failure of the network is a bug and is thrown on unchanged.
 */
import {
  assertNever,
  messageOf,
  MS_PER_SECOND,
  PlatformError,
  type ErrorCode,
  type ErrorDetails,
  type Offer,
} from "../../core/index.ts";
import type { ProviderNode, RentRefusal } from "../provider.ts";
import type { Throttle } from "../rate-limit.ts";
import { quotaCodeOf } from "./limits.ts";

/** What an EC2 error means for a rent, or for any other call. */
export type Ec2Meaning =
  /** A rent was refused: the offer is short, or a quota is used up. */
  | { readonly kind: "refused"; readonly scope: "offer" | "quota" }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly retryable: boolean };

/** A row of the error table. */
export interface Ec2ErrorRow {
  readonly code: string;
  readonly meaning: Ec2Meaning;
  readonly source: string;
}

const DOCS = "EC2 API reference, error codes (read 2026-11)";
const KARPENTER = "karpenter-provider-aws, pkg/errors/errors.go (read 2026-11)";
const COMMON = "EC2 API reference, common error types (read 2026-11)";
const SDK = "the retry rules and errors of @aws-sdk/client-ec2 3.1169";

const SHORT: Ec2Meaning = { kind: "refused", scope: "offer" };
const QUOTA: Ec2Meaning = { kind: "refused", scope: "quota" };
const THROTTLED: Ec2Meaning = { kind: "failed", code: "rate_limited", retryable: true };
const DOWN: Ec2Meaning = { kind: "failed", code: "unavailable", retryable: true };
const SILENT: Ec2Meaning = { kind: "failed", code: "timed_out", retryable: true };
const NO_AUTH: Ec2Meaning = { kind: "failed", code: "auth_failed", retryable: false };
const NOT_FOUND: Ec2Meaning = { kind: "failed", code: "not_found", retryable: false };
const INVALID: Ec2Meaning = { kind: "failed", code: "invalid_request", retryable: false };
const CONFLICT: Ec2Meaning = { kind: "failed", code: "conflict", retryable: false };

/** The error table; each code once. */
export const EC2_ERRORS: readonly Ec2ErrorRow[] = [
  row("InsufficientInstanceCapacity", SHORT, DOCS),
  row("InsufficientHostCapacity", SHORT, DOCS),
  row("UnfulfillableCapacity", SHORT, KARPENTER),
  row("Unsupported", SHORT, KARPENTER),
  row("InsufficientFreeAddressesInSubnet", SHORT, DOCS),
  row("SpotMaxPriceTooLow", SHORT, DOCS),
  row("VcpuLimitExceeded", QUOTA, KARPENTER),
  row("MaxSpotInstanceCountExceeded", QUOTA, DOCS),
  row("MaxFleetCountExceeded", QUOTA, KARPENTER),
  row("InstanceLimitExceeded", QUOTA, DOCS),
  row("RequestLimitExceeded", THROTTLED, DOCS),
  row("EC2ThrottledException", THROTTLED, SDK),
  row("ThrottlingException", THROTTLED, COMMON),
  row("Throttling", THROTTLED, SDK),
  row("InternalError", DOWN, DOCS),
  row("InternalFailure", DOWN, COMMON),
  row("Unavailable", DOWN, DOCS),
  row("ServiceUnavailable", DOWN, COMMON),
  row("RequestExpired", DOWN, COMMON),
  row("UnauthorizedOperation", NO_AUTH, DOCS),
  row("AuthFailure", NO_AUTH, DOCS),
  row("Blocked", NO_AUTH, DOCS),
  row("OptInRequired", NO_AUTH, DOCS),
  row("PendingVerification", NO_AUTH, DOCS),
  row("SignatureDoesNotMatch", NO_AUTH, COMMON),
  row("InvalidClientTokenId", NO_AUTH, DOCS),
  row("MissingAuthenticationToken", NO_AUTH, DOCS),
  row("ExpiredToken", NO_AUTH, COMMON),
  row("ExpiredTokenException", NO_AUTH, COMMON),
  row("CredentialsProviderError", NO_AUTH, SDK),
  row("InvalidInstanceID.NotFound", NOT_FOUND, DOCS),
  row("InvalidInstanceID.Malformed", NOT_FOUND, DOCS),
  row("InvalidLaunchTemplateName.NotFoundException", NOT_FOUND, DOCS),
  row("InvalidLaunchTemplateId.NotFound", NOT_FOUND, DOCS),
  row("AuthFailure.ServiceLinkedRoleCreationNotPermitted", NO_AUTH, KARPENTER),
  row("IdempotentParameterMismatch", CONFLICT, DOCS),
  row("IdempotentInstanceTerminated", CONFLICT, DOCS),
  row("TimeoutError", SILENT, SDK),
  row("AbortError", SILENT, SDK),
];

const MEANINGS = new Map(EC2_ERRORS.map(({ code, meaning }) => [code, meaning]));

/** Failures of the network below EC2, as Node names them. */
const NETWORK_CODES = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** What to do next, by our code. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  auth_failed: "check this account's credentials and its permissions for EC2",
  conflict: "use a new client token",
  invalid_request: "correct the request; repeating it will not help",
  rate_limited: "wait and repeat it",
  timed_out: "repeat it with the same token; it may have taken effect",
  unavailable: "repeat it with the same token; it may have taken effect",
};

/** What a thrown error of the SDK means; undefined when it is not the outside world's. */
export function meaningOf(error: unknown): Ec2Meaning | undefined {
  const { name, code, status } = factsOf(error);
  const known = MEANINGS.get(name);
  if (known !== undefined) return known;
  if (NETWORK_CODES.has(code)) return DOWN;
  return status === undefined ? undefined : meaningOfStatus(status);
}

/** What an error code inside an answer means; a code that is not known speaks of the offer. */
export function meaningOfCode(code: string): Ec2Meaning {
  return MEANINGS.get(code) ?? SHORT;
}

/** Whether EC2 itself stumbled, which says nothing about what was asked for. */
export function isServiceTrouble(meaning: Ec2Meaning): boolean {
  return meaning.kind === "failed" && meaning.retryable;
}

/** A throttle as the rate limiter takes it; EC2 rarely says how long to wait. */
export function throttleOf(error: unknown): Throttle | undefined {
  const meaning = meaningOf(error);
  if (meaning?.kind !== "failed" || meaning.code !== "rate_limited") return undefined;
  const { $response } = error as { readonly $response?: { readonly headers?: HeaderMap } };
  const seconds = Number($response?.headers?.["retry-after"]);
  return seconds > 0 ? { retryAfterMs: seconds * MS_PER_SECOND } : {};
}

type HeaderMap = Readonly<Record<string, string>>;

/** A refusal of an offer: of itself, of its quota, or of the whole account. */
export function refusalOf(
  { offerId, quotaGroups }: Offer,
  why: { readonly meaning: Ec2Meaning; readonly reason: string },
): RentRefusal {
  const { meaning, reason } = why;
  const [quotaGroup] = quotaGroups;
  if (meaning.kind === "refused" && meaning.scope === "quota" && quotaGroup !== undefined) {
    const quota = quotaCodeOf(quotaGroup);
    const advice = quota === undefined ? "" : `; ask AWS to raise quota ${quota.code}`;
    return { offerId, reason: reason + advice, scope: { kind: "quota", quotaGroup } };
  }
  const isAuth = meaning.kind === "failed" && meaning.code === "auth_failed";
  return { offerId, reason, scope: isAuth ? { kind: "cloud" } : { kind: "offer" } };
}

/**
 * The error to throw instead of an SDK error.
 *
 * @param attempted what was tried, such as `list instances in us-east-1`.
 */
export function platformErrorOf(
  error: unknown,
  attempted: string,
  details: ErrorDetails,
): PlatformError {
  const meaning = meaningOf(error);
  if (meaning === undefined) throw error;
  const { name, status, requestId } = factsOf(error);
  const { code, retryable } = failureOf(meaning);
  const next = ADVICE[code] ?? "see the EC2 console";
  return new PlatformError(`could not ${attempted}: ${name}: ${messageOf(error)}; ${next}`, {
    code,
    retryable,
    details: { ...details, ec2Code: name, httpStatus: status, requestId },
    cause: error,
  });
}

/** The error for a well-formed 200 that is no answer of EC2, such as a proxy's page. */
export function foreignAnswer(attempted: string, details: ErrorDetails): PlatformError {
  return new PlatformError(
    `could not ${attempted}: the answer is not EC2's, perhaps a proxy's page; ` +
      "check the endpoint and the proxy settings",
    { code: "unavailable", retryable: true, details },
  );
}

/**
 * Our state for an EC2 instance state. A stopped machine still has its disks on the bill, so it
 * counts as terminating until it is terminated; so does a state we do not know.
 */
export function nodeStateOf(stateName: string | undefined): ProviderNode["state"] {
  switch (stateName) {
    case "pending":
      return "booting";
    case "running":
      return "running";
    case "terminated":
      return "terminated";
    default:
      return "terminating";
  }
}

/**
 * State reasons of an instance that its provider took back.
 * Source: EC2 API reference, type StateReason (read 2026-11).
 */
export const RECLAIM_REASONS: readonly string[] = [
  "Server.SpotInstanceTermination",
  "Server.SpotInstanceShutdown",
];

function row(code: string, meaning: Ec2Meaning, source: string): Ec2ErrorRow {
  return { code, meaning, source };
}

function meaningOfStatus(status: number): Ec2Meaning {
  if (status === 429) return THROTTLED;
  if (status === 401 || status === 403) return NO_AUTH;
  // A 2xx that could not be read is the answer of something that is not EC2.
  return status >= 400 && status < 500 ? INVALID : DOWN;
}

/** A refusal outside of a rent, which EC2 does not give, as the failure it would be. */
function failureOf(meaning: Ec2Meaning): {
  readonly code: ErrorCode;
  readonly retryable: boolean;
} {
  switch (meaning.kind) {
    case "failed":
      return meaning;
    case "refused":
      return {
        code: meaning.scope === "quota" ? "quota_exceeded" : "capacity_unavailable",
        retryable: true,
      };
    default:
      return assertNever(meaning, "EC2 meaning");
  }
}

interface ErrorFacts {
  readonly name: string;
  readonly code: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
}

/** The parts of an SDK error that count; the SDK types its errors as `unknown`. */
function factsOf(error: unknown): ErrorFacts {
  if (!(error instanceof Error)) {
    return { name: "", code: "", status: undefined, requestId: undefined };
  }
  const { code, $metadata } = error as Error & {
    readonly code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  };
  return {
    name: error.name,
    code: typeof code === "string" ? code : "",
    status: $metadata?.httpStatusCode,
    requestId: $metadata?.requestId,
  };
}
