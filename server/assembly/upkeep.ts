/** What must be looked after now and then: leases of apps, deadlines, arrivals, lost queue jobs, old results, blobs, chunks. */
import type { ManagedApps } from "../apps/app-service.ts";
import type { CallDesk } from "../calls/call-desk.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { rebuildQueues } from "../calls/rebuild.ts";
import type { RecordStore } from "../store/record-store.ts";

export interface UpkeepOptions {
  readonly store: RecordStore;
  readonly calls: CallDesk;
  readonly apps: Pick<ManagedApps, "expireLeases">;
  /** Ends sandboxes whose time is over; nobody does when absent. */
  readonly endSandboxes?: (nowMs: number) => Promise<void>;
  /** Removes blobs that no call needs; nobody does when absent. */
  readonly sweepBlobs?: () => Promise<unknown>;
  /** Removes the chunks that no image needs; nobody does when absent. */
  readonly collectChunks?: () => Promise<void>;
}

const REBUILD_EVERY_MS = 3_000;
const EXPIRE_EVERY_MS = 60_000;
/** Results are kept this long. */
const RESULTS_KEPT_MS = 7 * 24 * 3_600_000;
const EXPIRED_PER_ROUND = 200;
/** Also after a start, so that what agents hold back has come by then. */
const SWEEP_EVERY_MS = 600_000;
/** Also after a start, so that agents have said by then which containers still read. */
const COLLECT_EVERY_MS = 3_600_000;

export class Upkeep {
  readonly #options: UpkeepOptions;
  #rebuiltAtMs = 0;
  #expiredAtMs = 0;
  #collectedAtMs: number | undefined;
  #sweptAtMs: number | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** One round; to be called about once a second. */
  async run(nowMs: number): Promise<void> {
    const { store, apps, calls } = this.#options;
    await apps.expireLeases(nowMs);
    await calls.service.expireDeadlines(nowMs);
    await calls.functions.writeArrivals();
    if (nowMs - this.#rebuiltAtMs >= REBUILD_EVERY_MS) {
      this.#rebuiltAtMs = nowMs;
      await this.#restoreLostJobs();
    }
    if (nowMs - this.#expiredAtMs >= EXPIRE_EVERY_MS) {
      this.#expiredAtMs = nowMs;
      const beforeMs = nowMs - RESULTS_KEPT_MS;
      await store.calls.expire({ beforeMs, nowMs, limit: EXPIRED_PER_ROUND });
      await this.#options.endSandboxes?.(nowMs);
    }
    await this.#sweepBlobs(nowMs);
    await this.#collectChunks(nowMs);
  }

  async #sweepBlobs(nowMs: number): Promise<void> {
    this.#sweptAtMs ??= nowMs;
    // As with chunks.
    if (Math.abs(nowMs - this.#sweptAtMs) < SWEEP_EVERY_MS) return;
    this.#sweptAtMs = nowMs;
    await this.#options.sweepBlobs?.();
  }

  async #collectChunks(nowMs: number): Promise<void> {
    this.#collectedAtMs ??= nowMs;
    // A clock that was set back must not put it off for as long.
    if (Math.abs(nowMs - this.#collectedAtMs) < COLLECT_EVERY_MS) return;
    this.#collectedAtMs = nowMs;
    await this.#options.collectChunks?.();
  }

  /**
   * Functions that owe more results than this server holds inputs while the queue has nothing:
   * Redis lost their jobs, so they are made again from the ledger. So are those of functions whose
   * inputs may never have been queued.
   */
  async #restoreLostJobs(): Promise<void> {
    const { store, calls } = this.#options;
    const lost = new Set<string>();
    const doubtful = calls.functions.all().filter(({ mayLackJobs }) => mayLackJobs);
    for (const live of calls.functions.all()) {
      if (live.mayLackJobs || (await hasLostJobs(live))) lost.add(live.functionId);
    }
    if (lost.size === 0) return;
    for (const live of doubtful) live.mayLackJobs = false;
    try {
      await rebuildQueues(store, calls.functions, (functionId) => lost.has(functionId));
    } catch (error) {
      for (const live of doubtful) live.mayLackJobs = true;
      throw error;
    }
  }
}

async function hasLostJobs(live: LiveFunction): Promise<boolean> {
  if (live.open.openCount <= live.dispatcher.heldCount) return false;
  return (await live.dispatcher.queueDepth()) === 0;
}
