/**
 * Frames: the one wire format of the platform. API batches, the agent link and the runner's
 * pipe all carry them.
 *
 *     u32 total   little endian, bytes that follow
 *     u32 header  little endian, bytes of the header
 *     header      UTF-8 JSON
 *     body        the rest: raw bytes, as the header says (payloads are never base64)
 *
 * A decoder holds at most one partial frame and refuses one above its limit before
 * buffering it, so a broken or hostile peer costs a bounded amount of memory.
 */

import { GatheredBytes } from "./gathered-bytes.ts";

/** One message: what it is, and the bytes it carries. */
export interface Frame<Header = unknown> {
  readonly header: Header;
  readonly body: Uint8Array;
}

/** Largest frame any peer may send. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;

const PREFIX_BYTES = 8;
/** Pieces of a frame below this are joined as they come. */
const SMALL_BYTES = 4_096;
/** Bodies from here on are put together in memory of their own as they come. */
const LARGE_BODY_BYTES = 256 * 1024;
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The peer sent bytes that are no frame; the connection cannot be used any further. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** The bytes of one frame. Cost: one copy of the body. */
export function encodeFrame(header: unknown, bodies: readonly Uint8Array[] = []): Uint8Array {
  const head = encoder.encode(JSON.stringify(header));
  const bodyBytes = bodies.reduce((sum, body) => sum + body.byteLength, 0);
  const out = new Uint8Array(PREFIX_BYTES + head.byteLength + bodyBytes);
  setHead(out, head, bodyBytes);
  let offset = PREFIX_BYTES + head.byteLength;
  for (const body of bodies) {
    out.set(body, offset);
    offset += body.byteLength;
  }
  return out;
}

/** What goes before a body of `bodyBytes` bytes, which is then sent as it is. */
export function encodeFrameHead(header: unknown, bodyBytes: number): Uint8Array {
  const head = encoder.encode(JSON.stringify(header));
  const out = new Uint8Array(PREFIX_BYTES + head.byteLength);
  setHead(out, head, bodyBytes);
  return out;
}

function setHead(out: Uint8Array, head: Uint8Array, bodyBytes: number): void {
  const view = new DataView(out.buffer);
  view.setUint32(0, 4 + head.byteLength + bodyBytes, true);
  view.setUint32(4, head.byteLength, true);
  out.set(head, PREFIX_BYTES);
}

/** The one frame that `bytes` is, no more and no less. @throws FrameError otherwise. */
export function decodeFrame<Header = unknown>(bytes: Uint8Array): Frame<Header> {
  const frameDecoder = new FrameDecoder<Header>(Math.max(bytes.byteLength, PREFIX_BYTES));
  const frames = frameDecoder.push(bytes);
  const [frame] = frames;
  if (frame === undefined || frames.length > 1 || frameDecoder.pendingBytes > 0) {
    throw new FrameError(`expected one frame, got ${frames.length} and a rest`);
  }
  return frame;
}

/** Cuts a body into the consecutive pieces whose sizes a header gave. @throws FrameError */
export function splitBody(body: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  let offset = 0;
  const pieces = sizes.map((size) => {
    if (!Number.isInteger(size) || size < 0 || offset + size > body.byteLength) {
      throw new FrameError(`a piece of ${size} bytes does not fit a body of ${body.byteLength}`);
    }
    const piece = body.subarray(offset, offset + size);
    offset += size;
    return piece;
  });
  if (offset !== body.byteLength) {
    throw new FrameError(`${body.byteLength - offset} bytes of body belong to no piece`);
  }
  return pieces;
}

/** A frame whose header is there and of whose body the rest is to come. */
interface LargeFrame<Header> {
  readonly header: Header;
  readonly bodyBytes: number;
  readonly body: GatheredBytes;
}

/** Where the large body of a frame is to be put; undefined: in memory of its own. */
export type PlaceOfBody<Header> = (header: Header, bodyBytes: number) => Uint8Array | undefined;

/**
 * Turns a stream of bytes, cut anywhere, into frames. A large body has memory of its own, which
 * whoever gets it may give back, or is put where `placeOf` says.
 */
export class FrameDecoder<Header = unknown> {
  readonly #frameBytesMax: number;
  readonly #headerBytesMax: number;
  readonly #placeOf: PlaceOfBody<Header>;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #headerBytes = 0;
  #large: LargeFrame<Header> | undefined;

  /** @param headerBytesMax Largest header: what it costs to read one as JSON. */
  constructor(
    frameBytesMax: number = FRAME_BYTES_MAX,
    headerBytesMax: number = frameBytesMax,
    placeOf: PlaceOfBody<Header> = () => undefined,
  ) {
    this.#frameBytesMax = frameBytesMax;
    this.#headerBytesMax = headerBytesMax;
    this.#placeOf = placeOf;
  }

