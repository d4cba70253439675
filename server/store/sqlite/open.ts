import type { RecordStore } from "../record-store.ts";
import { Database } from "./database.ts";
import { SqliteArrivals } from "./sqlite-arrivals.ts";
import { SqliteBlobRecords } from "./sqlite-blob-records.ts";
import { createSqliteChunkRecords } from "./sqlite-chunk-records.ts";
import { SqliteFences } from "./sqlite-fences.ts";
import { SqliteCallReader } from "./sqlite-call-reader.ts";
import { SqliteImages } from "./sqlite-images.ts";
import { SqliteLedger } from "./sqlite-ledger.ts";
import { SqliteNodes, SqlitePlans } from "./sqlite-nodes.ts";
import { SqliteOffers } from "./sqlite-offers.ts";
import { SqlitePoolEvents } from "./sqlite-pool-events.ts";
import { SqlitePoolMemory } from "./sqlite-pool-memory.ts";
import { SqliteRegistry } from "./sqlite-registry.ts";
import { SqliteSecrets } from "./sqlite-secrets.ts";
import { SqliteSchedules } from "./sqlite-schedules.ts";
import { SqliteTokens } from "./sqlite-tokens.ts";
import { SqliteVolumeHolds, SqliteVolumes, SqliteVolumeVersions } from "./sqlite-volumes.ts";
import { SqliteUsage } from "./sqlite-usage.ts";
import { SqliteBlobOwners, SqliteWorkspaces } from "./sqlite-workspaces.ts";

/**
 * The record store in one SQLite file, made when it is not there.
 *
 * @param path A file, or ":memory:".
 * @throws PlatformError `unavailable` when it cannot be opened or a newer version wrote it.
 */
export function openRecordStore(path: string): RecordStore {
  const db = new Database(path);
  const schedules = new SqliteSchedules(db);
  return {
    registry: new SqliteRegistry(db),
    tokens: new SqliteTokens(db),
    workspaces: new SqliteWorkspaces(db),
    blobOwners: new SqliteBlobOwners(db),
    blobs: new SqliteBlobRecords(db),
    usage: new SqliteUsage(db),
    ledger: new SqliteLedger(db),
    calls: new SqliteCallReader(db),
    arrivals: new SqliteArrivals(db),
    nodes: new SqliteNodes(db),
    plans: new SqlitePlans(db),
    poolEvents: new SqlitePoolEvents(db),
    poolMemory: new SqlitePoolMemory(db),
    fences: new SqliteFences(db),
    offers: new SqliteOffers(db),
    schedules,
    scheduleRuns: schedules,
    images: new SqliteImages(db),
    chunkRecords: (name) => createSqliteChunkRecords(db, name),
    secrets: new SqliteSecrets(db),
    volumes: new SqliteVolumes(db),
    volumeVersions: new SqliteVolumeVersions(db),
    volumeHolds: new SqliteVolumeHolds(db),
    close: () => {
      db.close();
      return Promise.resolve();
    },
  };
}
