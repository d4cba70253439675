/** What an agent and its process that serves images say to each other. */
import type { ErrorCode } from "../../core/index.ts";
import type { ChunkPeer } from "../peers/peer-ticket.ts";
import type { ChunkId } from "../store/index.ts";
import type { RequestFigures } from "./request-counts.ts";

/** Where a serving process finds chunks. */
export interface ServingConfig {
  /** Folder of the chunks that were fetched, and most bytes kept there. */
  readonly cacheDir: string;
  readonly cacheBytesMax: number;
  /** Folders of chunks that belong to others on this machine: read, never written. */
  readonly sharedDirs: readonly string[];
  /** The server that has what is not on this machine. */
  readonly serverUrl?: string;
  /** Longest that a reader waits for a chunk. */
  readonly deadlineMs: number;
}

/** Messages to the serving process; the first is `open`. */
export type ToServing =
  | { readonly type: "open"; readonly config: ServingConfig; readonly token: string }
  /** The bearer token for the server from now on. */
  | { readonly type: "token"; readonly token: string }
  /** Other nodes that may have chunks. */
  | { readonly type: "peers"; readonly peers: readonly ChunkPeer[] }
  | {
      readonly type: "mount";
      readonly mountId: string;
      readonly imageId: ChunkId;
      /** Who owns everything in it; as in the image unless given. */
      readonly ownerId?: number;
      readonly mountPoint: string;
      readonly prefetch: readonly number[];
    }
  | { readonly type: "unmount"; readonly mountId: string }
  /** Chunks to fetch ahead of its readers, in order; after whatever was asked about it before. */
  | { readonly type: "prefetch"; readonly mountId: string; readonly chunks: readonly number[] }
  /** Which chunks of it were used so far? */
  | { readonly type: "trace"; readonly mountId: string }
  /** What did the kernel ask for so far? */
  | { readonly type: "count"; readonly mountId: string };

/** Messages from it. */
export type FromServing =
  | { readonly type: "mounted" | "unmounted"; readonly mountId: string }
  | {
      readonly type: "failed";
      readonly mountId: string;
      readonly message: string;
      readonly code: ErrorCode;
      readonly retryable: boolean;
    }
  | { readonly type: "traced"; readonly mountId: string; readonly chunks: readonly number[] }
  | { readonly type: "counted"; readonly mountId: string; readonly requests: RequestFigures }
  /** Something went wrong that a reader has seen as EIO. */
  | { readonly type: "trouble"; readonly message: string };
