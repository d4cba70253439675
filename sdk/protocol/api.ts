/**
 * The HTTP API, version 1: request and response shapes.
 *
 * JSON everywhere but where payloads travel: those requests and responses are one frame
 * (`frames.ts`, media type `FRAME_MEDIA_TYPE`) whose header is one of the `...Header` types
 * and whose body is the payloads one after the other. A payload is `encodeValue`'s bytes; the
 * server passes it through unread.
 *
 *     PUT    /v1/blobs/{sha256}                     raw bytes            -> 204
 *     POST   /v1/blobs                              raw bytes            -> StoredBlob
 *     HEAD   /v1/blobs/{sha256}                     is it there?         -> 200 | 404
 *     POST   /v1/apps/{app}/deployments             DeployRequest        -> Deployment
 *     POST   /v1/deployments/{appId}/heartbeat      keeps an ephemeral app alive -> 204
 *     GET    /v1/apps                               -> AppList
 *     POST   /v1/apps/{app}/stop                    -> AppSummary
 *     GET    /v1/apps/{app}/versions · POST /v1/apps/{app}/rollback   (versions.ts)
 *     GET    /v1/functions?app                      -> FunctionList
 *     GET    /v1/apps/{app}/functions/{function}    -> FunctionInfo
 *     PATCH  /v1/apps/{app}/functions/{function}/scaling   ScalingUpdate   -> FunctionInfo
 *     PATCH  /v1/functions/{functionId}/scaling     ScalingUpdate        -> FunctionInfo
 *     GET    /v1/schedules?app                      -> ScheduleList
 *     POST   /v1/apps/{app}/functions/{function}/schedule/pause · resume   -> ScheduleInfo
 *     POST   /v1/functions/{functionId}/variants    frame VariantHeader -> FunctionVariant
 *     POST   /v1/functions/{functionId}/calls       frame CreateCallHeader -> frame ResultsHeader
 *                                                   or JSON JsonCallRequest -> JsonCallResponse
 *     POST   /v1/calls/{callId}/inputs              frame AppendInputsHeader -> CallStatus
 *     GET    /v1/calls/{callId}                     -> CallStatus
 *     GET    /v1/calls/{callId}/results?cursor&limit&waitMs   -> frame ResultsHeader
 *     GET    /v1/calls/{callId}/values?cursor&limit&waitMs    -> frame ValuesHeader
 *     POST   /v1/calls/{callId}/cancel              -> CallStatus
 *     GET    /v1/secrets                            -> SecretList
 *     POST   /v1/secrets                            NewSecret     -> SecretSummary
 *     PATCH  /v1/secrets/{name}                     SecretUpdate  -> SecretSummary
 *     DELETE /v1/secrets/{name}                     -> 204
 *     GET    /v1/volumes · POST /v1/volumes · GET, DELETE /v1/volumes/{name}   (volume.ts)
 *     GET    /v1/volumes/{name}/entries · file · versions
 *     POST   /v1/volumes/{name}/uploads · uploads/{id}/missing · uploads/{id}/chunks · commits
 *     GET    /v1/tokens · POST /v1/tokens · DELETE /v1/tokens/{tokenId}            (workspace.ts)
 *     GET    /v1/workspaces · POST /v1/workspaces · DELETE /v1/workspaces/{name}
 *     GET    /v1/events?app&call&after              SSE of PlatformEvent (events.ts)
 *     GET    /v1/containers · /v1/nodes · /v1/plan · /v1/status
 *     POST   /v1/containers/{containerId}/stop
 *     GET    /v1/containers/{containerId}/shell     upgrade to a terminal (shell.ts)
 *     GET    /v1/agent                              WebSocket of node agents
 *     GET    /v1/ping                               -> 204
 *     GET    /health · /metrics · /openapi.json
 */
import type { Paged } from "./paged.ts";
import type { SecretValues } from "./secret.ts";
import type { FunctionOptions, FunctionSpec } from "./spec.ts";
import type { DeployStrategy } from "./versions.ts";

