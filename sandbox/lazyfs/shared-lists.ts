/** What starts on other nodes have read of an image, through the server that keeps it. */
import { messageOf, PlatformError } from "../../core/index.ts";
import type { ChunkId } from "../store/index.ts";
import { ACCESS_LIST_BYTES_MAX, accessListBytes, readAccessList } from "./access-lists.ts";

/** The lists that the server keeps with its images. */
export interface SharedLists {
  /** The list of an image; empty when there is none, or none for this node. @throws PlatformError */
  find(imageId: ChunkId): Promise<readonly number[]>;
  /**
   * Gives the server what starts here read. That it keeps none for this node is no error: the
   * image was removed, or nothing here runs in it any more.
   *
   * @throws PlatformError when it cannot be sent, or is refused
   */
  offer(imageId: ChunkId, list: readonly number[]): Promise<void>;
}

export interface SharedListsOptions {
  readonly serverUrl: string;
  /** The bearer token of now; it may change. */
  readonly token: () => string;
}

/** What comes later than this is of little use to the start that it is for. */
const WITHIN_MS = 5_000;

/** Lists of the server at `serverUrl`. */
export function createSharedLists(options: SharedListsOptions): SharedLists {
  return {
    find: async (imageId) => {
      const bytes = await ask(options, imageId);
      const list = bytes === undefined ? [] : readAccessList(bytes);
      if (list === undefined) throw failed(imageId, "its answer is no list");
      return list;
    },
    offer: async (imageId, list) => {
      await ask(options, imageId, accessListBytes(list));
    },
  };
}

/** Sends a body, or asks for one; undefined where the server has nothing of this image for us. */
async function ask(
  { serverUrl, token }: SharedListsOptions,
  imageId: ChunkId,
  body?: Uint8Array,
): Promise<Uint8Array | undefined> {
  const sent =
    body === undefined
      ? { method: "GET", headers: {} }
      : {
          method: "PUT",
          headers: { "content-type": "application/octet-stream" },
          body: Buffer.from(body),
        };
  try {
    const response = await fetch(`${serverUrl}/v1/images/${imageId}/reads`, {
      ...sent,
      headers: { ...sent.headers, authorization: `Bearer ${token()}` },
      signal: AbortSignal.timeout(WITHIN_MS),
    });
    if (response.status === 404) return undefined;
    if (!response.ok) throw failed(imageId, `it gave HTTP ${response.status}`);
    return await bytesOf(imageId, response);
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw failed(imageId, messageOf(error), error);
  }
}

/** A server that says too much is cut short. */
async function bytesOf(imageId: ChunkId, response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let byteCount = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const part of body ?? []) {
    byteCount += part.byteLength;
    if (byteCount > ACCESS_LIST_BYTES_MAX) throw failed(imageId, "its answer is too long");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function failed(imageId: ChunkId, why: string, cause?: unknown): PlatformError {
  return new PlatformError(`asking the server what image ${imageId} reads failed: ${why}`, {
    code: "unavailable",
    retryable: true,
    details: { imageId },
    cause,
  });
}
