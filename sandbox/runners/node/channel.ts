/**
 * The runner's end of the channel.
 *
 * Writing is synchronous, so that what was sent before a `process.exit` is out when the
 * process ends; when the socket is full the rest waits and is written in order later.
 *
 * A process that an older gVisor restored from an image is never told that something can be
 * read from a socket it had; reading works. There the channel is read by the clock: often while
 * much comes, seldom when nothing has come for long.
 */
import { readSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import {
  encodeFrame,
  encodeFrameHead,
  FRAME_BYTES_MAX,
  FrameDecoder,
  type Frame,
  type PlaceOfBody,
} from "../../../sdk/protocol/index.ts";
import type { FromRunner, ToRunner } from "../protocol.ts";
import { replaceInput } from "./no-input.ts";

const CHANNEL_FD = 0;
const RETRY_MS = 1;
/** Longest wait for a full socket when the process is about to end. */
const LAST_WRITE_MS_MAX = 2_000;
/** Read at once at most, into memory that is used again: a read costs much within gVisor. */
const READ_BYTES = 256 * 1024;
/** A body of at least so much is written from where it is; below, a write costs more than a copy. */
const UNCOPIED_BYTES_MIN = 256 * 1024;
/** How often the channel is looked at, by how long nothing has come. */
const POLL_PAUSES = [
  { quietMs: 50, pauseMs: 1 },
  { quietMs: 2_000, pauseMs: 4 },
  { quietMs: Infinity, pauseMs: 20 },
] as const;

export class RunnerChannel {
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder<ToRunner>;
  readonly #onFrame: (frame: Frame<ToRunner>) => void;
  readonly #onEnd: () => void;
  #unwritten: Uint8Array[] = [];
  #retry: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #cameAtMs = 0;
  #polled: Uint8Array | undefined;

  constructor(
    onFrame: (frame: Frame<ToRunner>) => void,
    onEnd: () => void,
    placeOf: PlaceOfBody<ToRunner>,
  ) {
    this.#decoder = new FrameDecoder(FRAME_BYTES_MAX, FRAME_BYTES_MAX, placeOf);
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    replaceInput();
    this.#socket = new Socket({
      fd: CHANNEL_FD,
      readable: true,
      writable: false,
      onread: {
        buffer: new Uint8Array(READ_BYTES),
        callback: (byteCount, bytes) => {
          this.#take(bytes.subarray(0, byteCount));
          return true;
        },
      },
    });
    this.#socket.resume();
    this.#socket.on("end", onEnd);
    this.#socket.on("error", onEnd);
  }

  /** Reads by the clock too, from now on. */
  startPolling(): void {
    this.#cameAtMs = performance.now();
    this.#poll ??= setTimeout(() => this.#pollOnce(), 1);
  }

  stopPolling(): void {
    clearTimeout(this.#poll);
    this.#poll = undefined;
  }

  /** Bytes that the agent has not taken yet. */
  get unwrittenBytes(): number {
    return this.#unwritten.reduce((sum, bytes) => sum + bytes.byteLength, 0);
  }

  send(message: FromRunner, bodies: readonly Uint8Array[] = []): void {
    this.#unwritten.push(encodeFrame(message, bodies));
    this.#write();
  }

  /** As `send`, of a body that does not change before the message is answered. */
  sendUnchanging(message: FromRunner, body: Uint8Array): void {
    if (body.byteLength < UNCOPIED_BYTES_MIN) {
      this.send(message, [body]);
      return;
    }
    this.#unwritten.push(encodeFrameHead(message, body.byteLength), body);
    this.#write();
  }

  /** Writes all there is, waiting for the agent if need be. */
  flushBeforeExit(): void {
    const deadlineMs = performance.now() + LAST_WRITE_MS_MAX;
    const nap = new Int32Array(new SharedArrayBuffer(4));
    this.#write();
    while (this.#unwritten.length > 0 && performance.now() < deadlineMs) {
      Atomics.wait(nap, 0, 0, RETRY_MS);
      this.#write();
    }
  }

  #take(chunk: Uint8Array): void {
    for (const frame of this.#decoder.pushBorrowed(chunk)) this.#onFrame(frame);
  }

  #pollOnce(): void {
    const nowMs = performance.now();
    const buffer = (this.#polled ??= new Uint8Array(READ_BYTES));
    for (let chunk = readSome(buffer); chunk !== undefined; chunk = readSome(buffer)) {
      if (chunk.byteLength === 0) {
        this.#onEnd();
        return;
      }
      this.#cameAtMs = nowMs;
      this.#take(chunk);
    }
    // A frame may have ended the polling.
    if (this.#poll === undefined) return;
    const quietMs = nowMs - this.#cameAtMs;
    const { pauseMs } = POLL_PAUSES.find((pause) => quietMs < pause.quietMs) ?? POLL_PAUSES[0];
    this.#poll = setTimeout(() => this.#pollOnce(), pauseMs);
  }

  #write(): void {
    clearTimeout(this.#retry);
    for (let bytes = this.#unwritten.shift(); bytes; bytes = this.#unwritten.shift()) {
      const written = writeSome(bytes);
      if (written === bytes.byteLength) continue;
      this.#unwritten.unshift(bytes.subarray(written));
      this.#retry = setTimeout(() => this.#write(), RETRY_MS);
      return;
    }
  }
}

/** What there is to read: undefined when there is nothing, no bytes at the end. */
function readSome(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return bytes.subarray(0, readSync(CHANNEL_FD, bytes));
  } catch (error) {
    if (codeOf(error) !== "EAGAIN") throw error;
    return undefined;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Writes what fits; a full socket takes nothing. */
function writeSome(bytes: Uint8Array): number {
  let written = 0;
  try {
    while (written < bytes.byteLength) written += writeSync(CHANNEL_FD, bytes, written);
  } catch (error) {
    if (codeOf(error) !== "EAGAIN") throw error;
  }
  return written;
}
