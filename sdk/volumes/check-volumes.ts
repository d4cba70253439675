/** The volumes of a function's spec: checked as far as this machine can, and as they travel. */
import { VOLUMES_PER_FUNCTION_MAX, type VolumeMount } from "../protocol/volume.ts";
import type { Volume } from "../volume.ts";

const MOUNT_PATH = /^(\/[A-Za-z0-9._-]{1,64}){1,8}$/;
const EXAMPLE = '{ "/data": Volume.fromName("models") }';

/** What is wrong with a `volumes` field; the server checks the rest. */
export function checkVolumes(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return `must be an object of paths and Volumes, such as ${EXAMPLE}`;
  }
  const mounts = Object.entries(value);
  if (mounts.length === 0 || mounts.length > VOLUMES_PER_FUNCTION_MAX) {
    return `must have 1 to ${VOLUMES_PER_FUNCTION_MAX} Volumes, such as ${EXAMPLE}`;
  }
  for (const [path, volume] of mounts) {
    const isPath = MOUNT_PATH.test(path) && !/\/\.{1,2}(\/|$)/.test(path);
    if (!isPath) return `has "${path.slice(0, 80)}", which is no absolute path such as "/data"`;
    if (!isVolume(volume)) return `has no Volume at "${path}", such as ${EXAMPLE}`;
  }
  return undefined;
}

/** The volumes of a checked spec, as they travel. */
export function mountsOf(volumes: Readonly<Record<string, Volume>>): readonly VolumeMount[] {
  return Object.entries(volumes).map(([path, { name, createIfMissing }]) => {
    return { path, name, ...(createIfMissing ? { createIfMissing } : {}) };
  });
}

/** Whether a value is a `Volume`, of this copy of the library or another. */
function isVolume(value: unknown): boolean {
  return typeof value === "object" && value !== null && "name" in value && "copyIn" in value;
}
