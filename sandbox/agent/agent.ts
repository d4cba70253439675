/**
 * The node agent: runs containers on one machine for the server it is connected to.
 *
 * It is the final arbiter of its node: what does not fit is refused, whatever the server
 * believed. When the link breaks it keeps its containers and results and says so on its return.
 */
import { hostname } from "node:os";
import { createRng, messageOf, type Isolation, type Resources } from "../../core/index.ts";
import type { NodeImages } from "../images/node-images.ts";
import { peerUrlOf, type PeerServer } from "../peers/peer-server.ts";
import { limitsOn } from "../runtime/limits.ts";
import type { Runtime, SandboxSpec } from "../runtime/runtime.ts";
import { createHttpSnapshots } from "../snapshots/shared-snapshots.ts";
import { MemorySnapshots } from "../snapshots/snapshots.ts";
import { createRelay, type Relay } from "./call-relay.ts";
import { CodeCache } from "./code-cache.ts";
import { filesOf } from "./container-image.ts";
import { Container } from "./container.ts";
import type { ContainerReports } from "./container-options.ts";
import { explainDisk } from "./full-disk.ts";
import { LinkClient, type LinkClientOptions } from "./link-client.ts";
import type {
  AgentMessage,
  AgentResult,
  ExpectedStart,
  NodeFacts,
  ServerMessage,
  StartContainer,
  StreamMessage,
  ToContainer,
} from "./link.ts";
import { volumesRelay } from "../volumes/container-volumes.ts";
import type { NodeVolumes } from "../volumes/node-volumes.ts";
import { ReadySandboxes } from "./ready-sandboxes.ts";
import { UnacknowledgedResults } from "./unacknowledged-results.ts";
import { UnstoredLines } from "./unstored-lines.ts";
import { UseReports } from "./use-reports.ts";
import { UnstoredValues } from "./unstored-values.ts";
import { onCards } from "./sandbox-spec.ts";
import { roomFor, type Room, type RoomAnswer } from "./room.ts";

export const AGENT_VERSION = "0.1.0";

export interface NodeAgentOptions extends Pick<
  LinkClientOptions,
  "serverUrl" | "token" | "joinHeaders" | "welcomeWithinMs" | "aloneMsMax" | "onSession" | "clock"
> {
  /** Folder of the server's blobs, on the server's machine. */
  readonly blobDir?: string | undefined;
  /** Fixes the pauses between connections; best different on each machine. */
  readonly seed: string;
  readonly codeDir: string;
  /** Where images of memory are kept; without it there are none. */
  readonly snapshotDir?: string;
  /** Sandboxes kept ready for containers to come; none without it. */
  readonly readyCountMax?: number;
  /** Whether this machine can run functions of Python without an image. */
  readonly hasPython?: boolean;
  /** Whether the machine's memory runs short; asked now and then. */
  readonly isMemoryShort?: () => boolean;
  readonly resources: Resources;
  readonly gpuType?: string;
  readonly emulatedGpus: boolean;
  readonly isolation: Isolation;
  readonly runtime: Runtime;
  /** The images of this node, which the caller closes. */
  readonly images: NodeImages;
  /** Gives its chunks to other nodes; without it they get none. */
  readonly peers?: PeerServer;
  /** The volumes of its containers; without it they have none. */
  readonly volumes?: NodeVolumes;
  readonly onError: (error: unknown, doing: string) => void;
  /** The server wants this agent to end. */
  readonly onDismissed: (reason: string) => void;
}

const CHECK_MS = 100;
const NO_VOLUMES = "volumes need gVisor, which this node is without";
const CHECKS_PER_SECOND = 10;
/** Things on the node's disk that the server is told of. */
const ARTIFACTS_MAX = 64;

