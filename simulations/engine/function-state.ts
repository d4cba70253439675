/** One simulated function under way: its queue, its containers, and what has been measured. */
import type { ContainerNeeds, PlacedContainer } from "../../core/index.ts";
import { RunTimeMean, type RunTimeMeanState } from "../../optimizer/index.ts";
import { ArrivalLog, type ArrivalHistory, type ScaledContainer } from "../../scheduler/index.ts";
import type { Draws, DrawsState } from "../chance.ts";
import type { SimulatedFunction } from "../world.ts";
import { InputQueue, type InputQueueState } from "./input-queue.ts";
import { TimeHistogram, type TimeHistogramState } from "./time-histogram.ts";

/** A container of a simulated function. */
export interface Container {
  readonly containerId: string;
  readonly owner: FunctionState;
  readonly requestedAtMs: number;
  state: "pending" | "starting" | "ready" | "gone";
  nodeId: string | undefined;
  placedAtMs: number;
  /** Runs in it, by number. */
  runs: number[];
  /** Since when it has nothing to do; NaN while it has. */
  idleSinceMs: number;
  /** Whether an input has begun in it. */
  hasRun: boolean;
  /** It takes nothing new: its node is being emptied. */
  isLeaving: boolean;
  /** As the scheduler and the pool see it; renewed when it changes. */
  seen: PlacedContainer | undefined;
  /** As the autoscaler sees it; undefined since it changed. */
  scaled: ScaledContainer | undefined;
}

/** A container that has no node yet. */
export function newContainer(
  containerId: string,
  owner: FunctionState,
  requestedAtMs: number,
): Container {
  return {
    containerId,
    owner,
    requestedAtMs,
    state: "pending",
    nodeId: undefined,
    placedAtMs: NaN,
    runs: [],
    idleSinceMs: NaN,
    hasRun: false,
    isLeaving: false,
    seen: undefined,
    scaled: undefined,
  };
}

/** What a function counts. */
const COUNTS = [
  "running",
  "busy",
  "busyPeak",
  "arrivedSinceLook",
  "arrivedSinceNote",
  "inputs",
  "containerStarts",
  "evictions",
  "coldInputs",
  "missed",
] as const;

/** A function that was written down; idle and pending containers by id. Plain data. */
export interface FunctionSave {
  readonly atMs: number;
  readonly queue: InputQueueState;
  readonly containers: readonly Omit<Container, "owner">[];
  readonly idle: readonly string[];
  readonly pending: readonly string[];
  readonly arrivals: ArrivalHistory;
  readonly draws: DrawsState;
  readonly counts: Readonly<Record<(typeof COUNTS)[number], number>>;
  readonly serviceMs: number | undefined;
  readonly meanRunTime: RunTimeMeanState;
  readonly startupMs: number | undefined;
  readonly lastActiveMs: number | undefined;
  readonly isDirty: boolean;
  readonly hasSnapshot: boolean;
  readonly slotWaits: TimeHistogramState;
  readonly firstWaits: TimeHistogramState;
}

/** Share of the newest in the moving averages of run and start times, as in production. */
const SHARE_OF_NEWEST = 0.2;

export class FunctionState {
  readonly index: number;
  readonly spec: SimulatedFunction;
  readonly queue = new InputQueue();
  /** Those that are not gone. */
  readonly containers = new Set<Container>();
  /** Ready containers with room, the one used last at the end. */
  idle: Container[] = [];
  pending: Container[] = [];
  arrivals = new ArrivalLog();
  readonly drawServiceMs: Draws;
  /** Inputs in containers. */
  running = 0;
  busy = 0;
  /** Most busy containers since the last look of the planner. */
  busyPeak = 0;
  /** Inputs that came since the last look, and since arrivals were last noted. */
  arrivedSinceLook = 0;
  arrivedSinceNote = 0;
  serviceMs: number | undefined;
  readonly #meanRunTime: RunTimeMean;
  startupMs: number | undefined;
  lastActiveMs: number | undefined;
  isDirty = false;
  hasSnapshot = false;
  // What is reported.
  inputs = 0;
  containerStarts = 0;
  evictions = 0;
  coldInputs = 0;
  missed = 0;
  readonly slotWaits = new TimeHistogram();
  readonly firstWaits = new TimeHistogram();

