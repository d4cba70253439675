/**
 * The placing round over a real ledger with agents in this process, for tests.
 *
 * An agent decides with the real rule whether a container fits, and says nothing by itself: a
 * test lets it work. Time moves only when a test moves it.
 */
import {
  assert,
  countingIds,
  createRng,
  DEFAULT_SCHEDULER_POLICY,
  type Clock,
  type Node,
  type SchedulerPolicy,
} from "../../core/index.ts";
import {
  roomFor,
  type HeldContainer,
  type ServerMessage,
  type StartContainer,
} from "../../sandbox/index.ts";
import { ContainerStreams } from "../gateway/container-streams.ts";
import type { EventBody, FunctionSpec, ResultItem } from "../../sdk/protocol/index.ts";
import type { NodeLink } from "../agents/hub.ts";
import { CallDesk } from "../calls/call-desk.ts";
import { MemoryQueue } from "../calls/fake-queue.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { RecordStore } from "../store/record-store.ts";
import { ContainerTable, type ContainerRecord } from "./container-table.ts";
import { NodeTable } from "./node-table.ts";
import { Placing } from "./placing.ts";

const WORKSPACE = "ws_1";
const NOTHING = new Uint8Array(0);
/** A fleet that has not come to rest after so many rounds never will. */
const ROUNDS_MAX = 200;

class TestClock implements Clock {
  now = 1_000_000;

  nowMs(): number {
    return this.now;
  }

  sleep(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

interface AgentContainer {
  readonly start: StartContainer;
  readonly line: Line;
  isReady: boolean;
  readonly inputIds: string[];
}

/** The way between an agent and one server. */
interface Line extends NodeLink {
  readonly desk: Placing["desk"];
}

type Of<Type extends ServerMessage["type"]> = Extract<ServerMessage, { type: Type }>;

/** The agent of one node; several servers may believe that it is theirs. */
export class TestAgent {
  readonly node: Node;
  readonly held = new Map<string, AgentContainer>();
  /** Every container that it was asked to start, in order, taken or not. */
  readonly asked: string[] = [];
  #inbox: { readonly line: Line; readonly message: ServerMessage }[] = [];
  /** All that it was told to expect, message by message. */
  readonly expectations: Of<"expect">["starts"][] = [];
  /** How long it says that an input ran. */
  runMs = 1;
  /** When set, it takes nothing, for this reason. */
  refuses: string | undefined;
  /** While false, containers that were told to stop go on. */
  stops = true;

  constructor(node: Node) {
    this.node = node;
  }

  /** A way to it for one server. */
  lineTo(desk: Placing["desk"]): NodeLink {
    const line: Line = {
      desk,
      send: (message) => this.#inbox.push({ line, message }),
      // A test's agent keeps no results.
      acknowledge: () => undefined,
    };
    return line;
  }

  /** What it would say that it holds on a new connection. */
  get hello(): readonly HeldContainer[] {
    return [...this.held.values()].map(({ start, isReady, inputIds }) => ({
      containerId: start.containerId,
      functionId: start.functionId,
      state: isReady ? "ready" : "starting",
      cards: start.cards ?? [],
      inputIds,
    }));
  }

  /** Does what it was told, and gets every container ready. */
  work(): void {
    const told = this.#inbox;
    this.#inbox = [];
    for (const { line, message } of told) this.#do(line, message);
    for (const container of this.held.values()) {
      if (container.isReady) continue;
      container.isReady = true;
      const { containerId } = container.start;
      say(container.line, { type: "ready", containerId, startMs: 1 });
    }
  }

  /** Does what it was told, then answers the inputs of a container, or of all. */
  answer(containerId?: string): void {
    this.work();
    for (const [id, { line, inputIds }] of this.held) {
      if (containerId !== undefined && containerId !== id) continue;
      const results = inputIds.splice(0).map((inputId) => {
        return { inputId, outcome: "succeeded", bytes: 0, runMs: this.runMs } as const;
      });
      if (results.length > 0) say(line, { type: "results", containerId: id, results });
    }
  }

  #do(line: Line, message: ServerMessage): void {
    if (message.type === "start") this.#start(line, message.container);
    else if (message.type === "stop") this.#stop(line, message);
    else if (message.type === "cancel") this.#cancel(message);
    else if (message.type === "expect") this.expectations.push(message.starts);
    else if (message.type === "inputs") {
      const ids = message.inputs.map(({ inputId }) => inputId);
      this.held.get(message.containerId)?.inputIds.push(...ids);
    }
  }

  #start(line: Line, start: StartContainer): void {
    const { containerId } = start;
    this.asked.push(containerId);
    const held = [...this.held.values()].map((one) => one.start);
    const room = roomFor(start, held, this.node.resources);
    const reason = this.refuses ?? (room.kind === "refused" ? room.reason : undefined);
    if (reason === undefined) {
      this.held.set(containerId, { start, line, isReady: false, inputIds: [] });
    } else say(line, { type: "refused", containerId, reason });
  }

