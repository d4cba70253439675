/**
 * Uploads: chunks on their way to a commit. Each has a lease of the chunk keeper, so that what
 * was stored or found stays until it is committed; one that nobody uses ends by itself.
 */
import { PlatformError, type Clock, type IdSource } from "../../core/index.ts";
import type { StoreLease } from "../../sandbox/index.ts";

/** An upload that is open. */
export interface OpenUpload {
  readonly uploadId: string;
  readonly volumeId: string;
  readonly lease: StoreLease;
  /** Lengths of the chunks that came with it, by name. */
  readonly sizes: Map<string, number>;
}

interface Kept extends OpenUpload {
  usedAtMs: number;
}

/** An upload ends when it was not used for so long; until then another goes on where it was. */
export const UPLOAD_IDLE_MS = 3_600_000;
const UPLOADS_MAX = 1_000;

export class VolumeUploads {
  readonly #clock: Clock;
  readonly #ids: IdSource;
  readonly #lease: () => StoreLease;
  readonly #open = new Map<string, Kept>();

  constructor(options: {
    readonly clock: Clock;
    readonly ids: IdSource;
    readonly lease: () => StoreLease;
  }) {
    this.#clock = options.clock;
    this.#ids = options.ids;
    this.#lease = options.lease;
  }

  /** @throws PlatformError `rate_limited` when too many are open */
  begin(volumeId: string): OpenUpload {
    this.#endIdle();
    if (this.#open.size >= UPLOADS_MAX) {
      throw new PlatformError(`${UPLOADS_MAX} uploads are open; try again when some have ended`, {
        code: "rate_limited",
        retryable: true,
      });
    }
    const upload: Kept = {
      uploadId: this.#ids.next("up"),
      volumeId,
      lease: this.#lease(),
      sizes: new Map(),
      usedAtMs: this.#clock.nowMs(),
    };
    this.#open.set(upload.uploadId, upload);
    return upload;
  }

  /** @throws PlatformError `conflict` when it has ended */
  find(volumeId: string, uploadId: string): OpenUpload {
    const upload = this.#open.get(uploadId);
    if (upload?.volumeId !== volumeId) {
      throw new PlatformError(
        `there is no upload ${uploadId.slice(0, 64)}: it was not used for ` +
          `${UPLOAD_IDLE_MS / 60_000} minutes, or the server was started again; upload anew`,
        // The same request never helps: its chunks may have gone.
        { code: "conflict", retryable: false },
      );
    }
    upload.usedAtMs = this.#clock.nowMs();
    return upload;
  }

  /** Lengths of all chunks that were sent for a volume and not committed yet, by name. */
  sizesOf(volumeId: string): ReadonlyMap<string, number> {
    const own = [...this.#open.values()].filter((upload) => upload.volumeId === volumeId);
    return new Map(own.flatMap(({ sizes }) => [...sizes]));
  }

  /** Ends one: what it stored is in a version by now, or may go. */
  end({ uploadId, lease }: OpenUpload): void {
    if (this.#open.delete(uploadId)) void lease.close();
  }

  #endIdle(): void {
    const sinceMs = this.#clock.nowMs() - UPLOAD_IDLE_MS;
    for (const upload of this.#open.values()) if (upload.usedAtMs < sinceMs) this.end(upload);
  }
}
