/** Payloads of inputs and results: small ones in their row, large ones in the blob store. */
import { PlatformError } from "../../core/index.ts";
import { INLINE_PAYLOAD_BYTES_MAX, namedChunks } from "../../sdk/protocol/index.ts";
import type { StoredPayload } from "../store/record-store.ts";
import type { BlobStore } from "./blob-store.ts";

/** Stores a payload where its size says: at once when it is small. */
export function storePayload(
  blobs: BlobStore,
  bytes: Uint8Array,
): StoredPayload | Promise<StoredPayload> {
  const chunks = namedChunks(bytes);
  const named = chunks.length === 0 ? {} : { chunks };
  if (bytes.byteLength <= INLINE_PAYLOAD_BYTES_MAX) return { kind: "inline", bytes, ...named };
  const byteCount = bytes.byteLength;
  return blobs.put(bytes).then((sha256) => ({ kind: "blob", sha256, byteCount, ...named }));
}

/** The bytes of a payload. @throws PlatformError `not_found` when its blob is gone. */
export async function loadPayload(blobs: BlobStore, payload: StoredPayload): Promise<Uint8Array> {
  if (payload.kind === "inline") return payload.bytes;
  const bytes = await blobs.get(payload.sha256);
  if (bytes !== undefined) return bytes;
  throw new PlatformError(`blob ${payload.sha256} is missing from the blob store`, {
    code: "not_found",
    retryable: false,
    details: { sha256: payload.sha256 },
  });
}
