/** The blobs of this platform: in a folder, or in an S3-compatible store. */
import { join } from "node:path";
import type { Logger } from "pino";
import type { Clock } from "../../core/index.ts";
import { createS3Blobs, openS3Objects } from "../../sandbox/index.ts";
import { BlobKeeper } from "../blobs/blob-keeper.ts";
import type { BlobStore, RemovableBlobs } from "../blobs/blob-store.ts";
import { openDirectoryBlobStore } from "../blobs/directory-blob-store.ts";
import type { PlatformConfig } from "../config.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { Closers } from "./closers.ts";

/** Their place below the data folder, or the prefix in a bucket. */
const BLOBS = "blobs";

/** What `openBlobs` stands on. */
export interface BlobParts {
  readonly store: Pick<RecordStore, "blobs">;
  readonly clock: Clock;
  readonly clusterId: string;
  readonly logger: Logger;
  readonly closers: Closers;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Opens the blobs where the settings say, and keeps them. @throws PlatformError `unavailable` */
export async function openBlobs(config: PlatformConfig, parts: BlobParts): Promise<BlobKeeper> {
  const blobs = await openStore(config, parts);
  return new BlobKeeper({ ...parts, blobs, records: parts.store.blobs });
}

/** The folder of blobs that are files; undefined when they are kept elsewhere. */
export function blobDirOf({
  dataDir,
  blobStore,
}: Pick<PlatformConfig, "dataDir" | "blobStore">): string | undefined {
  return blobStore === undefined ? join(dataDir, BLOBS) : undefined;
}

async function openStore(
  { dataDir, blobStore }: PlatformConfig,
  { clusterId, logger, closers }: BlobParts,
): Promise<RemovableBlobs> {
  const onDamage = (sha256: string): void => {
    logger.error({ sha256 }, "a blob was damaged and is removed");
  };
  if (blobStore === undefined) return openDirectoryBlobStore(join(dataDir, BLOBS), onDamage);
  const open = async (...parts: readonly string[]): Promise<RemovableBlobs> => {
    const prefix = [blobStore.prefix, ...parts].filter((part) => part !== "").join("/");
    const objects = await openS3Objects({ ...blobStore, prefix });
    closers.add("the blob store", () => {
      objects.close();
      return Promise.resolve();
    });
    return createS3Blobs(objects, onDamage);
  };
  // Blobs are removed: another platform in the same bucket must have its own.
  return ownBefore(await open(BLOBS, clusterId), await open(BLOBS));
}

/** Stores into and removes from its own; reads what is not there where all stored before. */
function ownBefore(own: RemovableBlobs, shared: Pick<BlobStore, "get" | "has">): RemovableBlobs {
  return {
    put: (bytes, sha256) => own.put(bytes, sha256),
    get: async (sha256, memoryFor) => (await own.get(sha256, memoryFor)) ?? shared.get(sha256),
    has: async (sha256) => (await own.has(sha256)) || shared.has(sha256),
    remove: (sha256) => own.remove(sha256),
  };
}
