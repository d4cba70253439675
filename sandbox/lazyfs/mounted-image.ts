/** One image as a file system: its threads, its fetcher and its mount. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Clock } from "../../core/index.ts";
import {
  readImageIndex,
  type ChunkId,
  type ChunkSource,
  type ChunkStore,
  type RemoteChunks,
} from "../store/index.ts";
import { AccessTrace } from "./access-trace.ts";
import type { AnswerLoopData, MissedRead } from "./answer-loop.ts";
import { ChunkFetcher } from "./chunk-fetcher.ts";
import { closeFuse, mountFuse, openFuse, unmountFuse } from "./fuse-mount.ts";
import { LateReplies, replySender } from "./late-replies.ts";

export interface MountOptions {
  readonly imageId: ChunkId;
  /** Who owns everything in it; as in the image unless given. */
  readonly ownerId?: number;
  /** An empty folder. */
  readonly mountPoint: string;
  /** Chunks to fetch ahead, by number, in order. */
  readonly prefetch: readonly number[];
}

/** What all images of a process share. */
export interface MountSurroundings {
  readonly source: ChunkSource;
  readonly local: ChunkStore;
  readonly remotes: readonly RemoteChunks[];
  readonly chunkDirs: readonly string[];
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly onError: (error: unknown, doing: string) => void;
  /** The module whose worker threads run `runAnswerLoop`. */
  readonly workerUrl: URL;
}

/** Two fill both cores of a small machine; more only take turns (measured). */
const THREADS = 2;

export interface MountedImage {
  /** The chunks that were used so far, in order. */
  trace(): readonly number[];
  /** Unmounts; resolves when its threads have ended or it is still in use. */
  close(): Promise<void>;
}

/** Mounts an image. @throws PlatformError when it cannot be read or mounted */
export async function mountImage(
  { imageId, mountPoint, prefetch, ownerId }: MountOptions,
  surroundings: MountSurroundings,
): Promise<MountedImage> {
  const { source, clock, deadlineMs, onError, chunkDirs, workerUrl } = surroundings;
  const index = await readImageIndex(source, imageId);
  if (ownerId !== undefined) index.giveTo(ownerId);
  const trace = AccessTrace.of(index.chunkCount);
  const fetcher = new ChunkFetcher({ ...surroundings, index });
  void fetcher.prefetch(prefetch).catch((error: unknown) => onError(error, "prefetching"));
  const fd = openFuse();
  const send = replySender(fd);
  const replies = new LateReplies({ index, fetcher, clock, deadlineMs, send, onError });
  const workerData: AnswerLoopData = { fd, index: index.bytes, trace: trace.words, chunkDirs };
  const threads = Array.from({ length: THREADS }, () => new Worker(workerUrl, { workerData }));
  for (const thread of threads) {
    thread.on("message", (missed: MissedRead) => void replies.answer(missed));
    thread.on("error", (error) => onError(error, `answering for image ${imageId}`));
  }
  const ended = Promise.all(threads.map((thread) => once(thread, "exit")));
  try {
    await mountFuse(fd, mountPoint);
  } catch (error) {
    // Threads of a file system that was never mounted find that out when it is closed.
    fetcher.close();
    for (const thread of threads) void thread.terminate();
    await ended;
    closeFuse(fd);
    throw error;
  }
  return {
    trace: () => trace.chunks(),
    close: async () => {
      fetcher.close();
      await unmountFuse(mountPoint);
      void ended.then(() => closeFuse(fd));
    },
  };
}