  /** Bytes of all headers so far: what it cost to read them. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** Bytes of an unfinished frame held so far. */
  get pendingBytes(): number {
    return this.#bufferedBytes + (this.#large?.body.byteCount ?? 0);
  }

  /** The frames that `chunk` completes, in order. @throws FrameError on bytes that are no frame. */
  push(chunk: Uint8Array): Frame<Header>[] {
    if (chunk.byteLength > 0) this.#keep(chunk);
    const frames: Frame<Header>[] = [];
    for (;;) {
      const large = this.#large;
      if (large !== undefined) {
        if (!this.#fill(large)) return frames;
        frames.push({ header: large.header, body: large.body.take() });
        this.#large = undefined;
      }
      if (this.#bufferedBytes < PREFIX_BYTES) return frames;
      const first = this.#joinedUpTo(PREFIX_BYTES);
      const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
      const total = view.getUint32(0, true);
      const headerBytes = view.getUint32(4, true);
      const isTooLarge = total > this.#frameBytesMax || headerBytes > this.#headerBytesMax;
      if (isTooLarge || headerBytes + 4 > total) {
        throw new FrameError(
          `a frame of ${total} bytes with a header of ${headerBytes} is refused`,
        );
      }
      const bodyBytes = total - 4 - headerBytes;
      const isLarge = bodyBytes >= LARGE_BODY_BYTES;
      const wantedBytes = isLarge ? PREFIX_BYTES + headerBytes : total + 4;
      if (this.#bufferedBytes < wantedBytes) return frames;
      this.#headerBytes += headerBytes;
      const { header, body } = parseFrame<Header>(this.#take(wantedBytes), headerBytes);
      if (isLarge) {
        const gathered = new GatheredBytes(bodyBytes, this.#placeOf(header, bodyBytes));
        this.#large = { header, bodyBytes, body: gathered };
      } else frames.push({ header, body });
    }
  }

  /** As `push`, of memory that is its owner's again afterwards: nothing of it is kept. */
  pushBorrowed(chunk: Uint8Array): Frame<Header>[] {
    const large = this.#large;
    const missing = large === undefined ? 0 : large.bodyBytes - large.body.byteCount;
    const frames = this.push(chunk.subarray(0, missing));
    const rest = chunk.subarray(missing);
    return rest.byteLength === 0 ? frames : [...frames, ...this.push(rest.slice())];
  }

  /** Moves what has come of a large body to its place; whether that is all of it. */
  #fill({ body, bodyBytes }: LargeFrame<Header>): boolean {
    while (body.byteCount < bodyBytes) {
      const [first] = this.#chunks;
      if (first === undefined) return false;
      const part = first.subarray(0, bodyBytes - body.byteCount);
      body.add(part);
      this.#bufferedBytes -= part.byteLength;
      if (part.byteLength === first.byteLength) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(part.byteLength);
    }
    return true;
  }

  /** Small pieces are joined with others like them, so that a frame in drops costs its bytes. */
  #keep(chunk: Uint8Array): void {
    this.#bufferedBytes += chunk.byteLength;
    let last = chunk;
    while (last.byteLength < SMALL_BYTES) {
      const before = this.#chunks.at(-1);
      if (before === undefined || before.byteLength > last.byteLength) break;
      this.#chunks.pop();
      last = concat([before, last], before.byteLength + last.byteLength);
    }
    this.#chunks.push(last);
  }

  #joinedUpTo(size: number): Uint8Array {
    const [first] = this.#chunks;
    if (first !== undefined && first.byteLength >= size) return first;
    const joined = concat(this.#chunks, this.#bufferedBytes);
    this.#chunks = [joined];
    return joined;
  }

  #take(size: number): Uint8Array {
    const joined = this.#joinedUpTo(size);
    const rest = joined.subarray(size);
    this.#chunks = [...(rest.byteLength > 0 ? [rest] : []), ...this.#chunks.slice(1)];
    this.#bufferedBytes -= size;
    return joined.subarray(0, size);
  }
}

function parseFrame<Header>(bytes: Uint8Array, headerBytes: number): Frame<Header> {
  const bodyStart = PREFIX_BYTES + headerBytes;
  try {
    const header = JSON.parse(decoder.decode(bytes.subarray(PREFIX_BYTES, bodyStart))) as Header;
    return { header, body: bodyStart < bytes.byteLength ? bytes.subarray(bodyStart) : EMPTY };
  } catch (error) {
    throw new FrameError("the header of a frame is not JSON", { cause: error });
  }
}

function concat(chunks: readonly Uint8Array[], totalBytes: number): Uint8Array {
  const joined = new Uint8Array(totalBytes);
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return joined;
}
