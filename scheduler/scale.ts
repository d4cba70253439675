/**
 * Autoscaling of one function: how many containers it should have now.
 *
 * Starting a container only pays if the work that waits outlasts the start, so the waiting and
 * running work is spread over as many containers as finish it in about one start time:
 *
 *     needed = min(inputs, ceil(inputs * serviceMs / max(startupMs, 250)))
 *     wanted = clamp(max(needed, busy) + buffer while active, minContainers, maxContainers)
 *
 * with inputs = backlog + running. Ten thousand inputs of 0.1 ms thus ask for four containers
 * at most, and ten inputs of a minute for ten. Until enough inputs have run to tell, their run
 * time is unknown. Then a function that has no container yet starts one per input up to four.
 * One that has keeps what it has, and once its oldest input has run for 250 ms the formula asks
 * for more, with that age as the run time: a machine that a short burst rented for nothing
 * costs more than a quarter of a second.
 *
 * Containers above what is wanted end only after idling for the whole scale-down window, the
 * longest idle first: the window is the hysteresis that keeps a noisy load from flapping. Only
 * a lowered `maxContainers` ends idle containers at once. A container that works never ends here.
 *
 * Pure: equal inputs give equal decisions.
 */

/** One container of the function. */
export interface ScaledContainer {
  readonly containerId: string;
  readonly state: "starting" | "idle" | "busy";
  /** Set exactly when it is idle. */
  readonly idleSinceMs?: number;
}

/** One function and its load. Counts are whole numbers >= 0. */
export interface FunctionState {
  readonly functionId: string;
  readonly minContainers: number;
  /** Hard limit; wins over the floor and the buffer. */
  readonly maxContainers: number;
  /** Idle containers kept beside the working ones while the function is active. */
  readonly bufferContainers: number;
  readonly scaledownWindowMs: number;
  /** Inputs that wait for a container. */
  readonly backlog: number;
  /** Inputs that are in containers. */
  readonly running: number;
  readonly containers: readonly ScaledContainer[];
  /** Moving average of one input's run time; absent until one has finished. */
  readonly serviceMs?: number;
  /** Moving average of a container start; absent until one has started. */
  readonly startupMs?: number;
  /** When the oldest running input was begun; lets long first inputs be recognised. */
  readonly oldestStartedAtMs?: number;
}

/** What to start and stop now. */
export interface ScaleDecision {
  /** Containers the function should have, between the floor and the limit. */
  readonly wanted: number;
  /** How many to start; 0 when any are to stop. */
  readonly start: number;
  /** Idle containers to end, longest idle first. */
  readonly stop: readonly string[];
  readonly reason: string;
}

/** Containers to begin with for work of unknown length: enough to learn from, few to regret. */
const FIRST_CONTAINERS_MAX = 4;

/** An input that has run this long says something about the others. */
const TELLING_AGE_MS = 250;

/** Work is never spread thinner than this, however fast containers start. */
export const DRAIN_TARGET_MS_MIN = 250;

/** Assumed until the function's first container has started. */
export const STARTUP_MS_ASSUMED = 1_000;

/** Decides for one function. O(containers log containers). */
export function scale(state: FunctionState, nowMs: number): ScaleDecision {
  const busy = state.containers.filter((container) => container.state === "busy").length;
  const { needed, reason } = estimate(state, nowMs);
  const buffer = isActive(state, nowMs) ? state.bufferContainers : 0;
  const floor = Math.max(state.minContainers, Math.max(needed, busy) + buffer);
  const wanted = Math.max(0, Math.min(state.maxContainers, floor));
  const held = state.containers.length;
  const stop = toStop(state, { wanted, nowMs });
  return {
    wanted,
    start: Math.max(0, wanted - held),
    stop,
    reason: `${reason}${limitNote(state, { floor, wanted, buffer })}`,
  };
}

interface Estimate {
  readonly needed: number;
  readonly reason: string;
}

function estimate(state: FunctionState, nowMs: number): Estimate {
  const inputs = state.backlog + state.running;
  if (inputs === 0) return { needed: 0, reason: "nothing waits or runs" };
  const work = `${state.backlog} waiting and ${state.running} running`;
  const targetMs = Math.max(state.startupMs ?? STARTUP_MS_ASSUMED, DRAIN_TARGET_MS_MIN);
  const forRunTime = (ms: number): number =>
    Math.max(1, Math.min(inputs, Math.ceil((inputs * ms) / targetMs)));
  if (state.serviceMs !== undefined) {
    const each = `about ${Number(state.serviceMs.toPrecision(2))} ms each`;
    const within = `to finish within ${Math.round(targetMs)} ms`;
    const needed = forRunTime(state.serviceMs);
    return { needed, reason: `${work} inputs of ${each}: ${needed} ${within}` };
  }
  const ageMs = Math.max(0, nowMs - (state.oldestStartedAtMs ?? nowMs));
  const ready = state.containers.filter((container) => container.state !== "starting").length;
  const first = Math.min(inputs, ready === 0 ? FIRST_CONTAINERS_MAX : ready);
  const needed = ageMs < TELLING_AGE_MS ? first : Math.max(first, forRunTime(ageMs));
  return { needed, reason: `${work} inputs of unknown length: ${needed} for now` };
}

/** Whether there is work, or was within the window: what keeps the buffer up. */
function isActive(state: FunctionState, nowMs: number): boolean {
  if (state.backlog + state.running > 0) return true;
  return state.containers.some(
    ({ idleSinceMs }) => idleSinceMs !== undefined && nowMs - idleSinceMs < state.scaledownWindowMs,
  );
}

function toStop(
  state: FunctionState,
  now: { readonly wanted: number; readonly nowMs: number },
): readonly string[] {
  const idle = state.containers
    .flatMap(({ containerId, state: what, idleSinceMs }) =>
      what === "idle" && idleSinceMs !== undefined ? [{ containerId, idleSinceMs }] : [],
    )
    .sort((a, b) => a.idleSinceMs - b.idleSinceMs || (a.containerId < b.containerId ? -1 : 1));
  const surplus = Math.max(0, state.containers.length - now.wanted);
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
