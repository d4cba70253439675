/** The part of the record store that says which blobs there are, and which calls name them. */

/** A removal that took longer has died with its process, and no longer stands in the way. */
export const REMOVAL_MS_MAX = 5 * 60_000;

/** Which blobs to look for. */
export interface UnnamedQuery {
  /** Only those that were last used before. */
  readonly beforeMs: number;
  /** Only those past this hash; "" for the first page. */
  readonly after: string;
  readonly limit: number;
}

/**
 * The blobs of this platform. Lasting ones (code, files of images) stay. Payloads stay while a
 * call names them: the ledger notes that with each input, value and result, and forgets it with
 * the call, in the same step.
 */
export interface BlobRecords {
  /**
   * Notes that a payload is about to be stored; its row is there before the bytes are. False, with
   * nothing noted, while it is being removed.
   */
  use(sha256: string, nowMs: number): Promise<boolean>;
  /** The same of bytes that stay, also when they are stored as a payload again. */
  keep(sha256: string, nowMs: number): Promise<boolean>;
  /** Notes that bytes were asked for, if they are known; false while they are being removed. */
  renew(sha256: string, nowMs: number): Promise<boolean>;
  /** Payloads that no call and no deployment names, by hash in ascending order. */
  unnamed(query: UnnamedQuery): Promise<readonly string[]>;
  /**
   * Begins the removal of a blob, if `unnamed` still gives it and nobody else is at it. Whoever
   * began has `REMOVAL_MS_MAX` for it.
   */
  claim(
    sha256: string,
    when: { readonly beforeMs: number; readonly nowMs: number },
  ): Promise<boolean>;
  /** Ends a removal: forgets the payload, and who may read it. */
  forget(sha256: string): Promise<void>;
}
