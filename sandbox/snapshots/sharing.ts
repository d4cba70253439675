/**
 * One node's part in sharing snapshots: it looks for what others made, and offers its own.
 *
 * Nothing waits for it but a start that has no image here, and that for a bounded time; whatever
 * fails costs a cold start, or another node's, and nothing else.
 */
import { MS_PER_MINUTE, type Clock } from "../../core/index.ts";
import type { SnapshotRecord } from "./manifest.ts";
import type { SharedSnapshots } from "./shared-snapshots.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

export interface SharingOptions {
  readonly shared: SharedSnapshots;
  readonly store: Pick<SnapshotStore, "adopt" | "encoded" | "wants">;
  readonly clock: Pick<Clock, "nowMs">;
  /** A snapshot can be restored on this node from now on. */
  readonly onKept: (snapshotId: string) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** What nobody else could use is offered again, with a start from it, after as long. */
const OFFER_AGAIN_MS = 10 * MS_PER_MINUTE;

export class Sharing {
  readonly #options: SharingOptions;
  /** When each was offered last, or that it is shared; by what tells images of a key apart. */
  readonly #offered = new Map<string, number>();
  #sending: Promise<void> = Promise.resolve();

  constructor(options: SharingOptions) {
    this.#options = options;
  }

  /** What another node made, which is this node's from then on; never throws. */
  async find(key: string, snapshotId: string | undefined): Promise<SnapshotRecord | undefined> {
    const { shared, store, onKept, onError } = this.#options;
    // One that was bad here too often is not asked for.
    if (snapshotId === undefined || !store.wants(key)) return undefined;
    try {
      const record = await shared.find(key, snapshotId);
      if (record === undefined) return undefined;
      await store.adopt(record);
      this.#offered.set(nameOf(record), Infinity);
      onKept(snapshotId);
      return record;
    } catch (error) {
      onError(error, `looking for snapshot ${snapshotId.slice(0, 12)} of other nodes`);
      return undefined;
    }
  }

  /** Sends it to the server if others could use it, one after the other, in its own time. */
  offer(record: SnapshotRecord): void {
    const { shared, store, clock, onError } = this.#options;
    const name = nameOf(record);
    const lastAtMs = this.#offered.get(name);
    if (lastAtMs !== undefined && clock.nowMs() - lastAtMs < OFFER_AGAIN_MS) return;
    this.#offered.set(name, clock.nowMs());
    this.#sending = this.#sending.then(async () => {
      try {
        const isShared = await shared.offer(record, (id) => store.encoded(id));
        if (isShared) this.#offered.set(name, Infinity);
      } catch (error) {
        onError(error, `sharing snapshot ${record.snapshotId.slice(0, 12)}`);
      }
    });
  }

  /** Tells others that it is bad. */
  reject(record: SnapshotRecord): void {
    const { shared, onError } = this.#options;
    shared.reject(record).catch((error: unknown) => {
      onError(error, `telling that snapshot ${record.snapshotId.slice(0, 12)} is bad`);
    });
  }
}

function nameOf({ key, madeAtMs }: SnapshotRecord): string {
  return `${key}/${madeAtMs}`;
}
