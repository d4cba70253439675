/** Images whose files are not among the chunks: of an earlier version, or of a lost folder. */
import { existsSync } from "node:fs";
import { messageOf } from "../../core/index.ts";
import type { ImageBuilder } from "../../sandbox/index.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { ImageContent } from "./image-content.ts";

export interface MissingContentOptions {
  readonly store: Pick<RecordStore, "images">;
  readonly builder: { readonly store: Pick<ImageBuilder["store"], "rootOf"> };
  readonly content: Pick<ImageContent, "has" | "store">;
  readonly onError: (error: unknown, doing: string) => void;
}

/**
 * Stores the files of images that lack them and whose root is on this machine; an image that
 * has neither is stored when it is built again. One after the other, each in about its reading
 * time.
 */
export async function storeMissingContent(options: MissingContentOptions): Promise<void> {
  const { store, builder, content, onError } = options;
  for (const image of await store.images.list()) {
    try {
      if (image.contentId !== undefined && (await content.has(image.contentId))) continue;
      const root = builder.store.rootOf(image.imageId);
      if (!existsSync(root)) continue;
      await content.store(root, (contentId, leaseId) =>
        store.images.put({ ...image, contentId }, leaseId),
      );
    } catch (error) {
      onError(error, `storing the files of image ${image.imageId}: ${messageOf(error)}`);
    }
  }
}
