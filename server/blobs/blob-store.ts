/** Bytes by their SHA-256: code bundles and large payloads. */
export interface BlobStore {
  /** Stores bytes and gives their hash; storing again changes nothing. */
  put(bytes: Uint8Array): Promise<string>;
  /** The bytes, verified against their hash; undefined when absent. @throws unavailable */
  get(sha256: string): Promise<Uint8Array | undefined>;
  has(sha256: string): Promise<boolean>;
}
