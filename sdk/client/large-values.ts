/** Payloads of any size: what is too large for a frame goes as blobs. */
import { SerializationError } from "../protocol/values/serialization-error.ts";
import { LARGE_PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX, type StoredBlob } from "../protocol/api.ts";
import {
  isReference,
  loadReference,
  storeSegments,
  type ChunkStore,
} from "../protocol/large-payload.ts";
import { decodeSegments, decodeValue, encodeSegments, joinSegments } from "../protocol/values.ts";
import type { Transport } from "./transport.ts";

const BLOB_MEDIA_TYPE = "application/octet-stream";

/** The blobs of a server, as a store of chunks. */
export function chunkStoreOf(transport: Transport): ChunkStore {
  return {
    put: async (body, signal) => {
      const request = { method: "POST", path: "/v1/blobs", body, signal } as const;
      const { sha256 } = await transport.json<StoredBlob>({
        ...request,
        contentType: BLOB_MEDIA_TYPE,
      });
      return sha256;
    },
    get: (sha256, signal, place) =>
      transport.send({ method: "GET", path: `/v1/blobs/${sha256}`, signal, place }),
  };
}

/**
 * The payload of a value: at once, or once what is large has been sent ahead of it.
 *
 * @param label What the value is called in messages.
 * @throws SerializationError naming the part that cannot be sent, or the size.
 */
export function encodePayload(
  value: unknown,
  options: { readonly label: string; readonly chunks: ChunkStore; readonly signal?: AbortSignal },
): Uint8Array | Promise<Uint8Array> {
  const segments = encodeSegments(value, options.label);
  const byteCount = segments.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (byteCount > LARGE_PAYLOAD_BYTES_MAX) {
    throw new SerializationError(
      `${options.label} take ${byteCount} bytes; one input may have ${LARGE_PAYLOAD_BYTES_MAX}`,
    );
  }
  if (byteCount > PAYLOAD_BYTES_MAX) return storeSegments(segments, options.chunks, options.signal);
  return joinSegments(segments);
}

/** The value of a payload: at once, or once what is large has come. @throws SerializationError */
export function decodePayload(
  payload: Uint8Array,
  chunks: ChunkStore,
  signal?: AbortSignal,
): unknown {
  return isReference(payload)
    ? loadReference(payload, chunks, signal).then(decodeSegments)
    : decodeValue(payload);
}
