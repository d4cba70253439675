/** Builds the call side of the server: functions, their queues, and the service over them. */
import type { Redis } from "ioredis";
import type { Clock } from "../../core/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { loadPayload } from "../blobs/payloads.ts";
import type { CallService, EventBus } from "../services.ts";
import type { InputRef, RecordStore, StoredInput } from "../store/record-store.ts";
import { createCallService } from "./call-service.ts";
import { CallWatch } from "./call-watch.ts";
import type { DispatcherPort, Settlement } from "./function-dispatcher.ts";
import { FunctionQueue, type InputRange } from "./function-queue.ts";
import { FunctionTable } from "./function-table.ts";
import { inputIdOf, inputRefOf, type LocalInput } from "./input.ts";
import { PayloadCache } from "./payload-cache.ts";
import { ResultRecorder } from "./result-recorder.ts";

export interface CallDeskOptions {
  readonly store: RecordStore;
  readonly blobs: BlobStore;
  readonly redis: Redis;
  readonly queuePrefix: string;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Where containers are reached. */
  readonly sendInputs: DispatcherPort["sendInputs"];
  readonly takeBack: DispatcherPort["takeBack"];
  readonly onLoadChanged: () => void;
  /** Told of every result that became an input's one result, and the GPU time it used. */
  readonly onRecorded: (settlement: Settlement, gpuMs: number) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

export interface CallDesk {
  readonly functions: FunctionTable;
  readonly service: CallService;
  /** Reads inputs that an agent says it holds back from the ledger, without those finished. */
  loadHeld(inputIds: readonly string[]): Promise<readonly LocalInput[]>;
  /** Ends waits and gives back what is unfinished. */
  close(): Promise<void>;
}

/** Cancelled calls remembered so that their queued inputs are not handed out. */
const CANCELLED_MAX = 10_000;

export function createCallDesk(options: CallDeskOptions): CallDesk {
  const { store, blobs, clock, onError } = options;
  const watch = new CallWatch();
  const cache = new PayloadCache();
  const cancelled = new Set<string>();

  const recorder = new ResultRecorder({
    ledger: store.ledger,
    blobs,
    watch,
    events: options.events,
    clock,
    onCall: (call) => functions.noteCall(call),
    onError,
  });

  const loadFromLedger = async (refs: readonly InputRef[]): Promise<readonly Loaded[]> => {
    const stored = await store.ledger.loadInputs(refs);
    const open = stored.filter((input) => !input.finished);
    return Promise.all(open.map((input) => loadedOf(blobs, input)));
  };

  const loadOpen = async (range: InputRange): Promise<readonly Loaded[]> => {
    if (cancelled.has(range.callId)) return [];
    const found: Loaded[] = [];
    const missing: InputRef[] = [];
    for (let index = range.from; index < range.to; index += 1) {
      const ref = { callId: range.callId, index };
      const payload = cache.take(ref);
      if (payload === undefined) missing.push(ref);
      else found.push({ ...ref, payload, attempts: 0, suspect: false });
    }
    if (missing.length === 0) return found;
    return [...found, ...(await loadFromLedger(missing))].sort((a, b) => a.index - b.index);
  };

  const portFor = (functionId: string): DispatcherPort => ({
    sendInputs: options.sendInputs,
    takeBack: options.takeBack,
    loadOpen,
    noteAttempts: (inputs, containerId) => {
      store.ledger
        .recordAttempts(inputs, containerId, clock.nowMs())
        .catch((error: unknown) => onError(error, `noting attempts in ${containerId}`));
    },
    record: (settlements) =>
      recorder.record(settlements, (settlement) => {
        const gpuCount = functions.peek(functionId)?.gpuCount ?? 0;
        options.onRecorded(settlement, settlement.runMs * gpuCount);
      }),
    onLoadChanged: options.onLoadChanged,
    onError,
    nowMs: () => clock.nowMs(),
  });

  const functions = new FunctionTable({
    store,
    portFor,
    openQueue: (functionId) =>
      new FunctionQueue({
        functionId,
        connection: options.redis,
        prefix: options.queuePrefix,
        onError: (error) => onError(error, `reaching the queue of ${functionId}`),
      }),
  });

  const service = createCallService({
    store,
    blobs,
    functions,
    watch,
    cache,
    events: options.events,
    clock,
    onLoadChanged: options.onLoadChanged,
    onCancelled: (callId) => {
      cancelled.add(callId);
      const [oldest] = cancelled;
      if (cancelled.size > CANCELLED_MAX && oldest !== undefined) cancelled.delete(oldest);
    },
    onError,
  });

  return {
    functions,
    service,
    loadHeld: async (inputIds) => {
      const refs = inputIds.flatMap((inputId) => inputRefOf(inputId) ?? []);
      const loaded = await loadFromLedger(refs);
      return loaded.map((input) => ({ ...input, inputId: inputIdOf(input), lease: undefined }));
    },
    close: async () => {
      watch.notifyAll();
      recorder.close();
      await functions.close();
    },
  };
}

type Loaded = Omit<LocalInput, "lease" | "inputId">;

async function loadedOf(blobs: BlobStore, input: StoredInput): Promise<Loaded> {
  const { callId, index, attempts } = input;
  return {
    callId,
    index,
    attempts,
    suspect: false,
    payload: await loadPayload(blobs, input.payload),
  };
}
