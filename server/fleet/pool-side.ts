/** Ties the pool to the server: its ledger, and what is told of its nodes. */
import { usdFromMicroUsd, type Clock, type Node } from "../../core/index.ts";
import type { PoolEvent, PoolLedger, PoolRecord } from "../../pool/index.ts";
import type { EventBody } from "../../sdk/protocol/index.ts";
import type { EventBus } from "../services.ts";
import type { Fence, NewPoolEvent, RecordStore } from "../store/record-store.ts";
import type { ContainerDesk } from "./container-desk.ts";
import { registeredEvent } from "./node-desk.ts";
import type { NodeTable } from "./node-table.ts";

/**
 * The pool's view of the record store; writes of nodes go through the table, which mirrors them.
 * All writes are refused once another replica leads.
 */
export function poolLedgerOf(
  nodes: NodeTable,
  { nodes: ledger, poolMemory }: Pick<RecordStore, "nodes" | "poolMemory">,
  by: { readonly clock: Clock; readonly fence: () => Fence },
): PoolLedger {
  return {
    put: async (records) => {
      const stored = await Promise.all(
        records.map(async (record) => {
          const { nodeId } = record.node;
          const known = nodes.get(nodeId)?.stored ?? (await ledger.get(nodeId));
          const { gpuMsUsed = 0, joinedAtMs } = known ?? {};
          return { ...record, gpuMsUsed, ...(joinedAtMs === undefined ? {} : { joinedAtMs }) };
        }),
      );
      await nodes.put(stored, by.clock.nowMs(), by.fence());
    },
    get: async (nodeId) => nodes.get(nodeId)?.stored ?? ledger.get(nodeId),
    findByMachine: (traces) => ledger.findByMachine(traces),
    note: (changes) => poolMemory.change(by.fence(), changes),
    recall: () => poolMemory.list(),
    listOpen: async (): Promise<readonly PoolRecord[]> =>
      Promise.resolve(nodes.all().map(({ stored }) => stored)),
  };
}

export interface PoolListenerOptions {
  readonly events: EventBus;
  readonly containers: ContainerDesk;
  /** A node became usable. */
  readonly onUsable: () => void;
  /** Keeps an event for people to ask about. */
  readonly onEvent: (event: NewPoolEvent) => void;
  /** The containers of a node are to leave it. */
  readonly onDraining: () => void;
  /** The market is not what the plan believed. */
  readonly onMarketChanged: () => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Acts on what the pool tells: publishes it, and takes what is left off nodes that go. */
export function listenToPool(options: PoolListenerOptions): (event: PoolEvent) => void {
  const { events, containers, onError } = options;
  const act = ({ kind, node }: NodePoolEvent): void => {
    if (kind === "refused" || kind === "terminated") options.onMarketChanged();
    if (kind === "healthy") options.onUsable();
    if (kind === "draining") options.onDraining();
    // What is still on it when it is given back runs elsewhere, without waiting for its end.
    if (kind === "releasing" || kind === "terminated") containers.nodeLost(node.nodeId);
  };
  return (event) => {
    options.onEvent(storedEventOf(event));
    if (event.kind === "provider_failed") {
      onError(new Error(event.reason), `${event.attempted} on ${event.cloud}`);
    } else if (event.kind === "orphan_released") {
      onError(new Error(event.reason), `released orphan ${event.providerNodeId}`);
    } else if (event.kind === "unclaimed") {
      const { cloud, providerNodeId } = event;
      // What has nothing of ours may well be somebody else's: no failure of this platform.
      if (providerNodeId === undefined) return;
      onError(new Error(event.reason), `looking at ${providerNodeId} on ${cloud}`);
    } else if (event.kind === "unlisted") {
      onError(new Error(event.reason), `looking for the machine of ${event.node.nodeId}`);
    } else {
      const body = bodyOf(event);
      if (body !== undefined) events.publish({ nodeId: event.node.nodeId }, body);
      act(event);
    }
  };
}

/** An event as it is kept. */
function storedEventOf(event: PoolEvent): NewPoolEvent {
  const { kind, atMs, reason } = event;
  if (event.kind === "provider_failed") {
    const { cloud, attempted } = event;
    return { kind, atMs, cloud, reason: `${attempted}: ${reason}` };
  }
  if (event.kind === "orphan_released" || event.kind === "unclaimed") {
    const { cloud, providerNodeId } = event;
    const machine = providerNodeId === undefined ? {} : { providerNodeId };
    return { kind, atMs, cloud, reason, ...machine };
  }
  const { nodeId, cloud, offerId, providerNodeId } = event.node;
  return {
    ...{ kind, atMs, reason, nodeId, cloud },
    ...(offerId === undefined ? {} : { offerId }),
    ...(providerNodeId === undefined ? {} : { providerNodeId }),
  };
}

type NodePoolEvent = Exclude<
  Extract<PoolEvent, { readonly node: Node }>,
  { readonly kind: "unlisted" }
>;

/** What is published of an event; some say nothing that another does not say better. */
function bodyOf({ kind, node, reason }: NodePoolEvent): EventBody | undefined {
  const offerId = node.offerId ?? "";
  switch (kind) {
    case "requested": {
      const usdPerHour = usdFromMicroUsd(node.priceMicroUsdPerHour);
      return { kind: "node.requested", offerId, usdPerHour, reason };
    }
    case "booting":
      return { kind: "node.booting", providerNodeId: node.providerNodeId ?? "" };
    case "refused":
      return { kind: "node.refused", offerId, reason };
    case "healthy":
      return registeredEvent(node);
    case "draining":
      return { kind: "node.draining", reason };
    case "terminated":
      return { kind: "node.terminated", reason };
    case "registered":
    case "cordoned":
    case "releasing":
      return undefined;
  }
}
