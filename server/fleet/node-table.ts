/** The nodes of this fleet: the ledger's open nodes in memory, and whether their agents are here. */
import type { Isolation, Node, Resources } from "../../core/index.ts";
import type { AgentSighting } from "../../pool/index.ts";
import type { Fence, NodeLedger, StoredNode } from "../store/record-store.ts";

export interface NodeRecord {
  stored: StoredNode;
  connected: boolean;
  /** Its agent has said which containers it holds, since this server knows the node. */
  hasToldContainers: boolean;
  /** When its agent was last heard of; undefined before the first time. */
  lastHeardAtMs: number | undefined;
  /** What its agent said that the machine is. */
  facts: { readonly resources: Resources; readonly isolation: Isolation } | undefined;
  /** Where its agent gives chunks to other nodes; undefined when it does not. */
  peerUrl: string | undefined;
  /** What its agent's checks found broken. */
  faults: readonly string[];
  /** Content hashes that its agent said are on its disk; the newest last. */
  artifacts: readonly string[];
  /** When its provider takes it back, as its machine was told; undefined while it was not. */
  reclaimAtMs: number | undefined;
  /** Since when its provider has said that it may take it back; undefined while it has not. */
  riskSinceMs: number | undefined;
  /** Since when it has held no container; undefined while it holds one. */
  emptySinceMs: number | undefined;
}

/** Artifacts remembered of a node. */
const ARTIFACTS_MAX = 64;

export class NodeTable {
  readonly #ledger: NodeLedger;
  readonly #nodes = new Map<string, NodeRecord>();
  readonly #schedulable = new WeakMap<Node, Node>();

  constructor(ledger: NodeLedger) {
    this.#ledger = ledger;
  }

  /** Takes over the open nodes of the ledger: of an earlier run, or of another replica. */
  async load(nowMs: number): Promise<void> {
    const known = [...this.#nodes.keys()];
    const open = await this.#ledger.listOpen();
    const openIds = new Set(open.map(({ node }) => node.nodeId));
    for (const nodeId of known) if (!openIds.has(nodeId)) this.#nodes.delete(nodeId);
    for (const stored of open) this.#mirror(stored, nowMs);
  }

  /** Open nodes, oldest first. */
  all(): readonly NodeRecord[] {
    return [...this.#nodes.values()];
  }

  get(nodeId: string): NodeRecord | undefined {
    return this.#nodes.get(nodeId);
  }

  /**
   * The nodes that containers can be placed on, with what is on their disks. A node is the same
   * object as before while nothing about it has changed.
   */
  schedulable(): readonly Node[] {
    return this.all()
      .filter(({ connected }) => connected)
      .map((record) => this.#schedulableOf(record));
  }

  /** What is on a node's disk, instead of what was known before. */
  noteArtifacts(nodeId: string, contentHashes: readonly string[]): void {
    const record = this.#nodes.get(nodeId);
    if (record !== undefined) record.artifacts = contentHashes.slice(-ARTIFACTS_MAX);
  }

  /** Something has come to a node's disk. */
  noteArtifact(nodeId: string, contentHash: string): void {
    const before = this.#nodes.get(nodeId)?.artifacts ?? [];
    const others = before.filter((known) => known !== contentHash);
    this.noteArtifacts(nodeId, [...others, contentHash]);
  }

  /**
   * Writes nodes to the ledger, all or none, then to memory; terminated ones leave memory.
   *
   * @throws PlatformError `conflict` when another has the fence by now.
   */
  async put(nodes: readonly StoredNode[], nowMs: number, fence?: Fence): Promise<void> {
    if (fence === undefined) await this.#ledger.put(...nodes);
    else await this.#ledger.putFenced(fence, ...nodes);
    for (const stored of nodes) this.#mirror(stored, nowMs);
  }

  /** Agents heard since this process started. */
  sightings(): ReadonlyMap<string, AgentSighting> {
    const sightings = new Map<string, AgentSighting>();
    for (const [nodeId, record] of this.#nodes) {
      const { lastHeardAtMs, facts, faults, reclaimAtMs, riskSinceMs } = record;
      if (lastHeardAtMs === undefined) continue;
      const notice = reclaimAtMs === undefined ? {} : { reclaimAtMs };
      const risk = riskSinceMs === undefined ? {} : { riskSinceMs };
      sightings.set(nodeId, { lastHeardAtMs, ...facts, faults, ...notice, ...risk });
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

  #schedulableOf({ stored: { node }, artifacts }: NodeRecord): Node {
    if (artifacts.length === 0) return node;
    const before = this.#schedulable.get(node);
    if (before?.cachedArtifacts === artifacts) return before;
    const merged = { ...node, cachedArtifacts: artifacts };
    this.#schedulable.set(node, merged);
    return merged;
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
        hasToldContainers: false,
        lastHeardAtMs: undefined,
        facts: undefined,
        peerUrl: undefined,
        faults: [],
        artifacts: [],
        reclaimAtMs: undefined,
        riskSinceMs: undefined,
        emptySinceMs: nowMs,
      });
    } else {
      known.stored = stored;
    }
  }
}
