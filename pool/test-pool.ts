/** Offers, nodes, ledgers and snapshots for the tests of this folder. */
import {
  assert,
  DEFAULT_POOL_POLICY,
  offerIdOf,
  type Node,
  type NodeState,
  type Offer,
  type PlacedContainer,
} from "../core/index.ts";
import type { PoolNode } from "./observe.ts";
import type { MemoryEntry } from "./memory.ts";
import type { PoolLedger, PoolRecord } from "./ports.ts";
import type { PoolSnapshot } from "./snapshot.ts";
import { newRecords } from "./renting.ts";

/** An offer of the fake cloud; offers with different instance types differ in id. */
export function testOffer(instanceType = "h100", over: Partial<Offer> = {}): Offer {
  const offer: Omit<Offer, "offerId"> = {
    cloud: "fake",
    region: "r1",
    instanceType,
    purchase: "on-demand",
    gpuType: "H100",
    resources: { gpuCount: 8, cpuMilli: 64_000, memoryMiB: 524_288 },
    priceMicroUsdPerHour: 20_000_000,
    reclaimFractionPerHour: 0,
    bootMs: 30_000,
    nodeCountMax: 1_000,
    quotaGroups: ["fake/r1/h/on-demand"],
    emulated: true,
    ...over,
  };
  return { ...offer, offerId: offerIdOf(offer) };
}

/** A node of the ledger in some state, with a machine unless it is only requested. */
export function testNode(
  nodeId: string,
  state: NodeState,
  over: Partial<Omit<PoolNode, "record">> & {
    readonly offer?: Offer;
    readonly requestedAtMs?: number;
    readonly stateSinceMs?: number;
    readonly node?: Partial<Node>;
  } = {},
): PoolNode {
  const { offer = testOffer(), requestedAtMs = 0, stateSinceMs = 0, ...others } = over;
  const { node, ...rest } = others;
  const rent = { reason: "test", nowMs: requestedAtMs };
  const [first] = newRecords({ nodeIds: [nodeId], offers: [offer] }, rent);
  assert(first !== undefined, "a batch of one node has one record");
  const { batch, ...record } = first;
  const isUnanswered = state === "requested" && batch !== undefined;
  const machine = isUnanswered ? {} : { providerNodeId: `m-${nodeId}` };
  return {
    record: {
      ...record,
      ...(isUnanswered ? { batch } : {}),
      node: { ...record.node, ...machine, state, stateSinceMs, ...node },
    },
    listed: state === "requested" ? "absent" : "running",
    absentCount: 0,
    ...rest,
  };
}

/** A snapshot in which nothing is to be done. */
export function testSnapshot(over: Partial<PoolSnapshot> = {}): PoolSnapshot {
  return {
    desired: [],
    offers: [testOffer()],
    nodes: [],
    containers: [],
    agents: new Map(),
    emptySinceMs: new Map(),
    refusals: [],
    reclaimedAtMs: new Map(),
    strays: [],
    unreachableClouds: new Set(),
    watchingSinceMs: 0,
    policy: DEFAULT_POOL_POLICY,
    ...over,
  };
}

/** A container on a node. */
export function containerOn(nodeId: string): PlacedContainer {
  const resources = { gpuCount: 1, cpuMilli: 1_000, memoryMiB: 1_024 };
  return { containerId: `co_${nodeId}`, functionId: "fn_1", nodeId, resources };
}

/** A ledger in memory, which survives the controllers that use it. */
export interface MemoryLedger extends PoolLedger {
  /** All records, closed ones included. */
  all(): readonly PoolRecord[];
}

/** An empty ledger. */
export function memoryLedger(): MemoryLedger {
  const records = new Map<string, PoolRecord>();
  const memory = new Map<string, MemoryEntry>();
  const memoryKey = ({ kind, key }: Pick<MemoryEntry, "kind" | "key">) => `${kind} ${key}`;
  return {
    put: (changed) => {
      for (const record of changed) records.set(record.node.nodeId, record);
      return Promise.resolve();
    },
    get: (nodeId) => Promise.resolve(records.get(nodeId)),
    listOpen: () =>
      Promise.resolve([...records.values()].filter((one) => one.node.state !== "terminated")),
    findByMachine: ({ providerNodeIds, nodeIds, clientTokens }) =>
      Promise.resolve(
        [...records.values()].filter(
          ({ node, clientToken }) =>
            nodeIds.includes(node.nodeId) ||
            clientTokens.includes(clientToken) ||
            (node.providerNodeId !== undefined && providerNodeIds.includes(node.providerNodeId)),
        ),
      ),
    note: ({ put, removed }) => {
      for (const one of removed) memory.delete(memoryKey(one));
      for (const one of put) memory.set(memoryKey(one), one);
      return Promise.resolve();
    },
    recall: () => Promise.resolve([...memory.values()]),
    all: () => [...records.values()],
  };
}
