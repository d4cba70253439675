/**
 * How many containers the work of one function needs.
 *
 *     each    = serviceMs / (target concurrency * batch size)     container time of one input
 *     target  = max(startupMs, 250) + batch wait                  time in which to finish
 *     needed  = min(ceil(inputs / (concurrency * batch size)),
 *                   ceil(max(inputs * each / target,
 *                            rate * each + backlog * each / target)))
 *
 * with inputs = backlog + running. The first term under the maximum finishes what is there in
 * about the time of one start, since a container that is ready later is of no use to it. The
 * second keeps up with what goes on arriving (Little's law) while it works off the backlog:
 * without it a function whose containers start slowly falls behind by one start time.
 *
 * Containers whose oldest input has run for four times the usual, and for longer than the time in
 * which to finish, are held: nobody knows when that input ends, so they count for themselves, and
 * the formula is for the rest. Otherwise a function of short inputs would let what waits wait for
 * as long as a long one runs.
 *
 * The rate is that of the last minute, or, in panic, of the last six seconds: when those bring
 * at least twice as much. In both, the two fullest seconds do not count: one call with many
 * inputs is a batch that the backlog shows already, and no stream that goes on.
 *
 * Until enough inputs have run to tell, their run time is unknown. Then a function that has no
 * container yet starts one per input up to four. One that has keeps what it has, and once its
 * oldest input has run for 250 ms the formula asks for more, with that age as the run time: a
 * machine that a short burst rented for nothing costs more than a quarter of a second.
 *
 * Source of the two windows and the factor: Knative's autoscaler (60 s stable, 6 s panic, 200 %).
 */
import type { FunctionState, ScaleRules } from "./function-state.ts";
import { LONG_WINDOW_S } from "./arrival-log.ts";

export interface Estimate {
  readonly needed: number;
  readonly reason: string;
}

/** Containers to begin with for work of unknown length: enough to learn from, few to regret. */
const FIRST_CONTAINERS_MAX = 4;

/** An input that has run this long says something about the others. */
const TELLING_AGE_MS = 250;

/** An input that has run so many times the mean is another kind, and may run on. */
const HELD_FACTOR = 4;

/** Work is never spread thinner than this, however fast containers start. */
const DRAIN_TARGET_MS_MIN = 250;

/** Assumed until the function's first container has started. */
const STARTUP_MS_ASSUMED = 1_000;

const SHORT_WINDOW_S = 6;
const PANIC_FACTOR = 2;
/** The fullest second and the next. */
const LEFT_OUT = 2;
const MS_PER_SECOND = 1_000;

/** Rounding noise must not ask for one more container. */
const NOISE = 1e-9;

/** Containers for the work that is there and comes; 0 when there is none. */
export function estimate(state: FunctionState, nowMs: number, rules: ScaleRules): Estimate {
  const inputs = state.backlog + state.running;
  if (inputs === 0) return { needed: 0, reason: "nothing waits or runs" };
  const work = `${state.backlog} waiting and ${state.running} running inputs of`;
  if (state.serviceMs === undefined) {
    const needed = neededBlindly(state, nowMs);
    return { needed, reason: `${work} unknown length: ${needed} for now` };
  }
  const rate = arrivalRateOf(state, rules);
  const load = { ...state, serviceMs: state.serviceMs, rate: rate.perSecond };
  const held = heldOf(state, state.serviceMs, nowMs);
  const needed = neededBeside(state, held, load);
  const each = `about ${Number(state.serviceMs.toPrecision(2))} ms each`;
  const within = `${needed} to finish within ${Math.round(drainTargetMs(state))} ms`;
  const beside = held === 0 ? "" : `, ${held} of them held by inputs that run far longer`;
  return { needed, reason: `${work} ${each}: ${within}${beside}${rateNote(rate)}` };
}

/** Containers for `inputs` that come at once. */
export function neededForBurst(state: FunctionState, inputs: number): number {
  if (inputs === 0) return 0;
  const { serviceMs } = state;
  if (serviceMs === undefined) return Math.min(unitsOf(state, inputs), FIRST_CONTAINERS_MAX);
  return neededFor(state, { backlog: inputs, running: 0, serviceMs, rate: 0 });
}

