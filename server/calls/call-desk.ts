/** Builds the call side of the server: functions, their queues, and the service over them. */
import type { Clock } from "../../core/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { loadPayload } from "../blobs/payloads.ts";
import type { EventBus } from "../services.ts";
import type { ValueHeader } from "../../sandbox/index.ts";
import type { CallRecord, InputRef, RecordStore, StoredInput } from "../store/record-store.ts";
import { ArrivalMemory } from "./arrival-memory.ts";
import { LedgeredCalls } from "./call-service.ts";
import { CallWatch } from "./call-watch.ts";
import type { DispatcherPort } from "./dispatcher-port.ts";
import type { InputRange, RangeQueue } from "./function-queue.ts";
import { FunctionTable, type LiveFunction } from "./function-table.ts";
import { inputIdOf, inputRefOf, type LocalInput } from "./input.ts";
import { Streams, type StreamProgress } from "./streams.ts";
import { PayloadCache } from "./payload-cache.ts";
import { ResultRecorder } from "./result-recorder.ts";
import type { Settlement } from "./settlement.ts";

export interface CallDeskOptions {
  readonly store: RecordStore;
  readonly blobs: BlobStore;
  readonly openQueue: (functionId: string) => RangeQueue;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Where containers are reached. */
  readonly sendInputs: DispatcherPort["sendInputs"];
  readonly takeBack: DispatcherPort["takeBack"];
  readonly sendCredit: (containerId: string, inputId: string, progress: StreamProgress) => void;
  readonly onLoadChanged: () => void;
  /** Why calls of a function are not taken; absent: all are. */
  readonly refusalOf?: (live: LiveFunction) => string | undefined;
  /** Told of every result that became an input's one result, and the GPU time it used. */
  readonly onRecorded: (settlement: Settlement, gpuMs: number) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Cancelled calls remembered so that their queued inputs are not handed out. */
const CANCELLED_MAX = 10_000;

type Loaded = Omit<LocalInput, "lease" | "inputId">;

export class CallDesk {
  readonly functions: FunctionTable;
  /** What functions have learned of their load. */
  readonly arrivals: ArrivalMemory;
  readonly service: LedgeredCalls;
  readonly #options: CallDeskOptions;
  readonly #watch = new CallWatch();
  readonly #cache = new PayloadCache();
  readonly #cancelled = new Set<string>();
  readonly #recorder: ResultRecorder;
  readonly #streams: Streams;

