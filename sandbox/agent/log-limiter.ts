/**
 * Bounds what one container may log: a burst, then a steady rate. What is beyond is dropped and
 * told in one line, so that nobody mistakes silence for nothing.
 *
 * A token bucket over bytes; pure, time comes in.
 */

export interface LogLimits {
  readonly burstBytes: number;
  readonly bytesPerSecond: number;
}

export const DEFAULT_LOG_LIMITS: LogLimits = {
  burstBytes: 1024 * 1024,
  bytesPerSecond: 256 * 1024,
};

/** A marker about dropped output comes at most this often while output keeps being dropped. */
export const MARKER_EVERY_MS = 1_000;
const MIB = 1024 * 1024;

export class LogLimiter {
  readonly #limits: LogLimits;
  #budgetBytes: number;
  #refilledAtMs: number;
  #droppedBytes = 0;
  #markedAtMs: number;

  constructor(limits: LogLimits, nowMs: number) {
    this.#limits = limits;
    this.#budgetBytes = limits.burstBytes;
    this.#refilledAtMs = nowMs;
    this.#markedAtMs = nowMs - MARKER_EVERY_MS;
  }

  /** Whether a line of `bytes` may pass now; when not, it counts as dropped. */
  admit(bytes: number, nowMs: number): boolean {
    this.#refill(nowMs);
    if (bytes > this.#budgetBytes) {
      this.#droppedBytes += bytes;
      return false;
    }
    this.#budgetBytes -= bytes;
    return true;
  }

  /** Counts bytes that were dropped before they came here. */
  addDropped(bytes: number): void {
    this.#droppedBytes += bytes;
  }

  /** Whether something was dropped that no line has told yet. */
  get hasUntold(): boolean {
    return this.#droppedBytes > 0;
  }

  /** The line that tells what was dropped since the last one; undefined when nothing was. */
  marker(nowMs: number, last: boolean): string | undefined {
    if (this.#droppedBytes === 0) return undefined;
    if (!last && nowMs - this.#markedAtMs < MARKER_EVERY_MS) return undefined;
    const dropped = describeBytes(this.#droppedBytes);
    this.#droppedBytes = 0;
    this.#markedAtMs = nowMs;
    const rate = describeBytes(this.#limits.bytesPerSecond);
    return `[flotilla] ${dropped} of output dropped: a container may print ${rate} a second`;
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#refilledAtMs);
    const gained = (elapsedMs * this.#limits.bytesPerSecond) / 1_000;
    this.#budgetBytes = Math.min(this.#limits.burstBytes, this.#budgetBytes + gained);
    this.#refilledAtMs = nowMs;
  }
}

function describeBytes(bytes: number): string {
  return bytes >= MIB ? `${(bytes / MIB).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
