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
   */
  get(sha256: string): Promise<Uint8Array | undefined>;
  has(sha256: string): Promise<boolean>;
}

/** A store that blobs can be taken out of. */
export interface RemovableBlobs extends BlobStore {
  /** Removes a blob, and what a crash left of storing it; nothing when it is absent. @throws unavailable */
  remove(sha256: string): Promise<void>;
}
