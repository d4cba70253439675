/**
 * The record store: the truth about everything that must survive.
 *
 * Small ports over one database. Adapters: `sqlite/` (embedded); PostgreSQL is to be a second.
 * All pass `conformance.ts`. Writes that are asked for in one turn of the event loop may share
 * one transaction; a promise resolves only after its own write is durable against a crash of
 * this process. Methods reject with `PlatformError` (`unavailable`) when the database cannot
 * be reached.
 */
import type {
  DeployedFunction,
  DeployStrategy,
  InputOutcome,
  ScalingUpdate,
  WireError,
} from "../../sdk/protocol/index.ts";
import type { MicroUsd, Node } from "../../core/index.ts";
import type { ChunkRecords } from "../../sandbox/index.ts";
import type { MachineTraces, MemoryChanges, MemoryEntry, RentBatch } from "../../pool/index.ts";
import type { OfferRecord } from "../fleet/observed/offer-record.ts";
import type { BlobRecords } from "./blob-records.ts";
import type { Fence, FunctionKey } from "./keys.ts";
import type { ScheduleRuns, ScheduleStore } from "./schedule-store.ts";
import type { VolumeHoldStore, VolumeStore, VolumeVersionStore } from "./volume-store.ts";
import type { TokenStore } from "./token-store.ts";
import type { UsageStore } from "./usage-store.ts";
import type { BlobOwners, WorkspaceStore } from "./workspace-store.ts";
import type { ArrivalHistory } from "../../scheduler/index.ts";

export type { Fence, FunctionKey } from "./keys.ts";
export type { StoredToken, TokenStore } from "./token-store.ts";

export interface RecordStore {
  readonly registry: Registry;
  readonly tokens: TokenStore;
  readonly workspaces: WorkspaceStore;
  readonly blobOwners: BlobOwners;
  readonly blobs: BlobRecords;
  readonly usage: UsageStore;
  readonly ledger: CallLedger;
  readonly calls: CallReader;
  readonly arrivals: ArrivalStore;
  readonly nodes: NodeLedger;
  readonly plans: PlanLog;
  readonly poolEvents: PoolEventLog;
  readonly poolMemory: PoolMemoryStore;
  readonly fences: FenceStore;
  readonly offers: OfferRecords;
  readonly images: ImageStore;
  /** Who stores and who removes chunks, for the store of chunks of this name. */
  readonly chunkRecords: (name: ChunkStoreName) => ChunkRecords;
  readonly secrets: SecretStore;
  readonly volumes: VolumeStore;
  readonly volumeVersions: VolumeVersionStore;
  readonly volumeHolds: VolumeHoldStore;
  readonly schedules: ScheduleStore;
  readonly scheduleRuns: ScheduleRuns;
  close(): Promise<void>;
}

// ---------------------------------------------------------------- registry

export interface NewDeployment {
  readonly appId: string;
  readonly workspaceId: string;
  readonly app: string;
  readonly mode: "deployed" | "ephemeral";
  readonly codeSha256: string;
  readonly functions: readonly (DeployedFunction & { readonly functionId: string })[];
  readonly createdAtMs: number;
  /** The token it came with; absent for deployments from before this was kept. */
  readonly tokenId?: string;
  /** `rolling` when absent. */
  readonly strategy?: DeployStrategy;
  /** The version that a rollback took its code and specs from. */
  readonly rollbackOf?: number;
}

export interface StoredDeployment extends NewDeployment {
  readonly functions: readonly (NewDeployment["functions"][number] & UpdatedFunction)[];
  /** Counts up from 1 per (workspace, app) for deployed apps; 0 for ephemeral ones. */
  readonly version: number;
  readonly state: "running" | "stopped";
  readonly leaseRenewedAtMs: number;
}

/** What was changed of a function since it was deployed, and what it is a variant of. */
export interface UpdatedFunction {
  /** Absent: nothing. */
  readonly scaling?: ScalingUpdate;
  /** Absent: it was deployed itself. */
  readonly variant?: StoredVariant;
}

/** The same code as another function of its deployment, with other options or parameters. */
export interface StoredVariant {
  /** Name of the function as it is in the code. */
  readonly base: string;
  /** The payload of its parameters; empty without any. */
  readonly params: Uint8Array;
}

