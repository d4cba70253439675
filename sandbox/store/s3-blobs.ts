/** Blobs as objects of an S3-compatible store: `<prefix>/ab/abcdef…`, named by their SHA-256. */
import { hash } from "node:crypto";
import { isChunkId } from "./chunk.ts";
import type { S3Objects } from "./s3-objects.ts";

/** Whole blobs by their hash; what the server keeps code and payloads in. */
export interface S3Blobs {
  /** Stores bytes and gives their hash, `sha256` if reckoned already; again changes nothing. */
  put(bytes: Uint8Array, sha256?: string): Promise<string>;
  /** The bytes, verified; undefined when absent or damaged. @throws unavailable */
  get(sha256: string): Promise<Uint8Array | undefined>;
  has(sha256: string): Promise<boolean>;
  /** Removes a blob; nothing when it is absent. @throws unavailable */
  remove(sha256: string): Promise<void>;
}

/** Blobs in `objects`; `onDamage` is told of one whose bytes are not those of its name. */
export function createS3Blobs(
  objects: S3Objects,
  onDamage: (sha256: string) => void = () => undefined,
): S3Blobs {
  return {
    put: async (bytes, known) => {
      const sha256 = known ?? hash("sha256", bytes, "hex");
      if (!(await objects.has(keyOf(sha256)))) await objects.put(keyOf(sha256), bytes);
      return sha256;
    },
    get: async (sha256) => {
      if (!isChunkId(sha256)) return undefined;
      const bytes = await objects.get(keyOf(sha256), Infinity);
      if (bytes === undefined || hash("sha256", bytes, "hex") === sha256) return bytes;
      onDamage(sha256);
      // Whoever has the bytes may store them again.
      await objects.delete([keyOf(sha256)]);
      return undefined;
    },
    has: async (sha256) => isChunkId(sha256) && objects.has(keyOf(sha256)),
    remove: async (sha256) => {
      if (isChunkId(sha256)) await objects.delete([keyOf(sha256)]);
    },
  };
}

function keyOf(sha256: string): string {
  return `${sha256.slice(0, 2)}/${sha256}`;
}
