/**
 * Azure's words into ours: error codes and states of machines.
 *
 * A code alone does not say enough: `OperationNotAllowed` is a quota, a throttle or a conflict,
 * which status and message tell apart. A code that is not in the table is judged by its status.
 * What is neither an answer of Azure nor a failure of the network is a bug and thrown on.
 */
import type { VirtualMachine } from "@azure/arm-compute";
import {
  assertNever,
  messageOf,
  PlatformError,
  type ErrorCode,
  type ErrorDetails,
} from "../../core/index.ts";
import type { ProviderNode } from "../provider.ts";
import type { Throttle } from "../rate-limit.ts";

/** What a refusal of Azure speaks of, before it is known which offer was asked for. */
export type AzureScope =
  | "offer"
  /** The quota of the size's family, for machines that are not spot. */
  | "family"
  /** The quota of all spot machines of the region. */
  | "all-spot"
  /** The quota of all vCPUs of the region. */
  | "region"
  /** The whole subscription. */
  | "cloud";

/** What an Azure error means for a rent, or for any other call. */
export type AzureMeaning =
  | { readonly kind: "refused"; readonly scope: AzureScope }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly retryable: boolean };

/** What Azure says of a failure: of a call, or of an operation, which has no status. */
export interface AzureFailure {
  readonly code: string;
  readonly message: string;
  readonly status?: number;
}

/** A row of the error table; the first row that fits counts. */
export interface AzureErrorRow {
  readonly code: string;
  /** What the message must contain; absent rows fit any message. */
  readonly message?: RegExp;
  /** The status the answer must have; absent rows fit any. */
  readonly status?: number;
  readonly meaning: AzureMeaning;
  readonly source: string;
}

const KARPENTER =
  "karpenter-provider-azure, pkg/providers/instance and azure-sdk-for-go-extensions, " +
  "pkg/errors (read 2026-11)";
const ALLOCATION = "Troubleshoot allocation failures, Microsoft Learn (read 2026-11)";
const ARM =
  "Troubleshoot common Azure deployment errors, Microsoft Learn (read 2026-11), and the error " +
  "documents of Azure Resource Manager quoted in public issues";
const SPOT_ERRORS =
  "Error messages for Azure Spot Virtual Machines, Microsoft Learn (read 2026-11)";
const SKYPILOT = "skypilot, sky/backends/cloud_vm_ray_backend.py (read 2026-11)";

const SHORT: AzureMeaning = { kind: "refused", scope: "offer" };
const THROTTLED: AzureMeaning = { kind: "failed", code: "rate_limited", retryable: true };
const DOWN: AzureMeaning = { kind: "failed", code: "unavailable", retryable: true };
const SILENT: AzureMeaning = { kind: "failed", code: "timed_out", retryable: true };
const NO_AUTH: AzureMeaning = { kind: "failed", code: "auth_failed", retryable: false };
const NOT_FOUND: AzureMeaning = { kind: "failed", code: "not_found", retryable: false };
const INVALID: AzureMeaning = { kind: "failed", code: "invalid_request", retryable: false };
const BUSY: AzureMeaning = { kind: "failed", code: "conflict", retryable: true };

const SPOT_QUOTA = /LowPriorityCores/i;
const REGION_QUOTA = /Total Regional (?:Low-priority )?Cores/i;
const FAMILY_QUOTA = /exceeding approved .*cores quota/is;