export interface NewVariant {
  readonly baseFunctionId: string;
  readonly functionId: string;
  readonly name: string;
  readonly spec: DeployedFunction["spec"];
  readonly params: Uint8Array;
}

export type VariantOutcome =
  /** Added now, or known by its name before. */
  | { readonly kind: "found"; readonly functionId: string }
  /** There is no such function, or it runs no more. */
  | { readonly kind: "not_found" }
  /** Its deployment has as many as it may have. */
  | { readonly kind: "full" };

/** Variants that one deployment may have. */
export const VARIANTS_MAX = 1_000;

export interface StoredFunction extends DeployedFunction, UpdatedFunction {
  readonly functionId: string;
  readonly deployment: Omit<StoredDeployment, "functions">;
}

/** Apps and their versions. At most one deployed version of an app is running. */
export interface Registry {
  /**
   * Adds a deployment; a deployed one replaces (stops) the app's running deployed version.
   *
   * @throws PlatformError `not_found`, with nothing written, when its workspace was deleted.
   */
  deploy(deployment: NewDeployment): Promise<StoredDeployment>;
  /** The function of the running deployed version, by names. */
  findFunction(workspaceId: string, app: string, name: string): Promise<StoredFunction | undefined>;
  /** A function of any version, running or not. */
  getFunction(functionId: string): Promise<StoredFunction | undefined>;
  /**
   * Replaces what was updated of a function's scaling; false when the function is of no running
   * deployment. A new deployment has functions of its own, so it begins without.
   */
  setScaling(functionId: string, scaling: ScalingUpdate): Promise<boolean>;
  /** Adds a variant of a function of a running deployment, unless one of this name is there. */
  addVariant(variant: NewVariant): Promise<VariantOutcome>;
  /** All deployments, newest first. */
  list(workspaceId: string): Promise<readonly StoredDeployment[]>;
  /** Makes a deployment that was to wait for its predecessor's end a rolling one. */
  startAtOnce(appId: string): Promise<void>;
  /** Ends a deployment; false when it was not running. */
  stop(appId: string, nowMs: number): Promise<boolean>;
  /** Keeps an ephemeral deployment alive; false when it is not running. */
  renewLease(appId: string, nowMs: number): Promise<boolean>;
}

// ---------------------------------------------------------------- calls

/** Bytes kept beside their row, or in the blob store by hash when they are many. */
export type StoredPayload = (
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "blob"; readonly sha256: string; readonly byteCount: number }
) & {
  /** Blobs that its bytes name, which are kept while its call is; not given back when it is read. */
  readonly chunks?: readonly string[];
};

export interface CallRecord {
  readonly callId: string;
  readonly workspaceId: string;
  readonly functionId: string;
  readonly appId: string;
  readonly kind: "single" | "map";
  readonly state: "running" | "finished" | "cancelled";
  readonly inputCount: number;
  readonly finishedCount: number;
  readonly failedCount: number;
  readonly final: boolean;
  readonly createdAtMs: number;
  /** When what has no result fails; absent: never. */
  readonly deadlineAtMs?: number;
  /** Of a single call of a generator: its values are kept as they are yielded. */
  readonly stream?: boolean;
}

export interface AcceptInputs {
  readonly call: Pick<
    CallRecord,
    | "callId"
    | "workspaceId"
    | "functionId"
    | "appId"
    | "kind"
    | "createdAtMs"
    | "deadlineAtMs"
    | "stream"
  >;
  /** `create` makes the call when it is new; `append` needs it to exist. */
  readonly mode: "create" | "append";
  readonly startIndex: number;
  readonly payloads: readonly StoredPayload[];
  readonly final: boolean;
  /** Now; also when the call ended, if all its inputs had their results already. */
  readonly acceptedAtMs: number;
}

export type AcceptOutcome =
  /** `freshFrom`: inputs from this index on are new; earlier ones were known already. */
  | { readonly kind: "accepted"; readonly call: CallRecord; readonly freshFrom: number }
  | { readonly kind: "not_found" }
  /** The call is another function's, closed for inputs, or the range leaves a hole. */
  | { readonly kind: "conflict"; readonly reason: string };

/** One input of a call; the pair is its identity. */
export interface InputRef {
  readonly callId: string;
  readonly index: number;
}

