/**
 * One round of placement over an index that it changes as it goes.
 *
 * Units are taken in the order of queue/units.ts. A unit is placed whole or refused; what is
 * refused may have others ended for it (queue/evictions.ts) or, once it has waited too long, a
 * node kept free (queue/reservations.ts).
 */
import {
  resourcesOf,
  type ContainerRequest,
  type PlacedContainer,
  type Rng,
  type SchedulerPolicy,
} from "../core/index.ts";
import { explainRefusal, NO_COUNTS, type Explanation } from "./explain.ts";
import { malformation } from "./feasibility.ts";
import type { ClassTable } from "./fleet/class-table.ts";
import type { FleetIndex, IndexedNode } from "./fleet/fleet-index.ts";
import type { RequestClass } from "./fleet/request-class.ts";
import { placementReason } from "./placement-reason.ts";
import type {
  Eviction,
  FleetSnapshot,
  Placement,
  PlacementPlan,
  Refusal,
  Reservation,
} from "./plan.ts";
import { chooseEvictions } from "./queue/evictions.ts";
import { gangDomains, gangRefusal, withinDomain, type GangDomain } from "./queue/gangs.ts";
import { nodesToReserve } from "./queue/reservations.ts";
import { WorkspaceShares } from "./queue/shares.ts";
import { SpreadLedger } from "./queue/spread-ledger.ts";
import { UnitQueue, unitsOf, type Unit } from "./queue/units.ts";
import type { Ask, Ranker } from "./ranker.ts";

/** What a round works with. */
export interface RoundContext {
  readonly index: FleetIndex;
  readonly ranker: Ranker;
  readonly classes: ClassTable;
  readonly policy: SchedulerPolicy;
  readonly nowMs: number;
  readonly rng: Rng;
}

/** A request that was refused draws among so many nodes, at most. */
const DRAW_COUNT_MAX = 8;
/** Nodes kept free in one round, whatever the policy allows. */
const RESERVED_COUNT_MAX = 32;
/** Requests for which others might be ended in one round. */
const EVICTION_TRY_COUNT_MAX = 100;

/** Decides for every request; the index then holds what was placed. */
export function runRound(
  requests: readonly ContainerRequest[],
  fleet: FleetSnapshot,
  context: RoundContext,
): PlacementPlan {
  return new Round(fleet, context).run(requests);
}

/** What one round has decided so far. */
class Round {
  readonly #context: RoundContext;
  readonly #fleet: FleetSnapshot;
  readonly #shares: WorkspaceShares;
  readonly #spread: SpreadLedger;
  /** Nodes that take nothing but what they are reserved for. */
  readonly #reserved = new Set<string>();
  readonly #reservedMax: number;
  /** Refusals by class and rules; room only shrinks within a round, so they stand. */
  readonly #refused = new Map<string, Explanation>();
  /** Classes for which nothing is left that could be kept free. */
  readonly #unreservable = new Set<string>();
  readonly #placements: Placement[] = [];
  readonly #refusals: Refusal[] = [];
  readonly #evictions: Eviction[] = [];
  readonly #reservations: Reservation[] = [];
  #evictionTries = 0;
  #endable: ReadonlyMap<string, readonly PlacedContainer[]> | undefined;

  constructor(fleet: FleetSnapshot, context: RoundContext) {
    this.#context = context;
    this.#fleet = fleet;
    const { index, policy } = context;
    this.#shares = new WorkspaceShares(fleet.nodes, fleet.containers, policy.quotas);
    this.#spread = new SpreadLedger(fleet.containers, (nodeId) => index.node(nodeId)?.node);
    const part = Math.ceil(policy.reservedFractionMax * fleet.nodes.length);
    this.#reservedMax = Math.min(RESERVED_COUNT_MAX, part);
  }

