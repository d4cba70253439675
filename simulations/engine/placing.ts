/**
 * Containers get nodes, by the deciding code of production: `scale` says how many each function
 * should have, `Scheduler.round` where they go, and `evict` which idle ones make room.
 *
 * A function is looked at when its inputs wait or its idle containers are due to end: at other
 * times `scale` would change nothing. A round is made when something waits and there may be room.
 */
import {
  resourcesOf,
  type Clock,
  type ContainerRequest,
  type IdSource,
  type Node,
  type PlacedContainer,
  type Rng,
  type RngState,
  type SchedulerPolicy,
} from "../../core/index.ts";
import {
  evict,
  fitsOnNode,
  scale,
  Scheduler,
  type EvictableContainer,
  type FitsOn,
  type SchedulerState,
  type ScaledContainer,
} from "../../scheduler/index.ts";
import { newContainer, type Container, type FunctionState } from "./function-state.ts";
import type { Dispatch } from "./dispatch.ts";

export interface PlacingOptions {
  readonly functions: readonly FunctionState[];
  readonly dispatch: Dispatch;
  readonly ids: IdSource;
  readonly rng: Rng;
  readonly clock: Pick<Clock, "nowMs">;
  readonly policy: SchedulerPolicy;
  /** Nodes that take containers now; the same object for a node that has not changed. */
  readonly nodes: () => readonly Node[];
  /** Whether idle containers give their slots to whoever waits. */
  readonly evictsIdle: boolean;
  readonly onPlaced: (container: Container, nowMs: number) => void;
}

/** Waiting containers for which room is sought among idle ones in one round, as in production. */
const WAITING_MAX = 200;
const STARTUP_MS_ASSUMED = 1_000;

/** What placing knows, written down; containers by id. Plain data. */
export interface PlacingState {
  readonly scheduler: SchedulerState;
  readonly rng: RngState;
  readonly placed: readonly string[];
  readonly mayHaveRoom: boolean;
  readonly hasWaiting: boolean;
}

export class Placing {
  readonly #options: PlacingOptions;
  readonly #scheduler: Scheduler;
  readonly #fitsOn: FitsOn;
  readonly placed = new Map<string, Container>();
  #mayHaveRoom = true;
  #hasWaiting = false;

  constructor(options: PlacingOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler({ policy: options.policy });
    this.#fitsOn = fitsOnNode(options.clock, options.policy);
  }

  /** What it knows. */
  save(): PlacingState {
    return {
      scheduler: this.#scheduler.save(),
      rng: this.#options.rng.save(),
      placed: [...this.placed.keys()],
      mayHaveRoom: this.#mayHaveRoom,
      hasWaiting: this.#hasWaiting,
    };
  }

  /** Takes the place of what it knows. */
  resume(state: PlacingState, containers: ReadonlyMap<string, Container>): void {
    this.#scheduler.resume(state.scheduler);
    this.#options.rng.resume(state.rng);
    this.placed.clear();
    for (const id of state.placed) {
      const container = containers.get(id);
      if (container !== undefined) this.placed.set(id, container);
    }
    this.#mayHaveRoom = state.mayHaveRoom;
    this.#hasWaiting = state.hasWaiting;
  }

  /** There may be room where there was none: a node came, or a container went. */
  noteRoom(): void {
    this.#mayHaveRoom = true;
  }

  get isWaiting(): boolean {
    return this.#hasWaiting;
  }

