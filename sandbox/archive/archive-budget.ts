/**
 * How much an archive may become when it is unpacked: a bomb is stopped by what it has written so
 * far, never by what its headers claim.
 */
import { PlatformError } from "../../core/index.ts";

export interface ArchiveLimits {
  /** Entries of all types, folders and links too. */
  readonly entriesMax: number;
  readonly fileBytesMax: number;
  /** Bytes of all files together. */
  readonly totalBytesMax: number;
  /**
   * Most unpacked bytes for each packed one, once there are `RATIO_FREE_BYTES` of them. Honest
   * text reaches 20; the most that deflate can is 1,032 (zlib.net/zlib_tech.html, 2026-11).
   */
  readonly expansionMax: number;
}

/** Enough for the largest images of model servers, and far below what fills a node's disk. */
export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  entriesMax: 2_000_000,
  fileBytesMax: 64 * 1024 ** 3,
  totalBytesMax: 128 * 1024 ** 3,
  expansionMax: 250,
};

/** Small archives may be mostly zeros: what is below this is not judged by its ratio. */
export const RATIO_FREE_BYTES = 64 * 1024 ** 2;

/** What one archive has used of its limits; one for each archive. */
export class ArchiveBudget {
  readonly #limits: ArchiveLimits;
  readonly #packedBytes: (() => number) | undefined;
  #entries = 0;
  #totalBytes = 0;

  /**
   * @param packedBytes How many bytes of the archive have been read by now; without it the ratio
   *                    is not looked at.
   */
  constructor(limits: Partial<ArchiveLimits> = {}, packedBytes?: () => number) {
    this.#limits = { ...DEFAULT_ARCHIVE_LIMITS, ...limits };
    this.#packedBytes = packedBytes;
  }

  /** Counts an entry. @throws PlatformError `payload_too_large` when it is one too many */
  addEntry(): void {
    this.#entries += 1;
    const { entriesMax } = this.#limits;
    if (this.#entries > entriesMax) throw tooLarge(`more than ${entriesMax} entries`);
  }

  /**
   * Counts bytes before they are written.
   *
   * @param fileBytes Bytes of the present file, these included.
   * @throws PlatformError `payload_too_large` when a limit is passed
   */
  addBytes(bytes: number, fileBytes: number): void {
    this.#totalBytes += bytes;
    const { fileBytesMax, totalBytesMax, expansionMax } = this.#limits;
    if (fileBytes > fileBytesMax) throw tooLarge(`a file of more than ${fileBytesMax} bytes`);
    if (this.#totalBytes > totalBytesMax) throw tooLarge(`more than ${totalBytesMax} bytes`);
    if (this.#packedBytes === undefined || this.#totalBytes <= RATIO_FREE_BYTES) return;
    if (this.#totalBytes > expansionMax * Math.max(1, this.#packedBytes())) {
      throw tooLarge(`more than ${expansionMax} bytes for each of its own`);
    }
  }
}

function tooLarge(what: string): PlatformError {
  return new PlatformError(`the archive unpacks to ${what}; it is refused`, {
    code: "payload_too_large",
    retryable: false,
  });
}
