/** The images of a platform: built by this machine, with what its owner configured for it. */
import { join } from "node:path";
import {
  BUILT_DIR,
  ChunkKeeper,
  hostFiles,
  ImageBuilder,
  readHostIndexes,
  type HostIndexes,
} from "../../sandbox/index.ts";
import type { PlatformConfig } from "../config.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { ImageContent } from "../images/image-content.ts";
import { createImageService } from "../images/image-service.ts";
import { storeMissingContent } from "../images/missing-content.ts";
import type { SecretVault } from "../secrets/secret-vault.ts";
import type { ImageService } from "../services.ts";
import type { Foundations } from "./foundations.ts";

/** What needs the chunks of a platform. */
export interface ChunkUsers {
  /** Functions that may have containers, now or later. */
  readonly functionsAlive: () => readonly LiveFunction[];
  /** The contents of volumes. */
  readonly volumeContents: () => Promise<readonly string[]>;
}

/** The one keeper of the chunks of images and volumes. */
export function openChunkKeeper(
  { store, chunks, clock }: Foundations,
  users: ChunkUsers,
): ChunkKeeper {
  return new ChunkKeeper({
    store: chunks.store,
    records: store.chunkRecords("chunks"),
    clock,
    imagesInUse: async () => {
      // What still runs of an image that was removed is read to its end.
      const alive = users.functionsAlive().map(({ image }) => image);
      const images = [...(await store.images.list()), ...alive];
      return [
        ...images.flatMap((image) => image?.contentId ?? []),
        ...(await users.volumeContents()),
      ];
    },
  });
}

/** Opens what was built before; without gVisor there is nothing to build in, which builds say. */
export async function openImageService(
  config: PlatformConfig,
  { store, blobs, chunks, clock, cacheDir, onError }: Foundations,
  { keeper, secrets }: { readonly keeper: ChunkKeeper; readonly secrets: SecretVault },
): Promise<ImageService> {
  const { localNode, imageRegistries, imageDiskBytesMax: diskBytesMax } = config;
  const content = new ImageContent({ chunks: chunks.store, keeper });
  const common = { store, secrets, content, clock, diskBytesMax, onError };
  if (localNode?.isolation === "process") {
    const absent = "images are built in gVisor, and this platform runs without (--unisolated)";
    return createImageService({ ...common, builder: { absent } });
  }
  const builder = await ImageBuilder.open({
    dir: join(cacheDir, BUILT_DIR),
    clock,
    indexes: () => withRegistries(readHostIndexes(hostFiles(process.env)), imageRegistries),
    blob: (sha256) => blobs.get(sha256),
  });
  const options = { ...common, builder };
  await storeMissingContent(options);
  return createImageService(options);
}

function withRegistries(indexes: HostIndexes, registries: readonly string[]): HostIndexes {
  return { ...indexes, trusted: new Set([...indexes.trusted, ...registries]) };
}