export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #containers = new Map<string, Container>();
  readonly #running = new Set<Promise<void>>();
  /** Values of the inputs that containers hold. */
  readonly #unstored = new UnstoredValues();
  readonly #unacknowledged = new UnacknowledgedResults();
  readonly #lines = new UnstoredLines((message) => this.#link.send(message));
  readonly #code: CodeCache;
  readonly #ready: ReadySandboxes | undefined;
  readonly #uses = new UseReports();
  #snapshots: MemorySnapshots | undefined;
  readonly #link: LinkClient;
  readonly #relay: Relay;
  readonly #timer: NodeJS.Timeout;
  readonly #reports: ContainerReports;
  #closing = false;
  #checks = 0;
  #interruptedAtMs: number | undefined;
  #riskSinceMs: number | undefined;
  #faults: readonly string[] = [];

  constructor(options: NodeAgentOptions) {
    this.#options = options;
    const { serverUrl, blobDir, clock, onError, seed } = options;
    this.#link = new LinkClient({
      ...options,
      clock,
      rng: createRng(seed),
      onError,
      hello: (...place) => this.#hello(...place),
      onMessage: (message, body) => this.#receive(message, body),
      onLost: () => {
        for (const container of this.#containers.values()) {
          container.streams.cutOff();
          container.shells.close("the connection to the server broke");
        }
      },
      onRejected: options.onDismissed,
    });
    this.#code = new CodeCache({
      dir: options.codeDir,
      serverUrl,
      token: () => this.#link.token,
      onKept: (artifact) => this.#link.send({ type: "kept", artifact }),
    });
    this.#ready = this.#openReady();
    this.#relay = createRelay({ serverUrl, blobDir, token: () => this.#link.token });
    this.#timer = setInterval(() => this.#checkTimeouts(), CHECK_MS);
    this.#reports = {
      ready: (containerId, startMs, restored, stages) => {
        const { endsSlowly } = this.#containers.get(containerId)?.held ?? {};
        this.#link.send({
          type: "ready",
          containerId,
          startMs,
          stages,
          ...(restored ? { restored } : {}),
          ...(endsSlowly === undefined ? {} : { endsSlowly }),
        });
      },
      stream: (containerId, streamId, piece, body) => {
        this.#link.send({ type: "stream", containerId, streamId, piece }, [body]);
      },
      logs: (containerId, lines) => {
        const functionId = this.#containers.get(containerId)?.held.functionId ?? "";
        this.#lines.add(containerId, functionId, lines);
      },
      exited: (exit) => {
        this.#containers.delete(exit.containerId);
        this.#snapshots?.roomFreed();
        // Whoever runs them again is told how many values there are.
        for (const inputId of exit.inputIds) this.#unstored.forget(inputId);
        this.#link.send({ type: "exited", exit });
      },
      results: (containerId, results, payloads) => this.#report(containerId, results, payloads),
      values: (containerId, values, payloads) => {
        for (const [position, { inputId, sequence }] of values.entries()) {
          const payload = payloads[position] ?? new Uint8Array(0);
          this.#unstored.add(inputId, { sequence, payload });
        }
        this.#link.send({ type: "values", containerId, values }, payloads);
      },
    };
  }

  /** The bearer token of now for the server. */
  get token(): string {
    return this.#link.token;
  }

  /** Serves until it is closed or dismissed. */
  async run(): Promise<void> {
    await this.#code.open();
    await this.#openSnapshots();
    this.#ready?.pool.fill();
    void this.#options.volumes?.recover();
    await this.#link.run();
  }

  /** What is broken on this machine now; the server is told when it is not what it was. */
  checked(faults: readonly string[]): void {
    if (faults.join("\n") === this.#faults.join("\n")) return;
    this.#faults = faults;
    this.#link.send({ type: "health", faults });
  }

  /** The provider takes this machine back at `deadlineMs`; the server is told until then. */
  interrupted(deadlineMs: number): void {
    this.#interruptedAtMs = Math.min(deadlineMs, this.#interruptedAtMs ?? Infinity);
    this.#tellInterruption();
  }

  /** Its provider has been likely to take this machine back since `sinceMs`. */
  atRisk(sinceMs: number): void {
    this.#riskSinceMs = sinceMs;
    this.#tellRisk();
  }

  /** Ends every container, then the link. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    this.#options.volumes?.close();
    for (const container of this.#containers.values()) container.stop();
    await Promise.allSettled([
      ...this.#running,
      this.#snapshots?.close(),
      this.#ready?.pool.close(),
    ]);
    this.#link.close();
  }

  #openReady(): ReadySandboxes | undefined {
    const { readyCountMax: countMax = 0, hasPython = false } = this.#options;
    if (countMax === 0) return undefined;
    return new ReadySandboxes({
      ...this.#options,
      countMax,
      hasPython,
      snapshots: () => this.#snapshots,
      hasRoom: (specs) => this.#roomBeside(specs).kind === "fits",
      isBusy: () => [...this.#containers.values()].some((container) => !container.isReady),
    });
  }

  /** Whether sandboxes fit that are no containers, beside these. */
  #roomBeside(specs: readonly SandboxSpec[]): RoomAnswer {
    const sum = (amount: (resources: Resources) => number): number =>
      specs.reduce((total, { resources }) => total + amount(resources), 0);
    const gpuCount = sum((resources) => resources.gpuCount);
    const cpuMilli = sum((resources) => resources.cpuMilli);
    const memoryMiB = sum((resources) => resources.memoryMiB);
    return this.#spaceFor({ resources: { gpuCount, cpuMilli, memoryMiB } });
  }

  /** A sandbox on cards that are free, where there is room for it. */
  #placed(spec: SandboxSpec): SandboxSpec | undefined {
    const room = this.#roomBeside([spec]);
    const { isolation } = this.#options.runtime;
    return room.kind === "fits" ? onCards(spec, room.cards, isolation) : undefined;
  }

  async #openSnapshots(): Promise<void> {
    const { snapshotDir, serverUrl, runtime, clock, onError } = this.#options;
    if (snapshotDir === undefined) return;
    this.#snapshots = await MemorySnapshots.open({
      dir: snapshotDir,
      runtime,
      clock,
      onError,
      loadCode: (sha256) => this.#code.load(sha256),
      ...(this.#ready === undefined ? {} : { pool: this.#ready.pool }),
      shared: createHttpSnapshots({ serverUrl, token: () => this.#link.token }),
      findRoom: (spec) => this.#placed(spec),
      onKept: (artifact) => this.#link.send({ type: "kept", artifact }),
    });
  }

  #hello(nodeId: string, localAddress = ""): AgentMessage {
    const { resources, gpuType, emulatedGpus, isolation, peers } = this.#options;
    const node: NodeFacts = {
      nodeId,
      hostname: hostname(),
      agentVersion: AGENT_VERSION,
      arch: process.arch,
      resources,
      emulatedGpus,
      isolation,
      ...(gpuType === undefined ? {} : { gpuType }),
      ...(peers && localAddress !== "" && { peerUrl: peerUrlOf(localAddress, peers.port) }),
    };
    const containers = [...this.#containers.values()].map((container) => {
      const { held } = container;
      const unsaid = this.#unacknowledged.inputIdsOf(held.containerId);
      return { ...held, inputIds: [...held.inputIds, ...unsaid] };
    });
    const faults = this.#faults.length === 0 ? {} : { faults: this.#faults };
    const kept = [...this.#code.kept, ...(this.#snapshots?.snapshotIds ?? [])];
    const artifacts = kept.slice(-ARTIFACTS_MAX);
    return { type: "hello", node, containers, artifacts, ...faults };
  }

  #receive(message: ServerMessage, body: Uint8Array): void {
    switch (message.type) {
      case "welcome":
        if (message.peerKey !== undefined) this.#options.peers?.admit(message.peerKey);
        this.#options.images.renewToken();
        this.#resend();
        this.#uses.forget();
        this.#tellInterruption();
        this.#tellRisk();
        return;
      case "goodbye":
        this.#options.onDismissed(message.reason);
        return;
      case "start":
        this.#start(message.container, body);
        return;
      case "expect":
        this.#expect(message.starts);
        return;
      case "logged":
        this.#lines.stored(message.containerId, message.sequence);
        return;
      case "credit":
      case "ack":
        this.#stored(message);
        return;
      default:
        this.#tell(message, body);
    }
  }

  #expect(starts: readonly ExpectedStart[]): void {
    const { resources } = this.#options;
    this.#ready?.expect(starts.map((one) => ({ ...one, ...limitsOn(resources, one.limits) })));
  }

  /** The server has something, and this agent need not keep it. */
  #stored(message: Extract<ServerMessage, { type: "credit" | "ack" }>): void {
    if (message.type === "credit") {
      this.#unstored.stored(message.inputId, message.stored);
      this.#containers.get(message.containerId)?.credit(message.inputId, message.consumed);
      return;
    }
    for (const inputId of message.inputIds) {
      this.#unacknowledged.forget(inputId);
      this.#unstored.forget(inputId);
    }
  }

  /** What is for one container; one that is gone needs it no more. */
  #tell(message: ToContainer, body: Uint8Array): void {
    const container = this.#containers.get(message.containerId);
    if (container === undefined) {
      // Whoever waits for a stream is told; all else is known from the container's end.
      if (message.type === "shell" || message.type === "pack") this.#refuseStream(message);
      return;
    }
    if (message.type === "inputs") container.push(message.inputs, body);
    else if (message.type === "shell") container.shells.open(message);
    else if (message.type === "pack") container.shells.pack(message);
    else if (message.type === "stream") {
      const { streamId, piece } = message;
      const isShells = container.shells.hear(streamId, piece, body);
      if (!isShells) container.streams.fromServer(streamId, piece, body);
    } else if (message.type === "cancel") container.cancel(message.inputIds, message.abortRunning);
    else container.stop(message.graceMs);
  }

  #refuseStream({ containerId, streamId }: Pick<StreamMessage, "containerId" | "streamId">): void {
    const piece = { kind: "reset", message: "the container has ended" } as const;
    this.#link.send({ type: "stream", containerId, streamId, piece });
  }

  #start(start: StartContainer, params: Uint8Array): void {
    if (this.#containers.has(start.containerId)) return;
    const room = this.#roomFor(start);
    if (room.kind === "refused") {
      const { reason } = room;
      this.#link.send({ type: "refused", containerId: start.containerId, reason });
      return;
    }
    const { runtime, clock, onError, images, volumes, resources } = this.#options;
    const shared = start.volumes && volumes?.of(start.containerId, start.volumes);
    const container = new Container({
      openFiles: filesOf(start, images, shared),
      start: { ...start, cards: room.cards, ...limitsOn(resources, start.limits) },
      params,
      relay: volumesRelay(shared, this.#relay),
      runtime: this.#ready?.runtime ?? runtime,
      clock,
      loadCode: (sha256) => this.#code.load(sha256),
      reports: this.#reports,
      ...(this.#snapshots === undefined ? {} : { snapshots: this.#snapshots }),
    });
    this.#containers.set(start.containerId, container);
    this.#ready?.pool.makeRoom();
    this.#snapshots?.giveWay(room.cards);
    const run = container.run().catch((error: unknown) => {
      onError(error, `running container ${start.containerId}: ${messageOf(error)}`);
      this.#containers.delete(start.containerId);
    });
    this.#running.add(run);
    void run.then(() => this.#running.delete(run));
  }

  /** Whether this node takes a container, and on which cards. */
  #roomFor(wanted: StartContainer): RoomAnswer {
    const { images, volumes } = this.#options;
    const isShared = wanted.volumes !== undefined && volumes === undefined;
    const reason = isShared ? NO_VOLUMES : images.refusalOf(wanted);
    if (reason !== undefined) return { kind: "refused", reason };
    return this.#spaceFor(wanted);
  }

  /** Whether so much is free, and on which cards. */
  #spaceFor(wanted: Room): RoomAnswer {
    if (this.#closing) return { kind: "refused", reason: "the node is shutting down" };
    const held = [...this.#containers.values()].map(({ spec }) => spec);
    return roomFor(wanted, held, this.#options.resources);
  }

  #report(
    containerId: string,
    results: readonly AgentResult[],
    payloads: readonly Uint8Array[],
  ): void {
    const start = this.#containers.get(containerId)?.spec;
    const told = results.map((result) => (start ? explainDisk(result, start) : result));
    this.#unacknowledged.add(containerId, told, payloads);
    this.#link.send({ type: "results", containerId, results: told }, payloads);
  }

  /** What was not acknowledged before the link broke is said again. */
  #resend(): void {
    this.#lines.resend();
    this.#resendValues();
    this.#unacknowledged.resend((message, payloads) => this.#link.send(message, payloads));
  }

  /** Values go before the results that come after them. */
  #resendValues(): void {
    const held = new Map(
      [...this.#containers.values()].flatMap(({ held: { containerId, inputIds } }) =>
        inputIds.map((inputId) => [inputId, containerId]),
      ),
    );
    for (const { inputId, values, payloads } of this.#unstored.batches) {
      const containerId = held.get(inputId) ?? this.#unacknowledged.containerOf(inputId);
      if (containerId !== undefined) {
        this.#link.send({ type: "values", containerId, values }, payloads);
      }
    }
  }

  #tellInterruption(): void {
    if (this.#interruptedAtMs === undefined) return;
    const leftMs = Math.max(0, this.#interruptedAtMs - this.#options.clock.nowMs());
    this.#link.send({ type: "interruption", leftMs });
  }

  #tellRisk(): void {
    if (this.#riskSinceMs === undefined) return;
    const agoMs = Math.max(0, this.#options.clock.nowMs() - this.#riskSinceMs);
    this.#link.send({ type: "at-risk", agoMs });
  }

  #checkTimeouts(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const container of this.#containers.values()) container.checkTimeouts(nowMs);
    this.#checks += 1;
    if (this.#checks % CHECKS_PER_SECOND !== 0) return;
    this.#ready?.pool.tidy();
    const uses = this.#uses.read(this.#containers.values(), nowMs);
    if (uses.length > 0) this.#link.send({ type: "used", uses });
  }
}