  /** One round over the functions that need a look. */
  round(nowMs: number): void {
    const { functions } = this.#options;
    for (const owner of functions) {
      if (!owner.isDirty) continue;
      owner.isDirty = false;
      this.#scaleOne(owner, nowMs);
    }
    this.#hasWaiting = functions.some(({ pending }) => pending.length > 0);
    if (!this.#hasWaiting || !this.#mayHaveRoom) return;
    this.#mayHaveRoom = false;
    this.#place(nowMs);
    this.#hasWaiting = functions.some(({ pending }) => pending.length > 0);
  }

  /** Marks the functions whose idle containers may be due. */
  markDue(nowMs: number): void {
    for (const owner of this.#options.functions) {
      const [oldest] = owner.idle;
      const isDue =
        oldest !== undefined && nowMs - oldest.idleSinceMs >= owner.spec.scaledownWindowMs;
      const lacksFloor = owner.containers.size < owner.spec.minContainers;
      if (isDue || lacksFloor || owner.pending.length > 0) owner.isDirty = true;
    }
  }

  #scaleOne(owner: FunctionState, nowMs: number): void {
    const { spec, queue, containers } = owner;
    owner.noteArrivals(nowMs);
    const scaled: ScaledContainer[] = [];
    for (const container of containers) {
      if (container.isLeaving) continue;
      scaled.push((container.scaled ??= scaledOf(container, this.#options.dispatch)));
    }
    const decision = scale(
      {
        functionId: spec.functionId,
        minContainers: spec.minContainers,
        maxContainers: spec.maxContainers,
        bufferContainers: spec.bufferContainers,
        scaledownWindowMs: spec.scaledownWindowMs,
        concurrency: { target: spec.concurrency, max: spec.concurrency },
        backlog: queue.length,
        running: owner.running,
        containers: scaled,
        arrivals: owner.arrivals.history(nowMs),
        ...(owner.serviceMs === undefined ? {} : { serviceMs: owner.serviceMs }),
        ...(owner.startupMs === undefined ? {} : { startupMs: owner.startupMs }),
        ...(owner.lastActiveMs === undefined ? {} : { lastActiveAtMs: owner.lastActiveMs }),
      },
      nowMs,
    );
    for (let count = 0; count < decision.start; count += 1) this.#request(owner, nowMs);
    if (decision.start > 0) this.#mayHaveRoom = true;
    if (decision.stop.length > 0) this.#stop(owner, decision.stop, nowMs);
    const surplus = Math.min(owner.pending.length, Math.max(0, scaled.length - decision.wanted));
    for (const container of owner.pending.slice(owner.pending.length - surplus)) {
      this.#options.dispatch.end(container, nowMs);
    }
  }

  #stop({ containers }: FunctionState, ids: readonly string[], nowMs: number): void {
    const ending = new Set(ids);
    for (const container of containers) {
      if (ending.has(container.containerId)) this.#options.dispatch.end(container, nowMs);
    }
  }

  #request(owner: FunctionState, nowMs: number): void {
    const container = newContainer(this.#options.ids.next("co"), owner, nowMs);
    owner.containers.add(container);
    owner.pending.push(container);
  }

  #place(nowMs: number): void {
    const { functions, rng, nodes } = this.#options;
    const waiting = new Map<string, Container>();
    for (const { pending } of functions) {
      for (const container of pending) waiting.set(container.containerId, container);
    }
    const present = nodes();
    const fleet = { nodes: present, containers: this.#seen() };
    const requests = [...waiting.values()].map(requestOf);
    const plan = this.#scheduler.round(requests, fleet, { nowMs, rng });
    for (const { containerId, nodeId } of plan.placements) {
      const container = waiting.get(containerId);
      if (container !== undefined) this.#accept(container, nodeId, nowMs);
    }
    for (const { containerId } of plan.evictions) this.#evicted(containerId, nowMs);
    const wantsRoom = plan.refusals.filter((refusal) => refusal.wantsRoom);
    if (wantsRoom.length > 0 && this.#options.evictsIdle) {
      const without = wantsRoom.flatMap(({ containerId }) => waiting.get(containerId) ?? []);
      this.#evictIdle(without, present, nowMs);
    }
  }

  #accept(container: Container, nodeId: string, nowMs: number): void {
    const { owner } = container;
    const place = owner.pending.indexOf(container);
    if (place >= 0) owner.pending.splice(place, 1);
    container.state = "starting";
    container.nodeId = nodeId;
    container.seen = undefined;
    container.placedAtMs = nowMs;
    this.placed.set(container.containerId, container);
    owner.containerStarts += 1;
    this.#options.dispatch.placed(container, nowMs);
    this.#options.onPlaced(container, nowMs);
  }

  #evicted(containerId: string, nowMs: number): void {
    const container = this.placed.get(containerId);
    if (container === undefined) return;
    container.owner.evictions += 1;
    this.#options.dispatch.end(container, nowMs);
  }

