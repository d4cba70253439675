/**
 * What those who store chunks and those who remove them agree on, kept where all of them see it:
 * each method is one step that others see whole or not at all. Adapters pass
 * `chunk-records-conformance.ts`.
 *
 * Leases and condemnations are put in one order by turns, which only rise. `ChunkKeeper` says
 * what follows from it.
 */
import { PlatformError } from "../../core/index.ts";
import type { ChunkId } from "./chunk.ts";

export interface ChunkRecords {
  readonly leases: ChunkLeases;
  readonly condemned: CondemnedChunks;
}

/** The rights to store chunks. */
export interface ChunkLeases {
  /** Begins one at a turn of its own. Nobody ends it before `untilMs` but `end`. */
  begin(leaseId: string, untilMs: number): Promise<void>;
  /** Whether it is held still; then until then at least. */
  renew(leaseId: string, untilMs: number): Promise<boolean>;
  /**
   * Takes chunks out of those condemned, and renews the lease.
   *
   * @returns those that are being removed at this moment, which are not taken
   * @throws LeaseEndedError when it has ended
   */
  claim(
    leaseId: string,
    ids: readonly ChunkId[],
    when: { readonly nowMs: number; readonly untilMs: number },
  ): Promise<readonly ChunkId[]>;
  /** Ends one; nothing when it has ended. */
  end(leaseId: string): Promise<void>;
}

/** Chunks that nothing was seen to need. */
export interface CondemnedChunks {
  /**
   * Condemns chunks at a turn of their own. Those that are condemned stay so as they were; those
   * whose removal has outlived its time are condemned anew.
   */
  condemn(ids: readonly ChunkId[], nowMs: number): Promise<void>;
  /** Ends the leases past their time; gives the turn of the oldest of the rest, or a new one. */
  oldestTurn(nowMs: number): Promise<number>;
  /** Begins to remove those of these that were condemned before a turn, and gives them. */
  take(
    ids: readonly ChunkId[],
    when: { readonly beforeTurn: number; readonly untilMs: number },
  ): Promise<readonly ChunkId[]>;
  /** Ends the removal that was to last until then. */
  forget(ids: readonly ChunkId[], untilMs: number): Promise<void>;
}

/** A lease of chunks has ended, so what was stored under it may be gone. */
export class LeaseEndedError extends PlatformError {
  constructor(leaseId: string) {
    const message =
      `the lease ${leaseId} of chunks has ended: it was not used for too long, and what was ` +
      "stored under it may be gone; store it anew";
    // The same request never helps: its chunks may have gone.
    super(message, { code: "conflict", retryable: false, details: { lease: leaseId } });
  }
}
