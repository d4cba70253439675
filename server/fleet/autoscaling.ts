/** Makes each function's containers as many as its autoscaler wants: new ones pend, idle ones stop. */
import type { Clock, IdSource } from "../../core/index.ts";
import { foresee, scale, type FunctionState, type ScaledContainer } from "../../scheduler/index.ts";
import type { FunctionTable, LiveFunction } from "../calls/function-table.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";

export interface AutoscalingOptions {
  readonly functions: FunctionTable;
  readonly containers: ContainerTable;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly stop: (container: ContainerRecord, reason: string) => void;
}

/** So many containers of a function may be started soon. */
interface Soon {
  readonly live: LiveFunction;
  readonly count: number;
  /** Now for one at work; else when it last was. */
  readonly likelyAtMs: number;
}

/** How long a function with nothing to do is kept in memory. */
const FORGET_AFTER_MS = 5 * 60_000;

export class Autoscaling {
  readonly #options: AutoscalingOptions;
  readonly #quietSinceMs = new Map<string, number>();
  /** When each function last had work, as far as a round has seen. */
  readonly #activeAtMs = new Map<string, number>();

  /** What may be started soon, as the last round saw it. */
  readonly #soon: Soon[] = [];

  constructor(options: AutoscalingOptions) {
    this.#options = options;
  }

  /** One round over all functions. */
  async tick(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    this.#soon.length = 0;
    for (const live of this.#options.functions.all()) {
      const isExpected = this.#scaleOne(live, nowMs);
      await this.#forgetWhenQuiet(live, isExpected, nowMs);
    }
  }

  /**
   * Containers that may be started soon, by their function, the likeliest first: of functions at
   * work, then of those that had work last.
   */
  get soon(): ReadonlyMap<LiveFunction, number> {
    const likeliest = this.#soon.toSorted((one, other) => other.likelyAtMs - one.likelyAtMs);
    return new Map(likeliest.map(({ live, count }) => [live, count]));
  }

  /** @returns whether its next call is expected. */
  #scaleOne(live: LiveFunction, nowMs: number): boolean {
    const { containers, ids, stop } = this.#options;
    const own = containers
      .ofFunction(live.functionId)
      .filter((container) => container.state !== "stopping" && !container.isLeaving);
    const old = live.waitsForOld ? this.#unfinishedBefore(live) : undefined;
    if (old !== undefined) return this.#keepWaiting(live, old);
    live.waitsForOld = false;
    const state = this.#stateOf(live, own, nowMs);
    const decision = scale(state, nowMs);
    const count = live.retired ? 0 : foresee(state, decision.wanted, nowMs);
    const isDue = state.backlog + state.running > 0 || decision.expectedAtMs !== undefined;
    const likelyAtMs = isDue ? nowMs : (state.lastActiveAtMs ?? 0);
    if (count > 0) this.#soon.push({ live, count, likelyAtMs });
    for (let count = 0; count < decision.start; count += 1) {
      containers.addPending(ids.next("co"), live, nowMs);
    }
    for (const containerId of decision.stop) {
      const container = containers.get(containerId);
      if (container !== undefined) stop(container, decision.reason);
    }
    this.#dropSurplusPending(own.filter(counts), decision.wanted);
    return decision.expectedAtMs !== undefined && !live.retired;
  }

  /** A function of an earlier version of its app that has a container or unfinished inputs. */
  #unfinishedBefore({ workspaceId, app, version }: LiveFunction): LiveFunction | undefined {
    const { functions, containers } = this.#options;
    return functions
      .all()
      .find(
        (old) =>
          old.app === app &&
          old.workspaceId === workspaceId &&
          old.mode === "deployed" &&
          old.version < version &&
          (old.open.openCount > 0 || containers.ofFunction(old.functionId).length > 0),
      );
  }

  /** @returns that its turn is expected: it is not forgotten meanwhile. */
  #keepWaiting(live: LiveFunction, old: LiveFunction): true {
    live.pendingReason = `version ${old.version} of app ${live.app} ends first (recreate)`;
    return true;
  }

  #stateOf(live: LiveFunction, own: readonly ContainerRecord[], nowMs: number): FunctionState {
    const state = functionStateOf(live, own, nowMs);
    const { functionId, arrivals, backlog, running } = state;
    const before = Math.max(this.#activeAtMs.get(functionId) ?? 0, arrivals?.lastAtMs ?? 0);
    const lastActiveAtMs = backlog + running > 0 ? nowMs : before;
    if (lastActiveAtMs === 0) return state;
    this.#activeAtMs.set(functionId, lastActiveAtMs);
    return { ...state, lastActiveAtMs };
  }

  /** Containers that wait for a node are dropped first when fewer are wanted. */
  #dropSurplusPending(own: readonly ContainerRecord[], wanted: number): void {
    const pending = own.filter((container) => container.state === "pending");
    const surplus = Math.min(pending.length, Math.max(0, own.length - wanted));
    for (const container of pending.slice(pending.length - surplus)) {
      this.#options.containers.remove(container.containerId);
    }
  }

  async #forgetWhenQuiet(live: LiveFunction, isExpected: boolean, nowMs: number): Promise<void> {
    const { functions, containers } = this.#options;
    const busy =
      isExpected ||
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
    this.#activeAtMs.delete(live.functionId);
    await functions.forget(live.functionId);
  }
}