/** Time of a start, as far as is known. */
export function startupMsOf(state: Pick<FunctionState, "startupMs">): number {
  return Math.max(state.startupMs ?? STARTUP_MS_ASSUMED, 0);
}

interface Load {
  readonly backlog: number;
  readonly running: number;
  readonly serviceMs: number;
  /** Inputs a second that go on arriving. */
  readonly rate: number;
}

function neededFor(state: FunctionState, load: Load): number {
  const eachMs = load.serviceMs / inputsPerContainer(state);
  const targetMs = drainTargetMs(state);
  const inputs = load.backlog + load.running;
  const present = (inputs * eachMs) / targetMs;
  const lasting = (load.rate / MS_PER_SECOND) * eachMs + (load.backlog * eachMs) / targetMs;
  const wanted = Math.ceil(Math.max(present, lasting) - NOISE);
  return Math.max(1, Math.min(unitsOf(state, inputs), wanted));
}

/** Containers whose oldest input is none of the usual ones. */
function heldOf(state: FunctionState, serviceMs: number, nowMs: number): number {
  const usualMs = Math.max(drainTargetMs(state), HELD_FACTOR * serviceMs);
  let held = 0;
  for (const { runsSinceMs } of state.containers) {
    if (runsSinceMs !== undefined && nowMs - runsSinceMs > usualMs) held += 1;
  }
  return held;
}

function neededBeside(state: FunctionState, held: number, load: Load): number {
  if (held === 0) return neededFor(state, load);
  const running = Math.max(0, load.running - held * inputsPerContainer(state));
  const others = load.backlog + running === 0 ? 0 : neededFor(state, { ...load, running });
  return Math.min(unitsOf(state, load.backlog + load.running), held + others);
}

function neededBlindly(state: FunctionState, nowMs: number): number {
  const { backlog, running } = state;
  const ready = state.containers.filter((container) => container.state !== "starting").length;
  const units = unitsOf(state, backlog + running);
  const first = Math.min(units, ready === 0 ? FIRST_CONTAINERS_MAX : ready);
  const begun = state.containers.flatMap(({ runsSinceMs }) => runsSinceMs ?? []);
  const ageMs = Math.max(0, nowMs - Math.min(nowMs, ...begun));
  if (ageMs < TELLING_AGE_MS) return first;
  return Math.max(first, neededFor(state, { backlog, running, serviceMs: ageMs, rate: 0 }));
}

function drainTargetMs(state: FunctionState): number {
  return Math.max(startupMsOf(state), DRAIN_TARGET_MS_MIN) + (state.batch?.waitMs ?? 0);
}

/** Containers that `inputs` fill, each with its share. */
function unitsOf(state: FunctionState, inputs: number): number {
  return Math.ceil(inputs / inputsPerContainer(state));
}

function inputsPerContainer({ concurrency, batch }: FunctionState): number {
  return Math.max(1, concurrency?.target ?? 1) * Math.max(1, batch?.sizeMax ?? 1);
}

interface ArrivalRate {
  readonly perSecond: number;
  readonly isPanic: boolean;
}

function arrivalRateOf({ arrivals }: FunctionState, rules: ScaleRules): ArrivalRate {
  if (arrivals === undefined || !rules.arrivalRate) return { perSecond: 0, isPanic: false };
  const long = steadyRate(arrivals.perSecond.slice(-LONG_WINDOW_S), LONG_WINDOW_S);
  const short = steadyRate(arrivals.perSecond.slice(-SHORT_WINDOW_S), SHORT_WINDOW_S);
  const isPanic = rules.panic && short > 0 && short >= PANIC_FACTOR * long;
  return { perSecond: isPanic ? short : long, isPanic };
}

/** Mean of all seconds but the fullest two. */
function steadyRate(perSecond: readonly number[], seconds: number): number {
  let [sum, fullest, next] = [0, 0, 0];
  for (const inputs of perSecond) {
    sum += inputs;
    if (inputs > fullest) [fullest, next] = [inputs, fullest];
    else if (inputs > next) next = inputs;
  }
  return (sum - fullest - next) / (seconds - LEFT_OUT);
}

function rateNote({ perSecond, isPanic }: ArrivalRate): string {
  if (perSecond === 0) return "";
  const rate = `${Number(perSecond.toPrecision(2))} a second arriving`;
  return isPanic ? `, in panic: ${rate}` : `, ${rate}`;
}
