/** The platform behind the routes, in memory, for tests of the HTTP server. */
import { createHash } from "node:crypto";
import { countingIds, PlatformError, type IdSource } from "../../core/index.ts";
import type {
  CallStatus,
  CreateCallHeader,
  PlanSummary,
  PlatformEvent,
  TokenScope,
} from "../../sdk/protocol/index.ts";
import { createAppService } from "../apps/app-service.ts";
import { createFunctionService } from "../apps/function-service.ts";
import { createFakeRegistry } from "../apps/fake-registry.ts";
import { createToken } from "../auth/tokens.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { SharedEvent } from "../events/shared-event.ts";
import { operatorKeyOf } from "../secrets/envelope.ts";
import { SecretVault } from "../secrets/secret-vault.ts";
import { openFakeVolumes } from "../volumes/fake-volumes.ts";
import type {
  EventFilter,
  FleetService,
  ImageService,
  SandboxImageService,
  ResultsPage,
  Services,
} from "../services.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { RecordStore, StoredToken, TokenStore } from "../store/record-store.ts";
import { createIdSource } from "../ids.ts";
import { systemClock } from "../system-clock.ts";
import { catalogRates } from "../usage/rates.ts";
import { createUsageService } from "../usage/usage-service.ts";
import { createTokenService } from "../workspaces/token-service.ts";
import { createWorkspaceService } from "../workspaces/workspace-service.ts";
import { createFakeSchedules } from "./fake-schedules.ts";
import { createFakePool } from "./fake-pool.ts";
import { createFakeShells } from "./fake-shells.ts";
import { createFakeGateway } from "./fake-web.ts";
import type { HttpServerOptions } from "./server.ts";

/** The one container of the fake fleet; its workspace is "main". */
export const FAKE_CONTAINER = "co_1";
const NO_IMAGES = { find: () => Promise.resolve(undefined) };

const FAKE_AGENTS: Services["agents"] = {
  handleUpgrade: (_request, socket) =>
    socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"),
};

const NO_LOAD = { functionLoad: () => ({ backlog: 0, containers: 0 }) };

const PLAN: PlanSummary = {
  planId: "pl_1",
  atMs: 1,
  status: "optimal",
  solver: "highs",
  solveMs: 2,
  offersConsidered: 3,
  objectiveUsdPerHour: 4,
  boundUsdPerHour: 4,
  gapFraction: 0,
  terms: { rent: 4 },
  lines: [],
  unmet: [],
};

/** What a test may see and change of the fake platform. */
export interface FakePlatform {
  readonly options: HttpServerOptions;
  readonly blobs: Map<string, Uint8Array>;
  readonly chunks: Map<string, Uint8Array>;
  /** Events that every reader gets; a reader ends after them unless `holdEvents`. */
  events: PlatformEvent[];
  holdEvents: boolean;
  /** Filters and resume points that readers asked with. */
  readonly reads: { readonly filter: EventFilter; readonly after: string | undefined }[];
  plan: PlanSummary | undefined;
  /** Calls wait until their signal aborts. */
  holdCalls: boolean;
  /** Thrown by the next call of anything in `calls`. */
  failure: Error | undefined;
  /** Number of requests now waiting. */
  waiting: number;
  readonly userToken: string;
  readonly agentToken: string;
  readonly joinToken: string;
  /** An admin's of another workspace. */
  readonly strangerToken: string;
  /** A token of a user with these scopes. */
  readonly tokenWith: (...scopes: readonly TokenScope[]) => Promise<string>;
}

