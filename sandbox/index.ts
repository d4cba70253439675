/** The sandbox room: the node agent, and how it talks. */
export { readAgentConfig, type AgentConfig } from "./agent/config.ts";
export type { MetadataCloud } from "./agent/cloud-metadata.ts";
export { blobFileIn } from "./agent/blob-files.ts";
export {
  BATCH_HEADER,
  BLOB_DIR_HEADER,
  CONTAINER_HEADER,
  HEARTBEAT_MS,
  MACHINE_HEADER,
  type AgentMessage,
  type AgentResult,
  type ContainerExit,
  type ContainerUse,
  type ExpectedStart,
  type HeldContainer,
  type ServerMessage,
  type StartContainer,
} from "./agent/link.ts";
export { peerKeyOf, peerTicketOf, type ChunkPeer } from "./peers/peer-ticket.ts";
export { AGENT_VERSION } from "./agent/agent.ts";
export { PieceStream } from "./streams/piece-stream.ts";
export { pieceOf } from "./streams/check-piece.ts";
export type { HeaderPairs, Piece } from "./streams/piece.ts";
export type { WebRequest, WebResult, WebWish } from "./runners/web-message.ts";
export type { InputHeader, ValueHeader } from "./runners/protocol.ts";
export { detectGpus, parseEmulatedGpus, machineResources } from "./agent/machine.ts";
export { examineGpus, type GpuExamination } from "./gpu/gpu-access.ts";
export { roomFor } from "./agent/room.ts";
export { parseAllowedHost } from "./egress/allowed-host.ts";
export { parseRanges } from "./egress/egress-gate.ts";
export { reap } from "./agent/reap.ts";
export {
  ImageBuilder,
  StepFailedError,
  type BuildRequest,
  type BuiltRoot,
} from "./images/build/builder.ts";
export type { BaseImage } from "./images/build/bases.ts";
export { hostFiles, readHostIndexes, type HostIndexes } from "./images/build/host-indexes.ts";
export { xattrsOfRoot } from "./images/build/layer-store.ts";
export { BUILT_DIR } from "./images/node-images.ts";
export { ACCESS_LIST_BYTES_MAX, accessListBytes, readAccessList } from "./lazyfs/access-lists.ts";
export { LAZYFS_FILE } from "./lazyfs/serving-process.ts";
export { chunkIdsOf, manifestOf, readManifest, type SnapshotRecord } from "./snapshots/manifest.ts";
export type { OfferAnswer } from "./snapshots/shared-snapshots.ts";
export { chunkIdOf, decodeChunk, encodeChunk } from "./store/chunk.ts";
export { createChunkSource } from "./store/chunk-source.ts";
export { readImageIndex } from "./store/open-index.ts";
export { ChunkKeeper } from "./store/chunk-keeper.ts";
export {
  LeaseEndedError,
  type ChunkLeases,
  type ChunkRecords,
  type CondemnedChunks,
} from "./store/chunk-records.ts";
export type { StoreLease } from "./store/store-lease.ts";
export type { ChunkStore, StoredChunk } from "./store/chunk-store.ts";
export { createMemoryTier } from "./store/memory-tier.ts";
export { openDiskTier } from "./store/disk-tier.ts";
export { ingestTree } from "./store/ingest-tree.ts";
export { createS3Tier } from "./store/s3-tier.ts";
export type { PackWish, ShellWish } from "./agent/container-shells.ts";
export { createAgent } from "./agent/start-agent.ts";
export { GUEST_FILE, guestProgram } from "./runners/guest-program.ts";
export { entropyAddon } from "./runners/entropy-addon.ts";
export { ENTROPY_ADDON_FILE } from "./runners/node/addon-file.ts";
export { RUNNER_FILE, runnerBundle } from "./runners/bundle-runner.ts";
export { PYTHON_RUNNER_FILE, pythonRunnerArchive } from "./runners/python-runner.ts";
export { pathFault } from "./volumes/merge.ts";
export { piecesOf, storeChunks, VersionStore } from "./volumes/version-store.ts";
export { VOLUME_GRANT_HEADER, type VolumeStart } from "./volumes/volume-start.ts";
export type { TreeEntry, VolumeTree } from "./volumes/volume-tree.ts";
export { createS3Blobs } from "./store/s3-blobs.ts";
export { openS3Objects, parseS3Url } from "./store/s3-objects.ts";
