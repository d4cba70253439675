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
import { createImageService } from "../images/image-service.ts";
import type { ImageService } from "../services.ts";
import type { Foundations } from "./foundations.ts";

/** Opens what was built before; without gVisor there is nothing to build in, which builds say. */
export async function openImageService(
  config: PlatformConfig,
  { store, blobs, clock, cacheDir, onError }: Foundations,
): Promise<ImageService> {
  const { localNode, imageRegistries, imageDiskBytesMax: diskBytesMax } = config;
  const common = { store, clock, diskBytesMax, onError };
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
  return createImageService({ ...common, builder });
}

function withRegistries(indexes: HostIndexes, registries: readonly string[]): HostIndexes {
  return { ...indexes, trusted: new Set([...indexes.trusted, ...registries]) };
}