export interface StoredInput extends InputRef {
  readonly payload: StoredPayload;
  readonly attempts: number;
  /** Those of the attempts whose containers the platform itself ended. */
  readonly excusedAttempts: number;
  readonly finished: boolean;
  /** Those of the attempts that failed and were tried again; absent without any. */
  readonly failures?: number;
  /** Of a call whose values are read as they are yielded: how many there are. */
  readonly valueCount?: number;
}

export interface OpenInput extends InputRef {
  readonly functionId: string;
  readonly attempts: number;
}

export interface NewResult extends InputRef {
  readonly outcome: InputOutcome;
  readonly payload?: StoredPayload;
  readonly error?: WireError;
  readonly runMs: number;
  readonly containerId?: string;
  readonly finishedAtMs: number;
}

export interface StoredResult extends NewResult {
  readonly attempts: number;
}

export interface RecordOutcome {
  /** Per result, in order: false when the input already had one (the first one stays). */
  readonly recorded: readonly boolean[];
  /** The calls touched, as they are now; each once. */
  readonly calls: readonly CallRecord[];
}

/** The attempt ledger: what was accepted, what was tried, and the one result of each input. */
export interface CallLedger {
  /** Idempotent: sending a range again (same call, same indexes) changes nothing. */
  acceptInputs(accept: AcceptInputs): Promise<AcceptOutcome>;
  /** Notes that inputs are being handed to a container; counts their attempts. */
  recordAttempts(
    inputs: readonly InputRef[],
    containerId: string,
    startedAtMs: number,
  ): Promise<void>;
  /** Notes that the platform itself ended these inputs' attempts in a container. */
  excuseAttempts(inputs: readonly InputRef[], containerId: string): Promise<void>;
  /**
   * Adds values that a generator yielded, the first of them at position `from`. Each position is
   * taken once, and none beyond a gap or of a call that has ended; gives how many there are then.
   */
  appendValues(callId: string, from: number, payloads: readonly StoredPayload[]): Promise<number>;
  /** Notes that the latest attempts of these inputs failed and are excused: they run again. */
  noteFailures(inputs: readonly InputRef[]): Promise<void>;
  /** Records results; the first one of an input wins for ever. */
  recordResults(results: readonly NewResult[]): Promise<RecordOutcome>;
  /**
   * Gives every unfinished input of a call the outcome `cancelled`, for `error` when there is
   * one, and closes the call.
   */
  cancelCall(callId: string, nowMs: number, error?: WireError): Promise<CallRecord | undefined>;
  /** Payloads and attempts of inputs, in the order asked; unknown ones are left out. */
  loadInputs(inputs: readonly InputRef[]): Promise<readonly StoredInput[]>;
  /** Unfinished inputs after `after` in (callId, index) order: what a lost queue is rebuilt from. */
  openInputs(after: InputRef | undefined, limit: number): Promise<readonly OpenInput[]>;
}

/** Which calls go. */
export interface CallExpiry {
  readonly beforeMs: number;
  /** When their blobs were needed last. */
  readonly nowMs: number;
  readonly limit: number;
}

export interface CallReader {
  get(callId: string): Promise<CallRecord | undefined>;
  /**
   * Results in the order recorded, after `cursor` (0 at first). Cursors are consecutive within
   * a call: the result after cursor `c` has cursor `c + 1`.
   */
  results(
    callId: string,
    cursor: number,
    limit: number,
  ): Promise<{ readonly results: readonly StoredResult[]; readonly nextCursor: number }>;
  /** Values of a generator from position `cursor` on, in order. */
  values(callId: string, cursor: number, limit: number): Promise<readonly StoredPayload[]>;
  /** Removes calls that ended before `beforeMs`, at most `limit`; gives how many. */
  expire(expiry: CallExpiry): Promise<number>;
}

// ---------------------------------------------------------------- arrivals

/** When a function was called, and how long a container of it takes to start. */
export interface StoredArrivals extends FunctionKey {
  /** When this was written; the counts end with that second. */
  readonly atMs: number;
  /** Its counts may lack zeros in front. */
  readonly history: ArrivalHistory;
  /** Moving average of a start; absent until one has succeeded. */
  readonly startupMs?: number;
}

/** A bounded memory of the functions that were called last; losing it costs a few late starts. */
export interface ArrivalStore {
  /** Inserts or replaces by function; the functions called longest ago make room. */
  put(arrivals: StoredArrivals): Promise<void>;
  get(key: FunctionKey): Promise<StoredArrivals | undefined>;
}

