/** Serves images as its parent says: mounts, unmounts, tells what was used. */
import { mkdirSync } from "node:fs";
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import { PeerChunks } from "../peers/peer-chunks.ts";
import {
  createChunkSource,
  createHttpChunks,
  openDiskTier,
  type ChunkStore,
  type RemoteChunks,
} from "../store/index.ts";
import {
  mountImage,
  THREADS_PER_MOUNT,
  type MountedImage,
  type MountSurroundings,
} from "./mounted-image.ts";
import { SpareThreads } from "./spare-threads.ts";
import type { FromServing, ServingConfig, ToServing } from "./serving-messages.ts";

export interface ServeOptions {
  readonly clock: Clock;
  /** The module whose worker threads take a `ThreadTask`. */
  readonly workerUrl: URL;
  readonly say: (message: FromServing) => void;
}

const REFILL_MS = 5_000;

/** Mounted images, by the name of the mount. One message after the other is done for each. */
export class ImageServer {
  readonly #options: ServeOptions;
  readonly #images = new Map<string, MountedImage>();
  readonly #turns = new Map<string, Promise<void>>();
  #surroundings: Promise<MountSurroundings> | undefined;
  readonly #threads: SpareThreads;
  readonly #peers: PeerChunks;
  #token = "";

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#threads = new SpareThreads(options.workerUrl, THREADS_PER_MOUNT);
    const onTrouble = (message: string): void => options.say({ type: "trouble", message });
    this.#peers = new PeerChunks({ clock: options.clock, onTrouble });
  }

  /** Does what a message says; answers come through `say`. */
  receive(message: ToServing): void {
    switch (message.type) {
      case "open":
        this.#token = message.token;
        this.#threads.fill();
        this.#surroundings = this.#open(message.config);
        // Who mounts hears of it.
        this.#surroundings.catch(() => undefined);
        return;
      case "token":
        this.#token = message.token;
        return;
      case "peers":
        this.#peers.meet(message.peers);
        return;
      case "trace":
      case "count":
        this.#tell(message);
        return;
      case "mount":
        this.#inTurn(message.mountId, () => this.#mount(message));
        return;
      case "prefetch":
        this.#inTurn(message.mountId, () => {
          this.#images.get(message.mountId)?.prefetch(message.chunks);
          return Promise.resolve();
        });
        return;
      case "unmount":
        this.#inTurn(message.mountId, () => this.#unmount(message.mountId));
    }
  }

  #tell({ type, mountId }: ToServing & { readonly type: "trace" | "count" }): void {
    const image = this.#images.get(mountId);
    const { say } = this.#options;
    if (type === "trace") say({ type: "traced", mountId, chunks: image?.trace() ?? [] });
    else say({ type: "counted", mountId, requests: image?.requests() ?? {} });
  }

  /** Unmounts everything. */
  async close(): Promise<void> {
    const images = [...this.#images.values()];
    this.#images.clear();
    await Promise.allSettled(images.map((image) => image.close()));
  }

  #inTurn(mountId: string, work: () => Promise<void>): void {
    const before = this.#turns.get(mountId) ?? Promise.resolve();
    const turn = before.then(work).catch((error: unknown) => {
      const isOurs = error instanceof PlatformError;
      const { code, retryable } = isOurs
        ? error
        : { code: "unavailable" as const, retryable: true };
      this.#options.say({ type: "failed", mountId, message: messageOf(error), code, retryable });
    });
    this.#turns.set(mountId, turn);
  }

  async #mount(message: ToServing & { readonly type: "mount" }): Promise<void> {
    const { mountId } = message;
    if (!this.#images.has(mountId)) {
      if (this.#surroundings === undefined) throw new Error("it was not opened");
      mkdirSync(message.mountPoint, { recursive: true });
      this.#images.set(mountId, await mountImage(message, await this.#surroundings));
      void this.#refill();
    }
    this.#options.say({ type: "mounted", mountId });
  }

  /** Later: what starts from the new mount needs the processors first. */
  async #refill(): Promise<void> {
    await this.#options.clock.sleep(REFILL_MS);
    this.#threads.fill();
  }

  async #unmount(mountId: string): Promise<void> {
    const image = this.#images.get(mountId);
    this.#images.delete(mountId);
    await image?.close();
    this.#options.say({ type: "unmounted", mountId });
  }

  async #open(config: ServingConfig): Promise<MountSurroundings> {
    const { cacheDir, cacheBytesMax, sharedDirs, serverUrl, deadlineMs } = config;
    const { clock, say } = this.#options;
    const local = await openDiskTier({ dir: cacheDir, byteCountMax: cacheBytesMax });
    const shared = await Promise.all(sharedDirs.map((dir) => openDiskTier({ dir })));
    const token = (): string => this.#token;
    // A request that hangs leaves time for another before the reader's deadline.
    const timeoutMs = Math.ceil(deadlineMs / 2);
    const server =
      serverUrl === undefined ? [] : [createHttpChunks({ serverUrl, token, timeoutMs })];
    const remotes: readonly RemoteChunks[] = [...shared, this.#peers, ...server];
    return {
      source: createChunkSource([local], remotes),
      local: either(local, shared),
      remotes,
      chunkDirs: [...sharedDirs, cacheDir],
      clock,
      threads: this.#threads,
      deadlineMs,
      onError: (error, doing) => say({ type: "trouble", message: `${doing}: ${messageOf(error)}` }),
    };
  }
}

/** What lies in a shared folder need not be fetched either. */
function either(local: ChunkStore, shared: readonly ChunkStore[]): ChunkStore {
  return {
    ...local,
    has: async (ids) => {
      const found = await Promise.all([local, ...shared].map((store) => store.has(ids)));
      return new Set(found.flatMap((some) => [...some]));
    },
  };
}