/** A fake platform with one token of each kind. */
export async function createFakePlatform(): Promise<FakePlatform> {
  const ids = countingIds();
  const systemIds = createIdSource(systemClock);
  const records = await openFakeRecords();
  const { tokens, workspaces, blobOwners } = records;
  const registry = createFakeRegistry();
  const blobs = new Map<string, Uint8Array>();
  const blobStore = createFakeBlobs(blobs);
  const chunks = new Map<string, Uint8Array>();
  const tokenOf = makerOfTokens(tokens, ids);
  const state: Omit<FakePlatform, "options"> = {
    blobs,
    chunks,
    events: [],
    holdEvents: false,
    reads: [],
    plan: PLAN,
    holdCalls: false,
    failure: undefined,
    waiting: 0,
    userToken: await tokenOf({}),
    agentToken: await tokenOf({ kind: "agent" }),
    joinToken: await tokenOf({ kind: "join" }),
    strangerToken: await tokenOf({ workspaceId: "other", scopes: ["admin"] }),
    tokenWith: async (...scopes) => tokenOf({ scopes }),
  };
  const { volumes } = openFakeVolumes({ store: records, ids, clock: systemClock });
  const secrets = openFakeVault(records);
  const store = { registry, tokens, workspaces, blobOwners };
  const apps = createAppService({
    secrets,
    volumes,
    ...{ ids, clock: systemClock, blobs: blobStore, fleet: NO_LOAD },
    store: { ...store, images: NO_IMAGES },
    workspaceIds: [],
    onDeployed: () => undefined,
    onStopped: () => undefined,
  });
  const services: Services = {
    calls: createFakeCalls(state),
    secrets,
    volumes,
    apps,
    workspaces: createWorkspaceService({ store, apps, clock: systemClock, ids: systemIds }),
    tokens: createTokenService({ store, clock: systemClock, ids: systemIds }),
    usage: createFakeUsage(records),
    functions: createFunctionService({
      ids,
      store: { registry },
      fleet: NO_LOAD,
      onScaled: () => Promise.resolve(),
    }),
    schedules: createFakeSchedules(),
    ...{ images: createFakeImages(), sandboxImages: createFakeSandboxImages() },
    chunks: { get: (chunkId) => Promise.resolve(chunks.get(chunkId)) },
    ...createFakeShelves(),
    fleet: createFakeFleet(state),
    pool: createFakePool(),
    events: createFakeEvents(state),
    agents: FAKE_AGENTS,
    ...createFakeGateway(),
    shells: createFakeShells(),
    agentFiles: { find: () => Promise.resolve(undefined) },
  };
  const kept = { store, blobs: blobStore, payloadBlobs: blobStore, clock: systemClock };
  const options = { services, ...kept, ids, version: "1.2.3" };
  return Object.assign(state, { options });
}

function openFakeVault(store: RecordStore): SecretVault {
  const key = operatorKeyOf(new Uint8Array(32).fill(7));
  return new SecretVault({ store, key: { kind: "key", key }, clock: systemClock });
}

function createFakeUsage(store: RecordStore): Services["usage"] {
  const onQuotasChanged = (): Promise<void> => Promise.resolve();
  return createUsageService({ store, clock: systemClock, rates: catalogRates(), onQuotasChanged });
}

/** Makes tokens, of users of `main` who may do everything unless told otherwise. */
function makerOfTokens(tokens: TokenStore, ids: IdSource) {
  return async (token: Partial<StoredToken>): Promise<string> => {
    const { kind = "user", workspaceId = "main", scopes = ["operator"] } = token;
    const isUsers = kind === "user" ? { scopes } : { nodeId: "no_1" };
    const sent = { kind, workspaceId, name: kind, ...isUsers };
    return (await createToken(tokens, sent, { clock: systemClock, ids })).token;
  };
}

/** With the workspaces `main` and `other`. */
async function openFakeRecords(): Promise<RecordStore> {
  const records = openRecordStore(":memory:");
  for (const workspaceId of ["main", "other"]) {
    await records.workspaces.add({ workspaceId, name: workspaceId, createdAtMs: 1 });
  }
  return records;
}

/** What nodes share. */
function createFakeShelves(): Pick<Services, "imageReads" | "snapshots"> {
  return { imageReads: createFakeReads(), snapshots: createFakeSnapshots() };
}