// ---------------------------------------------------------------- nodes and plans

/** A node with its bill: paid from launch to release, used while containers held its GPUs. */
export interface StoredNode {
  readonly node: Node;
  /** Idempotency token of its batch, written before the provider is called. */
  readonly clientToken: string;
  /** The request it is part of, until it is known which machine came of it. */
  readonly batch?: RentBatch;
  /** When its machine joined with the token of its batch; it may not join so again. */
  readonly joinedAtMs?: number;
  /** When whatever is on it must have left it, as an operator said. */
  readonly drainByMs?: number;
  readonly reason: string;
  readonly requestedAtMs: number;
  /** Set once the provider says the machine runs; billing starts here. */
  readonly launchedAtMs?: number;
  /** Set once it is released; never billed after. */
  readonly terminatedAtMs?: number;
  readonly gpuMsUsed: number;
}

export interface UsageTotals {
  readonly gpuMsPaid: number;
  readonly gpuMsUsed: number;
  readonly costMicroUsd: MicroUsd;
}

export interface NodeLedger {
  /** Inserts or replaces by `nodeId`: all of the nodes, or none. */
  put(...nodes: readonly StoredNode[]): Promise<void>;
  /**
   * As `put`, for the holder of a fence.
   *
   * @throws PlatformError `conflict`, with nothing written, when a higher token was claimed.
   */
  putFenced(fence: Fence, ...nodes: readonly StoredNode[]): Promise<void>;
  get(nodeId: string): Promise<StoredNode | undefined>;
  /** Nodes not yet terminated, oldest first. */
  listOpen(): Promise<readonly StoredNode[]>;
  /** Nodes, terminated ones included, that have any of these; oldest first, each once. */
  findByMachine(traces: MachineTraces): Promise<readonly StoredNode[]>;
  /** Adds GPU time that containers used on a node. */
  addGpuUse(nodeId: string, gpuMs: number): Promise<void>;
  /** Sums over all nodes up to `nowMs`. */
  totals(nowMs: number): Promise<UsageTotals>;
  /**
   * What all nodes cost in a time, in whole micro-dollars. Times that follow each other add up
   * to the whole: each is the difference of two bills.
   */
  spend(fromMs: number, toMs: number): Promise<MicroUsd>;
  /** When the first machine was launched; undefined before that. */
  firstLaunchedAtMs(): Promise<number | undefined>;
}

export interface FenceStore {
  /**
   * Notes a holder: from then on those before it are refused.
   *
   * @throws PlatformError `conflict` when a higher token was claimed.
   */
  claim(fence: Fence): Promise<void>;
  /** The highest token claimed so far; 0 at first. */
  current(name: string): Promise<number>;
}

/** Something that happened to the rented fleet, and why. */
export interface NewPoolEvent {
  readonly atMs: number;
  /** Such as `requested`, `refused`, `releasing`. */
  readonly kind: string;
  readonly nodeId?: string;
  readonly cloud?: string;
  readonly offerId?: string;
  readonly providerNodeId?: string;
  readonly reason: string;
}

export interface StoredPoolEvent extends NewPoolEvent {
  /** Counts up; orders the events. */
  readonly sequence: number;
}