  run(requests: readonly ContainerRequest[]): PlacementPlan {
    const { nowMs, policy } = this.#context;
    const proper = this.#withoutObviousRefusals(requests);
    const units = unitsOf(proper, { nowMs, patienceMs: policy.patienceMs });
    const queue = new UnitQueue(units, this.#shares);
    for (let unit = queue.take(); unit !== undefined; unit = queue.take()) this.#place(unit);
    return {
      placements: this.#placements,
      refusals: this.#refusals,
      evictions: this.#evictions,
      reservations: this.#reservations,
    };
  }

  /** Malformed, repeated and placed ones are refused at once. */
  #withoutObviousRefusals(requests: readonly ContainerRequest[]): readonly ContainerRequest[] {
    const { index } = this.#context;
    const seen = new Set<string>();
    return requests.toSorted(byId).filter((request) => {
      const { containerId, needs } = request;
      const wrong = malformation(needs);
      const home = index.residence(containerId)?.nodeId;
      if (wrong !== undefined) this.#refuse(request, `the request is malformed: ${wrong}`);
      else if (home !== undefined) this.#refuse(request, `already placed on ${home}`);
      else if (seen.has(containerId)) this.#refuse(request, "it is requested twice");
      else {
        seen.add(containerId);
        return true;
      }
      return false;
    });
  }

