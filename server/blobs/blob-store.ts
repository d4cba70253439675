/** Memory for so many bytes; undefined when it has none for them. */
export type MemoryFor = (byteCount: number) => Uint8Array | undefined;

/** Bytes by their SHA-256: code bundles and large payloads. */
export interface BlobStore {
  /**
   * Stores bytes and gives their hash; storing again changes nothing. Of the bytes nothing is
   * kept in memory.
   *
   * @param sha256 Their hash, where the caller has reckoned it already.
   */
  put(bytes: Uint8Array, sha256?: string): Promise<string>;
  /**
   * The bytes, verified against their hash, in memory that is the caller's own; undefined when
   * absent. @throws unavailable
   *
   * @param memoryFor Memory that they may be put into, for so many bytes.
   */
  get(sha256: string, memoryFor?: MemoryFor): Promise<Uint8Array | undefined>;
  has(sha256: string): Promise<boolean>;
  /**
   * Whether the bytes, verified against their hash, are a file of that folder (`blobFileIn`).
   * Absent where blobs are no files. @throws unavailable
   */
  isIn?(dir: string, sha256: string): Promise<boolean>;
}

/** A store that blobs can be taken out of. */
export interface RemovableBlobs extends BlobStore {
  /** Removes a blob, and what a crash left of storing it; nothing when it is absent. @throws unavailable */
  remove(sha256: string): Promise<void>;
}
