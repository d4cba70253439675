/**
 * A node agent as the server knows it: containers that start, run inputs, fail and end.
 *
 * It keeps the promises of the agent link (sandbox/agent/link.ts): what does not fit is refused
 * by the production rule, results are kept until they are acknowledged and sent again on every
 * new link, and `hello` says what it holds. Its process may die; then all it held is gone.
 */
import { assert, type Resources, type Rng } from "../../core/index.ts";
import {
  roomFor,
  type AgentResult,
  type ContainerExit,
  type HeldContainer,
  type ServerMessage,
  type StartContainer,
} from "../../sandbox/index.ts";
import type { LinkModel } from "./link-model.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How a run of an input turns out. */
export interface Work {
  readonly startMs: number;
  readonly runMs: number;
  /** Chances of one start or one run, 0..1. */
  readonly failedStartFraction: number;
  readonly crashFraction: number;
  readonly errorFraction: number;
}

interface AgentContainer {
  readonly start: StartContainer;
  readonly cards: readonly number[];
  isReady: boolean;
  /** Inputs without a result; the first ones run. */
  readonly inputIds: string[];
  readonly running: Set<string>;
  isEnding: boolean;
}

interface Unacknowledged {
  readonly containerId: string;
  readonly result: AgentResult;
  readonly body: Uint8Array;
}

export interface AgentModelOptions {
  readonly nodeId: string;
  readonly resources: Resources;
  readonly time: VirtualTime;
  readonly rng: Rng;
  readonly workOf: (functionName: string) => Work;
  /** A number that no other run of any input has. */
  readonly nextRun: () => number;
  /** The server will not have it. */
  readonly onDismissed: (reason: string) => void;
}

export class AgentModel {
  readonly nodeId: string;
  readonly resources: Resources;
  readonly #options: AgentModelOptions;
  readonly #containers = new Map<string, AgentContainer>();
  readonly #unacknowledged = new Map<string, Unacknowledged>();
  #link: LinkModel | undefined;
  /** Counts lives: what an earlier one began does not end. */
  #epoch = 0;
  #deadlineMs: number | undefined;

  constructor(options: AgentModelOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.resources = options.resources;
  }

  get link(): LinkModel | undefined {
    return this.#link;
  }

