/**
 * Inputs and containers: who runs what, request by request.
 *
 * An input goes to the ready container of its function that was used last, or waits. A container
 * that is done takes the input whose turn it is (`input-queue.ts`). When a container is placed,
 * that input has its slot; it runs in whichever container of its function is ready first. What
 * ran in a container that is lost runs again, before all others.
 */
import { MS_PER_SECOND } from "../../core/index.ts";
import type { Container, FunctionState } from "./function-state.ts";
import { EventQueue, type EventQueueState } from "./event-queue.ts";
import type { Recorder } from "./recorder.ts";
import { Runs, type RunsState } from "./runs.ts";

export interface DispatchOptions {
  readonly recorder: Recorder;
  /** Something changed that the autoscaler of a function should look at. */
  readonly onDirty: (owner: FunctionState) => void;
  /** A container on a node has nothing to do from now on. */
  readonly onIdle: () => void;
  /** A container is gone from its node. */
  readonly onGone: (container: Container, nowMs: number) => void;
}

/** A dispatch that was written down. Plain data. */
export interface DispatchState {
  readonly ends: EventQueueState;
  readonly runs: RunsState;
  readonly busyGpus: number;
  readonly heldGpus: number;
  readonly queued: number;
  readonly ended: number;
}

export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #ends = new EventQueue();
  readonly #runs = new Runs();
  /** GPUs in containers with work, and in containers on nodes. */
  busyGpus = 0;
  heldGpus = 0;
  queued = 0;
  ended = 0;

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** What it holds. */
  save(): DispatchState {
    const { busyGpus, heldGpus, queued, ended } = this;
    return { ends: this.#ends.save(), runs: this.#runs.save(), busyGpus, heldGpus, queued, ended };
  }

  /** Takes the place of what it holds. */
  resume(state: DispatchState, containers: ReadonlyMap<string, Container>): void {
    this.#ends.resume(state.ends);
    this.#runs.resume(state.runs, containers);
    this.busyGpus = state.busyGpus;
    this.heldGpus = state.heldGpus;
    this.queued = state.queued;
    this.ended = state.ended;
  }

  /** When the next run ends. */
  get nextEndMs(): number {
    return this.#ends.nextMs;
  }

  /** When the oldest input of a container began; undefined while it runs none. */
  runsSinceMs({ runs: [oldest] }: Container): number | undefined {
    return oldest === undefined ? undefined : this.#runs.beganMs(oldest);
  }

  arrive(owner: FunctionState, nowMs: number, serviceMs: number): void {
    owner.inputs += 1;
    owner.arrivedSinceLook += 1;
    owner.arrivedSinceNote += 1;
    owner.lastActiveMs = nowMs;
    if (owner.queue.length === 0) {
      const container = this.#roomIn(owner);
      if (container !== undefined) {
        this.#options.recorder.slotGiven(0);
        this.#begin(container, nowMs, nowMs, nowMs, serviceMs);
        return;
      }
    }
    owner.queue.push(nowMs, serviceMs);
    this.queued += 1;
    this.#options.onDirty(owner);
  }

  /** The next run ends, if it was not cut short. */
  endRun(nowMs: number): void {
    const run = this.#ends.pop();
    const container = this.#runs.containerOf(run);
    if (container === undefined) {
      this.#runs.end(run);
      return;
    }
    this.ended += 1;
    const { owner } = container;
    const serviceMs = this.#runs.serviceMs(run);
    const arrivedMs = this.#runs.arrivedMs(run);
    const { recorder } = this.#options;
    recorder.inputDone(
      owner,
      arrivedMs,
      this.#runs.slotMs(run) - arrivedMs,
      this.#runs.beganMs(run) - arrivedMs,
    );
    recorder.gpu.useful += usefulGpuSeconds(owner, serviceMs);
    owner.noteService(serviceMs);
    owner.running -= 1;
    owner.lastActiveMs = nowMs;
    this.#runs.end(run);
    container.runs.splice(container.runs.indexOf(run), 1);
    container.scaled = undefined;
    this.#afterRun(container, nowMs);
  }

  /** A container has its node: the input whose turn it is has a slot. */
  placed(container: Container, nowMs: number): void {
    const { owner } = container;
    this.heldGpus += owner.gpuCount;
    const arrivedMs = owner.queue.giveSlot(nowMs);
    if (!Number.isNaN(arrivedMs)) this.#options.recorder.slotGiven(nowMs - arrivedMs);
  }

  /** A container takes inputs from now on. */
  ready(container: Container, nowMs: number): void {
    container.state = "ready";
    container.scaled = undefined;
    container.owner.noteStartup(nowMs - container.placedAtMs);
    container.idleSinceMs = nowMs;
    this.#fill(container, nowMs);
    if (container.runs.length < container.owner.spec.concurrency)
      container.owner.idle.push(container);
  }

  /** Nothing new for a container; it ends when it is done. */
  leave(container: Container, nowMs: number): void {
    if (container.isLeaving || container.state === "gone") return;
    container.isLeaving = true;
    drop(container.owner.idle, container);
    if (container.runs.length === 0) this.end(container, nowMs);
  }

  /** Ends a container; what runs in it runs again. */
  end(container: Container, nowMs: number): void {
    if (container.state === "gone") return;
    const { owner } = container;
    drop(owner.idle, container);
    if (container.runs.length > 0) this.#rerun(container, nowMs);
    drop(owner.pending, container);
    owner.containers.delete(container);
    const wasPlaced = container.nodeId !== undefined;
    container.state = "gone";
    if (!wasPlaced) return;
    this.heldGpus -= owner.gpuCount;
    const heldMs = nowMs - container.placedAtMs;
    this.#options.recorder.gpu.held += (owner.gpuCount * heldMs) / MS_PER_SECOND;
    this.#options.onGone(container, nowMs);
  }

  /** The run of everything ends: what still runs counts with the waits it had and what it did. */
  settle(nowMs: number): void {
    const { recorder } = this.#options;
    for (const [run, { owner }] of this.#runs.open()) {
      const arrivedMs = this.#runs.arrivedMs(run);
      const beganMs = this.#runs.beganMs(run);
      recorder.inputDone(owner, arrivedMs, this.#runs.slotMs(run) - arrivedMs, beganMs - arrivedMs);
      recorder.gpu.useful += usefulGpuSeconds(owner, nowMs - beganMs);
    }
  }

  #rerun(container: Container, nowMs: number): void {
    const { owner } = container;
    const { recorder, onDirty } = this.#options;
    for (const run of container.runs.splice(0).reverse()) {
      const doneMs = nowMs - this.#runs.beganMs(run);
      recorder.gpu.lost += usefulGpuSeconds(owner, doneMs);
      recorder.retries += 1;
      owner.queue.unshift(this.#runs.arrivedMs(run), this.#runs.serviceMs(run));
      this.queued += 1;
      owner.running -= 1;
      this.#runs.cut(run);
    }
    owner.busy -= 1;
    this.busyGpus -= owner.gpuCount;
    onDirty(owner);
    while (owner.queue.length > 0) {
      const other = owner.idle.at(-1);
      if (other === undefined) break;
      if (this.#fill(other, nowMs)) owner.idle.pop();
    }
  }

  #afterRun(container: Container, nowMs: number): void {
    const { owner } = container;
    if (!container.isLeaving) {
      const wasFull = container.runs.length === owner.spec.concurrency - 1;
      if (this.#fill(container, nowMs)) return;
      if (wasFull) owner.idle.push(container);
    }
    if (container.runs.length > 0) return;
    owner.busy -= 1;
    this.busyGpus -= owner.gpuCount;
    container.idleSinceMs = nowMs;
    if (container.isLeaving) this.end(container, nowMs);
    else this.#options.onIdle();
  }

  /** Gives a container waiting inputs; whether it is full then. */
  #fill(container: Container, nowMs: number): boolean {
    const { owner } = container;
    const { queue } = owner;
    while (container.runs.length < owner.spec.concurrency) {
      const input = queue.shift(nowMs);
      if (input === undefined) break;
      const { arrivedMs, serviceMs } = input;
      const slotMs = Number.isNaN(input.slotMs) ? nowMs : input.slotMs;
      if (Number.isNaN(input.slotMs)) this.#options.recorder.slotGiven(nowMs - arrivedMs);
      this.queued -= 1;
      this.#begin(container, arrivedMs, slotMs, nowMs, serviceMs);
    }
    return container.runs.length >= owner.spec.concurrency;
  }

  /** A ready container with room, the one used last; it is taken off the list when full. */
  #roomIn(owner: FunctionState): Container | undefined {
    const { idle, spec } = owner;
    const container = idle.at(-1);
    if (container !== undefined && container.runs.length + 1 >= spec.concurrency) idle.pop();
    return container;
  }

  #begin(
    container: Container,
    arrivedMs: number,
    slotMs: number,
    nowMs: number,
    serviceMs: number,
  ): void {
    const { owner } = container;
    // A container that goes from one run to the next was busy all along.
    if (!Number.isNaN(container.idleSinceMs)) {
      if (!container.hasRun) this.#noteCold(container);
      owner.busy += 1;
      if (owner.busy > owner.busyPeak) owner.busyPeak = owner.busy;
      this.busyGpus += owner.gpuCount;
      container.idleSinceMs = NaN;
    }
    owner.running += 1;
    const run = this.#runs.begin(container, arrivedMs, slotMs, nowMs, serviceMs);
    container.runs.push(run);
    container.scaled = undefined;
    this.#ends.push(nowMs + serviceMs, run);
  }

  #noteCold(container: Container): void {
    container.hasRun = true;
    container.owner.coldInputs += 1;
    this.#options.recorder.coldInputs += 1;
  }
}

function usefulGpuSeconds(owner: FunctionState, ms: number): number {
  return (owner.gpuCount * ms) / MS_PER_SECOND / owner.spec.concurrency;
}

function drop(list: Container[], container: Container): void {
  const place = list.lastIndexOf(container);
  if (place >= 0) list.splice(place, 1);
}
