/**
 * The agent link: messages between the server and a node agent.
 *
 * The agent opens one WebSocket to `/v1/agent` (bearer: a join token at first, the session
 * token from `welcome` on every reconnect) and both sides send one frame (sdk/protocol
 * frames) per binary message. Ping and pong are WebSocket's own and sent by the server every
 * `HEARTBEAT_MS`; an agent silent for the pool policy's `heartbeatTimeoutMs` is lost and the
 * leases of its inputs end.
 *
 * A dropped link loses nothing: the agent keeps its containers and unsent results, reconnects
 * with backoff and says in `hello` what it still holds. Results are kept until `ack`.
 */
import type { Isolation, ResourceLimits, Resources } from "../../core/index.ts";
import type { WireError } from "../../sdk/protocol/index.ts";
import type { InputHeader, PythonEntry, ValueHeader } from "../runners/protocol.ts";
import type { ChunkPeer } from "../peers/peer-ticket.ts";
import type { VolumeStart } from "../volumes/volume-start.ts";
import type { Piece } from "../streams/piece.ts";
import type { StartStages } from "./start-stages.ts";
import type { ExtraUse } from "./use-meter.ts";
import type { PackWish, ShellWish } from "./container-shells.ts";

export const HEARTBEAT_MS = 2_000;

/** What the agent says about its machine, once per connection. */
export interface NodeFacts {
  readonly nodeId: string;
  readonly hostname: string;
  readonly agentVersion: string;
  readonly arch: string;
  readonly resources: Resources;
  readonly gpuType?: string;
  readonly emulatedGpus: boolean;
  readonly isolation: Isolation;
  /** Where other nodes may ask it for chunks; absent: nowhere. */
  readonly peerUrl?: string;
}

/** A container the agent holds when it (re)connects. */
export interface HeldContainer {
  readonly containerId: string;
  readonly functionId: string;
  readonly state: "starting" | "ready";
  /** Cards of the node that it sits on, numbered from 0; empty without GPUs. */
  readonly cards: readonly number[];
  /** Its end takes time: it has exit hooks, or volumes to commit. */
  readonly endsSlowly?: boolean;
  /** Inputs it was handed whose results were not yet acknowledged. */
  readonly inputIds: readonly string[];
}

/** Everything needed to start one container; secrets travel here and nowhere else. */
export interface StartContainer {
  readonly containerId: string;
  readonly functionId: string;
  readonly functionName: string;
  readonly appName: string;
  /** SHA-256 of the bundle; the agent fetches it from `/v1/blobs` once and caches it. */
  readonly codeSha256: string;
  /** What is reserved for it. */
  readonly resources: Resources;
  /** Most that it may use; absent means no other than what is usual for what it reserves. */
  readonly limits?: ResourceLimits;
  /** Cards of the node for it, numbered from 0; absent leaves them to the agent. */
  readonly cards?: readonly number[];
  readonly env: Readonly<Record<string, string>>;
  /** Variables that are there when code is loaded to be kept in an image of memory. */
  readonly loadEnv?: Readonly<Record<string, string>>;
  /** Variables of `env` whose values are hidden where they are printed; absent means none. */
  readonly secretNames?: readonly string[];
  readonly startupTimeoutMs: number;
  /** Longest run of one input. */
  readonly timeoutMs: number;
  /** Image under it, as people know it; absent means the base image of the node. */
  readonly imageId?: string;
  /** The image's files: name of their index among the server's chunks. */
  readonly contentId?: string;
  /** Other nodes that may have the image's files, at most 3; absent means none is known. */
  readonly peers?: readonly ChunkPeer[];
  /** Whose image that is; present with one. */
  readonly workspaceId?: string;
  /** Folder in the image that it starts in. */
  readonly workdir?: string;
  /** Most MiB that it writes to its root, on a disk of its own; absent means a read-only root. */
  readonly diskMiB?: number;
  /** Inputs that it runs at once; one unless given. */
  readonly maxInputs?: number;
  /** It ends after its first input. */
  readonly singleUse?: boolean;
  /**
   * Present when it may be started from an image of its memory: a hash of all that such images
   * depend on as far as the server knows, the same for equal functions of one workspace.
   */
  readonly snapshotId?: string;
  /** Its code is Python, and this is where the function is; absent means Node. */
  readonly python?: PythonEntry;
  /** Hosts that it may reach, as patterns; absent means no network. */
  readonly allowHosts?: readonly string[];
  /** Folders that it shares with others; absent means none. */
  readonly volumes?: readonly VolumeStart[];
  /** Bytes of the payload of a class's parameters, the body of `start`; absent without any. */
  readonly paramsBytes?: number;
}