  #stop(line: Line, message: Of<"stop">): void {
    if (!this.stops) {
      this.#inbox.push({ line, message });
      return;
    }
    const { containerId } = message;
    const container = this.held.get(containerId);
    if (container === undefined) return;
    this.held.delete(containerId);
    const { inputIds } = container;
    const exit = { containerId, kind: "stopped", message: "stopped", inputIds } as const;
    say(line, { type: "exited", exit });
  }

  /** All but the first input have not begun. */
  #cancel({ containerId, inputIds }: Of<"cancel">): void {
    const container = this.held.get(containerId);
    const waiting = (container?.inputIds ?? []).slice(1).filter((id) => inputIds.includes(id));
    if (container === undefined || waiting.length === 0) return;
    const left = container.inputIds.filter((id) => !waiting.includes(id));
    container.inputIds.splice(0, container.inputIds.length, ...left);
    const results = waiting.map((inputId) => {
      return { inputId, outcome: "returned", bytes: 0, runMs: 0 } as const;
    });
    say(container.line, { type: "results", containerId, results });
  }
}

function say(line: Line, message: Parameters<Placing["desk"]["handle"]>[1]): void {
  line.desk.handle(line, message, NOTHING);
}

/** What a node of a test has; the rest is the same for all. */
export interface TestNode {
  readonly nodeId: string;
  /** H100s. */
  readonly gpuCount: number;
  readonly cloud?: Node["cloud"];
}

/** One server's view of a fleet. */
export class TestFleet {
  readonly clock = new TestClock();
  readonly store: RecordStore = openRecordStore(":memory:");
  readonly containers = new ContainerTable();
  readonly nodes = new NodeTable(this.store.nodes);
  readonly agents = new Map<string, TestAgent>();
  readonly #lines = new Map<string, NodeLink>();
  readonly events: (EventBody & { readonly containerId?: string })[] = [];
  readonly errors: unknown[] = [];
  /** What the fleet should be; a test says. */
  desired: readonly { readonly offerId: string; readonly count: number }[] | undefined;
  readonly calls: CallDesk;
  readonly placing: Placing;
  readonly ids = countingIds();
  #callCount = 0;