/** The error table. */
export const AZURE_ERRORS: readonly AzureErrorRow[] = [
  { code: "OperationNotAllowed", status: 429, meaning: THROTTLED, source: ARM },
  ...quotaRows("OperationNotAllowed"),
  ...quotaRows("QuotaExceeded"),
  { code: "QuotaExceeded", meaning: refusal("family"), source: KARPENTER },
  // "marked for deletion", "is being deallocated", "is attached to": it passes by itself.
  { code: "OperationNotAllowed", meaning: BUSY, source: ARM },
  row("SkuNotAvailable", SHORT, KARPENTER),
  row("AllocationFailed", SHORT, ALLOCATION),
  row("ZonalAllocationFailed", SHORT, ALLOCATION),
  row("OverconstrainedAllocationRequest", SHORT, ALLOCATION),
  row("OverconstrainedZonalAllocationRequest", SHORT, ALLOCATION),
  row("SpotPriceGreaterThanProvidedMaxPrice", SHORT, SPOT_ERRORS),
  row("AzureSpotIsNotSupportedForThisVMSize", SHORT, SPOT_ERRORS),
  row("AzureSpotFeatureNotEnabledForSubscription", refusal("all-spot"), SPOT_ERRORS),
  row("SubnetIsFull", SHORT, ARM),
  row("ReadOnlyDisabledSubscription", refusal("cloud"), SKYPILOT),
  row("SubscriptionNotRegistered", refusal("cloud"), ARM),
  row("MissingSubscriptionRegistration", refusal("cloud"), ARM),
  row("SubscriptionNotFound", NO_AUTH, ARM),
  row("TooManyRequests", THROTTLED, ARM),
  row("SubscriptionRequestsThrottled", THROTTLED, ARM),
  row("AuthorizationFailed", NO_AUTH, ARM),
  row("LinkedAuthorizationFailed", NO_AUTH, ARM),
  row("AuthenticationFailed", NO_AUTH, ARM),
  row("InvalidAuthenticationToken", NO_AUTH, ARM),
  row("ExpiredAuthenticationToken", NO_AUTH, ARM),
  row("InvalidAuthenticationTokenTenant", NO_AUTH, ARM),
  row("RequestDisallowedByPolicy", NO_AUTH, ARM),
  row("ScopeLocked", NO_AUTH, ARM),
  row("ResourceNotFound", NOT_FOUND, ARM),
  row("NotFound", NOT_FOUND, ARM),
  row("ResourceGroupNotFound", INVALID, ARM),
  row("InvalidResourceReference", INVALID, ARM),
  row("NicReservedForAnotherVm", BUSY, KARPENTER),
  row("NicInUse", BUSY, KARPENTER),
  row("PublicIPAddressCannotBeDeleted", BUSY, ARM),
  row("AnotherOperationInProgress", BUSY, ARM),
  row("Conflict", BUSY, ARM),
  row("RetryableError", DOWN, ARM),
  row("InternalServerError", DOWN, ARM),
  row("ServerTimeout", DOWN, ARM),
  row("ServiceUnavailable", DOWN, ARM),
  row("GatewayTimeout", DOWN, ARM),
];

/** Errors of @azure/identity that say that there are no good credentials. */
const CREDENTIAL_ERRORS = new Set([
  "AggregateAuthenticationError",
  "AuthenticationError",
  "AuthenticationRequiredError",
  "CredentialUnavailableError",
]);

/** Carries what `Retry-After` said, in ms, on an answer that says to come back later. */
export const RETRY_AFTER_HEADER = "x-flotilla-retry-after-ms";

/** What to do next, by our code. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  auth_failed: "check this account's credentials and its role in the resource group",
  conflict: "repeat it later",
  invalid_request: "correct the request; repeating it will not help",
  rate_limited: "wait and repeat it",
  timed_out: "repeat it with the same token; it may have taken effect",
  unavailable: "repeat it with the same token; it may have taken effect",
};

/**
 * What the failed create of a machine means. A code that is not in the table is taken for a
 * shortage: the offer is left alone for a while, and others are tried.
 */
export function meaningOfCreate(failure: AzureFailure): AzureMeaning {
  return knownMeaning(failure) ?? SHORT;
}

/** What a thrown error of the SDK means; undefined when it is not the outside world's. */
export function meaningOf(error: unknown): AzureMeaning | undefined {
  const failure = failureOf(error);
  if (failure !== undefined) {
    // Without a status nothing of Azure's was heard.
    const byStatus = failure.status === undefined ? DOWN : meaningOfStatus(failure.status);
    return knownMeaning(failure) ?? byStatus;
  }
  const name = error instanceof Error ? error.name : "";
  if (CREDENTIAL_ERRORS.has(name)) return NO_AUTH;
  return name === "AbortError" || name === "TimeoutError" ? SILENT : undefined;
}

/** What Azure said in a thrown error; undefined when it is no answer of Azure. */
export function failureOf(error: unknown): AzureFailure | undefined {
  if (!(error instanceof Error) || error.name !== "RestError") return undefined;
  const { code, statusCode: status } = error as Error & {
    readonly code?: string;
    readonly statusCode?: number;
  };
  const message = error.message;
  return { code: code ?? "", message, ...(status === undefined ? {} : { status }) };
}

/** What an error says about rates; undefined when it is no throttle. */
export function throttleOf(error: unknown): Throttle | undefined {
  const meaning = meaningOf(error);
  if (meaning?.kind !== "failed" || meaning.code !== "rate_limited") return undefined;
  const { response } = error as {
    readonly response?: { readonly headers?: { get(name: string): string | undefined } };
  };
  const said = response?.headers?.get(RETRY_AFTER_HEADER);
  return said === undefined ? {} : { retryAfterMs: Number(said) };
}

/** The failure in the document of an operation: its outer code, and all of its messages. */
export function failureOfDocument(document: unknown, otherwise: string): AzureFailure {
  const messages: string[] = [];
  let code = "";
  let level = memberOf(document, "error");
  while (typeof level === "object" && level !== null) {
    const own = memberOf(level, "code");
    const message = memberOf(level, "message");
    if (code === "" && typeof own === "string") code = own;
    if (typeof message === "string") messages.push(message);
    level = memberOf(level, "innererror");
  }
  return { code, message: messages.length === 0 ? otherwise : messages.join(" ") };
}

