/**
 * What agents say about containers, turned into the state of containers and functions.
 *
 * Inputs are never lost here: whatever a container had goes back to its dispatcher before the
 * container is forgotten.
 */
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import type {
  AgentMessage,
  AgentResult,
  ContainerExit,
  HeldContainer,
} from "../../sandbox/index.ts";
import { splitBody, type WireError } from "../../sdk/protocol/index.ts";
import type { NodeLink, NodeLinks } from "../agents/hub.ts";
import type { ContainerEnd } from "../calls/dispatcher-port.ts";
import type { CallDesk } from "../calls/call-desk.ts";
import type { FunctionTable } from "../calls/function-table.ts";
import type { LocalInput } from "../calls/input.ts";
import type { StreamNews } from "../gateway/container-streams.ts";
import type { EventBus } from "../services.ts";
import { ContainerLines } from "./container-lines.ts";
import { subjectOf, type ContainerRecord, type ContainerTable } from "./container-table.ts";
import type { ContainerUsage } from "./container-usage.ts";
import type { Placement } from "./placement.ts";

export interface ContainerDeskOptions {
  readonly containers: ContainerTable;
  readonly functions: FunctionTable;
  readonly hub: NodeLinks;
  readonly placement: Pick<Placement, "refused">;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Reads inputs that an agent says it holds back from the ledger. */
  readonly loadHeld: (inputIds: readonly string[]) => Promise<readonly LocalInput[]>;
  /** A generator in a container yielded a value. */
  readonly onYielded: CallDesk["yielded"];
  /** Who is told of the byte streams of containers. */
  readonly streams: StreamNews;
  readonly onColdStart: (startMs: number) => void;
  readonly onLoadChanged: () => void;
  readonly onError: (error: unknown, doing: string) => void;
  /** Meters them; absent: nobody does. */
  readonly usage?: ContainerUsage;
}

type Message = Exclude<
  AgentMessage,
  { type: "hello" | "kept" | "interruption" | "at-risk" | "health" }
>;

/** Weight of a new start time in the moving average. */
const STARTUP_WEIGHT = 0.3;
/** Starts that may fail in a row, for reasons other than the user's own code. */
const FAILED_STARTS_MAX = 3;
/** How long a container may take to end, exit hooks and all, before it is killed. */
export const STOP_GRACE_MS = 30_000;

export class ContainerDesk {
  readonly #options: ContainerDeskOptions;
  readonly #lines: ContainerLines;

  constructor(options: ContainerDeskOptions) {
    this.#options = options;
    this.#lines = new ContainerLines(options);
  }

  handle(link: NodeLink, message: Message, body: Uint8Array): void {
    switch (message.type) {
      case "refused":
        this.#refused(message.containerId, message.reason);
        break;
      case "ready":
        this.#ready(message);
        break;
      case "results":
        this.#results(link, message.containerId, message.results, body);
        break;
      case "logs":
        this.#lines.take(link, message);
        break;
      case "values":
        this.#values(message, body);
        break;
      case "stream":
        this.#options.streams.piece(message.containerId, message.streamId, message.piece, body);
        break;
      case "used":
        this.#options.usage?.used(message.uses);
        break;
      case "exited":
        this.#exited(message.exit);
    }
  }

