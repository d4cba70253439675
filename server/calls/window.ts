/**
 * How many inputs a container may hold at once: enough to cover the round trip when inputs are
 * short, one when they are long, so that a long input never has others waiting behind it.
 */

/** Work a container may hold ahead, in ms of the function's own time. */
const WORK_AHEAD_MS = 25;
const WINDOW_MAX = 256;
/** Weight of a new observation in the moving average. */
const WEIGHT = 0.2;
/** Below this an input costs more to carry than to run. */
const SERVICE_MS_MIN = 0.05;

/** The moving average after one more observed run time. */
export function nextServiceMs(serviceMs: number | undefined, runMs: number): number {
  if (serviceMs === undefined) return runMs;
  // Long runs count at once: a window sized for short inputs must not hold long ones.
  const weight = runMs > 4 * serviceMs ? 0.5 : WEIGHT;
  return serviceMs + weight * (runMs - serviceMs);
}

/** Inputs one container may hold; 1 until a run time is known. */
export function windowFor(serviceMs: number | undefined): number {
  if (serviceMs === undefined) return 1;
  const inputs = Math.floor(WORK_AHEAD_MS / Math.max(serviceMs, SERVICE_MS_MIN));
  return Math.min(WINDOW_MAX, Math.max(1, inputs));
}
