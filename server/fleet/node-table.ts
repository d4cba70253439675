/** The nodes of this fleet: the ledger's open nodes in memory, and whether their agents are here. */
import type { Isolation, Node, Resources } from "../../core/index.ts";
import type { AgentSighting } from "../../pool/index.ts";
import type { NodeLedger, StoredNode } from "../store/record-store.ts";

export interface NodeRecord {
  stored: StoredNode;
  connected: boolean;
  /** When its agent was last heard of; undefined before the first time. */
  lastHeardAtMs: number | undefined;
  /** What its agent said that the machine is. */
  facts: { readonly resources: Resources; readonly isolation: Isolation } | undefined;
  /** When its provider takes it back, as its machine was told; undefined while it was not. */
  reclaimAtMs: number | undefined;
  /** Since when it has held no container; undefined while it holds one. */
  emptySinceMs: number | undefined;
}

export class NodeTable {
  readonly #ledger: NodeLedger;
  readonly #nodes = new Map<string, NodeRecord>();

  constructor(ledger: NodeLedger) {
    this.#ledger = ledger;
  }

  /** Reads the open nodes of an earlier run. */
  async load(nowMs: number): Promise<void> {
    for (const stored of await this.#ledger.listOpen()) this.#mirror(stored, nowMs);
  }

  /** Open nodes, oldest first. */
  all(): readonly NodeRecord[] {
    return [...this.#nodes.values()];
  }

  get(nodeId: string): NodeRecord | undefined {
    return this.#nodes.get(nodeId);
  }

  /** Writes nodes to the ledger, all or none, then to memory; terminated ones leave memory. */
  async put(nodes: readonly StoredNode[], nowMs: number): Promise<void> {
    await this.#ledger.put(...nodes);
    for (const stored of nodes) this.#mirror(stored, nowMs);
  }

  /** Agents heard since this process started. */
  sightings(): ReadonlyMap<string, AgentSighting> {
    const sightings = new Map<string, AgentSighting>();
    for (const [nodeId, { lastHeardAtMs, facts, reclaimAtMs }] of this.#nodes) {
      if (lastHeardAtMs === undefined) continue;
      const notice = reclaimAtMs === undefined ? {} : { reclaimAtMs };
      sightings.set(nodeId, { lastHeardAtMs, ...facts, ...notice });
    }
    return sightings;
  }

  /** Since when each empty node has held no container. */
  emptySince(): ReadonlyMap<string, number> {
    const empty = new Map<string, number>();
    for (const [nodeId, { emptySinceMs }] of this.#nodes) {
      if (emptySinceMs !== undefined) empty.set(nodeId, emptySinceMs);
    }
    return empty;
  }

  /** Replaces the node of a record, ledger first. */
  async update(nodeId: string, change: Partial<Node>, nowMs: number): Promise<void> {
    const record = this.#nodes.get(nodeId);
    if (record === undefined) return;
    await this.put([{ ...record.stored, node: { ...record.stored.node, ...change } }], nowMs);
  }

  /** Adds GPU time that containers used on a node. */
  async addGpuUse(nodeId: string, gpuMs: number): Promise<void> {
    const record = this.#nodes.get(nodeId);
    if (record !== undefined) {
      record.stored = { ...record.stored, gpuMsUsed: record.stored.gpuMsUsed + gpuMs };
    }
    await this.#ledger.addGpuUse(nodeId, gpuMs);
  }

  /** Notes which nodes hold containers, for `emptySinceMs`. */
  noteOccupied(occupied: ReadonlySet<string>, nowMs: number): void {
    for (const [nodeId, record] of this.#nodes) {
      record.emptySinceMs = occupied.has(nodeId) ? undefined : (record.emptySinceMs ?? nowMs);
    }
  }

  #mirror(stored: StoredNode, nowMs: number): void {
    const { nodeId } = stored.node;
    if (stored.terminatedAtMs !== undefined) {
      this.#nodes.delete(nodeId);
      return;
    }
    const known = this.#nodes.get(nodeId);
    if (known === undefined) {
      this.#nodes.set(nodeId, {
        stored,
        connected: false,
        lastHeardAtMs: undefined,
        facts: undefined,
        reclaimAtMs: undefined,
        emptySinceMs: nowMs,
      });
    } else {
      known.stored = stored;
    }
  }
}
