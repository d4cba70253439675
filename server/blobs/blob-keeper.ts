/**
 * Keeps blobs for as long as something needs them.
 *
 * Code and files of images last. A payload lasts while a call names it, then for a day more: that
 * is for whoever has sent bytes and not yet the call that names them, and for whoever still
 * reads. A payload is in the records before its bytes are in the store, and leaves them after;
 * so whatever moment this process dies in, a later sweep finds what is to be removed. A removal
 * is claimed in the records first, and bytes that come meanwhile wait for its end: so none are
 * taken for stored that are about to go, also where several servers share the records.
 */
import { createHash } from "node:crypto";
import { PlatformError, type Clock } from "../../core/index.ts";
import type { BlobRecords } from "../store/blob-records.ts";
import type { BlobStore, RemovableBlobs } from "./blob-store.ts";

export interface BlobKeeperOptions {
  readonly blobs: RemovableBlobs;
  readonly records: BlobRecords;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

/** How long a payload that no call names is kept after it was last used. */
export const UNNAMED_KEPT_MS = 24 * 3_600_000;
/** Bounds of one sweep. */
const REMOVED_PER_SWEEP_MAX = 1_000;
const FAILURES_PER_SWEEP_MAX = 8;
/** Removals on their way at once. */
const REMOVALS_AT_ONCE = 8;
/** How often, and how long apart, a removal in progress is waited for. */
const WAITS_MAX = 20;
const WAIT_MS = 100;

export class BlobKeeper {
  /** Where bytes are kept for good. */
  readonly lasting: BlobStore;
  /** Where payloads are kept. */
  readonly payloads: BlobStore;
  readonly #options: BlobKeeperOptions;
  /** Where the next sweep begins: so those that fail do not keep the others from their turn. */
  #after = "";

  constructor(options: BlobKeeperOptions) {
    this.#options = options;
    const { records } = options;
    this.lasting = this.#storeBy((sha256, nowMs) => records.keep(sha256, nowMs));
    this.payloads = this.#storeBy((sha256, nowMs) => records.use(sha256, nowMs));
  }

  /**
   * Removes payloads that nothing has needed for a day, at most a thousand; gives how many. What
   * the store does not remove stays in the records for a later sweep.
   */
  async sweep(): Promise<number> {
    const { records, clock } = this.#options;
    const beforeMs = clock.nowMs() - UNNAMED_KEPT_MS;
    const limit = REMOVED_PER_SWEEP_MAX;
    const found = await records.unnamed({ beforeMs, after: this.#after, limit });
    const ended = { removed: 0, failed: 0, kept: 0 };
    let next = 0;
    const lane = async (): Promise<void> => {
      while (ended.failed < FAILURES_PER_SWEEP_MAX) {
        const sha256 = found[next++];
        if (sha256 === undefined) return;
        this.#after = sha256;
        ended[await this.#remove(sha256, beforeMs)] += 1;
      }
    };
    await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, lane));
    if (found.length < limit && next >= found.length) this.#after = "";
    return ended.removed;
  }

  async #remove(sha256: string, beforeMs: number): Promise<"removed" | "kept" | "failed"> {
    const { blobs, records, clock, onError } = this.#options;
    try {
      if (!(await records.claim(sha256, { beforeMs, nowMs: clock.nowMs() }))) return "kept";
      await blobs.remove(sha256);
      await records.forget(sha256);
      return "removed";
    } catch (error) {
      onError(error, `removing blob ${sha256}, which no call needs; it is tried again`);
      return "failed";
    }
  }

  #storeBy(note: (sha256: string, nowMs: number) => Promise<boolean>): BlobStore {
    const { blobs, records, clock } = this.#options;
    return {
      put: async (bytes, known) => {
        const sha256 = known ?? createHash("sha256").update(bytes).digest("hex");
        for (let waits = 0; !(await note(sha256, clock.nowMs())); waits += 1) {
          if (waits === WAITS_MAX) throw isBeingRemoved(sha256);
          await clock.sleep(WAIT_MS);
        }
        return blobs.put(bytes, sha256);
      },
      get: (sha256, memoryFor) => blobs.get(sha256, memoryFor),
      isIn: async (dir, sha256) => (await blobs.isIn?.(dir, sha256)) ?? false,
      // Whoever is told so may name it without sending it.
      has: async (sha256) => (await records.renew(sha256, clock.nowMs())) && blobs.has(sha256),
    };
  }
}

function isBeingRemoved(sha256: string): PlatformError {
  return new PlatformError(
    `blob ${sha256} is being removed, since no call needed it: send it again in a few minutes`,
    { code: "unavailable", retryable: true, details: { sha256 } },
  );
}