  constructor(options: CallDeskOptions) {
    this.#options = options;
    const shared = { ...options, watch: this.#watch };
    this.#streams = new Streams({
      ...options,
      ledger: options.store.ledger,
      onStored: (callId) => this.#watch.notify(callId),
    });
    this.#recorder = new ResultRecorder({
      ...shared,
      ledger: options.store.ledger,
      onCall: (call) => {
        this.functions.noteCall(call);
        if (call.state !== "running") this.#streams.forget(call.callId);
      },
    });
    this.arrivals = new ArrivalMemory({ ...options, store: options.store.arrivals });
    this.functions = new FunctionTable({
      store: options.store,
      memory: this.arrivals,
      portFor: (functionId) => this.#portFor(functionId),
      openQueue: options.openQueue,
    });
    this.service = new LedgeredCalls({
      ...shared,
      functions: this.functions,
      cache: this.#cache,
      onCancelled: (callId) => {
        this.#noteCancelled(callId);
        this.#streams.forget(callId);
      },
      onRead: (call, cursor) => this.#noteRead(call, cursor),
    });
  }

  /** Reads inputs that an agent says it holds back from the ledger, without those finished. */
  async loadHeld(inputIds: readonly string[]): Promise<readonly LocalInput[]> {
    const refs = inputIds.flatMap((inputId) => inputRefOf(inputId) ?? []);
    const loaded = await this.#loadFromLedger(refs);
    return loaded.map((input) => ({ ...input, inputId: inputIdOf(input), lease: undefined }));
  }

  /** Values that a generator in a container yielded; those of inputs it does not hold are dropped. */
  async yielded(
    { dispatcher }: LiveFunction,
    containerId: string,
    value: ValueHeader,
    payload: Uint8Array,
  ): Promise<void> {
    const { inputId, sequence } = value;
    const input = dispatcher.slots.heldBy(containerId, inputId);
    if (input?.stream === undefined) return;
    const progress = await this.#streams.append(input, sequence, [payload]);
    this.#options.sendCredit(containerId, inputId, progress);
  }

  /**
   * The reader of a generator's values is here: the generator may come on. Said at every look,
   * since what was said while a link was broken is lost.
   */
  #noteRead({ callId, functionId }: CallRecord, cursor: number): void {
    this.#streams.read(callId, cursor);
    const inputId = inputIdOf({ callId, index: 0 });
    const containerId = this.functions.peek(functionId)?.dispatcher.slots.holderOf(inputId);
    if (containerId === undefined) return;
    this.#options.sendCredit(containerId, inputId, { stored: cursor, consumed: cursor });
  }

  /** Ends waits and gives back what is unfinished. */
  async close(): Promise<void> {
    this.#watch.notifyAll();
    this.#streams.close();
    this.#recorder.close();
    await this.functions.writeArrivals(true);
    await this.functions.close();
  }

  #portFor(functionId: string): DispatcherPort {
    const { store, clock, sendInputs, takeBack, onLoadChanged, onError } = this.#options;
    return {
      sendInputs,
      takeBack,
      onLoadChanged,
      onError,
      loadOpen: (range) => this.#loadOpen(range),
      noteAttempts: (inputs, containerId) => {
        store.ledger
          .recordAttempts(inputs, containerId, clock.nowMs())
          .catch((error: unknown) => onError(error, `noting attempts in ${containerId}`));
      },
      excuseAttempts: (inputs, containerId) => {
        store.ledger
          .excuseAttempts(inputs, containerId)
          .catch((error: unknown) => onError(error, `excusing attempts in ${containerId}`));
      },
      noteFailures: (inputs) => {
        store.ledger
          .noteFailures(inputs)
          .catch((error: unknown) => onError(error, `noting failures of ${functionId}`));
      },
      record: async (settlements) => {
        // A reader that sees the end has seen every value before it.
        await this.#streams.settled(settlements.map(({ input }) => input.callId));
        await this.#recorder.record(settlements, (settlement) => {
          const gpuCount = this.functions.peek(functionId)?.gpuCount ?? 0;
          this.#options.onRecorded(settlement, settlement.busyMs * gpuCount);
        });
      },
      nowMs: () => clock.nowMs(),
    };
  }

  async #loadOpen(range: InputRange): Promise<readonly Loaded[]> {
    if (this.#cancelled.has(range.callId)) return [];
    const found: Loaded[] = [];
    const missing: InputRef[] = [];
    for (let index = range.from; index < range.to; index += 1) {
      const ref = { callId: range.callId, index };
      const payload = this.#cache.take(ref);
      if (payload === undefined) missing.push(ref);
      else
        found.push({
          ...ref,
          payload,
          attempts: 0,
          excusedAttempts: 0,
          failures: 0,
          suspect: false,
        });
    }
    if (missing.length === 0) return found;
    const loaded = await this.#loadFromLedger(missing);
    // It may have been cancelled meanwhile.
    if (this.#cancelled.has(range.callId)) return [];
    return [...found, ...loaded].sort((a, b) => a.index - b.index);
  }

  async #loadFromLedger(refs: readonly InputRef[]): Promise<readonly Loaded[]> {
    const { store, blobs } = this.#options;
    const stored = await store.ledger.loadInputs(refs);
    const open = stored.filter((input) => !input.finished);
    return Promise.all(open.map((input) => loadedOf(blobs, input)));
  }

  #noteCancelled(callId: string): void {
    this.#cancelled.add(callId);
    const [oldest] = this.#cancelled;
    if (this.#cancelled.size > CANCELLED_MAX && oldest !== undefined) {
      this.#cancelled.delete(oldest);
    }
  }
}

async function loadedOf(blobs: BlobStore, input: StoredInput): Promise<Loaded> {
  const { callId, index, attempts, excusedAttempts, failures = 0, valueCount } = input;
  const payload = await loadPayload(blobs, input.payload);
  const counts = { attempts, excusedAttempts, failures };
  const loaded = { callId, index, ...counts, suspect: false, payload };
  return valueCount === undefined ? loaded : { ...loaded, stream: { valueCount } };
}
