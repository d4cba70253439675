/** Where time comes from. Deciding code takes `nowMs`; controllers take a `Clock`. */
export interface Clock {
  /** Wall-clock milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
  /** Resolves after `durationMs`, or as soon as `signal` aborts (it never rejects). */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}