  /** Ends a container: it takes no more inputs, and its node is told how long it may take. */
  stop(container: ContainerRecord, reason: string, graceMs = STOP_GRACE_MS): void {
    const { containerId, nodeId, live } = container;
    if (nodeId === undefined) {
      this.#options.containers.remove(containerId);
      return;
    }
    if (container.state === "stopping") return;
    container.state = "stopping";
    this.#options.streams.containerGone(containerId);
    live.dispatcher.containerGone(containerId, "stopped");
    this.#options.hub.link(nodeId)?.send({ type: "stop", containerId, graceMs });
    this.#options.events.publish(subjectOf(container), {
      kind: "container.exited",
      reason,
    });
  }

  /** Brings our record of a node's containers in line with what its agent holds. */
  async reconcile(nodeId: string, held: readonly HeldContainer[], link: NodeLink): Promise<void> {
    const heldIds = new Set(held.map((container) => container.containerId));
    for (const container of this.#options.containers.ofNode(nodeId)) {
      if (!heldIds.has(container.containerId)) this.#gone(container, "lost");
    }
    for (const container of held) await this.#adopt(nodeId, container, link);
    await this.#options.usage?.settleNode(nodeId);
    this.#options.onLoadChanged();
  }

  /** Ends all containers of an app that was stopped; `cancel` is for what still waits. */
  stopApp(appId: string, reason: string): void {
    for (const container of this.#options.containers.all()) {
      if (container.live.appId === appId) this.stop(container, reason);
    }
  }

  /** The link to a node broke: what was on its way to its containers may be lost. */
  linkLost(nodeId: string): void {
    for (const { live, containerId } of this.#options.containers.ofNode(nodeId)) {
      this.#options.streams.containerCutOff(containerId);
      live.dispatcher.containerCutOff(containerId);
    }
  }

  /** A container could not be started: its agent never heard of it. */
  startImpossible(container: ContainerRecord, error: unknown): void {
    const { containerId } = container;
    const isTheirs = error instanceof PlatformError && error.code === "not_found";
    const message = `it could not be started: ${messageOf(error)}`;
    if (!isTheirs) this.#options.onError(error, `starting container ${containerId}`);
    if (container.state === "stopping") {
      this.#options.containers.remove(containerId);
      return;
    }
    this.#exited({
      containerId,
      kind: "startup_failed",
      message,
      inputIds: [],
      ...(isTheirs ? { error: { name: "StartupFailed", message } } : {}),
    });
  }

  /** A node is lost: its containers are gone and their inputs wait again. */
  nodeLost(nodeId: string): void {
    for (const container of this.#options.containers.ofNode(nodeId)) {
      // That it ends was told already when it was asked to.
      if (container.state !== "stopping") {
        this.#options.events.publish(subjectOf(container), {
          kind: "container.exited",
          reason: "its node was lost; its inputs run elsewhere",
        });
      }
      this.#gone(container, "lost");
    }
    this.#options.onLoadChanged();
  }

  async #adopt(nodeId: string, held: HeldContainer, link: NodeLink): Promise<void> {
    const { containers, functions, clock } = this.#options;
    const live = await functions.get(held.functionId);
    if (live === undefined) {
      link.send({ type: "stop", containerId: held.containerId, graceMs: 0 });
      return;
    }
    const known = containers.get(held.containerId);
    if (known?.state === "stopping") {
      link.send({ type: "stop", containerId: held.containerId, graceMs: STOP_GRACE_MS });
      return;
    }
    const nowMs = clock.nowMs();
    const container = known ?? containers.addPending(held.containerId, live, nowMs);
    this.#takeOver(container, nodeId, held);
    if (held.state !== "ready") return;
    container.readyAtMs ??= nowMs;
    const inputs = await this.#options.loadHeld(held.inputIds);
    live.dispatcher.containerHolds(held.containerId, inputs);
    const unknown = new Set(held.inputIds);
    for (const input of inputs) unknown.delete(input.inputId);
    // Finished already, by another container: the agent need not report them again.
    if (unknown.size > 0) link.acknowledge([...unknown]);
    this.#noteIdle(container);
  }

  /** Notes where a container runs; one that was in nobody's table is metered from here on. */
  #takeOver(container: ContainerRecord, nodeId: string, held: HeldContainer): void {
    const { cards, state, endsSlowly = false } = held;
    const isNew = container.nodeId === undefined;
    container.endsSlowly = endsSlowly;
    container.nodeId = nodeId;
    container.cards = cards;
    container.startedAtMs ??= this.#options.clock.nowMs();
    container.state = state === "ready" ? "ready" : "starting";
    if (isNew) this.#options.usage?.found(container);
  }

  #refused(containerId: string, reason: string): void {
    const container = this.#options.containers.get(containerId);
    if (container?.state !== "starting") return;
    this.#options.placement.refused(container, reason);
    this.#options.onLoadChanged();
  }

  #ready({
    containerId,
    startMs,
    stages,
    restored,
    endsSlowly = false,
  }: Extract<AgentMessage, { type: "ready" }>): void {
    const container = this.#options.containers.get(containerId);
    if (container?.state !== "starting") return;
    const { live, requestedAtMs } = container;
    container.state = "ready";
    container.endsSlowly = endsSlowly;
    container.readyAtMs = this.#options.clock.nowMs();
    live.failedStarts = 0;
    // From the wish to the readiness, a machine's boot included: what one more really takes.
    const wholeMs = container.readyAtMs - requestedAtMs;
    live.startupMs =
      live.startupMs === undefined
        ? wholeMs
        : live.startupMs + STARTUP_WEIGHT * (wholeMs - live.startupMs);
    this.#options.onColdStart(wholeMs);
    this.#options.events.publish(subjectOf(container), {
      kind: "container.ready",
      startMs,
      ...(stages === undefined ? {} : { stages }),
      ...(restored === true ? { restored } : {}),
    });
    const placedAtMs = container.startedAtMs ?? container.readyAtMs;
    live.dispatcher.containerReady(containerId, container.readyAtMs - placedAtMs);
    this.#noteIdle(container);
    this.#options.onLoadChanged();
  }

  #results(
    link: NodeLink,
    containerId: string,
    results: readonly AgentResult[],
    body: Uint8Array,
  ): void {
    const container = this.#options.containers.get(containerId);
    const payloads = splitBody(
      body,
      results.map((result) => result.bytes),
    );
    const inputIds = results.map((result) => result.inputId);
    if (container === undefined) {
      // Its container was given up and its inputs run elsewhere: nobody needs these.
      link.acknowledge(inputIds);
      return;
    }
    container.inputsDone += results.length;
    container.live.dispatcher
      .results(containerId, results, payloads)
      .then(() => link.acknowledge(inputIds))
      .catch((error: unknown) => this.#options.onError(error, `recording for ${containerId}`));
    this.#noteIdle(container);
  }

  #values(message: Extract<Message, { type: "values" }>, body: Uint8Array): void {
    const container = this.#options.containers.get(message.containerId);
    const sizes = message.values.map(({ bytes }) => bytes);
    const payloads = splitBody(body, sizes);
    if (container === undefined) return;
    const { containerId, live } = container;
    for (const [position, value] of message.values.entries()) {
      const payload = payloads[position] ?? body;
      this.#options
        .onYielded(live, containerId, value, payload)
        .catch((error: unknown) =>
          this.#options.onError(error, `keeping values of ${containerId}`),
        );
    }
  }

  #exited(exit: ContainerExit): void {
    const container = this.#options.containers.get(exit.containerId);
    if (container === undefined) return;
    const { live, containerId } = container;
    if (exit.use !== undefined) this.#options.usage?.used([{ containerId, ...exit.use }]);
    if (container.state !== "stopping") {
      this.#options.events.publish(subjectOf(container), {
        kind: "container.exited",
        reason: exit.message,
        ...(exit.exitCode === undefined ? {} : { exitCode: exit.exitCode }),
      });
    }
    this.#gone(container, exit.kind === "stopped" ? "stopped" : "died");
    if (exit.kind === "startup_failed") this.#startFailed(live, exit);
    this.#options.onLoadChanged();
  }

  /** The user's own mistake fails what waits at once; anything else is tried a few times. */
  #startFailed(live: ContainerRecord["live"], exit: ContainerExit): void {
    live.failedStarts += 1;
    if (exit.error === undefined && live.failedStarts < FAILED_STARTS_MAX) return;
    live.failedStarts = 0;
    const error: WireError = exit.error ?? {
      name: "StartupFailed",
      message: exit.message,
      code: "startup_failed",
    };
    live.dispatcher
      .failWaiting({ ...error, code: "startup_failed" })
      .catch((thrown: unknown) => this.#options.onError(thrown, "failing inputs"));
  }

  #gone(container: ContainerRecord, end: ContainerEnd): void {
    this.#options.containers.remove(container.containerId);
    this.#options.streams.containerGone(container.containerId);
    container.live.dispatcher.containerGone(container.containerId, end);
  }

  #noteIdle(container: ContainerRecord): void {
    noteIdle(container, this.#options.clock.nowMs());
  }
}

/** Sets since when a ready container has nothing to do. */
export function noteIdle(container: ContainerRecord, nowMs: number): void {
  const busy = container.live.dispatcher.inflightCount(container.containerId) > 0;
  const idle = container.state === "ready" && !busy;
  container.idleSinceMs = idle ? (container.idleSinceMs ?? nowMs) : undefined;
}
