/** An answer that Azure gives as an error document. */
export class ArmError extends Error {
  override readonly name = "ArmError";
  /** Azure's own code, such as `SkuNotAvailable`. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** When to come back, for the `Retry-After` header, in whole seconds. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, code: string, message: string, retryAfterS?: number) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** The body of an error answer, and the `error` of a failed operation. */
export function errorBody({ code, message }: { readonly code: string; readonly message: string }) {
  return { error: { code, message } };
}
