/** From values to places on a chart, and the values that are written beside its axes. */

import { MS_PER_HOUR } from "../../../core/index.ts";

/** A place along an axis, and what is written there. */
export interface Tick {
  /** 0 at the axis' start, 1 at its end. */
  readonly at: number;
  readonly label: string;
}

export interface Scale {
  /** The place of a value, 0..1; values outside are put at the nearer end. */
  readonly place: (value: number) => number;
  readonly ticks: readonly Tick[];
}

/** A narrower range than this is taken for none: no chart has such small values. */
const SPAN_MIN = 1e-9;
const HOUR_STEPS = [0.25, 0.5, 1, 2, 3, 6, 12];
const DAY_STEPS = [1, 2, 7, 14, 28];
const STEPS = [1, 2, 2.5, 5, 10] as const;

/**
 * A linear scale from `from` to a round value at or above `to`.
 *
 * Ticks are multiples of 1, 2, 2.5 or 5 times a power of ten, about `tickCount` of them.
 */
export function linearScale(
  from: number,
  to: number,
  {
    tickCount = 5,
    label,
  }: { readonly tickCount?: number; readonly label: (value: number) => string },
): Scale {
  // Values that agree to six digits get a scale about them, for theirs would have no steps.
  const span = Math.max(to - from, Math.abs(to) * 1e-6);
  const width = span > SPAN_MIN ? span : 1;
  const step = roundStep(width / tickCount);
  const low = Math.floor(from / step + 1e-9) * step;
  const count = Math.max(1, Math.ceil((to - low) / step - 1e-9));
  const ticks = Array.from({ length: count + 1 }, (_, index) => ({
    at: index / count,
    label: label(low + index * step),
  }));
  return { place: (value) => clamped((value - low) / (count * step)), ticks };
}

/** A logarithmic scale from one power of ten to another; all below stands at its foot. */
export function logScale(min: number, max: number, label: (value: number) => string): Scale {
  const low = Math.floor(Math.log10(min) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(max) - 1e-9));
  const place = (value: number): number =>
    value <= 0 ? 0 : clamped((Math.log10(value) - low) / (high - low));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return {
    place,
    ticks: ticks.map((value, index) => ({
      at: place(value),
      label: index === 0 ? `≤ ${label(value)}` : label(value),
    })),
  };
}

/** Time since the start, in days or hours, up to exactly its end. */
export function elapsedScale(durationMs: number): Scale {
  const hours = durationMs / MS_PER_HOUR;
  const isDays = hours > 72;
  const length = isDays ? hours / 24 : hours;
  const steps = isDays ? DAY_STEPS : HOUR_STEPS;
  const step = steps.find((candidate) => candidate >= length / 8) ?? Math.ceil(length / 8);
  const ticks = Array.from({ length: Math.floor(length / step + 1e-9) + 1 }, (_, index) => ({
    at: length > 0 ? (index * step) / length : 0,
    label: `${index * step} ${isDays ? "d" : "h"}`,
  }));
  return { place: (ms) => clamped(durationMs > 0 ? ms / durationMs : 0), ticks };
}

function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = STEPS.find((candidate) => candidate * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function clamped(place: number): number {
  return Math.min(1, Math.max(0, place));
}
