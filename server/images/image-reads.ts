/**
 * What starts from images read, kept with the images: nodes tell it, and nodes on which nothing
 * has started from an image get it, to fetch it ahead in the order of use.
 *
 * A node asks and tells about images of which it runs containers, or is to run some soon. What
 * one workspace's containers read is kept with that workspace's images alone, also where another
 * has an image with the same files.
 */
import { PlatformError } from "../../core/index.ts";
import {
  createChunkSource,
  ACCESS_LIST_BYTES_MAX,
  readImageIndex,
  readAccessList,
  type ChunkStore,
} from "../../sandbox/index.ts";
import type { ImageReadsService } from "../services.ts";
import type { ImageStore } from "../store/record-store.ts";

export interface ImageReadsOptions {
  readonly images: Pick<ImageStore, "reads" | "putReads">;
  readonly chunks: ChunkStore;
  /** The workspaces whose containers run on a node in an image, or are expected there soon. */
  readonly workspacesOn: (nodeId: string, contentId: string) => readonly string[];
}

/** Lists over the images of a record store. Telling one costs reading the image's index. */
export class ImageReads implements ImageReadsService {
  readonly #options: ImageReadsOptions;

  constructor(options: ImageReadsOptions) {
    this.#options = options;
  }

  async find(nodeId: string, contentId: string): Promise<Uint8Array | undefined> {
    for (const workspaceId of this.#workspacesOn(nodeId, contentId)) {
      const list = await this.#options.images.reads(workspaceId, contentId);
      if (list !== undefined) return list;
    }
    return undefined;
  }

  async learn(nodeId: string, contentId: string, list: Uint8Array): Promise<void> {
    const workspaceIds = this.#workspacesOn(nodeId, contentId);
    await this.#check(contentId, list);
    for (const workspaceId of workspaceIds) {
      await this.#options.images.putReads(workspaceId, contentId, list);
    }
  }

  #workspacesOn(nodeId: string, contentId: string): readonly string[] {
    const workspaceIds = this.#options.workspacesOn(nodeId, contentId);
    if (workspaceIds.length > 0) return workspaceIds;
    const message = `no container on node ${nodeId} runs in image ${contentId}`;
    throw new PlatformError(message, { code: "not_found", retryable: false });
  }

  async #check(contentId: string, bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength === 0) throw invalid(contentId, "is empty");
    if (bytes.byteLength > ACCESS_LIST_BYTES_MAX) {
      throw invalid(
        contentId,
        `has ${bytes.byteLength} bytes, at most ${ACCESS_LIST_BYTES_MAX} are kept`,
      );
    }
    const list = readAccessList(bytes);
    if (list === undefined) throw invalid(contentId, "is cut off, or names a chunk twice");
    const { chunkCount } = await readImageIndex(
      createChunkSource([this.#options.chunks]),
      contentId,
    );
    const unknown = list.find((chunk) => chunk >= chunkCount);
    if (unknown === undefined) return;
    throw invalid(contentId, `names chunk ${unknown}, and the image has ${chunkCount}`);
  }
}

function invalid(contentId: string, why: string): PlatformError {
  const message = `the list of what image ${contentId} reads ${why}`;
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
