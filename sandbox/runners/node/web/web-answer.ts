/**
 * The response of one input: to its client as it comes or, when it comes too late for that, whole
 * into the result.
 *
 * Which of both is decided here alone, by the time since the input came: after that no head is
 * sent, so the server may send its client elsewhere without asking.
 */
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { PAYLOAD_BYTES_MAX } from "../../../../sdk/protocol/index.ts";
import type { PieceStream } from "../../../streams/piece-stream.ts";
import type { HeaderPairs, Piece } from "../../../streams/piece.ts";
import type { WebResult } from "../../web-message.ts";

/** What is left of a payload for status and headers. */
const KEPT_BODY_BYTES_MAX = PAYLOAD_BYTES_MAX - 256 * 1024;

export interface Head {
  readonly status: number;
  readonly headers: HeaderPairs;
}

export interface WebAnswerOptions {
  readonly stream: PieceStream;
  readonly send: (piece: Piece) => void;
  /** How long the client waits for the head. */
  readonly withinMs: number;
  /** Any clock that does not go back. */
  readonly nowMs: () => number;
}

export class WebAnswer {
  readonly #options: WebAnswerOptions;
  readonly #untilMs: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #isHeadSent = false;
  #isDetached = false;

  constructor(options: WebAnswerOptions) {
    this.#options = options;
    this.#untilMs = options.nowMs() + options.withinMs;
    if (options.withinMs > 0) this.#timer = setTimeout(() => this.#detach(), options.withinMs);
    else this.#isDetached = true;
  }

  /** Sends or keeps a response; resolves when all of its body is out. */
  async send(head: Head, body: Readable | undefined): Promise<WebResult> {
    if (this.#options.nowMs() >= this.#untilMs) this.#detach();
    if (this.#isDetached) return { ...head, body: await wholeOf(body) };
    this.#sendHead(head);
    const { stream } = this.#options;
    if (body === undefined) {
      stream.end();
      await once(stream, "finish");
    } else await pipeline(body, stream, { end: true });
    return head;
  }

  /** Sends the head of a response whose body the caller writes; false when it is too late. */
  begin(head: Head): boolean {
    if (this.#options.nowMs() >= this.#untilMs) this.#detach();
    if (!this.#isDetached) this.#sendHead(head);
    return !this.#isDetached;
  }

  /** The input has ended; a stream that its client does not read any more ends too. */
  close(): void {
    clearTimeout(this.#timer);
    if (this.#isDetached) this.#options.stream.destroy();
  }

  #sendHead({ status, headers }: Head): void {
    this.#isHeadSent = true;
    clearTimeout(this.#timer);
    this.#options.send({ kind: "head", status, headers });
  }

  #detach(): void {
    if (this.#isHeadSent || this.#isDetached) return;
    this.#isDetached = true;
    this.#options.send({ kind: "detached" });
  }
}

/** @throws RangeError when there is more than a result can hold. */
async function wholeOf(body: Readable | undefined): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const pieces: AsyncIterable<Uint8Array> = body ?? Readable.from([]);
  for await (const piece of pieces) {
    bytes += piece.byteLength;
    if (bytes > KEPT_BODY_BYTES_MAX) {
      throw new RangeError(
        `the response took longer than its client waits, and of such at most ` +
          `${KEPT_BODY_BYTES_MAX} bytes are kept`,
      );
    }
    parts.push(piece);
  }
  return Buffer.concat(parts, bytes);
}
