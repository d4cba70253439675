/** Images as chunks: what the rest of the sandbox room uses of the store. */
export { createChunkSource, type ChunkSource, type RemoteChunks } from "./chunk-source.ts";
export { checkChunkId, type ChunkStore } from "./chunk-store.ts";
export { decodeChunk, type ChunkId } from "./chunk.ts";
export { chunkPath, openDiskTier, type DiskTier } from "./disk-tier.ts";
export { boundedBytes, createHttpChunks } from "./http-chunks.ts";
export { HOLE, S_IFDIR, S_IFLNK, S_IFREG, type ImageIndex } from "./image-index.ts";
export { materialise } from "./materialise.ts";
export { readImageIndex, viewImageIndex } from "./open-index.ts";
export { isGivenXattr, readXattrs, type Xattr } from "./xattrs.ts";
