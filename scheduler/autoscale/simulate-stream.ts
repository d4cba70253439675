/**
 * One function under a stream of inputs on virtual time, scaled by `scale`: how long inputs
 * wait and how many container-seconds that costs. For tests and measurements.
 *
 * Inputs go to the container that became idle last; a container serves up to its concurrency.
 * Everything follows from the arguments: equal streams give equal outcomes.
 */
import { ArrivalLog } from "./arrival-log.ts";
import type {
  FunctionState,
  ScaleDecision,
  ScaledContainer,
  ScaleRules,
} from "./function-state.ts";
import { DEFAULT_SCALE_RULES, scale } from "./scale.ts";

/** An input: when it comes and how long it runs. */
export interface StreamedInput {
  readonly atMs: number;
  readonly runMs: number;
}

export interface StreamSetting {
  /** Oldest first. */
  readonly inputs: readonly StreamedInput[];
  readonly startupMs: number;
  readonly function?: Partial<FunctionState>;
  readonly rules?: ScaleRules;
  /** The last moment; by default 30 minutes after the last input. */
  readonly endMs?: number;
  /** Starts before this are warm-up and are not counted. */
  readonly countFromMs?: number;
}

export interface StreamOutcome {
  /** By input, in the order they came; shorter when some were not served. */
  readonly waitsMs: readonly number[];
  /** Time containers existed, their starts included. */
  readonly containerMs: number;
  readonly starts: number;
  readonly stops: number;
  /** Containers at the end. */
  readonly left: number;
  /** Longest that an idle container was seen beyond its window while more were there than wanted. */
  readonly overstayMsMax: number;
}

export const STEP_MS = 100;
const SERVICE_WEIGHT = 0.2;
const SETTLE_MS = 30 * 60_000;

interface SimulatedContainer {
  readonly containerId: string;
  readonly startedAtMs: number;
  readonly readyAtMs: number;
  /** When the inputs in it end. */
  ends: readonly StreamedInput[];
  idleSinceMs: number;
}

/** Runs the whole stream. O(steps * containers). */
export function simulateStream(setting: StreamSetting): StreamOutcome {
  const run = new StreamRun(setting);
  const lastMs = setting.inputs.at(-1)?.atMs ?? 0;
  const endMs = setting.endMs ?? lastMs + SETTLE_MS;
  for (let nowMs = 0; nowMs <= endMs; nowMs += STEP_MS) run.step(nowMs);
  return run.outcome(endMs);
}

class StreamRun {
  readonly #setting: StreamSetting;
  readonly #arrivals = new ArrivalLog();
  readonly #base: FunctionState;
  #containers: readonly SimulatedContainer[] = [];
  #next = 0;
  #waiting: readonly StreamedInput[] = [];
  #serviceMs: number | undefined;
  #lastActiveAtMs: number | undefined;
  readonly #waitsMs: number[] = [];
  #containerMs = 0;
  #born = 0;
  #starts = 0;
  #stops = 0;
  #overstayMsMax = 0;

