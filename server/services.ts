/** What the HTTP routes call; `platform.ts` wires the implementations. */
import type { Duplex, Readable } from "node:stream";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { OfferAnswer } from "../sandbox/index.ts";
import type {
  AppendInputsHeader,
  AppHistory,
  AppSummary,
  BuildEvent,
  CallStatus,
  ContainerSummary,
  CreateCallHeader,
  Deployment,
  DeployRequest,
  EventBase,
  EventBody,
  FunctionInfo,
  FunctionOptions,
  FunctionVariant,
  ImageDefinition,
  ImageList,
  NewSecret,
  NodeSummary,
  PlanSummary,
  PlatformStatus,
  PruneReport,
  ResultsHeader,
  RollbackRequest,
  ScalingUpdate,
  ValuesHeader,
  SecretSummary,
  SecretUpdate,
  ScheduleInfo,
  TunnelList,
  ChunkAnswer,
  CommitReport,
  NewVolume,
  VolumeCommit,
  VolumeEntry,
  VolumeSummary,
  VolumeUpload,
  VolumeVersion,
  CreatedToken,
  NewApiToken,
  NewWorkspace,
  TokenScope,
  TokenSummary,
  QuotaReport,
  QuotaUpdate,
  UsageReport,
  WorkspaceSummary,
} from "../sdk/protocol/index.ts";

import type { SharedEvent } from "./events/shared-event.ts";
import type {
  CloudCheck,
  CloudReport,
  OrderReport,
  PoolEventReport,
  PoolStatus,
} from "./fleet/pool-report.ts";
import type { VolumeGrant } from "./volumes/grants.ts";
import type { PoolEventQuery } from "./store/record-store.ts";
import type { UsageKey } from "./usage/usage-report.ts";

/** Who is asking. */
export interface Principal {
  readonly workspaceId: string;
  readonly tokenId: string;
  /** The deployment whose container asks; absent for anybody else. */
  readonly appId?: string;
  /** The volume that an agent asks for, and for which container; absent for anybody else. */
  readonly volumeId?: string;
  readonly containerId?: string;
  /** What a user's token may do; absent for containers, nodes and the platform itself. */
  readonly scopes?: readonly TokenScope[];
  /** The node whose agent asks in its own name. */
  readonly nodeId?: string;
}

/** A page of results: the header and one payload per result, in order. */
export interface ResultsPage {
  readonly header: ResultsHeader;
  readonly payloads: readonly Uint8Array[];
}

/** A page of a generator's values: the header and the payloads, in order. */
export interface ValuesPage {
  readonly header: ValuesHeader;
  readonly payloads: readonly Uint8Array[];
}