  /** @param seed Of this server's chance. */
  constructor(policy: Partial<SchedulerPolicy> = {}, seed: string | number = "test") {
    const events = {
      publish: (subject: { readonly containerId?: string }, body: EventBody): void => {
        this.events.push({ ...subject, ...body });
      },
      written: () => Promise.resolve(),
      read: () => {
        throw new Error("no test reads events");
      },
    };
    const shared = {
      events,
      clock: this.clock,
      onLoadChanged: () => undefined,
      onError: (error: unknown) => this.errors.push(error),
    };
    this.calls = new CallDesk({
      ...shared,
      store: this.store,
      blobs: { put: noBlobs, get: noBlobs, has: noBlobs },
      openQueue: () => new MemoryQueue(() => this.clock.now),
      sendInputs: (containerId, inputs) => this.#sendInputs(containerId, inputs),
      sendCredit: () => undefined,
      takeBack: (containerId, inputIds, abortRunning) => {
        const message = { type: "cancel", containerId, inputIds, abortRunning } as const;
        this.#lineOf(containerId)?.send(message);
      },
      onRecorded: () => undefined,
    });
    this.placing = new Placing({
      ...shared,
      functions: this.calls.functions,
      containers: this.containers,
      nodes: this.nodes,
      hub: { link: (nodeId) => this.#lines.get(nodeId) },
      ids: this.ids,
      rng: createRng(seed),
      policy: { ...DEFAULT_SCHEDULER_POLICY, ...policy },
      desired: () => this.desired,
      loadHeld: (inputIds) => this.calls.loadHeld(inputIds),
      onYielded: (...yielded) => this.calls.yielded(...yielded),
      streams: new ContainerStreams(),
      onColdStart: () => undefined,
    });
  }

  /** A healthy node with an agent of its own. */
  async add(wanted: TestNode): Promise<TestAgent> {
    const agent = new TestAgent(nodeOf(wanted, this.clock.nowMs()));
    await this.join(agent);
    return agent;
  }

  /** Takes a node with its agent into this fleet; other servers may have it too. */
  async join(agent: TestAgent): Promise<void> {
    const { node } = agent;
    const { nodeId } = node;
    const nowMs = this.clock.nowMs();
    const bill = { requestedAtMs: nowMs, launchedAtMs: nowMs, gpuMsUsed: 0 };
    await this.nodes.put([{ node, clientToken: nodeId, reason: "a test", ...bill }], nowMs);
    this.agents.set(nodeId, agent);
    const line = agent.lineTo(this.placing.desk);
    this.#lines.set(nodeId, line);
    const record = this.nodes.get(nodeId);
    if (record !== undefined) record.connected = true;
    await this.placing.desk.reconcile(nodeId, agent.hello, line);
  }

  /** A deployed function; small, but for what `spec` says. */
  async deploy(
    name: string,
    spec: FunctionSpec = {},
    workspaceId = WORKSPACE,
  ): Promise<LiveFunction> {
    const functionId = this.ids.next("fn");
    await this.store.registry.deploy({
      appId: this.ids.next("ap"),
      workspaceId,
      app: `app-${name}`,
      mode: "deployed",
      codeSha256: "c0de",
      functions: [{ functionId, name, spec: { cpu: 0.1, memoryMiB: 128, ...spec } }],
      createdAtMs: this.clock.nowMs(),
    });
    const live = await this.calls.functions.get(functionId);
    assert(live !== undefined, "the function was just deployed");
    return live;
  }

  /** Calls a function with `inputs` inputs; gives the call's id. */
  async call(live: LiveFunction, inputs = 1): Promise<string> {
    this.#callCount += 1;
    const callId = `ca_${String(this.#callCount).padStart(26, "0")}`;
    const sizes = Array.from({ length: inputs }, () => 0);
    await this.calls.service.create(
      { workspaceId: live.workspaceId, tokenId: "to_1" },
      live.functionId,
      { callId, kind: "map", sizes, final: true, waitMs: 0 },
      sizes.map(() => NOTHING),
      new AbortController().signal,
    );
    return callId;
  }

  /** The recorded results of a call. */
  async results(
    callId: string,
  ): Promise<readonly Pick<ResultItem, "index" | "outcome" | "attempts">[]> {
    const { results } = await this.store.calls.results(callId, 0, 1_000);
    return results.map(({ index, outcome, attempts }) => ({ index, outcome, attempts }));
  }

  /** One round: places, lets the agents work, and lets everything that follows happen. */
  async round(): Promise<void> {
    await this.placing.tick();
    await turns();
    for (const agent of this.agents.values()) agent.work();
    await turns();
    this.clock.now += 100;
  }

  /** Rounds until it is so. @throws Error when it never is */
  async until(isSo: () => boolean, what: string): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      if (isSo()) return;
      await this.round();
    }
    throw new Error(`it never came to be: ${what}`);
  }

  /** Containers of a function that are on a node and not about to end. */
  of(live: LiveFunction): readonly ContainerRecord[] {
    return this.containers
      .ofFunction(live.functionId)
      .filter(({ nodeId, state }) => nodeId !== undefined && state !== "stopping");
  }

  /** Whether a container of the function has inputs. */
  isBusy(live: LiveFunction): boolean {
    return live.dispatcher.runningCount > 0;
  }

  async close(): Promise<void> {
    await this.calls.close();
    await this.store.close();
  }

  #lineOf(containerId: string): NodeLink | undefined {
    return this.#lines.get(this.containers.get(containerId)?.nodeId ?? "");
  }

  #sendInputs(containerId: string, inputs: readonly { readonly inputId: string }[]): boolean {
    const line = this.#lineOf(containerId);
    line?.send({
      type: "inputs",
      containerId,
      inputs: inputs.map(({ inputId }) => ({ inputId, bytes: 0 })),
    });
    return line !== undefined;
  }
}

function nodeOf({ nodeId, gpuCount, cloud = "fake" }: TestNode, nowMs: number): Node {
  return {
    nodeId,
    cloud,
    region: "r1",
    instanceType: "m",
    purchase: "on-demand",
    ...(gpuCount > 0 ? { gpuType: "H100" } : {}),
    resources: { gpuCount, cpuMilli: 64_000, memoryMiB: 65_536 },
    priceMicroUsdPerHour: 1_000_000,
    state: "healthy",
    stateSinceMs: nowMs,
    emulated: true,
    isolation: "process",
    ...(cloud === "local" ? {} : { offerId: "offer" }),
  };
}

/** Lets promises that are ready, and what waits for the end of a turn, run to their end. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function noBlobs(): never {
  throw new Error("no test has a payload that is too large for the ledger");
}
