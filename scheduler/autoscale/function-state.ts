/** One function as its autoscaler sees it, and what the autoscaler decides. */
import type { ArrivalHistory } from "./arrival-log.ts";

/** One container of the function. */
export interface ScaledContainer {
  readonly containerId: string;
  readonly state: "starting" | "idle" | "busy";
  /** Set exactly when it is idle. */
  readonly idleSinceMs?: number;
  /** When the oldest of the inputs that it runs began; absent while it runs none. */
  readonly runsSinceMs?: number;
}

/** How many inputs one container runs at once. */
export interface InputConcurrency {
  /** What the autoscaler aims at, 1 to `max`. */
  readonly target: number;
  /** What a container takes while there are too few of them. */
  readonly max: number;
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
  /** Absent: one input at a time. */
  readonly concurrency?: InputConcurrency;
  /** Inputs that run as one list, and how long a list may wait to fill. Absent: none are. */
  readonly batch?: { readonly sizeMax: number; readonly waitMs: number };
  /** Inputs that wait for a container. */
  readonly backlog: number;
  /** Inputs that are in containers. */
  readonly running: number;
  /** When it last had something to do; absent if it never had. */
  readonly lastActiveAtMs?: number;
  readonly containers: readonly ScaledContainer[];
  /** Moving average of one input's (or list's) run time; absent until one has finished. */
  readonly serviceMs?: number;
  /** Moving average of a container start; absent until one has started. */
  readonly startupMs?: number;
  /** When inputs came; absent if nobody has written it down. */
  readonly arrivals?: ArrivalHistory;
}

/** Parts of the autoscaler that a measurement may switch off; all are on by default. */
export interface ScaleRules {
  /** Count what is going to arrive while a container starts, by the rate of the last minute. */
  readonly arrivalRate: boolean;
  /** Believe the last seconds when they bring at least twice the rate of the last minute. */
  readonly panic: boolean;
  /** Start containers ahead of calls that come at regular times. */
  readonly prediction: boolean;
}

/** What to start and stop now. */
export interface ScaleDecision {
  /** Containers the function should have, between the floor and the limit. */
  readonly wanted: number;
  /** How many to start; 0 when any are to stop. */
  readonly start: number;
  /** Idle containers to end, longest idle first. */
  readonly stop: readonly string[];
  /** When the next call is expected; absent unless calls come at regular times. */
  readonly expectedAtMs?: number;
  readonly reason: string;
}
