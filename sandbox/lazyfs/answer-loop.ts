/**
 * The loop of a thread that answers the kernel: read a request, write its answer. It never
 * waits for the network: a read whose chunks are not on this machine goes to the fetcher.
 */
import { readSync, writeSync } from "node:fs";
import type { MessagePort } from "node:worker_threads";
import { viewImageIndex } from "../store/index.ts";
import { AccessTrace } from "./access-trace.ts";
import { FuseAnswers, LATER } from "./fuse-answers.ts";
import { readUInt64, REQUEST_BYTES_MAX } from "./fuse-protocol.ts";
import { LocalChunks } from "./local-chunks.ts";
import { RequestCounts } from "./request-counts.ts";
import { WarmHints, type WarmHint } from "./warm-hints.ts";
import { kernelEnds, Warmer } from "./warmer.ts";

/** What a thread is started with. */
export interface AnswerLoopData {
  readonly fd: number;
  /** A checked index, in shared memory. */
  readonly index: Uint8Array;
  readonly trace: Int32Array<SharedArrayBuffer>;
  readonly counts: Int32Array<SharedArrayBuffer>;
  /** Folders of chunks on this machine. */
  readonly chunkDirs: readonly string[];
}

/** What the thread is started with that tells the kernel things unasked. */
export interface WarmerData extends AnswerLoopData {
  readonly mountPoint: string;
}

/** A read whose chunks must be fetched. */
export interface MissedRead {
  readonly type: "missed";
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly inode: number;
  readonly offset: number;
  readonly byteCount: number;
}

/** How long a thread waits for its file system to be mounted before it looks again. */
const UNMOUNTED_WAIT_MS = 1;
/** Errors after which the next request is read: interrupted, aborted by the caller, none there. */
const PASSING = ["EINTR", "ENOENT", "EAGAIN"];

/** Serves until the file system is unmounted or aborted. */
export function runAnswerLoop(data: AnswerLoopData, port: MessagePort): void {
  const index = viewImageIndex(data.index);
  const chunks = new LocalChunks(index, data.chunkDirs, new AccessTrace(data.trace));
  const hints = new WarmHints(index, (hint) => port.postMessage(hint));
  const answers = new FuseAnswers(index, (chunk) => chunks.bytesOf(chunk), hints);
  const counts = new RequestCounts(data.counts);
  const request = Buffer.alloc(REQUEST_BYTES_MAX);
  for (;;) {
    const byteCount = readRequest(data.fd, request);
    if (byteCount === undefined) return;
    if (byteCount === 0) continue;
    counts.add(request.readUInt32LE(4));
    const length = answers.answer(request, byteCount);
    if (length === LATER) port.postMessage(missedRead(request));
    else if (length > 0) writeReply(data.fd, answers.reply, length);
  }
}

/** Tells the kernel what it is about to ask for, as the threads that answer it notice. */
export function runWarmer(data: WarmerData, port: MessagePort): void {
  const index = viewImageIndex(data.index);
  // What it reads was read by somebody else, who has noted it.
  const chunks = new LocalChunks(index, data.chunkDirs, new AccessTrace(data.trace));
  const bytesOf = (chunk: number): Uint8Array | undefined => chunks.bytesOf(chunk);
  const { mountPoint, fd } = data;
  const warmer = new Warmer({ index, mountPoint, bytesOf, ...kernelEnds(fd) });
  port.on("message", (hint: WarmHint) => warmer.take(hint));
}

/** Bytes of the next request; 0 for none this time, undefined for never again. */
function readRequest(fd: number, request: Buffer): number | undefined {
  try {
    return readSync(fd, request, 0, request.length, null);
  } catch (error) {
    const code = codeOf(error);
    if (PASSING.includes(code)) return 0;
    // Not mounted yet.
    if (code !== "EPERM") return undefined;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, UNMOUNTED_WAIT_MS);
    return 0;
  }
}

function writeReply(fd: number, reply: Buffer, length: number): void {
  try {
    writeSync(fd, reply, 0, length);
  } catch (error) {
    // Nobody waits for this answer any more, or for any: the next read tells.
    if (!["ENOENT", "ENODEV"].includes(codeOf(error))) throw error;
  }
}

function missedRead(request: Buffer): MissedRead {
  return {
    type: "missed",
    uniqueLow: request.readUInt32LE(8),
    uniqueHigh: request.readUInt32LE(12),
    inode: request.readUInt32LE(16) - 1,
    offset: readUInt64(request, 48),
    byteCount: request.readUInt32LE(56),
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