  constructor(setting: StreamSetting) {
    this.#setting = setting;
    this.#base = {
      functionId: "fn_1",
      minContainers: 0,
      maxContainers: 1_000,
      bufferContainers: 0,
      scaledownWindowMs: 60_000,
      backlog: 0,
      running: 0,
      containers: [],
      ...setting.function,
    };
  }

  step(nowMs: number): void {
    this.#arrive(nowMs);
    for (const container of this.#containers) this.#finish(container, nowMs);
    this.#handOut(nowMs);
    const state = this.#stateAt(nowMs);
    const decision = scale(state, nowMs, this.#setting.rules ?? DEFAULT_SCALE_RULES);
    this.#noteOverstay(state, decision, nowMs);
    this.#stop(new Set(decision.stop), nowMs);
    this.#start(decision.start, nowMs);
  }

  outcome(endMs: number): StreamOutcome {
    const open = this.#containers.reduce((sum, one) => sum + endMs - one.startedAtMs, 0);
    return {
      waitsMs: this.#waitsMs,
      containerMs: this.#containerMs + open,
      starts: this.#starts,
      stops: this.#stops,
      left: this.#containers.length,
      overstayMsMax: this.#overstayMsMax,
    };
  }

  #arrive(nowMs: number): void {
    const { inputs } = this.#setting;
    const from = this.#next;
    for (let input = inputs[this.#next]; input !== undefined; input = inputs[this.#next]) {
      if (input.atMs > nowMs) break;
      this.#next += 1;
    }
    this.#waiting = [...this.#waiting, ...inputs.slice(from, this.#next)];
    this.#arrivals.note(this.#next - from, nowMs, this.#base.scaledownWindowMs);
  }

  #finish(container: SimulatedContainer, nowMs: number): void {
    const ended = container.ends.filter(({ atMs }) => atMs <= nowMs);
    if (ended.length === 0) return;
    container.ends = container.ends.filter(({ atMs }) => atMs > nowMs);
    container.idleSinceMs = nowMs;
    for (const { runMs } of ended) {
      const before = this.#serviceMs ?? runMs;
      this.#serviceMs = before + SERVICE_WEIGHT * (runMs - before);
    }
  }

  #handOut(nowMs: number): void {
    const max = this.#base.concurrency?.max ?? 1;
    const ready = this.#containers
      .filter((one) => one.readyAtMs <= nowMs)
      .sort((a, b) => b.ends.length - a.ends.length || b.idleSinceMs - a.idleSinceMs);
    let taken = 0;
    for (const container of ready) {
      const given = this.#waiting.slice(taken, taken + max - container.ends.length);
      taken += given.length;
      const ends = given.map(({ runMs }) => ({ atMs: nowMs + runMs, runMs }));
      container.ends = [...container.ends, ...ends];
      this.#waitsMs.push(...given.map(({ atMs }) => Math.max(0, nowMs - atMs)));
    }
    this.#waiting = this.#waiting.slice(taken);
  }

  #stateAt(nowMs: number): FunctionState {
    const running = this.#containers.reduce((sum, one) => sum + one.ends.length, 0);
    const backlog = this.#waiting.length;
    if (running + backlog > 0) this.#lastActiveAtMs = nowMs;
    return {
      ...this.#base,
      backlog,
      running,
      containers: this.#containers.map((one) => viewOf(one, nowMs)),
      startupMs: this.#setting.startupMs,
      arrivals: this.#arrivals.history(nowMs),
      ...(this.#serviceMs === undefined ? {} : { serviceMs: this.#serviceMs }),
      ...(this.#lastActiveAtMs === undefined ? {} : { lastActiveAtMs: this.#lastActiveAtMs }),
    };
  }

  /** Of those that are not wanted, all that have idled for their window should have ended. */
  #noteOverstay(state: FunctionState, { wanted, stop }: ScaleDecision, nowMs: number): void {
    if (state.containers.length - stop.length <= wanted) return;
    for (const { containerId, idleSinceMs } of state.containers) {
      if (idleSinceMs === undefined || stop.includes(containerId)) continue;
      const overMs = nowMs - idleSinceMs - state.scaledownWindowMs;
      this.#overstayMsMax = Math.max(this.#overstayMsMax, overMs);
    }
  }

  #stop(ids: ReadonlySet<string>, nowMs: number): void {
    if (ids.size === 0) return;
    for (const { containerId, startedAtMs } of this.#containers) {
      if (ids.has(containerId)) this.#containerMs += nowMs - startedAtMs;
    }
    this.#stops += ids.size;
    this.#containers = this.#containers.filter(({ containerId }) => !ids.has(containerId));
  }

  #start(count: number, nowMs: number): void {
    if (count === 0) return;
    const readyAtMs = nowMs + this.#setting.startupMs;
    const born = Array.from({ length: count }, () => {
      this.#born += 1;
      const containerId = `co_${String(this.#born).padStart(6, "0")}`;
      return { containerId, startedAtMs: nowMs, readyAtMs, ends: [], idleSinceMs: readyAtMs };
    });
    this.#containers = [...this.#containers, ...born];
    if (nowMs >= (this.#setting.countFromMs ?? 0)) this.#starts += count;
  }
}

function viewOf(one: SimulatedContainer, nowMs: number): ScaledContainer {
  const { containerId, idleSinceMs } = one;
  if (one.readyAtMs > nowMs) return { containerId, state: "starting" };
  if (one.ends.length > 0) return { containerId, state: "busy" };
  return { containerId, state: "idle", idleSinceMs };
}