/** What the server expects to start next: a start without what is one container's own. */
export interface ExpectedStart extends Pick<
  StartContainer,
  | "functionName"
  | "appName"
  | "codeSha256"
  | "resources"
  | "limits"
  | "imageId"
  | "contentId"
  | "workspaceId"
  | "workdir"
  | "diskMiB"
  | "maxInputs"
  | "snapshotId"
  | "loadEnv"
  | "python"
  | "allowHosts"
  | "paramsBytes"
> {
  /** Containers of it that may be started soon beyond those that are. */
  readonly count: number;
}

/**
 * Messages to the agent. `inputs` carries the inputs' payloads as its body, in order; `start` the
 * payload of the parameters.
 */
export type ServerMessage =
  | {
      readonly type: "welcome";
      readonly nodeId: string;
      readonly sessionToken: string;
      /** Under which other nodes have tickets for this one's chunks; absent: none has. */
      readonly peerKey?: string;
    }
  /** The agent must end: its node is released or unknown. */
  | { readonly type: "goodbye"; readonly reason: string }
  | { readonly type: "start"; readonly container: StartContainer }
  /** What may be started here next, the likeliest first; replaces what was said before. */
  | { readonly type: "expect"; readonly starts: readonly ExpectedStart[] }
  | {
      readonly type: "inputs";
      readonly containerId: string;
      readonly inputs: readonly InputHeader[];
    }
  /** Values of a generator before `stored` are in the ledger; the reader has those before `consumed`. */
  | {
      readonly type: "credit";
      readonly containerId: string;
      readonly inputId: string;
      readonly stored: number;
      readonly consumed: number;
    }
  /** A step of a byte stream of a container; the body is its data. */
  | StreamMessage
  /** Open a shell in a container, on a stream of this name. */
  | ({ readonly type: "shell"; readonly containerId: string } & ShellWish)
  /** Send what a container has written to its root, as an archive on a stream of this name. */
  | ({ readonly type: "pack"; readonly containerId: string } & PackWish)
  /** Take back inputs that have not begun to run. */
  | {
      readonly type: "cancel";
      readonly containerId: string;
      readonly inputIds: readonly string[];
      /** Tell those that run to stop, and end the container if they do not. */
      readonly abortRunning: boolean;
    }
  | { readonly type: "stop"; readonly containerId: string; readonly graceMs: number }
  /** The results of these inputs are recorded; forget them. */
  | { readonly type: "ack"; readonly inputIds: readonly string[] }
  /** The lines of this container up to this one are kept; forget them. */
  | { readonly type: "logged"; readonly containerId: string; readonly sequence: number };

/** Messages that are for one container. */
export type ToContainer = Extract<
  ServerMessage,
  { readonly type: "inputs" | "shell" | "pack" | "stream" | "cancel" | "stop" }
>;

/** A step of a byte stream of a container, either way. */
export interface StreamMessage {
  readonly type: "stream";
  readonly containerId: string;
  /** Of an input: its id; else of a shell or an archive. */
  readonly streamId: string;
  readonly piece: Piece;
}

