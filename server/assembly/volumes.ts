/** The volumes of a platform, with the keeper of the chunks that they share with images. */
import type { ChunkKeeper } from "../../sandbox/index.ts";
import { VolumeKeeper, type VolumeKeeperOptions } from "../volumes/volume-keeper.ts";
import type { Foundations } from "./foundations.ts";
import { openChunkKeeper, type ChunkUsers } from "./images.ts";

export interface OpenedVolumes {
  readonly keeper: ChunkKeeper;
  readonly volumes: VolumeKeeper;
}

/** A collection looks at every chunk, so it is made seldom. */
const COLLECT_EVERY_MS = 600_000;

/** Opens them; what they ask of others is asked only once the platform runs. */
export function openVolumes(
  foundations: Foundations,
  {
    functionsAlive,
    isAlive,
  }: Pick<ChunkUsers, "functionsAlive"> & Pick<VolumeKeeperOptions, "isAlive">,
): OpenedVolumes {
  const { store, chunks, clock, ids, key, onError } = foundations;
  let collectedAtMs = -Infinity;
  const keeper = openChunkKeeper(foundations, {
    functionsAlive,
    volumeContents: () => volumes.contentIdsInUse(),
  });
  const volumes = new VolumeKeeper({
    ...{ store, clock, ids, key, isAlive },
    chunks: chunks.store,
    lease: () => keeper.lease(),
    onGarbage: () => {
      if (clock.nowMs() - collectedAtMs < COLLECT_EVERY_MS) return;
      collectedAtMs = clock.nowMs();
      keeper.collect().catch((error: unknown) => onError(error, "removing chunks of volumes"));
    },
  });
  return { keeper, volumes };
}
