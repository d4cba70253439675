/**
 * What is in built images, as chunks from which nodes read: stored after a build, removed when
 * no image in use needs it, also while others are being stored.
 */
import {
  ingestTree,
  xattrsOfRoot,
  type ChunkKeeper,
  type ChunkStore,
} from "../../sandbox/index.ts";

export interface ImageContentOptions {
  readonly chunks: ChunkStore;
  /** The one keeper of these chunks. */
  readonly keeper: Pick<ChunkKeeper, "lease" | "collect">;
}

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
   * Stores the tree under `rootDir`. Once `keep` has resolved, what it was told must be among
   * the contents in use, or it may be removed.
   *
   * @throws PlatformError as reading the tree or the store does
   */
  async store(
    rootDir: string,
    keep: (contentId: string) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const lease = this.#keeper.lease();
    try {
      const { imageId: contentId } = await ingestTree(rootDir, lease.store, {
        // Those on its disk are overlayfs's own.
        xattrs: xattrsOfRoot(rootDir),
        specialFiles: "skip",
        ...(signal === undefined ? {} : { signal }),
      });
      await keep(contentId);
    } finally {
      lease.close();
    }
  }

  /** Removes the chunks that no content in use needs; gives the bytes that they took. */
  async collect(): Promise<number> {
    return (await this.#keeper.collect()).removedBytes;
  }
}
