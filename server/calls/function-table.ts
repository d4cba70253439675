/** The functions this server works for now: their spec, their queue and what they have open. */
import { resourcesOf } from "../../core/index.ts";
import type { ContainerNeeds } from "../../core/index.ts";
import type { ArrivalLog } from "../../scheduler/index.ts";
import { specInForce } from "../apps/find-function.ts";
import { needsOf, type NormalSpec } from "../apps/normalise-spec.ts";
import type {
  CallRecord,
  RecordStore,
  StoredFunction,
  StoredImage,
} from "../store/record-store.ts";
import type { ArrivalMemory, Remembered } from "./arrival-memory.ts";
import type { InputConcurrency } from "./assign.ts";
import type { DispatcherPort } from "./dispatcher-port.ts";
import { FunctionDispatcher } from "./function-dispatcher.ts";
import type { RangeQueue } from "./function-queue.ts";
import { OpenCalls } from "./open-calls.ts";

/** One function as this server runs it. */
export interface LiveFunction {
  readonly functionId: string;
  readonly name: string;
  /** Its name in the code: another one only if it is a variant. */
  readonly codeName: string;
  /** The payload of a class's constructor parameters; empty without any. */
  readonly params: Uint8Array;
  readonly appId: string;
  readonly app: string;
  readonly mode: "deployed" | "ephemeral";
  readonly workspaceId: string;
  readonly codeSha256: string;
  /** In force: as deployed, with the scaling that was updated since. */
  spec: NormalSpec;
  readonly needs: ContainerNeeds;
  readonly gpuCount: number;
  readonly dispatcher: FunctionDispatcher;
  readonly open: OpenCalls;
  readonly arrivals: ArrivalLog;
  /** Its deployment was replaced or stopped: it takes no new calls and keeps no idle container. */
  retired: boolean;
  /** The version that it is of; 0 for an ephemeral app. */
  readonly version: number;
  /** It has no container before those of earlier versions are gone. */
  waitsForOld: boolean;
  /** Moving average of the time from wanting a container to its readiness. */
  startupMs: number | undefined;
  /** Starts in a row that failed. */
  failedStarts: number;
  /**
   * Inputs may be in the ledger that were never queued: the answer to writing them was lost.
   * They are queued at the next upkeep.
   */
  mayLackJobs: boolean;
  /** Why it waits, when it does. */
  pendingReason: string | undefined;
  /** The image that its spec names. */
  image: StoredImage | undefined;
}

export interface FunctionTableOptions {
  readonly store: RecordStore;
  readonly memory: ArrivalMemory;
  readonly openQueue: (functionId: string) => RangeQueue;
  readonly portFor: (functionId: string) => DispatcherPort;
}

export class FunctionTable {
  readonly #options: FunctionTableOptions;
  readonly #functions = new Map<string, LiveFunction>();
  readonly #loading = new Map<string, Promise<LiveFunction | undefined>>();

  constructor(options: FunctionTableOptions) {
    this.#options = options;
  }

  /** The functions known now, in no particular order. */
  all(): readonly LiveFunction[] {
    return [...this.#functions.values()];
  }

  peek(functionId: string): LiveFunction | undefined {
    return this.#functions.get(functionId);
  }

  /** The function, loaded from the store when it is new here; undefined when there is none. */
  async get(functionId: string): Promise<LiveFunction | undefined> {
    const known = this.#functions.get(functionId);
    if (known !== undefined) return known;
    const loading = this.#loading.get(functionId) ?? this.#load(functionId);
    this.#loading.set(functionId, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(functionId);
    }
  }

  /** Takes what the store says of a call into the function's count of open inputs. */
  noteCall(call: CallRecord): void {
    this.#functions.get(call.functionId)?.open.note(call);
  }

  /** Takes over what was updated of a function's scaling. */
  rescale(stored: StoredFunction): void {
    const live = this.#functions.get(stored.functionId);
    if (live !== undefined) live.spec = specInForce(stored);
  }

