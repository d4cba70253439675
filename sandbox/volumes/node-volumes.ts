/** The volumes of a node's containers, and what an agent that died left of them. */
import { readdir, rm } from "node:fs/promises";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Clock } from "../../core/index.ts";
import type { NodeImages } from "../images/node-images.ts";
import { unmountFuse } from "../lazyfs/fuse-mount.ts";
import { createChunkSource, createHttpChunks, openDiskTier } from "../store/index.ts";
import { commitLast, ContainerVolumes } from "./container-volumes.ts";
import { MountedVolume, type VolumeSurroundings } from "./mounted-volume.ts";
import { volumeClients } from "./volume-client.ts";
import type { VolumeStart } from "./volume-start.ts";

export interface NodeVolumesOptions {
  /** Folder of all of them. */
  readonly dir: string;
  readonly images: NodeImages;
  /** Folders of chunks of this machine that belong to others. */
  readonly sharedDirs: readonly string[];
  readonly serverUrl: string;
  readonly token: () => string;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Volumes for the containers of one node. */
export interface NodeVolumes {
  /** Those of a container, not mounted yet. */
  of(containerId: string, volumes: readonly VolumeStart[]): ContainerVolumes;
  /** Commits what containers of an earlier agent had not committed yet. Once, in its own time. */
  recover(): Promise<void>;
  /** Tries nothing again from now on. */
  close(): void;
}

/** Where an agent's folder has the volumes of its containers. */
export function volumesDirOf(dataDir: string): string {
  // As the kernel lists mount points.
  return join(resolve(dataDir), "volumes");
}

/** Unmounts all that an earlier agent mounted below a folder; what its containers wrote stays. */
export async function unmountBelow(dir: string): Promise<void> {
  if (process.platform !== "linux") return;
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  for (const line of lines.reverse()) {
    const point = (line.split(" ")[4] ?? "").replaceAll("\\040", " ");
    if (point.startsWith(`${dir}/`)) await unmountFuse(point).catch(() => undefined);
  }
}

export async function createNodeVolumes(options: NodeVolumesOptions): Promise<NodeVolumes> {
  const { dir, images, sharedDirs, serverUrl, token, clock, onError } = options;
  const shared = await Promise.all(sharedDirs.map((each) => openDiskTier({ dir: each })));
  const closing = new AbortController();
  const surroundings: VolumeSurroundings = {
    clock,
    openClient: volumeClients({ serverUrl, token }),
    source: createChunkSource([], [...shared, createHttpChunks({ serverUrl, token })]),
    holdVersion: async (contentId, onLost) => {
      const held = await images.hold({ imageId: contentId, contentId }, onLost);
      return { root: held.image.rootfs, release: () => held.release() };
    },
  };
  const left = foldersIn(dir);
  return {
    of: (containerId, volumes) =>
      new ContainerVolumes({
        ...surroundings,
        dir: join(dir, containerId),
        volumes,
        closing: closing.signal,
        onError,
      }),
    recover: async () => {
      for (const name of left) {
        await recoverContainer(join(dir, name), {
          surroundings,
          closing: closing.signal,
          onError,
        }).catch((error: unknown) => onError(error, `taking up the volumes of ${name}`));
      }
    },
    close: () => closing.abort(),
  };
}

async function recoverContainer(
  dir: string,
  {
    surroundings,
    closing,
    onError,
  }: {
    readonly surroundings: VolumeSurroundings;
    readonly closing: AbortSignal;
    readonly onError: NodeVolumesOptions["onError"];
  },
): Promise<void> {
  let isKept = false;
  for (const name of await readdir(dir)) {
    const volume = await MountedVolume.reopen(join(dir, name), surroundings);
    if (volume === undefined) continue;
    const how = { clock: surroundings.clock, closing, onError };
    const keep = await commitLast(volume, how, (text) => onError(new Error(text), "a volume"));
    await volume.close(keep);
    isKept ||= keep;
  }
  if (!isKept) await rm(dir, { recursive: true, force: true });
}

function foldersIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    // No container of this folder had a volume yet.
    return [];
  }
}
