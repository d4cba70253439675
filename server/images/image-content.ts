/**
 * What is in built images, as chunks from which nodes read: stored after a build, removed when
 * no image in use needs it, also while others are being stored.
 */
import {
  ingestTree,
  LeaseEndedError,
  xattrsOfRoot,
  type ChunkKeeper,
  type ChunkStore,
} from "../../sandbox/index.ts";

export interface ImageContentOptions {
  readonly chunks: ChunkStore;
  /** The one keeper of these chunks. */
  readonly keeper: Pick<ChunkKeeper, "lease" | "collect" | "bytesWithout">;
}

const TRIES_MAX = 3;

/** The contents of images in one store of chunks; one for each store. */
export class ImageContent {
  readonly #chunks: ChunkStore;
  readonly #keeper: ImageContentOptions["keeper"];

  constructor({ chunks, keeper }: ImageContentOptions) {
    this.#chunks = chunks;
    this.#keeper = keeper;
  }

  async has(contentId: string): Promise<boolean> {
    return (await this.#chunks.has([contentId])).has(contentId);
  }

  /**
   * Stores the tree under `rootDir`. What `keep` is told must be among the contents in use when
   * it resolves, put there in one step with the check that the lease is held. When that has
   * ended, which takes a server that stood still for long, all is stored anew.
   *
   * @throws PlatformError as reading the tree or the store does
   */
  async store(
    rootDir: string,
    keep: (contentId: string, leaseId: string) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#store(rootDir, keep, signal);
        return;
      } catch (error) {
        if (!(error instanceof LeaseEndedError) || tries >= TRIES_MAX) throw error;
      }
    }
  }

  /** Bytes of the chunks that no content in use would need if these were not, each once. */
  async bytesWithout(contentIds: readonly string[]): Promise<number> {
    return this.#keeper.bytesWithout(contentIds);
  }

  /** Removes the chunks that no content in use needs; gives the bytes that they took. */
  async collect(): Promise<number> {
    return (await this.#keeper.collect()).removedBytes;
  }

  async #store(
    rootDir: string,
    keep: (contentId: string, leaseId: string) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const lease = this.#keeper.lease();
    try {
      const { imageId: contentId } = await ingestTree(rootDir, lease.store, {
        // Those on its disk are overlayfs's own.
        xattrs: xattrsOfRoot(rootDir),
        specialFiles: "skip",
        ...(signal === undefined ? {} : { signal }),
      });
      await keep(contentId, await lease.held());
    } finally {
      await lease.close();
    }
  }
}