  /** Marks all functions of an app version as retired. */
  retire(appId: string): void {
    for (const live of this.#functions.values()) if (live.appId === appId) live.retired = true;
  }

  /** The functions of a version wait for no earlier one any more. */
  startAtOnce(appId: string): void {
    for (const live of this.#functions.values()) {
      if (live.appId === appId) live.waitsForOld = false;
    }
  }

  /** Drops a function that has nothing open and no container; its queue is closed. */
  async forget(functionId: string): Promise<void> {
    const live = this.#functions.get(functionId);
    if (live === undefined) return;
    this.#functions.delete(functionId);
    await this.#options.memory.write([live], true);
    await live.dispatcher.close();
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.all().map((live) => live.dispatcher.close()));
    this.#functions.clear();
  }

  /** Writes down what the functions have learned of their load. */
  async writeArrivals(isLast = false): Promise<void> {
    await this.#options.memory.write(this.all(), isLast);
  }

  async #load(functionId: string): Promise<LiveFunction | undefined> {
    const stored = await this.#options.store.registry.getFunction(functionId);
    if (stored === undefined) return undefined;
    const queue = this.#options.openQueue(functionId);
    const spec = specInForce(stored);
    const port = this.#options.portFor(functionId);
    const dispatcher = new FunctionDispatcher(queue, port, concurrencyOf(spec), spec.retries);
    const remembered = this.#predecessorOf(stored) ?? (await this.#options.memory.recall(stored));
    const live = liveFunctionOf(stored, spec, { ...remembered, dispatcher });
    live.image = await this.#imageOf(stored);
    this.#functions.set(functionId, live);
    return live;
  }

  async #imageOf({ spec, deployment }: StoredFunction): Promise<StoredImage | undefined> {
    if (spec.image === undefined) return undefined;
    return this.#options.store.images.find(deployment.workspaceId, spec.image);
  }

  /** An earlier version that is still here: both go on with one memory. */
  #predecessorOf({ name, deployment }: StoredFunction): Remembered | undefined {
    const { workspaceId, app, mode } = deployment;
    if (mode !== "deployed") return undefined;
    const predecessor = this.all().find(
      (live) =>
        live.mode === mode &&
        live.name === name &&
        live.app === app &&
        live.workspaceId === workspaceId,
    );
    if (predecessor === undefined) return undefined;
    // The memory alone: its queue and containers stay its own.
    const { arrivals, startupMs } = predecessor;
    return { arrivals, startupMs };
  }
}

const NO_PARAMS = new Uint8Array(0);

function concurrencyOf(spec: NormalSpec): InputConcurrency {
  const { targetConcurrentInputs: target, maxConcurrentInputs: max, singleUse } = spec;
  return { target, max, isSingleUse: singleUse };
}

function liveFunctionOf(
  stored: StoredFunction,
  spec: NormalSpec,
  parts: Pick<LiveFunction, "dispatcher" | "arrivals" | "startupMs">,
): LiveFunction {
  const needs = needsOf(spec);
  return {
    functionId: stored.functionId,
    name: stored.name,
    codeName: stored.variant?.base ?? stored.name,
    params: stored.variant?.params ?? NO_PARAMS,
    appId: stored.deployment.appId,
    app: stored.deployment.app,
    mode: stored.deployment.mode,
    workspaceId: stored.deployment.workspaceId,
    codeSha256: spec.python?.codeSha256 ?? stored.deployment.codeSha256,
    spec,
    needs,
    gpuCount: resourcesOf(needs).gpuCount,
    dispatcher: parts.dispatcher,
    arrivals: parts.arrivals,
    open: new OpenCalls(),
    retired: stored.deployment.state !== "running",
    version: stored.deployment.version,
    waitsForOld: stored.deployment.strategy === "recreate",
    startupMs: parts.startupMs,
    failedStarts: 0,
    mayLackJobs: false,
    pendingReason: undefined,
    image: undefined,
  };
}