  constructor(index: number, spec: SimulatedFunction, drawServiceMs: Draws) {
    this.index = index;
    this.spec = spec;
    this.drawServiceMs = drawServiceMs;
    this.#meanRunTime = new RunTimeMean(spec.service.meanMs);
  }

  get needs(): ContainerNeeds {
    return this.spec.needs;
  }

  get gpuCount(): number {
    return this.spec.needs.gpu?.count ?? 0;
  }

  /** The mean over many inputs, for forecasts. */
  get meanServiceMs(): number {
    return this.#meanRunTime.ms;
  }

  /** What an input took in a container. */
  noteService(ms: number): void {
    this.serviceMs = averaged(this.serviceMs, ms);
    this.#meanRunTime.note(ms);
  }

  noteStartup(ms: number): void {
    this.startupMs = averaged(this.startupMs, ms);
  }

  /** Everything but its spec. */
  save(atMs: number): FunctionSave {
    const idOf = ({ containerId }: Container): string => containerId;
    return {
      atMs,
      queue: this.queue.save(),
      containers: [...this.containers].map(({ owner: _, ...rest }) => rest),
      idle: this.idle.map(idOf),
      pending: this.pending.map(idOf),
      arrivals: this.arrivals.history(atMs),
      draws: this.drawServiceMs.save(),
      counts: this.#counts(),
      serviceMs: this.serviceMs,
      meanRunTime: this.#meanRunTime.save(),
      startupMs: this.startupMs,
      lastActiveMs: this.lastActiveMs,
      isDirty: this.isDirty,
      hasSnapshot: this.hasSnapshot,
      slotWaits: this.slotWaits.save(),
      firstWaits: this.firstWaits.save(),
    };
  }

  /** Takes the place of everything but its spec; gives its containers by id. */
  resume(saved: FunctionSave): ReadonlyMap<string, Container> {
    const found = saved.containers.map((one): [string, Container] => {
      return [one.containerId, { ...one, owner: this }];
    });
    const byId = new Map(found);
    const those = (ids: readonly string[]): Container[] => ids.flatMap((id) => byId.get(id) ?? []);
    this.queue.resume(saved.queue);
    this.containers.clear();
    for (const container of byId.values()) this.containers.add(container);
    this.idle = those(saved.idle);
    this.pending = those(saved.pending);
    this.arrivals = new ArrivalLog({ atMs: saved.atMs, history: saved.arrivals });
    this.drawServiceMs.resume(saved.draws);
    for (const name of COUNTS) this[name] = saved.counts[name];
    this.serviceMs = saved.serviceMs;
    this.#meanRunTime.resume(saved.meanRunTime);
    this.startupMs = saved.startupMs;
    this.lastActiveMs = saved.lastActiveMs;
    this.isDirty = saved.isDirty;
    this.hasSnapshot = saved.hasSnapshot;
    this.slotWaits.resume(saved.slotWaits);
    this.firstWaits.resume(saved.firstWaits);
    return byId;
  }

  #counts(): FunctionSave["counts"] {
    const { running, busy, busyPeak, arrivedSinceLook, arrivedSinceNote } = this;
    const { inputs, containerStarts, evictions, coldInputs, missed } = this;
    const now = { running, busy, busyPeak, arrivedSinceLook, arrivedSinceNote };
    return { ...now, inputs, containerStarts, evictions, coldInputs, missed };
  }

  /** Writes down the inputs that came lately; O(1). */
  noteArrivals(nowMs: number): void {
    if (this.arrivedSinceNote === 0) return;
    this.arrivals.note(this.arrivedSinceNote, nowMs, this.spec.scaledownWindowMs);
    this.arrivedSinceNote = 0;
  }
}

function averaged(before: number | undefined, ms: number): number {
  return before === undefined ? ms : before + SHARE_OF_NEWEST * (ms - before);
}
