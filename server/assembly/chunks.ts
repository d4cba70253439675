/** The chunks of images: in a folder, or in an S3-compatible store. */
import { join } from "node:path";
import { createS3Tier, openDiskTier, openS3Objects, type ChunkStore } from "../../sandbox/index.ts";
import type { PlatformConfig } from "../config.ts";
import type { Closers } from "./closers.ts";

/** A store of chunks, and where agents of this machine may read it by path. */
export interface OpenedChunks {
  readonly store: ChunkStore;
  /** Absent where chunks are not on this machine. */
  readonly dir?: string;
}

/** Opens the chunks of this platform, beside the blobs. */
export async function openChunks(
  { dataDir, blobStore }: PlatformConfig,
  clusterId: string,
  closers: Closers,
): Promise<OpenedChunks> {
  if (blobStore === undefined) {
    const dir = join(dataDir, "chunks");
    return { store: await openDiskTier({ dir }), dir };
  }
  // Unlike blobs, chunks are removed: another platform in the same bucket must have its own.
  const parts = [blobStore.prefix, "chunks", clusterId];
  const prefix = parts.filter((part) => part !== "").join("/");
  const objects = await openS3Objects({ ...blobStore, prefix });
  closers.add("the chunks of images", () => {
    objects.close();
    return Promise.resolve();
  });
  return { store: createS3Tier(objects) };
}