  #place(unit: Unit): void {
    const limit = this.#brokenLimit(unit);
    if (limit !== undefined) for (const one of unit.members) this.#refuse(one, limit);
    else if (unit.gang === undefined) this.#placeSingle(unit);
    else this.#placeGang(unit);
  }

  #brokenLimit({ members, workspaceId }: Unit): string | undefined {
    const sum = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
    for (const { needs } of members) {
      const more = resourcesOf(needs);
      sum.gpuCount += more.gpuCount;
      sum.cpuMilli += more.cpuMilli;
      sum.memoryMiB += more.memoryMiB;
    }
    return this.#shares.brokenLimit(workspaceId, sum);
  }

  #placeSingle(unit: Unit): void {
    const [wanted] = unit.members;
    if (wanted === undefined) return;
    const request = this.#context.classes.of(wanted.needs);
    const key = refusalKey(wanted, request);
    // Where its class finds no room, no rule of its own can help it.
    const known = this.#refused.get(request.key) ?? this.#refused.get(key);
    const placement = known === undefined ? this.#tryPlace(wanted, request) : undefined;
    if (placement !== undefined) {
      this.#placements.push(placement);
      return;
    }
    const explanation = known ?? this.#explain(wanted, request);
    const { excluded, spread } = explanation.rejected;
    this.#refused.set(excluded + spread === 0 ? request.key : key, explanation);
    const evicted = this.#evictFor(wanted, request);
    const why = { wantsRoom: true, rejected: explanation.rejected };
    if (evicted !== undefined) this.#refuse(wanted, evicted, why);
    else {
      if (unit.isOverdue) this.#reserveFor(unit, request);
      this.#refuse(wanted, explanation.reason, why);
    }
  }

  /** Takes the room of the best node; `undefined` when there is none. */
  #tryPlace(
    wanted: ContainerRequest,
    request: RequestClass,
    domain?: GangDomain,
  ): Placement | undefined {
    const { ranker, index, policy } = this.#context;
    const best = ranker.best(this.#askFor(wanted, request));
    if (best === undefined) return undefined;
    const { nodeId } = best.node.node;
    const taken = ranker.takenBy(request, best);
    const reason = placementReason(request, best.state, { strategy: policy.strategy, domain });
    index.admit(wanted.containerId, { nodeId, taken });
    this.#shares.change(wanted.workspaceId, resourcesOf(wanted.needs), 1);
    if (wanted.spread !== undefined) this.#spread.add(wanted.spread, best.node.node);
    return { containerId: wanted.containerId, nodeId, reason, cards: taken.cards };
  }

  #takeBack(wanted: ContainerRequest, { nodeId }: Placement): void {
    const { index } = this.#context;
    index.dismiss(wanted.containerId);
    this.#shares.change(wanted.workspaceId, resourcesOf(wanted.needs), -1);
    const node = index.node(nodeId)?.node;
    if (wanted.spread !== undefined && node !== undefined) this.#spread.remove(wanted.spread, node);
  }

  #askFor(wanted: ContainerRequest, request: RequestClass): Ask {
    const { artifacts, containerId, refusalCount = 0 } = wanted;
    const isBound = this.#reserved.size > 0 || hasNodeRules(wanted);
    return {
      request,
      ...(isBound ? { accepts: (node: IndexedNode) => this.#accepts(wanted, node) } : {}),
      ...(artifacts === undefined ? {} : { artifacts }),
      ...(refusalCount === 0
        ? {}
        : {
            drawAmong: {
              count: Math.min(DRAW_COUNT_MAX, 2 ** refusalCount),
              rng: this.#context.rng.fork(`draw/${containerId}`),
            },
          }),
    };
  }

  #accepts(wanted: ContainerRequest, { node }: IndexedNode): boolean {
    return !this.#isExcluded(wanted, node.nodeId) && !this.#isTooClose(wanted, node.nodeId);
  }

  #isExcluded({ excludedNodeIds }: ContainerRequest, nodeId: string): boolean {
    return this.#reserved.has(nodeId) || excludedNodeIds?.includes(nodeId) === true;
  }

  #isTooClose({ spread }: ContainerRequest, nodeId: string): boolean {
    const node = this.#context.index.node(nodeId)?.node;
    return spread !== undefined && node !== undefined && !this.#spread.allows(spread, node);
  }

  #placeGang(unit: Unit): void {
    const { members, gang } = unit;
    if (gang === undefined) return;
    const { nowMs, index } = this.#context;
    const placed = this.#fleet.containers.filter(
      (one) => one.gang?.gangId === gang.gangId && (one.workspaceId ?? "") === unit.workspaceId,
    );
    const early = gangRefusal(gang, {
      pendingCount: members.length,
      placedCount: placed.length,
      nowMs,
    });
    const domains = early === undefined ? gangDomains(gang, placed, index) : [];
    for (const domain of domains) {
      const placements = this.#tryGang(unit, domain);
      if (placements === undefined) continue;
      this.#placements.push(...placements);
      return;
    }
    const [first] = members;
    if (early === undefined && unit.isOverdue && first !== undefined)
      this.#reserveForGang(unit, domains);
    const reason = early ?? `no ${gang.within} has room for all ${gang.size} members of its gang`;
    const wantsRoom = early === undefined;
    for (const one of members) this.#refuse(one, reason, { wantsRoom, rejected: NO_COUNTS });
    for (const { containerId, nodeId } of placed) {
      this.#evictions.push({ containerId, nodeId, reason: `its gang is incomplete: ${reason}` });
    }
  }

  /** All members inside the domain, or none. */
  #tryGang({ members }: Unit, domain: GangDomain): readonly Placement[] | undefined {
    const done: { readonly wanted: ContainerRequest; readonly placement: Placement }[] = [];
    for (const wanted of members) {
      const request = this.#context.classes.of(withinDomain(wanted.needs, domain));
      const placement = this.#tryPlace(wanted, request, domain);
      if (placement === undefined) {
        for (const one of done.toReversed()) this.#takeBack(one.wanted, one.placement);
        return undefined;
      }
      done.push({ wanted, placement });
    }
    return done.map(({ placement }) => placement);
  }

  #reserveForGang(unit: Unit, domains: readonly GangDomain[]): void {
    const [first] = unit.members;
    if (first === undefined) return;
    for (const domain of domains) {
      const request = this.#context.classes.of(withinDomain(first.needs, domain));
      if (this.#reserveFor(unit, request)) return;
    }
  }

  /** Keeps nodes free for the unit, within the limits; says whether it did. O(n log n). */
  #reserveFor({ members }: Unit, request: RequestClass): boolean {
    const [wanted] = members;
    if (wanted === undefined || this.#unreservable.has(request.key)) return false;
    // The first one may take what it needs; those after it share what is left of the limit.
    const isFirst = this.#reserved.size === 0;
    if (!isFirst && this.#reserved.size >= this.#reservedMax) return false;
    const nodeIds = nodesToReserve(this.#context.index, {
      request,
      count: members.length,
      accepts: (node) => this.#accepts(wanted, node),
    });
    if (nodeIds.length === 0) {
      if (!hasNodeRules(wanted)) this.#unreservable.add(request.key);
      return false;
    }
    if (!isFirst && this.#reserved.size + nodeIds.length > this.#reservedMax) return false;
    for (const nodeId of nodeIds) this.#reserve(wanted, { nodeId, isComingFree: false });
    return true;
  }

  #reserve(
    { containerId }: ContainerRequest,
    node: Pick<Reservation, "nodeId" | "isComingFree">,
  ): void {
    this.#reserved.add(node.nodeId);
    this.#reservations.push({ containerId, ...node });
  }

  /** Ends others for the request; says so, or `undefined` when that does not help. */
  #evictFor(wanted: ContainerRequest, request: RequestClass): string | undefined {
    const { index, policy } = this.#context;
    const countMax = policy.evictionCountMaxPerRound - this.#evictions.length;
    if (policy.evictionCountMaxPerRound === 0) return undefined;
    this.#endable ??= endableByNode(this.#fleet.containers);
    if (this.#endable.size === 0 || this.#evictionTries >= EVICTION_TRY_COUNT_MAX) return undefined;
    this.#evictionTries += 1;
    const choice = chooseEvictions({
      request,
      wanted,
      index,
      endable: this.#endable,
      shares: this.#shares,
      countMax,
      accepts: (node) => this.#accepts(wanted, node),
    });
    if (choice === undefined) return undefined;
    const { nodeId, victims } = choice;
    this.#reserve(wanted, { nodeId, isComingFree: true });
    for (const { containerId } of victims) {
      const reason = `ends for ${wanted.containerId}, which is more important`;
      const forContainerId = wanted.containerId;
      this.#evictions.push({ containerId, forContainerId, nodeId, reason });
    }
    return `waits until less important containers on ${nodeId} have ended`;
  }

  #explain(wanted: ContainerRequest, request: RequestClass): Explanation {
    return explainRefusal(request, this.#context.index, {
      isExcluded: ({ node }) => this.#isExcluded(wanted, node.nodeId),
      isTooClose: ({ node }) => this.#isTooClose(wanted, node.nodeId),
    });
  }

  #refuse(
    { containerId }: ContainerRequest,
    reason: string,
    why: Pick<Refusal, "wantsRoom" | "rejected"> = { wantsRoom: false, rejected: NO_COUNTS },
  ): void {
    this.#refusals.push({ containerId, reason, ...why });
  }
}

/** Containers that may end or are ending, by node. */
function endableByNode(
  containers: readonly PlacedContainer[],
): ReadonlyMap<string, readonly PlacedContainer[]> {
  const endable = containers.filter((one) => one.evictable === true || one.ending === true);
  return Map.groupBy(endable, ({ nodeId }) => nodeId);
}

/** What must be equal for one refusal to speak for another. */
function refusalKey(wanted: ContainerRequest, { key }: RequestClass): string {
  if (!hasNodeRules(wanted)) return key;
  const { spread, excludedNodeIds = [] } = wanted;
  const apart = spread && [spread.key, spread.apart, spread.countMax ?? 1].join("/");
  return [key, apart ?? "", ...excludedNodeIds.toSorted()].join(" ");
}

/** Whether it minds single nodes, beyond its needs. */
function hasNodeRules({ excludedNodeIds = [], spread }: ContainerRequest): boolean {
  return excludedNodeIds.length > 0 || spread !== undefined;
}

function byId(one: ContainerRequest, other: ContainerRequest): number {
  return one.containerId < other.containerId ? -1 : 1;
}
