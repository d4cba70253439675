import { Duplex } from "node:stream";
import { PIECE_BYTES_MAX, WINDOW_BYTES, type Piece } from "./piece.ts";

/** Credit is told in handfuls. */
const CREDIT_BYTES_MIN = WINDOW_BYTES / 4;
const MESSAGE_CHARACTERS_MAX = 500;
const NOTHING = new Uint8Array(0);

/** The other side gave the stream up. */
export class StreamResetError extends Error {
  override readonly name = "StreamResetError";
}

/** The other side broke the rules of the stream. */
export class StreamProtocolError extends Error {
  override readonly name = "StreamProtocolError";
}

type SendPiece = (piece: Piece, body: Uint8Array) => void;
type Done = (error?: Error | null) => void;

interface Unsent {
  readonly bytes: Uint8Array;
  readonly done: Done;
}

/**
 * One end of a stream of pieces, as a Node stream with back-pressure both ways.
 *
 * Ending the writing side leaves the reading side open. Destroying it tells the other side,
 * unless both directions had ended. A peer that sends beyond its credit is cut off.
 */
export class PieceStream extends Duplex {
  readonly #send: SendPiece;
  readonly #keepsWhole: boolean;
  /** Bytes that may be sent now. */
  #credit = WINDOW_BYTES;
  #unsent: Unsent | undefined;
  /** Received and not yet read, oldest first. */
  readonly #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  /** Read, and the other side not told. */
  #untoldBytes = 0;
  #wantsMore = false;
  #hasEnd = false;
  #isEnded = false;
  #isPeerGone = false;

  /**
   * @param send Sends a piece; the body is empty but for data.
   * @param keepsWhole What the other side sent to its end can be read after it has gone.
   */
  constructor(send: SendPiece, keepsWhole: boolean = false) {
    super({ allowHalfOpen: true, highWaterMark: PIECE_BYTES_MAX });
    this.#keepsWhole = keepsWhole;
    this.#send = (piece, body) => {
      if (!this.#isPeerGone) send(piece, body);
    };
  }

  /** Takes a piece that the other side sent; what comes after the end is dropped. */
  hear(piece: Piece, body: Uint8Array): void {
    if (this.destroyed) return;
    if (piece.kind === "data") this.#receive(body);
    else if (piece.kind === "end") this.#receiveEnd();
    else if (piece.kind === "credit") this.#addCredit(piece.bytes);
    else if (piece.kind === "reset") this.#lose(piece.message);
  }

  override _read(): void {
    this.#wantsMore = true;
    this.#pushUnread();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Done): void {
    this.#unsent = { bytes: chunk, done };
    this.#sendUnsent();
  }

  override _final(done: Done): void {
    this.#send({ kind: "end" }, NOTHING);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const isOver = this.#isEnded && this.writableFinished;
    if (!isOver) {
      const message = (error?.message ?? "closed").slice(0, MESSAGE_CHARACTERS_MAX);
      this.#send({ kind: "reset", message }, NOTHING);
    }
    this.#unread.length = 0;
    const { done: written } = this.#unsent ?? {};
    this.#unsent = undefined;
    written?.(error ?? new StreamResetError("closed"));
    done(error);
  }

  #lose(message: string): void {
    this.#isPeerGone = true;
    const drop = (): void => void this.destroy(new StreamResetError(message));
    // What has come whole can still be read.
    const isKept = this.#keepsWhole && this.#hasEnd && !this.readableEnded;
    if (isKept) this.once("end", drop);
    else drop();
  }

  #receive(body: Uint8Array): void {
    if (this.#hasEnd) return;
    if (this.#unreadBytes + this.#untoldBytes + body.byteLength > WINDOW_BYTES) {
      this.destroy(new StreamProtocolError("the other side sent more than it may"));
      return;
    }
    if (body.byteLength === 0) return;
    this.#unread.push(body);
    this.#unreadBytes += body.byteLength;
    if (this.#wantsMore) this.#pushUnread();
  }

  #receiveEnd(): void {
    this.#hasEnd = true;
    if (this.#wantsMore) this.#pushUnread();
  }

  #pushUnread(): void {
    while (this.#wantsMore) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) break;
      this.#unreadBytes -= bytes.byteLength;
      this.#untoldBytes += bytes.byteLength;
      this.#wantsMore = this.push(bytes);
    }
    this.#tellCredit();
    if (!this.#hasEnd || this.#isEnded || this.#unread.length > 0) return;
    this.#isEnded = true;
    this.push(null);
  }

  #tellCredit(): void {
    if (this.#hasEnd || this.#untoldBytes < CREDIT_BYTES_MIN) return;
    const bytes = this.#untoldBytes;
    this.#untoldBytes = 0;
    this.#send({ kind: "credit", bytes }, NOTHING);
  }

  #addCredit(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > WINDOW_BYTES) {
      this.destroy(new StreamProtocolError("the other side took more than was sent"));
      return;
    }
    this.#sendUnsent();
  }

  #sendUnsent(): void {
    while (this.#unsent !== undefined) {
      const { bytes, done } = this.#unsent;
      if (bytes.byteLength > 0 && this.#credit === 0) return;
      const size = Math.min(bytes.byteLength, this.#credit, PIECE_BYTES_MAX);
      this.#credit -= size;
      if (size > 0) this.#send({ kind: "data" }, bytes.subarray(0, size));
      if (size === bytes.byteLength) {
        this.#unsent = undefined;
        done();
      } else this.#unsent = { bytes: bytes.subarray(size), done };
    }
  }
}
