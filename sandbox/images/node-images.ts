/** The images of a node, as its containers get them: mounted from chunks, and read on demand. */
import type { Clock } from "../../core/index.ts";
import type { StartContainer } from "../agent/link.ts";
import { canMount } from "../lazyfs/fuse-mount.ts";
import { ImageMounts } from "../lazyfs/image-mounts.ts";
import { USER_ID } from "../runtime/oci-spec.ts";
import type { ImageSource, SandboxImage } from "../runtime/runtime.ts";
import { NODE_PATH } from "./build/runtime-paths.ts";

/** Folder of the cache that images are built in. */
export const BUILT_DIR = "built";

/** The image that a container has, until it is released. */
export interface HeldContainerImage {
  readonly image: SandboxImage;
  /** The container is ready. */
  started(): void;
  release(): void;
}

/** What a container says about the image that it is to run in. */
export type WantedImage = Pick<
  StartContainer,
  "imageId" | "contentId" | "workspaceId" | "workdir" | "diskMiB" | "peers"
>;

/** Images for the containers of one node. */
export interface NodeImages {
  /** Why this node cannot run a container in the image it wants; undefined when it can. */
  refusalOf(wanted: WantedImage): string | undefined;
  /**
   * The image of a container that was not refused; `onLost` is called when nothing of it can be
   * read any more.
   *
   * @throws PlatformError when it cannot be read or mounted
   */
  hold(wanted: WantedImage, onLost: () => void): Promise<HeldContainerImage>;
  /** The server may have given another token. */
  renewToken(): void;
  /** Unmounts everything. */
  close(): Promise<void>;
}

export interface MountedImagesOptions {
  /** Folder of the mount points and of what was learnt. */
  readonly dir: string;
  /** Folder of the chunks that were fetched, and most bytes kept there. */
  readonly chunksDir: string;
  readonly chunkBytesMax: number;
  /** Folders of chunks of this machine that belong to others. */
  readonly sharedDirs: readonly string[];
  readonly serverUrl: string;
  /** The bearer token of now for the server. */
  readonly token: () => string;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Longest that a container waits for a chunk before its read fails. */
const DEADLINE_MS = 10_000;
const NO_DISK = "a disk of its own needs an agent that runs as root, with /dev/fuse";
const CONTENT_ID = /^[0-9a-f]{64}$/;

/** Images that are mounted; the process that serves them starts with the first. */
export function createMountedImages(options: MountedImagesOptions): NodeImages {
  const { chunksDir, chunkBytesMax, sharedDirs, serverUrl } = options;
  const mounts = new ImageMounts({
    ...options,
    serving: {
      cacheDir: chunksDir,
      cacheBytesMax: chunkBytesMax,
      sharedDirs,
      serverUrl,
      deadlineMs: DEADLINE_MS,
    },
  });
  return {
    refusalOf: ({ imageId, contentId, diskMiB }) => {
      if (diskMiB !== undefined && !canMount()) return NO_DISK;
      if (imageId === undefined || (contentId !== undefined && CONTENT_ID.test(contentId))) {
        return undefined;
      }
      return `the server has no content of image ${imageId}: deploy its app again`;
    },
    hold: async (wanted, onLost) => {
      // What it may write to must be its own: no user but root may write to what is root's.
      const owner = wanted.diskMiB === undefined ? undefined : USER_ID;
      if (wanted.peers !== undefined) mounts.meet(wanted.peers);
      const held = await mounts.hold(wanted.contentId ?? "", onLost, owner);
      return {
        image: imageAt(held.root, sourceOf(wanted), wanted.workdir),
        started: () => void held.started(),
        release: () => held.release(),
      };
    },
    renewToken: () => mounts.renewToken(),
    close: () => mounts.close(),
  };
}

/** An image that is mounted at `rootfs`. */
export function imageAt(
  rootfs: string,
  source: ImageSource | undefined,
  workdir: string | undefined,
): SandboxImage {
  const image = { rootfs, node: NODE_PATH, ...(source && { source }) };
  // The root cannot be written to, and programs expect to write where they start.
  return workdir === undefined || workdir === "/" ? image : { ...image, workdir };
}

/** By what an image can be had again; undefined for one of nobody's. */
export function sourceOf({
  imageId,
  contentId,
  workspaceId,
}: WantedImage): ImageSource | undefined {
  const isWhole = imageId !== undefined && contentId !== undefined && workspaceId !== undefined;
  return isWhole ? { imageId, contentId, workspaceId } : undefined;
}

/** For a runtime that gives its containers the host's own files. */
export const NO_IMAGES: NodeImages = {
  refusalOf: ({ imageId, diskMiB }) => {
    if (diskMiB !== undefined) return "a disk of its own needs gVisor, which this node is without";
    return imageId === undefined
      ? undefined
      : `image ${imageId} needs gVisor, which this node is without`;
  },
  hold: () => Promise.reject(new Error("a container with an image was not refused")),
  renewToken: () => undefined,
  close: () => Promise.resolve(),
};