/** The result of one input, as the agent reports it. */
export interface AgentResult {
  readonly inputId: string;
  /** `returned`: put it back in the queue, it did not (or not alone) run to an end. */
  readonly outcome: "succeeded" | "failed" | "returned";
  /** Bytes of the body that are this result's payload. */
  readonly bytes: number;
  readonly error?: WireError;
  readonly runMs: number;
  /** Its share of that time, when others ran at once with it; absent means all of it. */
  readonly busyMs?: number;
}

/** What one container has used beyond what is reserved for it. */
export interface ContainerUse extends ExtraUse {
  readonly containerId: string;
}

/** Why a container ended. */
export interface ContainerExit {
  readonly containerId: string;
  readonly kind: "stopped" | "exited" | "out_of_memory" | "timed_out" | "startup_failed";
  readonly exitCode?: number;
  /** One sentence a user can act on. */
  readonly message: string;
  /** Inputs that were in the container and have no result. */
  readonly inputIds: readonly string[];
  /** Why the user's module could not be loaded, when that is what happened. */
  readonly error?: WireError;
  /** What it had used beyond what was reserved for it; absent means nothing. */
  readonly use?: ExtraUse;
}

/** Messages from the agent. `results` carries the payloads as its body, in order. */
export type AgentMessage =
  | {
      readonly type: "hello";
      readonly node: NodeFacts;
      readonly containers: readonly HeldContainer[];
      /** Content hashes on the node's disk, at most 64, those used last. */
      readonly artifacts: readonly string[];
      /** What its checks found broken, as texts for people; absent means nothing. */
      readonly faults?: readonly string[];
    }
  /** Something has come to the node's disk, by its content hash. */
  | { readonly type: "kept"; readonly artifact: string }
  /** What the checks find broken is not what it was; empty when all is well again. */
  | { readonly type: "health"; readonly faults: readonly string[] }
  /** The node cannot take this container (no room, cannot start any): place it elsewhere. */
  | { readonly type: "refused"; readonly containerId: string; readonly reason: string }
  /** The user's module is loaded; `startMs` is from receipt of `start`. */
  | {
      readonly type: "ready";
      readonly containerId: string;
      readonly startMs: number;
      readonly stages?: StartStages;
      /** Whether it was started from an image of memory. */
      readonly restored?: boolean;
      /** Its end takes time: it has exit hooks, or volumes to commit. */
      readonly endsSlowly?: boolean;
    }
  | {
      readonly type: "results";
      readonly containerId: string;
      readonly results: readonly AgentResult[];
    }
  | {
      readonly type: "logs";
      readonly containerId: string;
      /** Its function: the container may have ended while the link was broken. */
      readonly functionId: string;
      readonly lines: readonly {
        readonly stream: "stdout" | "stderr";
        readonly text: string;
        readonly sequence: number;
        readonly inputId?: string;
      }[];
    }
  /** What generators yielded, in order; carries the payloads as its body. */
  | {
      readonly type: "values";
      readonly containerId: string;
      readonly values: readonly ValueHeader[];
    }
  /** A step of a byte stream of a container; the body is its data. */
  | StreamMessage
  /** What containers have used beyond what is reserved, since their starts; may be said again. */
  | { readonly type: "used"; readonly uses: readonly ContainerUse[] }
  | { readonly type: "exited"; readonly exit: ContainerExit }
  /** Its provider takes the machine back in so many ms from now; may be said again. */
  | { readonly type: "interruption"; readonly leftMs: number }
  /** Its provider said so many ms ago that it may take the machine back; may be said again. */
  | { readonly type: "at-risk"; readonly agoMs: number };

/** Headers of a rented machine's first connection, beside its batch's join token. */
export const BATCH_HEADER = "x-flotilla-batch";
/** The ids by which its provider may know the machine, separated by commas. */
export const MACHINE_HEADER = "x-flotilla-machine";
/** Header of requests that an agent sends on for a container: its id. */
export const CONTAINER_HEADER = "x-flotilla-container";
/** Header of requests for blobs, of an agent on the server's machine: where blobs may be files. */
export const BLOB_DIR_HEADER = "x-flotilla-blob-dir";