export const FRAME_MEDIA_TYPE = "application/vnd.flotilla.frame";
/** Longest wait one request may ask for. */
export const WAIT_MS_MAX = 30_000;
/** Most inputs in one request. */
export const INPUTS_PER_REQUEST_MAX = 2_000;
/** Payloads up to this size travel in frames and live in the ledger; larger ones are blobs. */
export const INLINE_PAYLOAD_BYTES_MAX = 64 * 1024;
/** Largest payload that travels in a frame. A larger one is kept as blobs (large-payload.ts). */
export const PAYLOAD_BYTES_MAX = 16 * 1024 * 1024;
/** Largest payload of one input or result. */
export const LARGE_PAYLOAD_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** Largest payload of a class's constructor parameters. */
export const VARIANT_PARAMS_BYTES_MAX = 64 * 1024;
/** Name of the header with the bearer token's scheme, spelled as `Authorization: Bearer fl_…`. */
export const TOKEN_PREFIX = "fl_";

/** Bytes that are kept, by their SHA-256 in hexadecimal. */
export interface StoredBlob {
  readonly sha256: string;
}

export interface DeployRequest {
  /** `ephemeral` apps end when their owner stops sending heartbeats. */
  readonly mode: "deployed" | "ephemeral";
  /** SHA-256 (hex) of the uploaded bundle. */
  readonly codeSha256: string;
  readonly functions: readonly DeployedFunction[];
  /**
   * Of an ephemeral app: values of secrets that live as long as it does, by names such as `#1`.
   * No answer has them.
   */
  readonly ownSecrets?: Readonly<Record<string, SecretValues>>;
  /** Of a deployed app; `rolling` unless given. */
  readonly strategy?: DeployStrategy;
}

export interface DeployedFunction {
  readonly name: string;
  readonly spec: FunctionSpec;
}

export interface Deployment {
  readonly appId: string;
  readonly app: string;
  readonly mode: "deployed" | "ephemeral";
  /** Counts up from 1 with every deployment of a deployed app. */
  readonly version: number;
  readonly functions: readonly DeployedName[];
  /** An ephemeral app without a heartbeat for this long is stopped. */
  readonly leaseMs: number;
}

/** A function of a deployment. */
export interface DeployedName {
  readonly name: string;
  readonly functionId: string;
  /** Where it is asked over HTTP, below the server's URL; absent for functions without a URL. */
  readonly webPath?: string;
}

export interface AppSummary {
  readonly appId: string;
  readonly app: string;
  readonly mode: "deployed" | "ephemeral";
  readonly state: "running" | "stopped";
  readonly version: number;
  readonly functions: readonly string[];
  /** Where its functions are asked over HTTP, below the server's URL; absent when none runs. */
  readonly webPaths?: readonly string[];
  readonly containers: number;
  readonly createdAtMs: number;
}

export interface AppList extends Paged {
  readonly apps: readonly AppSummary[];
}

/** What may be changed of a function's scaling while it runs; what is left out stays. */
export interface ScalingUpdate {
  /** 0 to 4,000, and not above the maximum. */
  readonly minContainers?: number;
  /** 1 to 4,000. */
  readonly maxContainers?: number;
  /** 0 to 4,000. */
  readonly bufferContainers?: number;
  /** 2,000 to 1,200,000. */
  readonly scaledownWindowMs?: number;
}

/** The scaling in force: the spec's, changed by what was updated since the deployment. */
export interface FunctionScaling extends Required<ScalingUpdate> {
  /** Fields that were updated since; the next deployment drops that. */
  readonly updated: readonly (keyof ScalingUpdate)[];
}

export interface FunctionList extends Paged {
  readonly functions: readonly FunctionInfo[];
}

