/**
 * The runner's end of the channel.
 *
 * Writing is synchronous, so that what was sent before a `process.exit` is out when the
 * process ends; when the socket is full the rest waits and is written in order later.
 */
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { encodeFrame, FrameDecoder, type Frame } from "../../../sdk/protocol/index.ts";
import type { FromRunner, ToRunner } from "../protocol.ts";

const CHANNEL_FD = 0;
const RETRY_MS = 1;
/** Longest wait for a full socket when the process is about to end. */
const LAST_WRITE_MS_MAX = 2_000;

export class RunnerChannel {
  readonly #socket: Socket;
  #unwritten: Uint8Array[] = [];
  #retry: NodeJS.Timeout | undefined;

  constructor(onFrame: (frame: Frame<ToRunner>) => void, onEnd: () => void) {
    const decoder = new FrameDecoder<ToRunner>();
    this.#socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: false });
    this.#socket.on("data", (chunk) => {
      for (const frame of decoder.push(chunk)) onFrame(frame);
    });
    this.#socket.on("end", onEnd);
    this.#socket.on("error", onEnd);
  }

  /** Bytes that the agent has not taken yet. */
  get unwrittenBytes(): number {
    return this.#unwritten.reduce((sum, bytes) => sum + bytes.byteLength, 0);
  }

  send(message: FromRunner, bodies: readonly Uint8Array[] = []): void {
    this.#unwritten.push(encodeFrame(message, bodies));
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

/** Writes what fits; a full socket takes nothing. */
function writeSome(bytes: Uint8Array): number {
  let written = 0;
  try {
    while (written < bytes.byteLength) written += writeSync(CHANNEL_FD, bytes, written);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EAGAIN") throw error;
  }
  return written;
}
