/** Chunks from the server, over its API; read only. */
import { messageOf, PlatformError } from "../../core/index.ts";
import type { RemoteChunks } from "./chunk-source.ts";
import { checkChunkId } from "./chunk-store.ts";
import { CHUNK_BYTES_MAX, ENCODING_HEADER_BYTES } from "./chunk.ts";

export interface HttpChunksOptions {
  readonly serverUrl: string;
  /** The bearer token of now; it may change. */
  readonly token: () => string;
  /** Longest that one request may take. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Chunks of the server at `serverUrl`, fetched one by one. */
export function createHttpChunks(options: HttpChunksOptions): RemoteChunks {
  const { serverUrl, token, timeoutMs = TIMEOUT_MS } = options;
  return {
    get: async (id) => {
      checkChunkId(id);
      const url = `${serverUrl}/v1/chunks/${id}`;
      try {
        const response = await fetch(url, {
          headers: { authorization: `Bearer ${token()}` },
          signal: AbortSignal.timeout(timeoutMs),
        });
        if (response.status === 404) return undefined;
        if (!response.ok) throw refused(id, response.status);
        return await boundedBytes(id, response);
      } catch (error) {
        if (error instanceof PlatformError) throw error;
        throw new PlatformError(
          `fetching chunk ${id} from ${serverUrl} failed: ${messageOf(error)}`,
          {
            code: "unavailable",
            retryable: true,
            cause: error,
          },
        );
      }
    },
  };
}

/**
 * The body of an answer that is to be a chunk; one that says too much is cut short.
 *
 * @throws PlatformError `unavailable` when it is larger than any chunk; what reading it throws
 */
export async function boundedBytes(id: string, response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let byteCount = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const part of body ?? []) {
    byteCount += part.byteLength;
    if (byteCount > CHUNK_BYTES_MAX + ENCODING_HEADER_BYTES) throw refused(id, 413);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function refused(id: string, status: number): PlatformError {
  return new PlatformError(`fetching chunk ${id} gave HTTP ${status}`, {
    code: status === 401 || status === 403 ? "auth_failed" : "unavailable",
    // A token may be renewed meanwhile.
    retryable: true,
    details: { status },
  });
}
