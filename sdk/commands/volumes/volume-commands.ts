/** `flotilla volume`: volumes as a whole; `add-volume.ts` declares it. */
import { Client } from "../../client/client.ts";
import { VolumeApi } from "../../volumes/volume-api.ts";
import { ageOf, tableOf } from "../table.ts";
import { printData, printJson, printProgress } from "../terminal.ts";
import { sizeOf } from "./size-of.ts";

export interface JsonOption {
  readonly json?: boolean;
}

const newApi = (): VolumeApi => new VolumeApi(new Client());

/** Makes an empty volume. */
export async function createVolume(name: string, { json }: JsonOption): Promise<void> {
  const volume = await newApi().create(name);
  if (json === true) printJson(volume);
  else printProgress(`Created volume ${name}`);
}

/** The volumes of the workspace. */
export async function listVolumes({ json }: JsonOption): Promise<void> {
  const volumes = await newApi().list();
  if (json === true) {
    printJson({ volumes });
    return;
  }
  if (volumes.length === 0) {
    printProgress("No volumes. Create one: flotilla volume create NAME");
    return;
  }
  const nowMs = Date.now();
  const rows = volumes.map(({ name, version, entryCount, bytes, committedAtMs }) => [
    name,
    String(version),
    String(entryCount),
    sizeOf(bytes),
    ageOf(committedAtMs, nowMs),
  ]);
  printData(tableOf(["VOLUME", "VERSION", "ENTRIES", "SIZE", "CHANGED"], rows));
}

/** The versions of a volume. */
export async function showHistory(name: string, { json }: JsonOption): Promise<void> {
  const versions = await newApi().history(name);
  if (json === true) {
    printJson({ versions });
    return;
  }
  if (versions.length === 0) {
    printProgress(`Volume ${name} is as it was made: nothing was committed yet`);
    return;
  }
  const nowMs = Date.now();
  const rows = versions.map((version) => [
    String(version.version),
    ageOf(version.committedAtMs, nowMs),
    version.by ?? "-",
    `+${version.changedCount} -${version.removedCount}`,
    String(version.entryCount),
    sizeOf(version.bytes),
  ]);
  printData(tableOf(["VERSION", "AGE", "BY", "CHANGES", "ENTRIES", "SIZE"], rows));
}

/** Deletes a volume. */
export async function deleteVolume(name: string, { json }: JsonOption): Promise<void> {
  await newApi().remove(name);
  if (json === true) printJson({ name, deleted: true });
  else printProgress(`Deleted volume ${name}`);
}
