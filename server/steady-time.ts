/**
 * Time that never runs backwards, for a process whose machine's clock is set while it runs.
 *
 * Leases, heartbeats and pauses are differences of two readings of the same clock. Where that is
 * set back by five minutes, nothing that is due within them happens: locks are not renewed,
 * silent nodes are not noticed. So a step back is worked off by running at half speed until the
 * machine's clock has caught up; a step forward is followed at once, as a sleep of the machine is.
 */

/** Half of the time that passes is given until the machine's clock has caught up. */
const CATCH_UP_SPEED = 0.5;

/** Where readings come from, both in ms. */
export interface TimeSources {
  /** The machine's clock, which somebody may set. */
  readonly wallMs: () => number;
  /** Time since any moment, which nobody sets. */
  readonly monotonicMs: () => number;
}

/** Readings that are never smaller than the one before; whole where the machine's clock is. */
export function steadyTime({ wallMs, monotonicMs }: TimeSources): () => number {
  let lastMs = wallMs();
  let readAtMs = monotonicMs();
  return () => {
    const nowMs = monotonicMs();
    const passedMs = Math.max(0, nowMs - readAtMs);
    const wall = wallMs();
    const crawledMs = lastMs + passedMs * CATCH_UP_SPEED;
    readAtMs = nowMs;
    lastMs = Math.max(wall, crawledMs);
    return Math.floor(lastMs);
  };
}
