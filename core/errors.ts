/** Everything the platform can say went wrong outside itself; a closed list. */
export const ERROR_CODES = [
  "auth_failed",
  "capacity_unavailable",
  "conflict",
  "invalid_request",
  "not_found",
  "payload_too_large",
  "quota_exceeded",
  "rate_limited",
  "timed_out",
  "unavailable",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Ids and numbers that explain an error; never a secret. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export interface PlatformErrorOptions {
  readonly code: ErrorCode;
  /** Whether the same attempt can succeed later without a change. */
  readonly retryable: boolean;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** The outside world failed. Callers branch on `code`, never on the message. */
export class PlatformError extends Error {
  override readonly name = "PlatformError";
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details: ErrorDetails;

  constructor(message: string, options: PlatformErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.retryable = options.retryable;
    this.details = options.details ?? {};
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The code of an error of the operating system, such as `ENOENT`; undefined for any other. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