export interface PoolEventQuery {
  readonly nodeId?: string;
  /** Only events before this one. */
  readonly beforeSequence?: number;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** Events of the pool; a bounded number of them, and none for ever. */
export interface PoolEventLog {
  append(events: readonly NewPoolEvent[]): Promise<void>;
  /** Newest first. */
  list(query: PoolEventQuery): Promise<readonly StoredPoolEvent[]>;
}

/** Events kept, and for how long. */
export const POOL_EVENTS_KEPT = 100_000;
export const POOL_EVENTS_KEPT_MS = 90 * 24 * 3_600_000;

/** What the pool remembers beside its nodes; a bounded number of entries, and none for ever. */
export interface PoolMemoryStore {
  /**
   * Removes entries, then inserts or replaces by kind and key, for the holder of a fence: all of
   * it, or nothing.
   *
   * @throws PlatformError `conflict`, with nothing written, when a higher token was claimed.
   */
  change(fence: Fence, changes: MemoryChanges): Promise<void>;
  /** All entries, by kind and key in ascending order. */
  list(): Promise<readonly MemoryEntry[]>;
}

/** Entries kept, those of the latest `atMs`, and for how long after the newest that was put. */
export const POOL_MEMORY_KEPT = 10_000;
export const POOL_MEMORY_KEPT_MS = 30 * 24 * 3_600_000;

export interface StoredPlan {
  readonly planId: string;
  readonly atMs: number;
  /** JSON of the plan with its reasons. */
  readonly plan: unknown;
}

export interface PlanLog {
  append(plan: StoredPlan): Promise<void>;
  latest(): Promise<StoredPlan | undefined>;
}

// ---------------------------------------------------------------- offers

/** What was seen of offers: launches, boots, reclaims. */
export interface OfferRecords {
  /** Inserts or replaces by key: all of the records, or none. */
  put(records: readonly OfferRecord[]): Promise<void>;
  /** All records, by key in ascending order. */
  list(): Promise<readonly OfferRecord[]>;
}

// ---------------------------------------------------------------- images

/** An image that was built for a workspace; its bytes are with whoever built it. */
export interface StoredImage {
  readonly imageId: string;
  readonly workspaceId: string;
  /** The base and the steps in words, in order. */
  readonly steps: readonly string[];
  /** Keys of its layers, the base first. */
  readonly layerKeys: readonly string[];
  /** What its functions get of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly byteCount: number;
  /** Name of its files' index among the chunks; absent when they were never stored there. */
  readonly contentId?: string;
  /** It was made of files that nothing can make again: it goes only when it is asked to. */
  readonly isKept?: boolean;
  readonly createdAtMs: number;
  readonly usedAtMs: number;
}

/** The stores of chunks that a platform has: of images and volumes, and of memory. */
export type ChunkStoreName = "chunks" | "memory-chunks";

export interface ImageStore {
  /**
   * Inserts or replaces by workspace and id; when it was created stays what it was first.
   *
   * @param leaseId The lease under which its files were stored, which must be held.
   * @throws LeaseEndedError, with nothing put, when it has ended
   */
  put(image: StoredImage, leaseId?: string): Promise<void>;
  /** The same of one whose files another record has, or its own; false when none has. */
  putShared(image: StoredImage): Promise<boolean>;
  find(workspaceId: string, imageId: string): Promise<StoredImage | undefined>;
  /** All images of all workspaces, those used last first. */
  list(): Promise<readonly StoredImage[]>;
  /** False when there was none. */
  remove(workspaceId: string, imageId: string): Promise<boolean>;
  /**
   * Keeps what starts read with each of the workspace's images that have this content, until an
   * image has another content; where there is none, nothing is kept.
   */
  putReads(workspaceId: string, contentId: string, reads: Uint8Array): Promise<void>;
  /** What starts of a content read, as it was kept last; undefined when nothing was. */
  reads(workspaceId: string, contentId: string): Promise<Uint8Array | undefined>;
}

// ---------------------------------------------------------------- secrets

/** A secret as it is kept: its values are encrypted (`server/secrets/envelope.ts`). */
export interface StoredSecret {
  readonly workspaceId: string;
  readonly name: string;
  /** Counts up from 1. */
  readonly version: number;
  /** The key under which `wrappedKey` is. */
  readonly keyId: string;
  /** The data key, encrypted. */
  readonly wrappedKey: Uint8Array;
  /** By variable, in ascending order. */
  readonly values: readonly { readonly key: string; readonly sealed: Uint8Array }[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface SecretStore {
  /** Writes a version if the one before it is in force (none before 1); false when it is not. */
  put(secret: StoredSecret): Promise<boolean>;
  find(workspaceId: string, name: string): Promise<StoredSecret | undefined>;
  /** All secrets of one workspace, or of all, by workspace and name in ascending order. */
  list(workspaceId?: string): Promise<readonly StoredSecret[]>;
  /** False when there was none. */
  remove(workspaceId: string, name: string): Promise<boolean>;
  /**
   * Replaces the encrypted data keys of these versions: of all of them, or of none.
   *
   * @throws PlatformError `conflict`, with nothing written, when one is not in force any more.
   */
  rewrap(secrets: readonly Omit<StoredSecret, "values">[]): Promise<void>;
}
