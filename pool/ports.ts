/** What the pool is given from outside: the ledger, the facts of the moment, and its listener. */
import type {
  CloudName,
  Isolation,
  Node,
  Offer,
  PlacedContainer,
  PurchaseOption,
  Resources,
} from "../core/index.ts";
import type { MemoryChanges, MemoryEntry } from "./memory.ts";

/** What one request asked for, kept so that exactly the same request can be made again. */
export interface RentBatch {
  /** All nodes of the request, in its order. */
  readonly nodeIds: readonly string[];
  /** Its offers as they were, best first. */
  readonly offers: readonly Offer[];
  /** The plan that wanted them, which is a tag of its machines. */
  readonly planId?: string;
}

/** A rented node as the ledger keeps it. */
export interface PoolRecord {
  readonly node: Node;
  /** Idempotency token of its batch, written before the provider is called. */
  readonly clientToken: string;
  /** The request it is part of, as long as it is not known which machine came of it. */
  readonly batch?: RentBatch;
  /** When all must have left it, as an operator said. */
  readonly drainByMs?: number;
  /** Why it was rented. */
  readonly reason: string;
  readonly requestedAtMs: number;
  /** When the provider began to bill it; absent until it says the machine is there. */
  readonly launchedAtMs?: number;
  /** When billing ended; set exactly when the node is terminated. */
  readonly terminatedAtMs?: number;
}

/** What may tell whose a machine is; lists of any length. */
export interface MachineTraces {
  readonly providerNodeIds: readonly string[];
  readonly nodeIds: readonly string[];
  readonly clientTokens: readonly string[];
}

/**
 * Where records and memory are kept. What a resolved `put` or `note` wrote survives a crash of
 * this process.
 */
export interface PoolLedger {
  /** Inserts or replaces by node id: all of the records, or none. */
  put(records: readonly PoolRecord[]): Promise<void>;
  get(nodeId: string): Promise<PoolRecord | undefined>;
  /** Records of nodes not yet terminated, the machines that are not rented included. */
  listOpen(): Promise<readonly PoolRecord[]>;
  /** Records, ended ones included, that know any of these; in any order, each once. */
  findByMachine(traces: MachineTraces): Promise<readonly PoolRecord[]>;
  /** Changes what the pool remembers beside its records: all of it, or nothing. */
  note(changes: MemoryChanges): Promise<void>;
  /** All that was noted and has not been removed, but for what is old. */
  recall(): Promise<readonly MemoryEntry[]>;
}

/** What is known of the agent on a node. */
export interface AgentSighting {
  /** When it was last heard, its heartbeats included. */
  readonly lastHeardAtMs: number;
  /** When its provider takes the machine back, as the machine itself was told. */
  readonly reclaimAtMs?: number;
  /** Since when its provider has said that it may take the machine back before long. */
  readonly riskSinceMs?: number;
  /** What it says its machine has and is; written to the node when it registers. */
  readonly resources?: Resources;
  readonly isolation?: Isolation;
  /** What its last check found broken; absent means nothing. */
  readonly faults?: readonly string[];
}

/** Agents heard since this process started, by node id. */
export type AgentSightings = ReadonlyMap<string, AgentSighting>;

/** What the server knows at a tick. */
export interface PoolFacts {
  /** Offers by which nodes may be rented now. */
  readonly offers: readonly Offer[];
  /** Everything that holds resources on a node, starting containers included. */
  readonly containers: readonly PlacedContainer[];
  /** Containers that have no node yet; absent means none. */
  readonly waiting?: readonly Pick<PlacedContainer, "containerId" | "resources" | "needs">[];
  /**
   * Agents at the moment when the records are read, which a listing may delay: a notice that came
   * meanwhile has changed a record, and must be seen with it.
   */
  readonly agents: AgentSightings | (() => AgentSightings);
  /** Since when each empty node has held no container, by node id. */
  readonly emptySinceMs: ReadonlyMap<string, number>;
}

/** How many nodes of one offer there should be; a line of a fleet plan will do. */
export interface DesiredLine {
  readonly offerId: string;
  readonly count: number;
  readonly reason: string;
  /** The plan that it is a line of; a tag of the machines that are rented for it. */
  readonly planId?: string;
  /** Which other offers will do; absent means those of the same region and purchase option. */
  readonly standIns?: StandInRule;
}

/** Where and how a machine that stands in for a planned one may be rented. */
export interface StandInRule {
  /** Absent means any. */
  readonly clouds?: readonly CloudName[];
  /** Absent means any. */
  readonly regions?: readonly string[];
  /** Absent means any; an offer that leaves the zone to the provider is then left out. */
  readonly zones?: readonly string[];
  readonly purchases: readonly PurchaseOption[];
}

/** What happened to a node or a provider, with the reason, for logs, events and people. */
export type PoolEvent =
  | {
      readonly kind:
        | "requested"
        | "booting"
        | "registered"
        | "healthy"
        | "cordoned"
        | "refused"
        | "draining"
        | "releasing"
        | "terminated";
      readonly node: Node;
      readonly reason: string;
      readonly atMs: number;
      /** Its provider takes the machine away, or has, without having been asked to. */
      readonly byProvider?: true;
      /** Offers that gave no machine for this node when its rent was answered, best first. */
      readonly refusedOfferIds?: readonly string[];
    }
  | {
      /** It works, and its provider does not list its machine as one of this cluster. */
      readonly kind: "unlisted";
      readonly node: Node;
      readonly reason: string;
      readonly atMs: number;
    }
  | {
      readonly kind: "orphan_released";
      readonly cloud: CloudName;
      readonly providerNodeId: string;
      readonly reason: string;
      readonly atMs: number;
    }
  | {
      /** Machines of an account that no cluster claims; they are left alone. */
      readonly kind: "unclaimed";
      readonly cloud: CloudName;
      /** Absent when it is about several. */
      readonly providerNodeId?: string;
      readonly reason: string;
      readonly atMs: number;
    }
  | {
      /** A provider could not be asked or did not answer; nothing is concluded from it. */
      readonly kind: "provider_failed";
      readonly cloud: CloudName;
      readonly attempted: string;
      readonly reason: string;
      readonly atMs: number;
    };
