/** Pure: which images and layers to remove, to prune or to stay within the disk's share. */
import type { StoredImage } from "../store/record-store.ts";

export interface Shelf {
  readonly images: readonly Pick<
    StoredImage,
    "workspaceId" | "imageId" | "layerKeys" | "usedAtMs" | "isKept" | "contentId"
  >[];
  readonly layers: readonly { readonly key: string; readonly byteCount: number }[];
  /** Images that running deployments use, as `workspace/image`. */
  readonly used: ReadonlySet<string>;
  /** Layers that builds under way need or make. */
  readonly busyKeys: ReadonlySet<string>;
}

export interface Removal {
  readonly images: Shelf["images"];
  readonly layers: Shelf["layers"];
}

export function nameOf({ workspaceId, imageId }: Shelf["images"][number]): string {
  return `${workspaceId}/${imageId}`;
}

/**
 * All of a workspace's images that nothing runs on and that can be built again, and the layers
 * of no image that stays.
 */
export function everythingUnused(shelf: Shelf, workspaceId: string): Removal {
  const images = shelf.images.filter(
    (image) =>
      image.workspaceId === workspaceId && !shelf.used.has(nameOf(image)) && image.isKept !== true,
  );
  return { images, layers: layersOfNone(shelf, images) };
}

/** One image of a workspace, if it is there, and the layers that no other needs. */
export function oneImage(shelf: Shelf, workspaceId: string, imageId: string): Removal {
  const name = `${workspaceId}/${imageId}`;
  const images = shelf.images.filter((image) => nameOf(image) === name);
  return { images, layers: layersOfNone(shelf, images) };
}

/**
 * What must go so that the layers take at most so many bytes: layers of no image first, then
 * the unused images that were used longest ago. What is used, or cannot be built again, stays,
 * even above the limit.
 */
export function overflow(shelf: Shelf, byteCountMax: number): Removal {
  const bytesOf = (layers: Shelf["layers"]): number =>
    layers.reduce((sum, { byteCount }) => sum + byteCount, 0);
  const total = bytesOf(shelf.layers);
  const oldestFirst = shelf.images
    .filter((image) => !shelf.used.has(nameOf(image)) && image.isKept !== true)
    .toSorted((one, other) => one.usedAtMs - other.usedAtMs);
  if (total <= byteCountMax) return { images: [], layers: [] };
  const images: Shelf["images"][number][] = [];
  let layers = layersOfNone(shelf, images);
  for (const image of oldestFirst) {
    if (total - bytesOf(layers) <= byteCountMax) break;
    images.push(image);
    layers = layersOfNone(shelf, images);
  }
  return { images, layers };
}

/** Layers that no image needs once `removed` are gone, and no build. */
function layersOfNone(shelf: Shelf, removed: Shelf["images"]): Shelf["layers"] {
  const gone = new Set(removed.map(nameOf));
  const needed = new Set(
    shelf.images.filter((image) => !gone.has(nameOf(image))).flatMap((image) => image.layerKeys),
  );
  return shelf.layers.filter(({ key }) => !needed.has(key) && !shelf.busyKeys.has(key));
}