function functionStateOf(
  live: LiveFunction,
  containers: readonly ContainerRecord[],
  nowMs: number,
): FunctionState {
  const { dispatcher, spec } = live;
  const running = containers.reduce(
    (sum, container) => sum + dispatcher.inflightCount(container.containerId),
    0,
  );
  return {
    functionId: live.functionId,
    ...boundsOf(live),
    ...shareOf(spec),
    // What runs in containers that leave their nodes waits for nobody either.
    backlog: Math.max(0, live.open.openCount - dispatcher.runningCount),
    running,
    containers: containers.filter(counts).map((container) => scaledOf(container)),
    ...(live.retired ? {} : { arrivals: live.arrivals.history(nowMs) }),
    ...serviceOf(live),
    ...(live.startupMs === undefined ? {} : { startupMs: live.startupMs }),
  };
}

/** Container time that one input takes: of a container of single use, its start too. */
function serviceOf({
  dispatcher: { serviceMs },
  spec: { singleUse },
  startupMs = 0,
}: LiveFunction): Pick<FunctionState, "serviceMs"> {
  if (serviceMs === undefined) return {};
  return { serviceMs: serviceMs + (singleUse ? startupMs : 0) };
}

/** What a container takes at once: inputs of their own, or one list of them. */
function shareOf({
  batched,
  targetConcurrentInputs: target,
  maxConcurrentInputs: max,
}: LiveFunction["spec"]): Pick<FunctionState, "concurrency" | "batch"> {
  if (batched === undefined) return { concurrency: { target, max } };
  return { batch: { sizeMax: batched.maxBatchSize, waitMs: batched.waitMs } };
}

/** One whose place another takes is counted once: as that other. */
function counts({ replacedBy }: ContainerRecord): boolean {
  return replacedBy === undefined;
}

type Bounds = Pick<
  FunctionState,
  "minContainers" | "maxContainers" | "bufferContainers" | "scaledownWindowMs"
>;

/** A function that was replaced or stopped keeps nothing that is idle. */
function boundsOf({ spec, retired }: LiveFunction): Bounds {
  const { minContainers, maxContainers, bufferContainers, scaledownWindowMs } = spec;
  if (retired) {
    return { minContainers: 0, maxContainers, bufferContainers: 0, scaledownWindowMs: 0 };
  }
  return { minContainers, maxContainers, bufferContainers, scaledownWindowMs };
}

function scaledOf(container: ContainerRecord): ScaledContainer {
  const { containerId, idleSinceMs, live } = container;
  const runsSinceMs = live.dispatcher.runsSinceMs(containerId);
  return {
    containerId,
    state: scaleStateOf(container),
    ...(idleSinceMs === undefined ? {} : { idleSinceMs }),
    ...(runsSinceMs === undefined ? {} : { runsSinceMs }),
  };
}

function scaleStateOf(container: ContainerRecord): "starting" | "idle" | "busy" {
  if (container.state !== "ready") return "starting";
  return container.idleSinceMs === undefined ? "busy" : "idle";
}
