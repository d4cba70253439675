/** Makes each function's containers as many as its autoscaler wants: new ones pend, idle ones stop. */
import type { Clock, IdSource } from "../../core/index.ts";
import { scale, type FunctionState } from "../../scheduler/index.ts";
import type { FunctionTable, LiveFunction } from "../calls/function-table.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";

export interface AutoscalingOptions {
  readonly functions: FunctionTable;
  readonly containers: ContainerTable;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly stop: (container: ContainerRecord, reason: string) => void;
}

/** How long a function with nothing to do is kept in memory. */
const FORGET_AFTER_MS = 5 * 60_000;

export class Autoscaling {
  readonly #options: AutoscalingOptions;
  readonly #quietSinceMs = new Map<string, number>();

  constructor(options: AutoscalingOptions) {
    this.#options = options;
  }

  /** One round over all functions. */
  async tick(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    for (const live of this.#options.functions.all()) {
      this.#scaleOne(live, nowMs);
      await this.#forgetWhenQuiet(live, nowMs);
    }
  }

  #scaleOne(live: LiveFunction, nowMs: number): void {
    const { containers, ids, stop } = this.#options;
    const own = containers
      .ofFunction(live.functionId)
      .filter((container) => container.state !== "stopping");
    const decision = scale(functionStateOf(live, own), nowMs);
    for (let count = 0; count < decision.start; count += 1) {
      containers.addPending(ids.next("co"), live, nowMs);
    }
    for (const containerId of decision.stop) {
      const container = containers.get(containerId);
      if (container !== undefined) stop(container, decision.reason);
    }
    this.#dropSurplusPending(own, decision.wanted);
  }

  /** Containers that wait for a node are dropped first when fewer are wanted. */
  #dropSurplusPending(own: readonly ContainerRecord[], wanted: number): void {
    const pending = own.filter((container) => container.state === "pending");
    const surplus = Math.min(pending.length, Math.max(0, own.length - wanted));
    for (const container of pending.slice(pending.length - surplus)) {
      this.#options.containers.remove(container.containerId);
    }
  }

  async #forgetWhenQuiet(live: LiveFunction, nowMs: number): Promise<void> {
    const { functions, containers } = this.#options;
    const busy =
      live.open.openCount > 0 ||
      live.dispatcher.heldCount > 0 ||
      containers.ofFunction(live.functionId).length > 0 ||
      (!live.retired && live.spec.minContainers > 0);
    if (busy) {
      this.#quietSinceMs.delete(live.functionId);
      return;
    }
    const sinceMs = this.#quietSinceMs.get(live.functionId) ?? nowMs;
    this.#quietSinceMs.set(live.functionId, sinceMs);
    if (nowMs - sinceMs < FORGET_AFTER_MS) return;
    this.#quietSinceMs.delete(live.functionId);
    await functions.forget(live.functionId);
  }
}

function functionStateOf(
  live: LiveFunction,
  containers: readonly ContainerRecord[],
): FunctionState {
  const { dispatcher, spec, retired } = live;
  const { oldestStartedAtMs } = dispatcher;
  const running = containers.reduce(
    (sum, container) => sum + dispatcher.inflightCount(container.containerId),
    0,
  );
  return {
    functionId: live.functionId,
    minContainers: retired ? 0 : spec.minContainers,
    maxContainers: spec.maxContainers,
    bufferContainers: retired ? 0 : spec.bufferContainers,
    scaledownWindowMs: retired ? 0 : spec.scaledownWindowMs,
    backlog: Math.max(0, live.open.openCount - running),
    running,
    containers: containers.map((container) => ({
      containerId: container.containerId,
      state: scaleStateOf(container),
      ...(container.idleSinceMs === undefined ? {} : { idleSinceMs: container.idleSinceMs }),
    })),
    ...(dispatcher.serviceMs === undefined ? {} : { serviceMs: dispatcher.serviceMs }),
    ...(live.startupMs === undefined ? {} : { startupMs: live.startupMs }),
    ...(oldestStartedAtMs === undefined ? {} : { oldestStartedAtMs }),
  };
}

function scaleStateOf(container: ContainerRecord): "starting" | "idle" | "busy" {
  if (container.state !== "ready") return "starting";
  return container.idleSinceMs === undefined ? "busy" : "idle";
}
