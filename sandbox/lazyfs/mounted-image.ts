/** One image as a file system: its threads, its fetcher and its mount. */
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { PlatformError, type Clock } from "../../core/index.ts";
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
import { RequestCounts, type RequestFigures } from "./request-counts.ts";
import type { SpareThreads } from "./spare-threads.ts";
import type { WarmHint } from "./warm-hints.ts";

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
  readonly threads: Pick<SpareThreads, "give">;
}

/** Two fill both cores of a small machine; more only take turns (measured). */
const THREADS = 2;
/** What one mount takes: those that answer, and the one that warms. */
export const THREADS_PER_MOUNT = THREADS + 1;

export interface MountedImage {
  /** The chunks that were used so far, in order. */
  trace(): readonly number[];
  /** What the kernel asked for so far. */
  requests(): RequestFigures;
  /** Fetches these chunks ahead of readers, in this order; numbers that it has none of are left out. */
  prefetch(chunks: readonly number[]): void;
  /** Unmounts; resolves when its threads have ended or it is still in use. */
  close(): Promise<void>;
}

/** Mounts an image. @throws PlatformError when it cannot be read or mounted */
export async function mountImage(
  { imageId, mountPoint, prefetch, ownerId }: MountOptions,
  surroundings: MountSurroundings,
): Promise<MountedImage> {
  const { source, clock, deadlineMs, onError, chunkDirs } = surroundings;
  const index = await readImageIndex(source, imageId);
  if (ownerId !== undefined) index.giveTo(ownerId);
  const trace = AccessTrace.of(index.chunkCount);
  const fetcher = new ChunkFetcher({ ...surroundings, index, trace });
  const fetchAhead = (chunks: readonly number[]): void =>
    void fetcher.prefetch(chunks).catch((error: unknown) => onError(error, "prefetching"));
  fetchAhead(prefetch);
  const fd = openFuse();
  const send = replySender(fd);
  const replies = new LateReplies({ index, fetcher, clock, deadlineMs, send, onError });
  const counts = new RequestCounts();
  const data: AnswerLoopData = {
    fd,
    index: index.bytes,
    trace: trace.words,
    counts: counts.words,
    chunkDirs,
  };
  const threads = Array.from({ length: THREADS }, () => {
    return surroundings.threads.give({ task: "answer", ...data });
  });
  const warmer = surroundings.threads.give({ task: "warm", ...data, mountPoint });
  warmer.on("error", (error) => onError(error, `warming image ${imageId}`));
  for (const thread of threads) {
    thread.on("message", (said: MissedRead | WarmHint) => {
      if (said.type === "missed") void replies.answer(said);
      else warmer.postMessage(said);
    });
    thread.on("error", (error) => onError(error, `answering for image ${imageId}`));
  }
  const ended = Promise.all(threads.map((thread) => once(thread, "exit")));
  try {
    await mountFuse(fd, mountPoint);
    // It is there when its threads answer, and not before.
    await Promise.race([stat(mountPoint), ended.then(() => Promise.reject(silent(imageId)))]);
  } catch (error) {
    await unmountFuse(mountPoint).catch(() => undefined);
    // Threads of a file system that was never mounted find that out when it is closed.
    fetcher.close();
    for (const thread of [...threads, warmer]) void thread.terminate();
    await ended;
    closeFuse(fd);
    throw error;
  }
  return {
    trace: () => trace.chunks(),
    requests: () => counts.figures(),
    prefetch: fetchAhead,
    close: async () => {
      fetcher.close();
      void warmer.terminate();
      await unmountFuse(mountPoint);
      void ended.then(() => closeFuse(fd));
    },
  };
}

function silent(imageId: ChunkId): PlatformError {
  return new PlatformError(`the threads that answer for image ${imageId} have ended`, {
    code: "unavailable",
    retryable: true,
    details: { imageId },
  });
}