export interface FunctionInfo {
  readonly functionId: string;
  readonly app: string;
  readonly appId: string;
  readonly name: string;
  readonly version: number;
  /** As it was deployed. */
  readonly spec: FunctionSpec;
  readonly scaling: FunctionScaling;
  /** Where it is asked over HTTP, below the server's URL; absent for functions without a URL. */
  readonly webPath?: string;
  readonly backlog: number;
  readonly containers: number;
}

/**
 * Asks for a variant of a function: the same code with other options, or of a class the instance
 * with some parameters. It has an id and containers of its own. Body: the payload of the list of
 * parameters, when there are any. Asking again gives the same variant.
 */
export interface VariantHeader {
  readonly options: FunctionOptions;
  /** Bytes of the body; 0 without parameters, at most VARIANT_PARAMS_BYTES_MAX. */
  readonly paramsBytes: number;
}

export interface FunctionVariant {
  readonly functionId: string;
  /** The function's name, `@`, and 16 characters that stand for options and parameters. */
  readonly name: string;
}

/**
 * Starts a call. Body: the inputs of `sizes`, each an encoded array of arguments.
 * Sending the same `callId` again gives the same call and starts nothing.
 */
export interface CreateCallHeader {
  /** Chosen by the client: `ca_` and 26 characters of a-z and 0-9. */
  readonly callId: string;
  readonly kind: "single" | "map";
  readonly sizes: readonly number[];
  /** A map stays open for more inputs until one request says `final`. */
  readonly final: boolean;
  /** How long to wait for results before answering, 0 to WAIT_MS_MAX. */
  readonly waitMs: number;
  /** What has no result after this long, 1 ms to 7 days, fails with `deadline_exceeded`. */
  readonly deadlineInMs?: number;
  /** The call within which this one is made: it never has longer than that has left. */
  readonly parentCallId?: string;
  /** Of a single call of a generator: its values are to be read as they are yielded. */
  readonly stream?: boolean;
  /**
   * Of a single call, instead of `callId`: calls of one function by one key are one call. The
   * answer has its id. Another payload under a known key is a conflict.
   */
  readonly idempotencyKey?: string;
}

/** More inputs of an open map, from `startIndex` on. Sending a range again changes nothing. */
export interface AppendInputsHeader {
  readonly startIndex: number;
  readonly sizes: readonly number[];
  readonly final: boolean;
}

export type InputOutcome = "succeeded" | "failed" | "cancelled";

/** One recorded result; each input has exactly one. */
export interface ResultItem {
  /** Index of the input in its call. */
  readonly index: number;
  readonly outcome: InputOutcome;
  /** Bytes of the body that are this result's payload (0 unless it succeeded). */
  readonly bytes: number;
  /** Why it failed. */
  readonly error?: WireError;
  /** How often the input was handed to a container. */
  readonly attempts: number;
  /** Time in the user's function. */
  readonly runMs: number;
}

/** Results in the order in which they were recorded; body: their payloads. */
export interface ResultsHeader {
  readonly callId: string;
  readonly results: readonly ResultItem[];
  /** Pass it as `cursor` to get what comes after. */
  readonly nextCursor: number;
  readonly status: CallStatus;
}

/**
 * Values that a generator yielded, in order; body: their payloads. Whoever asks after a cursor
 * has what lies before it: the generator runs only a window ahead of that. A page that is empty
 * while the call has ended is the end; what the generator returned is the call's result.
 */
export interface ValuesHeader {
  readonly callId: string;
  readonly sizes: readonly number[];
  /** Pass it as `cursor` to get what comes after. */
  readonly nextCursor: number;
  readonly status: CallStatus;
}

/** How far a call is. */
export interface CallStatus {
  readonly callId: string;
  readonly functionId: string;
  readonly kind: "single" | "map";
  /** `running` until every input of a final call has its result. */
  readonly state: "running" | "finished" | "cancelled";
  readonly inputCount: number;
  readonly finishedCount: number;
  readonly failedCount: number;
  readonly final: boolean;
  readonly createdAtMs: number;
  /** Why it still waits, when it does: the constraint that binds. */
  readonly pendingReason?: string;
}

