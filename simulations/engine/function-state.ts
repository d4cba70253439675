/** One simulated function under way: its queue, its containers, and what has been measured. */
import type { ContainerNeeds, PlacedContainer } from "../../core/index.ts";
import { RunTimeMean } from "../../optimizer/index.ts";
import { ArrivalLog } from "../../scheduler/index.ts";
import type { SimulatedFunction } from "../world.ts";
import { InputQueue } from "./input-queue.ts";
import { TimeHistogram } from "./time-histogram.ts";

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
  readonly idle: Container[] = [];
  readonly pending: Container[] = [];
  readonly arrivals = new ArrivalLog();
  readonly drawServiceMs: () => number;
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

  constructor(index: number, spec: SimulatedFunction, drawServiceMs: () => number) {
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
