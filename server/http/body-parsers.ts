/** Bodies that are not JSON: frames and raw bytes. Each is bounded before it is buffered. */
import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { PlatformError } from "../../core/index.ts";
import {
  decodeFrame,
  FRAME_BYTES_MAX,
  FRAME_MEDIA_TYPE,
  GatheredBytes,
  giveBack,
  keptMemory,
  type Frame,
} from "../../sdk/protocol/index.ts";

/** Largest JSON body. */
export const JSON_BYTES_MAX = 1024 * 1024;
/** Largest blob of one upload. */
export const BLOB_BYTES_MAX = 64 * 1024 * 1024;
export const BLOB_MEDIA_TYPE = "application/octet-stream";

/** A request body that was one frame; nobody has checked its header yet. */
export class ReceivedFrame implements Frame {
  readonly header: unknown;
  readonly body: Uint8Array;

  constructor(frame: Frame) {
    this.header = frame.header;
    this.body = frame.body;
  }
}

/** A request body of raw bytes and what they hash to. */
export class ReceivedBytes {
  readonly bytes: Uint8Array;
  /** Hexadecimal. */
  readonly sha256: string;

  constructor(bytes: Uint8Array, sha256: string) {
    this.bytes = bytes;
    this.sha256 = sha256;
  }
}

/** Lets the routes of `scope` take frames; bytes that are no frame are a `FrameError`. */
export function acceptFrames(scope: FastifyInstance): void {
  scope.addContentTypeParser<Buffer>(
    FRAME_MEDIA_TYPE,
    { parseAs: "buffer", bodyLimit: FRAME_BYTES_MAX },
    (_request, body, done) => done(null, new ReceivedFrame(decodeFrame(body))),
  );
}

/** Lets the routes of `scope` take raw bytes, hashed as they come in. */
export function acceptBytes(scope: FastifyInstance): void {
  scope.addContentTypeParser(BLOB_MEDIA_TYPE, receiveBytes);
}

async function receiveBytes(
  request: FastifyRequest,
  payload: AsyncIterable<Buffer>,
): Promise<ReceivedBytes> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > BLOB_BYTES_MAX) throw tooLarge();
  const hash = createHash("sha256");
  const gathered = new GatheredBytes(announced, keptMemory(announced));
  for await (const chunk of payload) {
    if (gathered.byteCount + chunk.byteLength > BLOB_BYTES_MAX) throw tooLarge();
    hash.update(chunk);
    gathered.add(chunk);
    giveBack(chunk);
  }
  return new ReceivedBytes(gathered.take(), hash.digest("hex"));
}

function tooLarge(): PlatformError {
  return new PlatformError(`a blob has at most ${BLOB_BYTES_MAX} bytes`, {
    code: "payload_too_large",
    retryable: false,
  });
}