/** Keeps whatever it is given. */
function createFakeReads(): Services["imageReads"] {
  const lists = new Map<string, Uint8Array>();
  return {
    find: (_nodeId, contentId) => Promise.resolve(lists.get(contentId)),
    learn: (_nodeId, contentId, list) => {
      lists.set(contentId, list);
      return Promise.resolve();
    },
  };
}

/** A shelf with nothing on it, for one node. */
function createFakeSnapshots(): Services["snapshots"] {
  const chunks = new Map<string, Uint8Array>();
  return {
    find: () => Promise.resolve(undefined),
    offer: () => Promise.resolve({ wanted: true, missing: [] }),
    reject: () => Promise.resolve(),
    chunk: (chunkId) => Promise.resolve(chunks.get(chunkId)),
    putChunk: (chunkId, encoded) => {
      chunks.set(chunkId, encoded);
      return Promise.resolve();
    },
  };
}

/** Makes an image of whatever sandbox is asked for. */
function createFakeSandboxImages(): SandboxImageService {
  const image = { imageId: "1".repeat(64), byteCount: 1, wasCached: false };
  return {
    open: () =>
      Promise.resolve(({ onEvent }) => {
        onEvent({ kind: "built", image });
        return Promise.resolve();
      }),
  };
}

/** Builds whatever it is asked for at once. */
function createFakeImages(): ImageService {
  const image = { imageId: "0".repeat(64), byteCount: 1, wasCached: false };
  return {
    build: (_who, { steps }, { onEvent }) => {
      onEvent({ kind: "step", index: 0, count: steps.length + 1, step: "base" });
      onEvent({ kind: "built", image });
      return Promise.resolve();
    },
    collect: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    list: () => Promise.resolve({ images: [], layerCount: 0, diskByteCount: 0 }),
    prune: () => Promise.resolve({ images: [], layerCount: 0, freedByteCount: 0 }),
  };
}

/** A call's status with nothing done. */
export function statusOf(callId: string, changed: Partial<CallStatus> = {}): CallStatus {
  return {
    callId,
    functionId: `fn_${"0".repeat(26)}`,
    kind: "single",
    state: "running",
    inputCount: 1,
    finishedCount: 0,
    failedCount: 0,
    final: true,
    createdAtMs: 1,
    ...changed,
  };
}

/** The folder in which the fake platform's blobs are, as it says. */
export const FAKE_BLOB_DIR = "/fake/blobs";

function createFakeBlobs(blobs: Map<string, Uint8Array>): BlobStore {
  return {
    put: (bytes) => {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      blobs.set(sha256, bytes.slice());
      return Promise.resolve(sha256);
    },
    get: (sha256) => Promise.resolve(blobs.get(sha256)?.slice()),
    isIn: (dir, sha256) => Promise.resolve(dir === FAKE_BLOB_DIR && blobs.has(sha256)),
    has: (sha256) => Promise.resolve(blobs.has(sha256)),
  };
}

type State = Omit<FakePlatform, "options">;

