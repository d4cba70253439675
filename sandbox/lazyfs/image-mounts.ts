/**
 * The images of a node: mounted when a container first needs one, kept while any does, and a
 * few of those that nobody needs for the next.
 *
 * One process serves all of them, so that the first start of an image does not wait for one. If
 * it dies, containers that use its images fail, its dead mounts are removed, and the next start
 * gets a new process. Where images cannot be mounted they are restored to plain folders.
 */
import { randomUUID } from "node:crypto";
import { existsSync, rmdirSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../core/index.ts";
import { createChunkSource, createHttpChunks, materialise, openDiskTier } from "../store/index.ts";
import type { ChunkId } from "../store/index.ts";
import type { ChunkPeer } from "../peers/peer-ticket.ts";
import { AccessLists } from "./access-lists.ts";
import type { RequestFigures } from "./request-counts.ts";
import { createSharedLists, type SharedLists } from "./shared-lists.ts";
import { canMount, imageMountsUnder, unmountFuse } from "./fuse-mount.ts";
import { ServingProcess } from "./serving-process.ts";
import type { ServingConfig } from "./serving-messages.ts";

export interface ImageMountsOptions {
  /** Folder of the mount points and of what was learnt. */
  readonly dir: string;
  readonly serving: ServingConfig;
  /** The bearer token of now for the server. */
  readonly token: () => string;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
  /** Whether images are mounted; found out unless given. */
  readonly mounts?: boolean;
}

/** An image that is there for a container, until it is released. */
export interface HeldImage {
  /** Its root folder. */
  readonly root: string;
  /** The container has started: what it read until now is what starts read. */
  started(): Promise<void>;
  /** What the kernel asked for since it was mounted; nothing where images are plain folders. */
  requests(): Promise<RequestFigures>;
  release(): void;
}

interface Mount {
  readonly mountId: string;
  readonly imageId: ChunkId;
  readonly root: string;
  readonly ready: Promise<void>;
  holders: number;
  isLearnt: boolean;
  /** Who holds it and wants to hear when it cannot be read any more. */
  readonly onLost: Set<() => void>;
}

/** Images that stay mounted although nobody uses them. */
const IDLE_MAX = 4;

/** Unmounts what an earlier process of this folder left. */
export async function reapImageMounts(dir: string): Promise<void> {
  if (process.platform !== "linux") return;
  for (const point of imageMountsUnder(dir)) await unmountFuse(point).catch(() => undefined);
  const mounts = join(dir, "mounts");
  // Only empty folders: if something is still mounted there, it is not ours to empty.
  for (const name of await readdir(mounts).catch(() => [])) removeEmpty(join(mounts, name));
}

export class ImageMounts {
  readonly #options: ImageMountsOptions;
  readonly #lists: AccessLists;
  /** Absent where there is no server. */
  readonly #shared: SharedLists | undefined;
  readonly #canMount: boolean;
  /** The one released longest ago first. */
  readonly #mounts = new Map<string, Mount>();
  #process: ServingProcess | undefined;
  #token = "";
  /** The peers told of last. */
  #met: readonly ChunkPeer[] = [];

  constructor(options: ImageMountsOptions) {
    this.#options = options;
    this.#canMount = options.mounts ?? canMount();
    this.#lists = new AccessLists(join(options.dir, "access"), options.onError);
    const { token } = options;
    const { serverUrl } = options.serving;
    this.#shared = serverUrl === undefined ? undefined : createSharedLists({ serverUrl, token });
  }

  /** Process id of the serving process, while there is one. */
  get servingPid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the serving process ahead of the first image. */
  open(): void {
    if (this.#canMount) this.#serving();
  }

  /** Other nodes that may have chunks of what is held next. */
  meet(peers: readonly ChunkPeer[]): void {
    this.#met = peers;
    this.#process?.meet(peers);
  }

  /** The token may be another one than before. */
  renewToken(): void {
    if (this.#process !== undefined) this.#serving();
  }

  /**
   * An image for one container; `onLost` is called when nothing of it can be read any more.
   *
   * @param ownerId Who owns everything in it; as in the image unless given, or where images
   *   cannot be mounted.
   * @throws PlatformError when it cannot be read or mounted
   */
  async hold(imageId: ChunkId, onLost: () => void = ignored, ownerId?: number): Promise<HeldImage> {
    const mountId = ownerId === undefined ? imageId : `${imageId} of user ${ownerId}`;
    const mount = this.#mounts.get(mountId) ?? this.#add(mountId, imageId, ownerId);
    mount.holders += 1;
    // The last in the order of release: it is in use.
    this.#mounts.delete(mountId);
    this.#mounts.set(mountId, mount);
    try {
      await mount.ready;
    } catch (error) {
      this.#release(mount);
      throw error;
    }
    let isReleased = false;
    // An own function for each holder, because several may give the same one.
    const lost = (): void => onLost();
    mount.onLost.add(lost);
    return {
      root: mount.root,
      started: () => this.#learn(mount),
      requests: async () => (await this.#process?.requests(mount.mountId)) ?? {},
      release: () => {
        if (isReleased) return;
        isReleased = true;
        mount.onLost.delete(lost);
        this.#release(mount);
      },
    };
  }

  /** Unmounts everything. */
  async close(): Promise<void> {
    const serving = this.#process;
    this.#process = undefined;
    await serving?.close();
    this.#mounts.clear();
    await reapImageMounts(this.#options.dir);
  }

  #add(mountId: string, imageId: ChunkId, ownerId: number | undefined): Mount {
    const { dir } = this.#options;
    // A name of its own each time: a dead mount may still be at the last one.
    const root = this.#canMount
      ? join(dir, "mounts", `${imageId.slice(0, 16)}-${randomUUID().slice(0, 8)}`)
      : join(dir, "plain", imageId);
    const owner = ownerId === undefined ? {} : { ownerId };
    const ready = this.#canMount
      ? this.#mount({ mountId, imageId, mountPoint: root, ...owner })
      : this.#restore(imageId, root);
    const onLost = new Set<() => void>();
    const mount: Mount = { mountId, imageId, root, ready, holders: 0, isLearnt: false, onLost };
    this.#mounts.set(mountId, mount);
    ready.catch(() => this.#forget(mount));
    return mount;
  }

  async #mount(wanted: Omit<Parameters<ServingProcess["mount"]>[0], "prefetch">): Promise<void> {
    const serving = this.#serving();
    const prefetch = await this.#lists.of(wanted.imageId);
    // Nobody waits for it: what comes while the image is being mounted is in time.
    if (prefetch.length === 0) void this.#prefetchShared(wanted, serving);
    await serving.mount({ ...wanted, prefetch });
  }

  /** By what starts on other nodes have read, where none has been here. */
  async #prefetchShared(
    { mountId, imageId }: { readonly mountId: string; readonly imageId: ChunkId },
    serving: ServingProcess,
  ): Promise<void> {
    try {
      const chunks = (await this.#shared?.find(imageId)) ?? [];
      if (chunks.length > 0) serving.prefetch(mountId, chunks);
    } catch (error) {
      this.#options.onError(error, `prefetching image ${imageId}`);
    }
  }

  /** The process of now; a new token is told to it first. */
  #serving(): ServingProcess {
    const { serving: config, token, clock, onError } = this.#options;
    const now = token();
    if (this.#process === undefined) {
      const started = new ServingProcess({
        config,
        token: now,
        clock,
        onExit: () => this.#lost(started),
        onTrouble: (message) => onError(new Error(message), "serving images"),
      });
      this.#process = started;
      if (this.#met.length > 0) started.meet(this.#met);
    } else if (now !== this.#token) this.#process.renew(now);
    this.#token = now;
    return this.#process;
  }

  /** The process died: nothing that it served can be read any more. */
  #lost(serving: ServingProcess): void {
    if (this.#process !== serving) return;
    this.#process = undefined;
    const dead = [...this.#mounts.values()];
    for (const mount of dead) {
      this.#forget(mount);
      for (const lost of mount.onLost) lost();
    }
    this.#options.onError(new Error("the process that serves images ended"), "serving images");
    for (const { root } of dead) void unmountFuse(root).then(() => removeEmpty(root), ignored);
  }

  async #restore(imageId: ChunkId, root: string): Promise<void> {
    if (existsSync(root)) return;
    const { serverUrl, cacheDir, cacheBytesMax, sharedDirs } = this.#options.serving;
    const { token } = this.#options;
    const local = await openDiskTier({ dir: cacheDir, byteCountMax: cacheBytesMax });
    const shared = await Promise.all(sharedDirs.map((dir) => openDiskTier({ dir })));
    const server = serverUrl === undefined ? [] : [createHttpChunks({ serverUrl, token })];
    await mkdir(join(this.#options.dir, "plain"), { recursive: true });
    await materialise(imageId, createChunkSource([local], [...shared, ...server]), root);
  }

  /** Once for each mount: later readers read more than a start does. */
  async #learn(mount: Mount): Promise<void> {
    if (mount.isLearnt || !this.#canMount) return;
    mount.isLearnt = true;
    const chunks = await this.#process?.trace(mount.mountId).catch(() => undefined);
    if (chunks === undefined || chunks.length === 0) return;
    const { imageId } = mount;
    const list = await this.#lists.learn(imageId, chunks);
    await this.#shared?.offer(imageId, list).catch((error: unknown) => {
      this.#options.onError(error, `telling others what image ${imageId} reads`);
    });
  }

  #release(mount: Mount): void {
    mount.holders -= 1;
    const idle = [...this.#mounts.values()].filter(({ holders }) => holders === 0);
    for (const one of idle.slice(0, Math.max(0, idle.length - IDLE_MAX))) void this.#unmount(one);
  }

  async #unmount(mount: Mount): Promise<void> {
    this.#forget(mount);
    const { mountId, root } = mount;
    if (!this.#canMount) {
      await rm(root, { recursive: true, force: true });
      return;
    }
    await this.#process?.unmount(mountId).then(() => removeEmpty(root), ignored);
  }

  #forget(mount: Mount): void {
    if (this.#mounts.get(mount.mountId) === mount) this.#mounts.delete(mount.mountId);
  }
}

function removeEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // In use, or gone: an empty folder harms nobody.
  }
}

/** What cannot be unmounted now is found by the next agent of this folder. */
function ignored(): void {}
