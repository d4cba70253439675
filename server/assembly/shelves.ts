/** What nodes fetch of a platform: images, their chunks, and the memory that nodes share. */
import type { ChunkKeeper } from "../../sandbox/index.ts";
import type { PlatformConfig } from "../config.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { SecretVault } from "../secrets/secret-vault.ts";
import type { ChunkService, ImageService } from "../services.ts";
import { ImageReads } from "../images/image-reads.ts";
import { SnapshotShelf } from "../snapshots/snapshot-shelf.ts";
import { openSnapshotStores } from "./chunks.ts";
import type { Closers } from "./closers.ts";
import type { Foundations } from "./foundations.ts";
import { openImageService } from "./images.ts";

export interface Shelves {
  readonly images: ImageService;
  readonly chunks: ChunkService;
  readonly imageReads: ImageReads;
  readonly snapshots: SnapshotShelf;
}

/** Opens them over what this platform has. */
export async function openShelves(
  config: PlatformConfig,
  { foundations, closers }: { readonly foundations: Foundations; readonly closers: Closers },
  parts: {
    readonly keeper: ChunkKeeper;
    readonly fleet: Fleet;
    readonly secrets: SecretVault;
  },
): Promise<Shelves> {
  const { keeper, fleet, secrets } = parts;
  const images = await openImageService(config, foundations, { keeper, secrets });
  const snapshots = new SnapshotShelf({
    ...(await openSnapshotStores(config, foundations.clusterId, closers)),
    records: foundations.store.chunkRecords("memory-chunks"),
    clock: foundations.clock,
    runs: (nodeId, snapshotId) => fleet.runsSnapshot(nodeId, snapshotId),
    isShared: () => fleet.nodes.schedulable().length > 1,
  });
  const imageReads = new ImageReads({
    images: foundations.store.images,
    chunks: foundations.chunks.store,
    workspacesOn: (nodeId, contentId) => fleet.workspacesOn(nodeId, contentId),
  });
  return { images, chunks: foundations.chunks.store, imageReads, snapshots };
}
