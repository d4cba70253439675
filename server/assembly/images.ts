/** The images of a platform: built by this machine, with what its owner configured for it. */
import { join } from "node:path";
import {
  BUILT_DIR,
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

/**
 * Opens what was built before; without gVisor there is nothing to build in, which builds say.
 * `functionsAlive` are those that may have containers, now or later.
 */
export async function openImageService(
  config: PlatformConfig,
  { store, blobs, chunks, clock, cacheDir, onError }: Foundations,
  functionsAlive: () => readonly LiveFunction[],
  secrets: SecretVault,
): Promise<ImageService> {
  const { localNode, imageRegistries, imageDiskBytesMax: diskBytesMax } = config;
  const content = new ImageContent({
    chunks: chunks.store,
    // What still runs of an image that was removed is read to its end.
    contentIdsInUse: async () =>
      [...(await store.images.list()), ...functionsAlive().map(({ image }) => image)].flatMap(
        (image) => image?.contentId ?? [],
      ),
  });
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