/** Calls whose every input finishes at once with itself as its result. */
function createFakeCalls(state: State): Services["calls"] {
  const known = new Map<string, string>();
  const failIfTold = (): void => {
    if (state.failure !== undefined) throw state.failure;
  };
  const check = (workspaceId: string, callId: string): void => {
    failIfTold();
    if (known.get(callId) === workspaceId) return;
    throw new PlatformError(`no call ${callId}`, { code: "not_found", retryable: false });
  };
  const hold = async (signal: AbortSignal): Promise<void> => {
    if (!state.holdCalls || signal.aborted) return;
    state.waiting += 1;
    await new Promise((resume) => signal.addEventListener("abort", resume, { once: true }));
    state.waiting -= 1;
  };
  const empty = (callId: string, cursor: number): ResultsPage => ({
    header: { callId, results: [], nextCursor: cursor, status: statusOf(callId) },
    payloads: [],
  });
  return {
    create: async (who, _functionId, header, payloads, signal) => {
      failIfTold();
      known.set(header.callId, who.workspaceId);
      await hold(signal);
      return state.holdCalls ? empty(header.callId, 0) : echo(header, payloads);
    },
    append: async (who, callId) => {
      await Promise.resolve();
      check(who.workspaceId, callId);
      return statusOf(callId);
    },
    status: async (who, callId) => {
      await Promise.resolve();
      check(who.workspaceId, callId);
      return statusOf(callId);
    },
    results: async (who, callId, query) => {
      check(who.workspaceId, callId);
      await hold(query.signal);
      return empty(callId, query.cursor);
    },
    values: async (who, callId, query) => {
      check(who.workspaceId, callId);
      await hold(query.signal);
      const { cursor } = query;
      const header = { callId, sizes: [], nextCursor: cursor, status: statusOf(callId) };
      return { header, payloads: [] };
    },
    cancel: async (who, callId) => {
      await Promise.resolve();
      check(who.workspaceId, callId);
      return statusOf(callId, { state: "cancelled" });
    },
  };
}

function echo({ callId, kind }: CreateCallHeader, payloads: readonly Uint8Array[]): ResultsPage {
  const results = payloads.map((payload, index) => ({
    index,
    outcome: "succeeded" as const,
    bytes: payload.byteLength,
    attempts: 1,
    runMs: 0.5,
  }));
  const done = payloads.length;
  const counts = { inputCount: done, finishedCount: done };
  const status = statusOf(callId, { kind, state: "finished", ...counts });
  return { header: { callId, results, nextCursor: done, status }, payloads };
}

function createFakeFleet(state: State): FleetService {
  return {
    containers: () =>
      Promise.resolve([
        {
          containerId: `co_${"0".repeat(26)}`,
          app: "demo",
          function: "square",
          functionId: "fn_1",
          nodeId: "no_1",
          state: "idle",
          gpu: "H100",
          emulated: true,
          isolation: "gvisor",
          startedAtMs: 1,
          inputsDone: 2,
        },
      ]),
    stopContainer: (_who, containerId) =>
      containerId.endsWith("0")
        ? Promise.resolve()
        : Promise.reject(new PlatformError("none", { code: "not_found", retryable: false })),
    nodes: () =>
      Promise.resolve([
        {
          nodeId: "no_1",
          state: "healthy",
          cloud: "local",
          region: "here",
          instanceType: "this",
          purchase: "on-demand",
          gpuCount: 8,
          gpuUsed: 0.5,
          cpuMilli: 1,
          memoryMiB: 1,
          containers: 1,
          usdPerHour: 0,
          emulated: true,
          isolation: "gvisor",
          sinceMs: 1,
          faults: ["GPU 0 is lost"],
        },
      ]),
    plan: () => Promise.resolve(state.plan),
    status: () =>
      Promise.resolve({
        version: "1.2.3",
        startedAtMs: 1,
        nodes: 1,
        containers: 1,
        callsRunning: 0,
        gpuMsPaid: 1,
        gpuMsUsed: 1,
        costMicroUsd: 1,
      }),
    ownerOf: (_, containerId) =>
      containerId === FAKE_CONTAINER ? { workspaceId: "main", appId: "ap_1" } : undefined,
    functionLoad: () => ({ backlog: 0, containers: 0 }),
  };
}

function createFakeEvents(state: State): Services["events"] {
  return {
    publish: () => undefined,
    written: () => Promise.resolve(),
    async *read(filter, after, signal) {
      state.reads.push({ filter, after });
      if (state.events.length > 0) yield state.events.map((event) => new SharedEvent(event));
      if (!state.holdEvents || signal.aborted) return;
      state.waiting += 1;
      await new Promise((resume) => signal.addEventListener("abort", resume, { once: true }));
      state.waiting -= 1;
    },
  };
}
