/** Records of chunks in memory, for a store that this process alone uses, and for tests. */
import type { ChunkId } from "./chunk.ts";
import { LeaseEndedError, type ChunkRecords } from "./chunk-records.ts";

export interface MemoryChunkRecords extends ChunkRecords {
  /** @throws LeaseEndedError unless the lease is held */
  checkLease(leaseId: string): void;
}

interface Lease {
  readonly turn: number;
  untilMs: number;
}

interface Condemned {
  readonly turn: number;
  readonly removingUntilMs?: number;
}

/** Makes them, empty. */
export function createMemoryChunkRecords(): MemoryChunkRecords {
  const leases = new Map<string, Lease>();
  const condemned = new Map<ChunkId, Condemned>();
  let turn = 0;

  const heldLease = (leaseId: string): Lease => {
    const lease = leases.get(leaseId);
    if (lease === undefined) throw new LeaseEndedError(leaseId);
    return lease;
  };
  const isRemoving = (id: ChunkId, nowMs: number): boolean =>
    (condemned.get(id)?.removingUntilMs ?? -Infinity) > nowMs;

  return {
    checkLease: (leaseId) => void heldLease(leaseId),
    leases: {
      begin: async (leaseId, untilMs) => {
        leases.set(leaseId, { turn: ++turn, untilMs });
        return Promise.resolve();
      },
      renew: async (leaseId, untilMs) => {
        const lease = leases.get(leaseId);
        if (lease !== undefined) lease.untilMs = Math.max(lease.untilMs, untilMs);
        return Promise.resolve(lease !== undefined);
      },
      claim: async (leaseId, ids, { nowMs, untilMs }) => {
        const lease = heldLease(leaseId);
        lease.untilMs = Math.max(lease.untilMs, untilMs);
        const removing = [...new Set(ids)].filter((id) => isRemoving(id, nowMs));
        for (const id of ids) if (!isRemoving(id, nowMs)) condemned.delete(id);
        return Promise.resolve(removing);
      },
      end: async (leaseId) => {
        leases.delete(leaseId);
        return Promise.resolve();
      },
    },
    condemned: {
      condemn: async (ids, nowMs) => {
        turn += 1;
        for (const id of ids) {
          const known = condemned.get(id);
          const isOver = (known?.removingUntilMs ?? Infinity) <= nowMs;
          if (known === undefined || isOver) condemned.set(id, { turn });
        }
        return Promise.resolve();
      },
      oldestTurn: async (nowMs) => {
        for (const [id, { untilMs }] of leases) if (untilMs <= nowMs) leases.delete(id);
        const turns = [...leases.values()].map((lease) => lease.turn);
        return Promise.resolve(turns.length === 0 ? ++turn : Math.min(...turns));
      },
      take: async (ids, { beforeTurn, untilMs }) => {
        const taken = [...new Set(ids)].filter((id) => {
          const known = condemned.get(id);
          const isFree = known !== undefined && known.removingUntilMs === undefined;
          return isFree && known.turn < beforeTurn;
        });
        for (const id of taken) condemned.set(id, { turn: 0, removingUntilMs: untilMs });
        return Promise.resolve(taken);
      },
      forget: async (ids, untilMs) => {
        for (const id of ids) {
          if (condemned.get(id)?.removingUntilMs === untilMs) condemned.delete(id);
        }
        return Promise.resolve();
      },
    },
  };
}