  /** Only for containers that inputs wait for, as in production. */
  #evictIdle(without: readonly Container[], nodes: readonly Node[], nowMs: number): void {
    if (this.#options.functions.every(({ idle }) => idle.length === 0)) return;
    const needed = [...Map.groupBy(without, ({ owner }) => owner)].flatMap(([owner, own]) =>
      own.slice(0, Math.ceil(owner.queue.length / owner.spec.concurrency)),
    );
    const waiting = needed.slice(0, WAITING_MAX).map((container) => ({
      ...requestOf(container),
      functionName: container.owner.spec.functionId,
    }));
    if (waiting.length === 0) return;
    const containers = [...this.placed.values()].map(evictableOf);
    const kept = new Map(
      this.#options.functions.map(({ spec }) => [
        spec.functionId,
        { minContainers: spec.minContainers, bufferContainers: spec.bufferContainers },
      ]),
    );
    const evictions = evict({ fitsOn: this.#fitsOn, waiting, nodes, containers, kept }, nowMs);
    for (const { stop } of evictions) {
      for (const { containerId } of stop) this.#evicted(containerId, nowMs);
    }
  }

  #seen(): readonly PlacedContainer[] {
    return [...this.placed.values()].map(seenOf);
  }
}

/** A container as scheduler and pool see it; a new object only when something changed. */
export function seenOf(container: Container): PlacedContainer {
  const { state, idleSinceMs, isLeaving, seen } = container;
  const idleAtMs = state === "ready" && !Number.isNaN(idleSinceMs) ? idleSinceMs : undefined;
  if (seen?.idleSinceMs === idleAtMs && (seen?.ending === true) === isLeaving && seen) return seen;
  container.seen = lookOf(container, idleAtMs);
  return container.seen;
}

function lookOf(container: Container, idleAtMs: number | undefined): PlacedContainer {
  const { containerId, owner, nodeId = "", isLeaving } = container;
  return {
    containerId,
    functionId: owner.spec.functionId,
    nodeId,
    resources: resourcesOf(owner.needs),
    needs: owner.needs,
    movableBy: "drain",
    ...(idleAtMs === undefined ? {} : { idleSinceMs: idleAtMs }),
    ...(isLeaving ? { ending: true } : {}),
  };
}

function scaledOf(container: Container, dispatch: Pick<Dispatch, "runsSinceMs">): ScaledContainer {
  const { containerId, state, idleSinceMs } = container;
  if (state !== "ready") return { containerId, state: "starting" };
  if (!Number.isNaN(idleSinceMs)) return { containerId, state: "idle", idleSinceMs };
  const runsSinceMs = dispatch.runsSinceMs(container);
  return { containerId, state: "busy", ...(runsSinceMs === undefined ? {} : { runsSinceMs }) };
}

function requestOf({ containerId, owner, requestedAtMs }: Container): ContainerRequest {
  return {
    containerId,
    functionId: owner.spec.functionId,
    needs: owner.needs,
    requestedAtMs,
  };
}

function evictableOf(container: Container): EvictableContainer {
  return {
    ...seenOf(container),
    functionName: container.owner.spec.functionId,
    ending: container.isLeaving,
    startupMs: container.owner.startupMs ?? STARTUP_MS_ASSUMED,
  };
}
