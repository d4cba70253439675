/** The right to store chunks; what `ChunkKeeper` says of leases is done here. */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/index.ts";
import { LeaseEndedError, type ChunkRecords } from "./chunk-records.ts";
import type { ChunkStore } from "./chunk-store.ts";
import type { ChunkId } from "./chunk.ts";

export interface StoreLeaseOptions {
  readonly store: ChunkStore;
  readonly records: Pick<ChunkRecords, "leases">;
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
}

/**
 * A lease that is not used for so long may be ended by whoever collects; longer than any pause in
 * storing (an upload to a volume may rest for an hour).
 */
export const LEASE_MS = 90 * 60_000;

/** How long apart a removal is looked for that is on its way. */
const WAIT_MS = 100;

export class StoreLease {
  /** The store, to be used for this and no longer than it. */
  readonly store: ChunkStore;
  readonly #options: StoreLeaseOptions;
  readonly #leaseId = randomUUID();
  readonly #claimed = new Set<ChunkId>();
  #begun: Promise<void> | undefined;
  #isClosed = false;

  /** It begins when it is used first. */
  constructor(options: StoreLeaseOptions) {
    this.#options = options;
    const { store } = options;
    this.store = {
      get: (id) => store.get(id),
      put: async (id, encoded) => {
        if (!this.#claimed.has(id)) await this.#claim([id]);
        await store.put(id, encoded);
      },
      has: async (ids) => {
        await this.#claim(ids);
        return store.has(ids);
      },
      delete: (ids) => store.delete(ids),
      list: () => store.list(),
    };
  }

  /**
   * Its name, for the step that names what was stored as in use: that step must check that it is
   * held. Renewed by now.
   *
   * @throws LeaseEndedError when it has ended
   */
  async held(): Promise<string> {
    await this.#begin();
    if (await this.#options.records.leases.renew(this.#leaseId, this.#untilMs())) {
      return this.#leaseId;
    }
    throw new LeaseEndedError(this.#leaseId);
  }

  /** Ends it; what was stored must be in use by now, or may go. */
  async close(): Promise<void> {
    this.#isClosed = true;
    try {
      await this.#begun;
      if (this.#begun !== undefined) await this.#options.records.leases.end(this.#leaseId);
    } catch {
      // It ends by itself, later.
    }
  }

  async #claim(ids: readonly ChunkId[]): Promise<void> {
    const { records, clock } = this.#options;
    await this.#begin();
    let left: readonly ChunkId[] = ids.filter((id) => !this.#claimed.has(id));
    for (;;) {
      const when = { nowMs: clock.nowMs(), untilMs: this.#untilMs() };
      left = await records.leases.claim(this.#leaseId, left, when);
      if (left.length === 0) break;
      await clock.sleep(WAIT_MS);
    }
    for (const id of ids) this.#claimed.add(id);
  }

  async #begin(): Promise<void> {
    if (this.#isClosed) throw new LeaseEndedError(this.#leaseId);
    this.#begun ??= this.#options.records.leases.begin(this.#leaseId, this.#untilMs());
    await this.#begun;
  }

  #untilMs(): number {
    return this.#options.clock.nowMs() + LEASE_MS;
  }
}
