/**
 * Autoscaling of one function: how many containers it should have now.
 *
 *     wanted = clamp(max(needed, busy, expected) + buffer while active, minContainers, maxContainers)
 *
 * `needed` is what the present work asks for (estimate.ts), `expected` what is started ahead of
 * calls that come at regular times (expect.ts). The buffer is idle containers beside the
 * working ones, only while the function is active: while it has work, or had some within its
 * scale-down window. The floor is kept always.
 *
 * Containers above what is wanted end only after idling for the whole scale-down window, the
 * longest idle first: the window is the hysteresis that keeps a noisy load from flapping. Only
 * a lowered `maxContainers` ends idle containers at once. A container that works never ends here.
 *
 * Guarantees, held by tests: wanted lies between the floor and the limit, grows with the
 * backlog and is never more than the limit; a decision starts or stops, never both.
 *
 * Pure: equal inputs give equal decisions.
 */
import { estimate, neededForBurst, startupMsOf } from "./estimate.ts";
import { expectNext } from "./expect.ts";
import type { FunctionState, ScaleDecision, ScaleRules } from "./function-state.ts";

/** What production runs. */
export const DEFAULT_SCALE_RULES: ScaleRules = { arrivalRate: true, panic: true, prediction: true };

/** Decides for one function. O(containers log containers). */
export function scale(
  state: FunctionState,
  nowMs: number,
  rules: ScaleRules = DEFAULT_SCALE_RULES,
): ScaleDecision {
  let busy = 0;
  for (const container of state.containers) if (container.state === "busy") busy += 1;
  const { needed, reason } = estimate(state, nowMs, rules);
  const ahead = rules.prediction ? lookAhead(state, nowMs) : NOTHING_AHEAD;
  const buffer = isActive(state, nowMs) ? state.bufferContainers : 0;
  const work = Math.max(needed, busy);
  const floor = Math.max(state.minContainers, Math.max(work, ahead.wanted) + buffer);
  const wanted = Math.max(0, Math.min(state.maxContainers, floor));
  const note = limitNote(state, { floor, wanted, buffer });
  const why = ahead.wanted > work ? `${reason}, ${ahead.wanted} for a call that is due` : reason;
  return {
    wanted,
    start: Math.max(0, wanted - state.containers.length),
    stop: toStop(state, { wanted, nowMs }),
    ...(ahead.expectedAtMs === undefined ? {} : { expectedAtMs: ahead.expectedAtMs }),
    reason: `${why}${note}`,
  };
}

interface LookAhead {
  readonly wanted: number;
  readonly expectedAtMs?: number;
}

const NOTHING_AHEAD: LookAhead = { wanted: 0 };

function lookAhead(state: FunctionState, nowMs: number): LookAhead {
  const expected = expectNext(state.arrivals?.awakenings ?? [], startupMsOf(state));
  if (expected === undefined || nowMs >= expected.untilMs) return NOTHING_AHEAD;
  const wanted = nowMs >= expected.fromMs ? neededForBurst(state, expected.inputs) : 0;
  return { wanted, expectedAtMs: expected.atMs };
}

function isActive(state: FunctionState, nowMs: number): boolean {
  if (state.backlog + state.running > 0) return true;
  const { lastActiveAtMs, scaledownWindowMs } = state;
  return lastActiveAtMs !== undefined && nowMs - lastActiveAtMs < scaledownWindowMs;
}

function toStop(
  state: FunctionState,
  now: { readonly wanted: number; readonly nowMs: number },
): readonly string[] {
  const surplus = Math.max(0, state.containers.length - now.wanted);
  if (surplus === 0) return [];
  const idle = state.containers
    .flatMap(({ containerId, state: what, idleSinceMs }) =>
      what === "idle" && idleSinceMs !== undefined ? [{ containerId, idleSinceMs }] : [],
    )
    .sort((a, b) => a.idleSinceMs - b.idleSinceMs || (a.containerId < b.containerId ? -1 : 1));
  const overLimit = Math.max(0, state.containers.length - state.maxContainers);
  return idle
    .slice(0, surplus)
    .filter(
      ({ idleSinceMs }, index) =>
        index < overLimit || now.nowMs - idleSinceMs >= state.scaledownWindowMs,
    )
    .map(({ containerId }) => containerId);
}

function limitNote(
  state: FunctionState,
  now: { readonly floor: number; readonly wanted: number; readonly buffer: number },
): string {
  const buffer = now.buffer > 0 ? `, with a buffer of ${now.buffer}` : "";
  if (now.wanted < now.floor) return `${buffer}, held at the limit of ${state.maxContainers}`;
  if (now.wanted === state.minContainers && now.wanted > 0) {
    return `${buffer}, with a floor of ${state.minContainers}`;
  }
  return buffer;
}
