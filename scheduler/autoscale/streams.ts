/** Streams of inputs with known shapes, fixed by a seed: what autoscaling is measured on. */
import { createRng, type Rng } from "../../core/index.ts";
import type { StreamedInput } from "./simulate-stream.ts";

export interface StreamShape {
  readonly seed: number | string;
  readonly durationMs: number;
  /** Mean run time; single ones vary by half of it to either side. */
  readonly runMs: number;
}

/** Independent arrivals whose rate changes with time, in inputs a second. */
export function ratedStream(
  shape: StreamShape,
  rateAt: (atMs: number) => number,
): readonly StreamedInput[] {
  const rng = createRng(shape.seed);
  const inputs: StreamedInput[] = [];
  const stepMs = 10;
  for (let atMs = 0; atMs < shape.durationMs; atMs += stepMs) {
    if (rng.next() < (rateAt(atMs) * stepMs) / 1_000) inputs.push(inputOf(rng, atMs, shape.runMs));
  }
  return inputs;
}

/** `inputs` at once every `everyMs`, each time off by up to `jitterMs` to either side. */
export function periodicStream(
  shape: StreamShape,
  every: { readonly everyMs: number; readonly jitterMs: number; readonly inputs: number },
): readonly StreamedInput[] {
  const rng = createRng(shape.seed);
  const inputs: StreamedInput[] = [];
  for (let dueMs = every.everyMs; dueMs < shape.durationMs; dueMs += every.everyMs) {
    const atMs = dueMs + every.jitterMs * (2 * rng.next() - 1);
    for (let index = 0; index < every.inputs; index += 1) {
      inputs.push(inputOf(rng, atMs, shape.runMs));
    }
  }
  return inputs;
}

/** A quiet rate with bursts of a high one: bursts last `burstMs` and begin at random times. */
export function burstyStream(
  shape: StreamShape,
  rates: { readonly quiet: number; readonly burst: number },
  times: { readonly burstMs: number; readonly meanGapMs: number },
): readonly StreamedInput[] {
  const rng = createRng(shape.seed).fork("bursts");
  const starts: number[] = [];
  for (let atMs = gap(rng, times.meanGapMs); atMs < shape.durationMs;) {
    starts.push(atMs);
    atMs += times.burstMs + gap(rng, times.meanGapMs);
  }
  const inBurst = (atMs: number): boolean =>
    starts.some((startMs) => atMs >= startMs && atMs < startMs + times.burstMs);
  return ratedStream(shape, (atMs) => (inBurst(atMs) ? rates.burst : rates.quiet));
}

/**
 * Starts that a scaler would make that knows every arrival and starts in no time: container `k`
 * starts when `k` inputs run at once after fewer did for the whole window.
 *
 * @param countFromMs Earlier ones are not counted.
 */
export function idealStarts(
  inputs: readonly StreamedInput[],
  windowMs: number,
  countFromMs: number,
): number {
  const edges = inputs
    .flatMap(({ atMs, runMs }) => [
      { atMs, change: 1 },
      { atMs: atMs + runMs, change: -1 },
    ])
    .sort((a, b) => a.atMs - b.atMs || a.change - b.change);
  const freeSinceMs: number[] = [];
  let level = 0;
  let starts = 0;
  for (const { atMs, change } of edges) {
    if (change < 0) {
      level -= 1;
      freeSinceMs[level] = atMs;
      continue;
    }
    const isCold = atMs - (freeSinceMs[level] ?? -Infinity) >= windowMs;
    if (isCold && atMs >= countFromMs) starts += 1;
    level += 1;
  }
  return starts;
}

function inputOf(rng: Rng, atMs: number, runMs: number): StreamedInput {
  return { atMs, runMs: runMs * (0.5 + rng.next()) };
}

function gap(rng: Rng, meanMs: number): number {
  return -Math.log(1 - rng.next()) * meanMs;
}