/**
 * The error to throw instead of an SDK error.
 *
 * @param attempted what was tried, such as `list the machines of group-1`.
 */
export function platformErrorOf(
  error: unknown,
  attempted: string,
  details: ErrorDetails,
): PlatformError {
  if (error instanceof PlatformError) return error;
  const meaning = meaningOf(error);
  if (meaning === undefined) throw error;
  const { code, retryable } = failedMeaning(meaning);
  const failure = failureOf(error);
  const name = failure?.code ?? (error instanceof Error ? error.name : "");
  const next = ADVICE[code] ?? "see the activity log in the Azure portal";
  return new PlatformError(`could not ${attempted}: ${name}: ${messageOf(error)}; ${next}`, {
    code,
    retryable,
    details: { ...details, azureCode: name, httpStatus: failure?.status },
    cause: error,
  });
}

/** The error for a well-formed 200 that is no answer of Azure, such as a proxy's page. */
export function foreignAnswer(attempted: string, details: ErrorDetails): PlatformError {
  return new PlatformError(
    `could not ${attempted}: the answer is not Azure's, perhaps a proxy's page; ` +
      "check the endpoint and the proxy settings",
    { code: "unavailable", retryable: true, details },
  );
}

/** The codes of a machine's instance view that begin with a prefix, without it. */
export function statusOf(machine: VirtualMachine, prefix: string): string | undefined {
  const statuses = machine.instanceView?.statuses ?? [];
  const found = statuses.find(({ code }) => code?.startsWith(prefix) === true);
  return found?.code?.slice(prefix.length);
}

/** Why the create of a listed machine failed, from its instance view. */
export function createFailureOf(machine: VirtualMachine): AzureFailure {
  const prefix = "ProvisioningState/failed";
  const statuses = machine.instanceView?.statuses ?? [];
  const failed = statuses.find(({ code }) => code?.startsWith(prefix) === true);
  const code = failed?.code?.slice(prefix.length + 1) ?? "";
  return { code, message: failed?.message ?? "its create failed" };
}

/** Power states of a machine that has left its host, or is about to. */
const OFF_STATES = new Set(["deallocating", "deallocated", "stopping", "stopped"]);

/** Whether Azure is taking a machine off its host or has done so. */
export function isTakenOff(powerState: string | undefined): boolean {
  return powerState === "deallocating" || powerState === "deallocated";
}

/**
 * Our state for a machine. One whose create failed holds a name, an interface and a disk, and
 * one that was stopped its disk and its price: both count as terminating until they are gone.
 */
export function nodeStateOf(
  provisioningState: string | undefined,
  powerState: string | undefined,
): ProviderNode["state"] {
  if (powerState !== undefined && OFF_STATES.has(powerState)) return "terminating";
  switch (provisioningState) {
    case "Creating":
      return "booting";
    case "Updating":
    case "Succeeded":
      return "running";
    default:
      return "terminating";
  }
}

function knownMeaning({ code, message, status }: AzureFailure): AzureMeaning | undefined {
  const known = AZURE_ERRORS.find(
    (one) =>
      one.code === code &&
      (one.status === undefined || one.status === status) &&
      (one.message === undefined || one.message.test(message)),
  );
  return known?.meaning;
}

function quotaRows(code: string): readonly AzureErrorRow[] {
  return [
    { code, message: SPOT_QUOTA, meaning: refusal("all-spot"), source: KARPENTER },
    { code, message: REGION_QUOTA, meaning: refusal("region"), source: KARPENTER },
    { code, message: FAMILY_QUOTA, meaning: refusal("family"), source: KARPENTER },
  ];
}

function refusal(scope: AzureScope): AzureMeaning {
  return { kind: "refused", scope };
}

function row(code: string, meaning: AzureMeaning, source: string): AzureErrorRow {
  return { code, meaning, source };
}

function meaningOfStatus(status: number): AzureMeaning {
  if (status === 429) return THROTTLED;
  if (status === 401 || status === 403) return NO_AUTH;
  if (status === 404) return NOT_FOUND;
  if (status === 409 || status === 412) return BUSY;
  // A 2xx that could not be read is the answer of something that is not Azure.
  return status >= 400 && status < 500 ? INVALID : DOWN;
}

/** A refusal outside of a rent as the failure it would be. */
function failedMeaning(meaning: AzureMeaning): {
  readonly code: ErrorCode;
  readonly retryable: boolean;
} {
  switch (meaning.kind) {
    case "failed":
      return meaning;
    case "refused": {
      const code = meaning.scope === "offer" ? "capacity_unavailable" : "quota_exceeded";
      return { code, retryable: true };
    }
    default:
      return assertNever(meaning, "Azure meaning");
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !(name in value)) return undefined;
  return Reflect.get(value, name);
}
