/** How pulling and building say what went wrong. */
import { PlatformError, type ErrorCode } from "../../../core/index.ts";

/** An image that cannot be made as it is asked for; trying again changes nothing. */
export function wrongImage(
  message: string,
  options: { readonly code?: ErrorCode; readonly cause?: unknown } = {},
): PlatformError {
  const { code = "invalid_request", cause } = options;
  return new PlatformError(message, { code, retryable: false, cause });
}

/** Something outside that did not answer as it should; the same attempt may succeed later. */
export function awayError(message: string, cause?: unknown): PlatformError {
  return new PlatformError(message, { code: "unavailable", retryable: true, cause });
}