  /** What its containers hold of the node. */
  get held(): readonly { readonly resources: Resources; readonly cards: readonly number[] }[] {
    return [...this.#containers.values()].map(({ start: { resources }, cards }) => {
      return { resources, cards };
    });
  }

  /** Whether any input runs here. */
  get isBusy(): boolean {
    return [...this.#containers.values()].some(({ running }) => running.size > 0);
  }

  /** A new link: what it holds, then what was not acknowledged on the last one. */
  connected(link: LinkModel): void {
    this.#link = link;
    const node = {
      nodeId: this.nodeId,
      hostname: this.nodeId,
      agentVersion: "1",
      arch: "x64",
      resources: this.resources,
      gpuType: "H100",
      emulatedGpus: true,
      isolation: "process",
    } as const;
    link.say({ type: "hello", node, containers: this.#hello(), artifacts: [] });
    for (const { containerId, result, body } of this.#unacknowledged.values()) {
      link.say({ type: "results", containerId, results: [result] }, body);
    }
    this.#tellInterruption();
  }

  /** The process dies; its containers with it. */
  crash(): void {
    this.#epoch += 1;
    this.#containers.clear();
    this.#unacknowledged.clear();
    this.#link?.cut({ server: this.#options.rng.below(2) === 0, agent: true });
  }

  /** Its provider takes the machine back then. */
  interrupted(deadlineMs: number): void {
    if (this.#deadlineMs !== undefined) return;
    this.#deadlineMs = deadlineMs;
    this.#tellInterruption();
  }

  receive(message: ServerMessage): void {
    switch (message.type) {
      case "welcome":
        return;
      case "goodbye":
        this.#options.onDismissed(message.reason);
        return;
      case "start":
        this.#start(message.container);
        return;
      case "inputs":
        this.#take(message.containerId, message.inputs);
        return;
      case "cancel":
        this.#cancel(message.containerId, message.inputIds, message.abortRunning);
        return;
      case "stop":
        this.#stop(message.containerId);
        return;
      case "ack":
        for (const inputId of message.inputIds) this.#unacknowledged.delete(inputId);
        return;
      default:
      // Its functions yield no values, have no URLs and no terminals, and nothing is kept ready.
    }
  }

  #take(containerId: string, inputs: readonly { readonly inputId: string }[]): void {
    const container = this.#containers.get(containerId);
    if (container === undefined) return;
    for (const { inputId } of inputs) {
      if (!container.inputIds.includes(inputId)) container.inputIds.push(inputId);
    }
    this.#run(container);
  }

  #hello(): readonly HeldContainer[] {
    return [...this.#containers.values()].map(({ start, cards, isReady, inputIds }) => {
      const { containerId, functionId } = start;
      const unsaid = [...this.#unacknowledged.values()]
        .filter((one) => one.containerId === containerId)
        .map(({ result }) => result.inputId);
      const state = isReady ? "ready" : "starting";
      return { containerId, functionId, state, cards, inputIds: [...inputIds, ...unsaid] };
    });
  }

  #tellInterruption(): void {
    if (this.#deadlineMs === undefined) return;
    const leftMs = Math.max(0, this.#deadlineMs - this.#options.time.nowMs());
    this.#link?.say({ type: "interruption", leftMs });
  }

  #start(start: StartContainer): void {
    const { containerId } = start;
    if (this.#containers.has(containerId)) return;
    const room = roomFor(start, this.held, this.resources);
    if (room.kind === "refused") {
      this.#link?.say({ type: "refused", containerId, reason: room.reason });
      return;
    }
    const container: AgentContainer = {
      start,
      cards: room.cards,
      isReady: false,
      inputIds: [],
      running: new Set(),
      isEnding: false,
    };
    this.#containers.set(containerId, container);
    const { startMs, failedStartFraction } = this.#options.workOf(start.functionName);
    this.#later(startMs, container, () => {
      if (this.#options.rng.next() < failedStartFraction) this.#end(container, "startup_failed");
      else this.#ready(container, startMs);
    });
  }

  #ready(container: AgentContainer, startMs: number): void {
    container.isReady = true;
    this.#link?.say({ type: "ready", containerId: container.start.containerId, startMs });
    this.#run(container);
  }

  #run(container: AgentContainer): void {
    if (!container.isReady) return;
    const { maxInputs = 1 } = container.start;
    for (const inputId of container.inputIds.slice(0, maxInputs)) {
      if (container.running.has(inputId)) continue;
      container.running.add(inputId);
      this.#begin(container, inputId);
    }
  }

  #begin(container: AgentContainer, inputId: string): void {
    const { workOf, rng } = this.#options;
    const { runMs: meanMs, crashFraction, errorFraction } = workOf(container.start.functionName);
    const runMs = 1 + rng.below(2 * meanMs);
    const luck = rng.next();
    this.#later(runMs, container, () => {
      if (!container.running.has(inputId)) return;
      if (luck < crashFraction) this.#end(container, "exited");
      else
        this.#finish(container, inputId, { runMs, isError: luck < crashFraction + errorFraction });
    });
  }

  #finish(
    container: AgentContainer,
    inputId: string,
    { runMs, isError }: { readonly runMs: number; readonly isError: boolean },
  ): void {
    forget(container, inputId);
    const body = new Uint8Array(isError ? 0 : 4);
    if (!isError) new DataView(body.buffer).setUint32(0, this.#options.nextRun());
    const error = { name: "Error", message: "the function threw" };
    this.#report(
      container,
      isError
        ? { inputId, outcome: "failed", bytes: 0, runMs, error }
        : { inputId, outcome: "succeeded", bytes: body.byteLength, runMs },
      body,
    );
    this.#run(container);
  }

  #report({ start: { containerId } }: AgentContainer, result: AgentResult, body: Uint8Array): void {
    this.#unacknowledged.set(result.inputId, { containerId, result, body });
    this.#link?.say({ type: "results", containerId, results: [result] }, body);
  }

  #cancel(containerId: string, inputIds: readonly string[], abortRunning: boolean): void {
    const container = this.#containers.get(containerId);
    if (container === undefined) return;
    for (const inputId of inputIds) {
      if (!container.inputIds.includes(inputId) || container.running.has(inputId)) continue;
      forget(container, inputId);
      const returned = { inputId, outcome: "returned", bytes: 0, runMs: 0 } as const;
      this.#report(container, returned, new Uint8Array(0));
    }
    if (abortRunning && inputIds.some((id) => container.running.has(id))) this.#stop(containerId);
  }

  #stop(containerId: string): void {
    const container = this.#containers.get(containerId);
    if (container === undefined || container.isEnding) return;
    container.isEnding = true;
    this.#later(50, container, () => this.#end(container, "stopped"));
  }

  #end(container: AgentContainer, kind: ContainerExit["kind"]): void {
    const { containerId } = container.start;
    this.#containers.delete(containerId);
    const inputIds = [...container.inputIds];
    this.#link?.say({ type: "exited", exit: { containerId, kind, message: kind, inputIds } });
  }

  /** Does something later, if the container is still there. */
  #later(delayMs: number, container: AgentContainer, act: () => void): void {
    assert(delayMs >= 0, "time does not run backwards");
    const epoch = this.#epoch;
    const { containerId } = container.start;
    this.#options.time.after(delayMs, () => {
      if (epoch === this.#epoch && this.#containers.get(containerId) === container) act();
    });
  }
}

function forget(container: AgentContainer, inputId: string): void {
  container.running.delete(inputId);
  const index = container.inputIds.indexOf(inputId);
  if (index >= 0) container.inputIds.splice(index, 1);
}
