/** Ties the pool to the server: its ledger, and what is told of its nodes. */
import { usdFromMicroUsd, type Clock } from "../../core/index.ts";
import type { PoolEvent, PoolLedger, PoolRecord } from "../../pool/index.ts";
import type { EventBus } from "../services.ts";
import type { NodeLedger } from "../store/record-store.ts";
import type { ContainerDesk } from "./container-desk.ts";
import { registeredEvent } from "./node-desk.ts";
import type { NodeTable } from "./node-table.ts";

/** The pool's view of the node ledger; writes go through the table, which mirrors them. */
export function poolLedgerOf(nodes: NodeTable, ledger: NodeLedger, clock: Clock): PoolLedger {
  return {
    put: async (record) => {
      const known = nodes.get(record.node.nodeId)?.stored ?? (await ledger.get(record.node.nodeId));
      const stored = { ...record, gpuMsUsed: known?.gpuMsUsed ?? 0 };
      await nodes.put(stored, clock.nowMs());
    },
    get: async (nodeId) => nodes.get(nodeId)?.stored ?? ledger.get(nodeId),
    listOpen: async (): Promise<readonly PoolRecord[]> =>
      Promise.resolve(nodes.all().map(({ stored }) => stored)),
  };
}

export interface PoolListenerOptions {
  readonly events: EventBus;
  readonly containers: ContainerDesk;
  /** A node became usable. */
  readonly onUsable: () => void;
  /** The market is not what the plan believed. */
  readonly onMarketChanged: () => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Acts on what the pool tells: publishes it, and takes containers off nodes that go. */
export function listenToPool(options: PoolListenerOptions): (event: PoolEvent) => void {
  const { events, containers, onError } = options;
  return (event) => {
    if (event.kind === "provider_failed") {
      onError(new Error(event.reason), `${event.attempted} on ${event.cloud}`);
      return;
    }
    if (event.kind === "orphan_released") {
      onError(new Error(event.reason), `released orphan ${event.providerNodeId}`);
      return;
    }
    const { node, reason } = event;
    const { nodeId } = node;
    switch (event.kind) {
      case "requested": {
        const usdPerHour = usdFromMicroUsd(node.priceMicroUsdPerHour);
        const offerId = node.offerId ?? "";
        events.publish({ nodeId }, { kind: "node.requested", offerId, usdPerHour, reason });
        return;
      }
      case "booting":
        events.publish(
          { nodeId },
          { kind: "node.booting", providerNodeId: node.providerNodeId ?? "" },
        );
        return;
      case "refused":
        events.publish({ nodeId }, { kind: "node.refused", offerId: node.offerId ?? "", reason });
        options.onMarketChanged();
        return;
      case "healthy":
        events.publish({ nodeId }, registeredEvent(node));
        options.onUsable();
        return;
      case "draining":
        events.publish({ nodeId }, { kind: "node.draining", reason });
        containers.drainNode(nodeId, reason);
        return;
      case "terminated":
        events.publish({ nodeId }, { kind: "node.terminated", reason });
        containers.nodeLost(nodeId);
        options.onMarketChanged();
        return;
      case "registered":
      case "releasing":
    }
  };
}
