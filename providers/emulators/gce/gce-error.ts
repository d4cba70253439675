/** An answer that Compute Engine gives as an error document. */
export class GceError extends Error {
  override readonly name = "GceError";
  /** Such as `alreadyExists`: `errors[].reason` of the document. */
  readonly reason: string;
  /** HTTP status. */
  readonly status: number;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

const USAGE_REASONS = ["quotaExceeded", "rateLimitExceeded"];

/**
 * The document of an error.
 * Source: what Compute Engine clients decode (googleapis error format, JSON, v1; read 2026-11).
 */
export function errorDocument({ status, reason, message }: GceError): object {
  const domain = USAGE_REASONS.includes(reason) ? "usageLimits" : "global";
  return { error: { code: status, message, errors: [{ message, domain, reason }] } };
}

/** A field of the request whose value is no good. */
export function invalidField(field: string, value: string, why: string): GceError {
  return new GceError(400, "invalid", `Invalid value for field '${field}': '${value}'. ${why}`);
}

/** @param resource such as `projects/p/zones/z/instances/n`. */
export function notFound(resource: string): GceError {
  return new GceError(404, "notFound", `The resource '${resource}' was not found`);
}
