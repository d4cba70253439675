/**
 * One HTTP request on its way through a container: where it is, and what its answer begins with.
 *
 * Promises. Until the head of the response is here, and if its body was not streamed to a
 * container, the request runs again when its container is lost: at least once. From the head on
 * it runs nowhere else: at most once. When the client has been sent to the result's URL, the call
 * is one like any other, and its response is the recorded result.
 */
import { PieceStream, type HeaderPairs, type Piece, type WebWish } from "../../sandbox/index.ts";
import type { StreamEnd } from "./container-streams.ts";

/** What a client's wait ends with. */
export type Opening =
  | { readonly kind: "head"; readonly status: number; readonly headers: HeaderPairs }
  /** The response will be the call's result. */
  | { readonly kind: "late" }
  /** What ran is lost, and must not run again. */
  | { readonly kind: "lost"; readonly reason: string; readonly error?: Error };

export interface ExchangeOptions {
  readonly streamId: string;
  /** The body goes over the stream, and so once only. */
  readonly streamsBody: boolean;
  /** Until when the client waits for the head. */
  readonly untilMs: number;
  readonly nowMs: () => number;
  readonly send: (containerId: string, piece: Piece, body: Uint8Array) => void;
  /** The request has begun in a container: its body may be written to the stream. */
  readonly onBegun: (stream: PieceStream) => void;
}

export class Exchange implements StreamEnd {
  readonly streamId: string;
  readonly opening: Promise<Opening>;
  readonly #options: ExchangeOptions;
  readonly #open: (opening: Opening) => void;
  #containerId: string | undefined;
  #stream: PieceStream | undefined;
  /** Its answer has begun, or was given up. */
  #isOpened = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.streamId = options.streamId;
    const { promise, resolve } = Promise.withResolvers<Opening>();
    this.opening = promise;
    this.#open = resolve;
  }

  get containerId(): string | undefined {
    return this.#containerId;
  }

  /** Whether it runs in a container now. */
  get hasBegun(): boolean {
    return this.#stream !== undefined;
  }

  /** The body of the response, once its head is here. */
  get stream(): PieceStream | undefined {
    return this.#stream;
  }

  /** Its input is about to be sent to a container. */
  claim(containerId: string): WebWish {
    if (this.#isOpened || (this.#options.streamsBody && this.hasBegun)) return "unwanted";
    this.#containerId = containerId;
    this.#forgetStream();
    const withinMs = Math.max(0, this.#options.untilMs - this.#options.nowMs());
    return this.#options.streamsBody && withinMs === 0 ? "unwanted" : { withinMs };
  }

  take(containerId: string, piece: Piece, body: Uint8Array): void {
    if (containerId !== this.#containerId) return;
    if (piece.kind === "begin") this.#begin(containerId);
    else if (piece.kind === "head") this.#openOnce(piece);
    else if (piece.kind === "detached") this.#openOnce({ kind: "late" });
    else this.#stream?.hear(piece, body);
  }

  /** Its container is gone: what has not been answered runs elsewhere, if it can. */
  gone(): void {
    this.#lose("its container ended", this.#options.streamsBody);
  }

  /** Pieces may be missing, so what has begun cannot go on. */
  cutOff(): void {
    if (this.hasBegun) this.#lose("the connection to its machine broke", true);
  }

  /** Nobody waits any more: the container is told. */
  close(reason: string): void {
    this.#openOnce({ kind: "lost", reason });
    this.#stream?.destroy();
  }

  /** It cannot be answered but by this error. */
  fail(error: Error): void {
    this.#openOnce({ kind: "lost", reason: error.message, error });
    this.#stream?.destroy();
  }

  /** The answer becomes the call's result: the stream is left as it is. */
  leave(): void {
    this.#openOnce({ kind: "late" });
  }

  #begin(containerId: string): void {
    if (this.#isOpened || this.hasBegun) return;
    const { send, onBegun } = this.#options;
    const stream = new PieceStream((piece, body) => send(containerId, piece, body), true);
    // Whoever reads or writes it hears of errors.
    stream.on("error", () => undefined);
    this.#stream = stream;
    onBegun(stream);
  }

  #lose(reason: string, isFinal: boolean): void {
    const begun = this.#stream;
    if (this.#isOpened || (isFinal && this.hasBegun)) {
      begun?.hear({ kind: "reset", message: reason }, new Uint8Array(0));
      this.#openOnce({ kind: "lost", reason });
      return;
    }
    this.#forgetStream();
    this.#containerId = undefined;
  }

  #forgetStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.hear({ kind: "reset", message: "it runs in another container" }, new Uint8Array(0));
  }

  #openOnce(opening: Opening): void {
    if (this.#isOpened) return;
    this.#isOpened = true;
    this.#open(opening);
  }
}
