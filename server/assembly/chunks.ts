/** The chunks of images and of memory: in a folder, or in an S3-compatible store. */
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

/** Opens the chunks of this platform's images, beside the blobs. */
export async function openChunks(
  config: PlatformConfig,
  clusterId: string,
  closers: Closers,
): Promise<OpenedChunks> {
  return openStore("chunks", { config, clusterId, closers });
}

/** Opens the notes and the chunks of the snapshots that nodes share, apart from those of images. */
export async function openSnapshotStores(
  config: PlatformConfig,
  clusterId: string,
  closers: Closers,
): Promise<{ readonly notes: ChunkStore; readonly chunks: ChunkStore }> {
  const parts = { config, clusterId, closers };
  const [notes, chunks] = await Promise.all([
    openStore("memory-notes", parts),
    openStore("memory-chunks", parts),
  ]);
  return { notes: notes.store, chunks: chunks.store };
}

async function openStore(
  name: string,
  {
    config: { dataDir, blobStore },
    clusterId,
    closers,
  }: {
    readonly config: PlatformConfig;
    readonly clusterId: string;
    readonly closers: Closers;
  },
): Promise<OpenedChunks> {
  if (blobStore === undefined) {
    const dir = join(dataDir, name);
    return { store: await openDiskTier({ dir }), dir };
  }
  // Unlike blobs, chunks are removed: another platform in the same bucket must have its own.
  const parts = [blobStore.prefix, name, clusterId];
  const prefix = parts.filter((part) => part !== "").join("/");
  const objects = await openS3Objects({ ...blobStore, prefix });
  closers.add(name, () => {
    objects.close();
    return Promise.resolve();
  });
  return { store: createS3Tier(objects) };
}
