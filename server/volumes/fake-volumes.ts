/** Volumes over chunks in memory, for tests. */
import type { Clock, IdSource } from "../../core/index.ts";
import {
  ChunkKeeper,
  createMemoryTier,
  type ChunkStore,
  type StoreLease,
} from "../../sandbox/index.ts";
import type { RecordStore } from "../store/record-store.ts";
import { VolumeKeeper } from "./volume-keeper.ts";

export interface FakeVolumeOptions {
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** In memory unless given. */
  readonly chunks?: ChunkStore;
  readonly isAlive?: (containerId: string) => boolean;
}

export interface FakeVolumes {
  readonly volumes: VolumeKeeper;
  readonly keeper: ChunkKeeper;
}

/** A keeper of volumes on its own, with the keeper of its chunks. */
export function openFakeVolumes(options: FakeVolumeOptions): FakeVolumes {
  const { store, clock, ids, isAlive = () => false } = options;
  const chunks = options.chunks ?? createMemoryTier({ nowMs: () => clock.nowMs() });
  const keeper: ChunkKeeper = new ChunkKeeper({
    store: chunks,
    records: store.chunkRecords("chunks"),
    clock,
    imagesInUse: () => volumes.contentIdsInUse(),
  });
  const key = new Uint8Array(32).fill(3);
  const lease = (): StoreLease => keeper.lease();
  const onGarbage = (): void => undefined;
  const volumes = new VolumeKeeper({ store, clock, ids, key, chunks, isAlive, lease, onGarbage });
  return { volumes, keeper };
}