/** An error as it travels: a user's own, or the platform's (then `code` is set). */
export interface WireError {
  readonly name: string;
  readonly message: string;
  /** The stack with positions in the user's own source. */
  readonly stack?: string;
  readonly cause?: WireError;
  /** Set when the platform, not the user's code, ended the input. */
  readonly code?: CallErrorCode;
}

/** Why the platform ended an input. */
export type CallErrorCode =
  | "container_exited"
  | "out_of_memory"
  | "timed_out"
  | "cancelled"
  | "not_serializable"
  | "startup_failed"
  | "payload_too_large"
  | "attempts_exhausted"
  | "deadline_exceeded";

/** The plain way in, for curl and other languages: arguments and result as JSON. */
export interface JsonCallRequest {
  readonly args: readonly unknown[];
  readonly waitMs?: number;
  readonly deadlineInMs?: number;
  readonly idempotencyKey?: string;
}

export interface JsonCallResponse {
  readonly callId: string;
  readonly state: CallStatus["state"];
  readonly result?: unknown;
  readonly error?: WireError;
}

/** Every error answer (RFC 9457, `application/problem+json`). */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly requestId: string;
  readonly retryable: boolean;
  readonly details?: Readonly<Record<string, string | number | boolean | undefined>>;
}

export interface ContainerList extends Paged {
  readonly containers: readonly ContainerSummary[];
}

export interface ContainerSummary {
  readonly containerId: string;
  readonly app: string;
  readonly function: string;
  readonly functionId: string;
  readonly nodeId: string;
  readonly state: "starting" | "idle" | "busy" | "stopping";
  readonly gpu?: string;
  readonly emulated: boolean;
  readonly isolation: "gvisor" | "process";
  readonly startedAtMs: number;
  readonly inputsDone: number;
}

export interface NodeList extends Paged {
  readonly nodes: readonly NodeSummary[];
}

export interface NodeSummary {
  readonly nodeId: string;
  readonly state: string;
  readonly cloud: string;
  readonly region: string;
  readonly instanceType: string;
  readonly purchase: string;
  readonly gpu?: string;
  readonly gpuCount: number;
  readonly gpuUsed: number;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly containers: number;
  readonly usdPerHour: number;
  readonly emulated: boolean;
  readonly isolation: "gvisor" | "process";
  readonly sinceMs: number;
  /** What is broken on it, as its agent's checks and the pool found; empty when all is well. */
  readonly faults: readonly string[];
}

/** One line of a plan: an offer, how many of it, and why. */
export interface PlanLineSummary {
  readonly offerId: string;
  readonly cloud: string;
  readonly region: string;
  readonly zone?: string;
  readonly instanceType: string;
  readonly purchase: string;
  readonly count: number;
  readonly delta: number;
  readonly usdPerHour: number;
  readonly reason: string;
}

export interface PlanSummary {
  readonly planId: string;
  readonly atMs: number;
  readonly status: string;
  readonly solver: string;
  readonly solveMs: number;
  readonly offersConsidered: number;
  readonly objectiveUsdPerHour: number;
  readonly boundUsdPerHour: number;
  readonly gapFraction: number;
  readonly terms: Readonly<Record<string, number>>;
  readonly lines: readonly PlanLineSummary[];
  readonly unmet: readonly {
    readonly classId: string;
    readonly quantity: number;
    readonly reason: string;
  }[];
}

/** The platform as a whole, for `flotilla up`, quick start and dashboards. */
export interface PlatformStatus {
  readonly version: string;
  readonly startedAtMs: number;
  readonly nodes: number;
  readonly containers: number;
  readonly callsRunning: number;
  /** Paid and used GPU time since the start of the record. */
  readonly gpuMsPaid: number;
  readonly gpuMsUsed: number;
  readonly costMicroUsd: number;
}
