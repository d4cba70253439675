/** A part of a world, as a world of its own: what was before it only shows in how things stand. */
import type { AvailabilityTrace, MarketEvent, World } from "../world.ts";
import { cut } from "../traces/reshape.ts";
import { durationMsOf } from "../traces/trace.ts";

/** A stretch of virtual time, [fromMs, untilMs). */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * The world from `fromMs` to `untilMs`, in whole windows of its trace; its time starts at 0 again.
 * Prices and capacities are as events before it left them, outages that last go on, and measured
 * availability goes on where it was.
 */
export function worldWithin(world: World, span: Span): World {
  const { windowMs } = world.trace;
  const fromMs = Math.ceil(span.fromMs / windowMs) * windowMs;
  const trace = cut(world.trace, { fromMs, untilMs: span.untilMs });
  const untilMs = fromMs + durationMsOf(trace);
  if (fromMs === 0 && untilMs >= durationMsOf(world.trace)) return world;
  const { market } = world;
  return {
    ...world,
    trace,
    market: {
      ...market,
      events: market.events.flatMap((event) => shifted(event, fromMs, untilMs)),
      availability: market.availability.map((one) => rotated(one, fromMs)),
    },
  };
}

function shifted(event: MarketEvent, fromMs: number, untilMs: number): readonly MarketEvent[] {
  if (event.atMs >= untilMs) return [];
  const atMs = event.atMs - fromMs;
  switch (event.kind) {
    case "capacity":
    case "price":
      return [{ ...event, atMs: Math.max(0, atMs) }];
    case "reclaim":
      return atMs < 0 ? [] : [{ ...event, atMs }];
    case "outage":
      if (event.untilMs <= fromMs) return [];
      return [{ ...event, atMs: Math.max(0, atMs), untilMs: event.untilMs - fromMs }];
  }
}

function rotated(trace: AvailabilityTrace, byMs: number): AvailabilityTrace {
  const { nodeCounts, stepMs } = trace;
  const steps = Math.floor(byMs / stepMs) % Math.max(1, nodeCounts.length);
  return { ...trace, nodeCounts: [...nodeCounts.slice(steps), ...nodeCounts.slice(0, steps)] };
}