export interface ResultsQuery {
  readonly cursor: number;
  readonly limit: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** Calls: accepted, queued, run, recorded. Throws `PlatformError` (`not_found`, `conflict`, …). */
export interface CallService {
  create(
    who: Principal,
    functionId: string,
    header: CreateCallHeader,
    payloads: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<ResultsPage>;
  append(
    who: Principal,
    callId: string,
    header: AppendInputsHeader,
    payloads: readonly Uint8Array[],
  ): Promise<CallStatus>;
  status(who: Principal, callId: string): Promise<CallStatus>;
  results(who: Principal, callId: string, query: ResultsQuery): Promise<ResultsPage>;
  /** What a generator yielded; whoever asks after a cursor has what lies before it. */
  values(who: Principal, callId: string, query: ResultsQuery): Promise<ValuesPage>;
  cancel(who: Principal, callId: string): Promise<CallStatus>;
}

/** A page of an app's history. */
export interface HistoryQuery {
  /** Only versions below this one; absent: from the newest. */
  readonly before?: number;
  readonly limit: number;
}

/** Apps: deployed, looked up, stopped. */
export interface AppService {
  deploy(who: Principal, app: string, request: DeployRequest): Promise<Deployment>;
  /** Deploys the code and specs of an earlier version as a new one. */
  rollback(who: Principal, app: string, request: RollbackRequest): Promise<Deployment>;
  history(who: Principal, app: string, query: HistoryQuery): Promise<AppHistory>;
  heartbeat(who: Principal, appId: string): Promise<void>;
  list(who: Principal): Promise<readonly AppSummary[]>;
  stop(who: Principal, app: string): Promise<AppSummary>;
  lookup(who: Principal, app: string, functionName: string): Promise<FunctionInfo>;
}

/** What a variant of a function differs in. */
export interface VariantWish {
  readonly options: FunctionOptions;
  /** The payload of a class's parameters; empty without any. */
  readonly params: Uint8Array;
}

/** Who follows a build. */
export interface BuildFollower {
  readonly signal: AbortSignal;
  readonly onEvent: (event: BuildEvent) => void;
}

/** How to prune. */
export interface PruneWish {
  readonly isDryRun: boolean;
}

/** Files that become the last layer of an image, and stay until it is removed by its id. */
export interface LayerFiles {
  /** A tar archive as layers of OCI images are. */
  readonly archive: AsyncIterable<Uint8Array>;
  /** What they are, for listings. */
  readonly words: string;
}

/** Images of a workspace: built, listed, removed. */
export interface ImageService {
  /**
   * Builds an image, or finds it built; the last event tells how it went. Resolves without one
   * when the signal aborts.
   */
  build(
    who: Principal,
    definition: ImageDefinition,
    follow: BuildFollower,
    files?: LayerFiles,
  ): Promise<void>;
  list(who: Principal): Promise<ImageList>;
  /** Removes an image that no running deployment uses. @throws `not_found`, `conflict` */
  remove(who: Principal, imageId: string): Promise<void>;
  /**
   * Removes the workspace's images that no running deployment uses and that can be built again,
   * and layers of no image; a dry run only says what that would be.
   */
  prune(who: Principal, wish: PruneWish): Promise<PruneReport>;
  /** Removes the chunks that no image needs, of whatever workspace. */
  collect(): Promise<void>;
}

/** Images of what sandboxes have written. */
export interface SandboxImageService {
  /**
   * Makes ready to make an image of a sandbox's files.
   *
   * @returns makes it, and tells how it goes as a build does
   * @throws `not_found` for what is no running sandbox, `invalid_request` when nothing can be
   *   written to its root, `unavailable` when its node is not connected
   */
  open(who: Principal, app: string): Promise<(follow: BuildFollower) => Promise<void>>;
}

/** Secrets of a workspace: written and named; no answer has a value. */
export interface SecretService {
  create(who: Principal, secret: NewSecret): Promise<SecretSummary>;
  update(who: Principal, name: string, update: SecretUpdate): Promise<SecretSummary>;
  /** By name. */
  list(who: Principal): Promise<readonly SecretSummary[]>;
  remove(who: Principal, name: string): Promise<void>;
}

/** A file of a volume, to be read. */
export interface VolumeFile {
  readonly version: number;
  /** Size of the whole file. */
  readonly bytes: number;
  /** Its bytes from the offset that was asked for. */
  content(): AsyncIterable<Uint8Array>;
}

/** An upload of a volume. */
export interface UploadKey {
  readonly volume: string;
  readonly uploadId: string;
}

/** Volumes of a workspace. Throws `PlatformError` (`not_found`, `conflict`, …). */
export interface VolumeService {
  create(who: Principal, volume: NewVolume): Promise<VolumeSummary>;
  /** By name. */
  list(who: Principal): Promise<readonly VolumeSummary[]>;
  get(who: Principal, name: string): Promise<VolumeSummary>;
  remove(who: Principal, name: string): Promise<void>;
  /** Newest first. */
  history(who: Principal, name: string): Promise<readonly VolumeVersion[]>;
  entries(
    who: Principal,
    name: string,
    query: { readonly path: string; readonly recursive: boolean; readonly version?: number },
  ): Promise<{ readonly version: number; readonly entries: readonly VolumeEntry[] }>;
  file(
    who: Principal,
    name: string,
    query: { readonly path: string; readonly offset: number; readonly version?: number },
  ): Promise<VolumeFile>;
  beginUpload(who: Principal, name: string): Promise<VolumeUpload>;
  missingChunks(
    who: Principal,
    upload: UploadKey,
    chunkIds: readonly string[],
  ): Promise<ChunkAnswer>;
  storeChunks(who: Principal, upload: UploadKey, chunks: readonly Uint8Array[]): Promise<void>;
  commit(who: Principal, name: string, commit: VolumeCommit): Promise<CommitReport>;
  /** What a node agent's grant is for; undefined when it is none of this platform's. */
  openGrant(text: string): VolumeGrant | undefined;
}

/** Workspaces, for the platform's operators. */
export interface WorkspaceService {
  /** @throws PlatformError `conflict` when the name is taken */
  create(workspace: NewWorkspace): Promise<WorkspaceSummary>;
  /** By name. */
  list(): Promise<readonly WorkspaceSummary[]>;
  /**
   * Ends everything that runs in a workspace and takes its tokens away.
   *
   * @throws PlatformError `not_found`; `conflict` for the first workspace, and for one in which
   * apps run, unless `evenIfUsed`.
   */
  remove(name: string, options: { readonly evenIfUsed: boolean }): Promise<void>;
}

/** The tokens of a workspace, for its admins. */
export interface TokenService {
  /** @throws PlatformError `auth_failed` for scopes that the asker lacks */
  create(who: Principal, token: NewApiToken): Promise<CreatedToken>;
  /** Oldest first. */
  list(who: Principal): Promise<readonly TokenSummary[]>;
  /** @throws PlatformError `not_found` */
  revoke(who: Principal, tokenId: string): Promise<TokenSummary>;
}

/** Which use is asked for. */
export interface UsageQuery {
  readonly by: UsageKey;
  /** The beginning of this month when absent. */
  readonly sinceMs?: number;
  /** Now when absent. */
  readonly untilMs?: number;
}

/** What workspaces use and may use. */
export interface UsageService {
  report(who: Principal, query: UsageQuery): Promise<UsageReport>;
  /** Of a workspace by name. @throws PlatformError `not_found` */
  setQuotas(workspace: string, update: QuotaUpdate): Promise<QuotaReport>;
}

/** Pieces of images by their hash. */
export interface ChunkService {
  /** The encoded chunk; undefined when there is none. @throws PlatformError `unavailable` */
  get(chunkId: string): Promise<Uint8Array | undefined>;
}

/**
 * What starts read of images: the numbers of chunks as u32 little endian, the first read first.
 * Every method is for a node on which a container of the image runs or is expected.
 */
export interface ImageReadsService {
  /** The list of an image; undefined when none was learnt. @throws PlatformError `not_found` */
  find(nodeId: string, contentId: string): Promise<Uint8Array | undefined>;
  /** Keeps a newer list. @throws PlatformError `not_found`, `invalid_request` for a bad list */
  learn(nodeId: string, contentId: string, list: Uint8Array): Promise<void>;
}

/** Images of memory that nodes share; every method is for a node with a container of that function. */
export interface SnapshotService {
  /** What a snapshot is made of; undefined when none is shared. @throws PlatformError `not_found` */
  find(nodeId: string, snapshotId: string, key: string): Promise<Uint8Array | undefined>;
  /** Shares one, once nothing is missing. @throws PlatformError `not_found`, `invalid_request` */
  offer(nodeId: string, snapshotId: string, note: Uint8Array): Promise<OfferAnswer>;
  /** Shares one no more. @throws PlatformError `not_found` */
  reject(nodeId: string, snapshotId: string, key: string): Promise<void>;
  /** An encoded chunk; undefined when there is none. */
  chunk(chunkId: string): Promise<Uint8Array | undefined>;
  /** @throws PlatformError `invalid_request` when the bytes have another hash */
  putChunk(chunkId: string, encoded: Uint8Array): Promise<void>;
}

/** Functions of deployed apps: listed, and scaled while they run. */
export interface FunctionService {
  /** Of one app, or of all; by name. */
  list(who: Principal, app?: string): Promise<readonly FunctionInfo[]>;
  /** Changes what `update` names, until the app is deployed again; its variants follow. */
  scale(
    who: Principal,
    app: string,
    functionName: string,
    update: ScalingUpdate,
  ): Promise<FunctionInfo>;
  /** The same of a function that runs, deployed, ephemeral or a variant, by its id. */
  scaleById(who: Principal, functionId: string, update: ScalingUpdate): Promise<FunctionInfo>;
  /** The same code with other options or parameters; asking again gives the same. */
  openVariant(who: Principal, functionId: string, wish: VariantWish): Promise<FunctionVariant>;
}

/** Functions that are called by schedule. Throws `PlatformError` `not_found`. */
export interface ScheduleService {
  /** Of one app, or of all; by app and function. */
  list(who: Principal, app?: string): Promise<readonly ScheduleInfo[]>;
  pause(who: Principal, app: string, functionName: string): Promise<ScheduleInfo>;
  /** From the next scheduled time on. */
  resume(who: Principal, app: string, functionName: string): Promise<ScheduleInfo>;
}

/** The fleet as it is now. */
export interface FleetService {
  containers(who: Principal): Promise<readonly ContainerSummary[]>;
  stopContainer(who: Principal, containerId: string): Promise<void>;
  nodes(): Promise<readonly NodeSummary[]>;
  plan(): Promise<PlanSummary | undefined>;
  status(): Promise<PlatformStatus>;
  /** How much one function has waiting and running, for `AppService`. */
  functionLoad(functionId: string): { readonly backlog: number; readonly containers: number };
  /**
   * Whose container a node has; undefined when it has none of this id.
   *
   * @throws PlatformError `unavailable` until its agent has said what it has, after a restart
   */
  ownerOf(
    nodeId: string,
    containerId: string,
  ): { readonly workspaceId: string; readonly appId: string } | undefined;
}

/** What an operator orders of one node. */
export interface NewOrder {
  readonly kind: "cordon" | "uncordon" | "drain" | "release";
  /** Of a drain: within how many ms all must have left; the policy's time when absent. */
  readonly deadlineMs?: number;
  /** Of a release: whether what runs there may be cut off; it may not when absent. */
  readonly evenIfBusy?: boolean;
  readonly reason?: string;
}

/** The rented fleet, for its operators. Throws `PlatformError` (`not_found`, `conflict`, …). */
export interface PoolService {
  status(): Promise<PoolStatus>;
  /** Newest first. */
  events(query: PoolEventQuery): Promise<readonly PoolEventReport[]>;
  order(nodeId: string, order: NewOrder): Promise<OrderReport>;
  clouds(): Promise<readonly CloudReport[]>;
  checkCloud(cloud: string): Promise<CloudCheck>;
}

export interface EventFilter {
  readonly appId?: string;
  readonly callId?: string;
  readonly containerId?: string;
}

/** The live stream of what happens; capped, so old events go. */
export interface EventBus {
  /** Never throws and never waits: a lost event is better than a stopped loop. */
  publish(subject: Omit<EventBase, "eventId" | "atMs">, body: EventBody): void;
  /** Resolves when what was published before is in the stream, or had to be dropped. */
  written(): Promise<void>;
  /**
   * Events after `after` (an event id; absent means from now on, "0" from the oldest kept),
   * in order, until `signal` aborts; as many at once as have come, at least one.
   */
  read(
    filter: EventFilter,
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<readonly SharedEvent[]>;
}

/** What goes with a request to a function's URL. */
export interface WebContext {
  readonly requestId: string;
  /** Aborts when the client has gone or the server closes. */
  readonly signal: AbortSignal;
}

/** HTTP requests to functions. Answers everything itself, failures too; never rejects. */
export interface WebService {
  /** A request to a path below `/web`. */
  answer(request: IncomingMessage, response: ServerResponse, context: WebContext): Promise<void>;
  /** A request to go on with another protocol; `rest` are the first bytes of that. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    rest: Uint8Array,
    context: WebContext,
  ): Promise<void>;
  /** The result of a request that took longer than its client waited. */
  result(
    callId: string,
    request: IncomingMessage,
    response: ServerResponse,
    context: WebContext,
  ): Promise<void>;
}

/** URLs of ports in sandboxes. */
export interface TunnelService {
  /** Throws PlatformError `not_found` when no sandbox of this name runs. */
  open(who: Principal, app: string, ports: readonly number[]): Promise<TunnelList>;
}

/** Shells in containers. Answers everything itself, failures too; never rejects. */
export interface ShellService {
  /** Takes over a connection that wants a shell; `rest` are the first bytes after its request. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    rest: Uint8Array,
    requestId: string,
  ): Promise<void>;
}

/** Takes over the WebSocket upgrade of a node agent; it authenticates the token itself. */
export interface AgentGateway {
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Files for rented machines, which come with the join token of their batch. */
export interface AgentFileService {
  /**
   * The file of a hash; undefined for one that no machine needs.
   *
   * @throws PlatformError `auth_failed` without the token of an open batch.
   */
  find(
    authorization: string | undefined,
    batch: string,
    sha256: string,
  ): Promise<{ readonly byteCount: number; readonly open: () => Readable } | undefined>;
}

export interface Services {
  readonly calls: CallService;
  readonly apps: AppService;
  readonly functions: FunctionService;
  readonly schedules: ScheduleService;
  readonly images: ImageService;
  readonly secrets: SecretService;
  readonly volumes: VolumeService;
  readonly shells: ShellService;
  readonly workspaces: WorkspaceService;
  readonly tokens: TokenService;
  readonly usage: UsageService;
  readonly chunks: ChunkService;
  readonly imageReads: ImageReadsService;
  readonly snapshots: SnapshotService;
  readonly fleet: FleetService;
  readonly pool: PoolService;
  readonly events: EventBus;
  readonly agents: AgentGateway;
  readonly web: WebService;
  readonly tunnels: TunnelService;
  readonly sandboxImages: SandboxImageService;
  readonly agentFiles: AgentFileService;
}
