/**
 * Placement: which node takes each waiting container.
 *
 * Greedy and without migration, because it runs on every change of the queue: for each request
 * in the order of queue/units.ts the best node by the policy's strategy takes it (ranker.ts). A
 * request that fits now is never turned away for a later one, but for nodes that are kept free
 * for one that has waited too long.
 *
 * Guarantees, held by tests: no node is overfilled in any resource, no whole GPU is shared,
 * every stated constraint holds, a refused request fits on no node that it may use, gangs are
 * whole or absent, and the index decides exactly as looking at every node would.
 *
 * Pure: equal inputs give equal plans, order included.
 */
import {
  DEFAULT_SCHEDULER_POLICY,
  type ContainerRequest,
  type GpuType,
  type Node,
} from "../core/index.ts";
import { demandMixOf, type DemandMix } from "./demand.ts";
import { ClassTable } from "./fleet/class-table.ts";
import { FleetIndex } from "./fleet/fleet-index.ts";
import type { RequestClass } from "./fleet/request-class.ts";
import type { FleetSnapshot, PlacementPlan, PlaceOptions } from "./plan.ts";
import { Ranker } from "./ranker.ts";
import { runRound } from "./round.ts";
import { strategyOf } from "./strategies/registry.ts";

/**
 * Places what fits and says why the rest does not.
 *
 * @param requests In any order, each container once. A container that is on a node already is
 *   refused, so asking twice never takes room twice.
 */
export function place(
  requests: readonly ContainerRequest[],
  fleet: FleetSnapshot,
  options: PlaceOptions,
): PlacementPlan {
  const { nowMs, rng, policy = DEFAULT_SCHEDULER_POLICY, search = "index" } = options;
  const classes = new ClassTable();
  const mix = options.demand ?? mixOfSnapshot(requests, fleet, classes);
  const index = new FleetIndex(fleet.nodes, fleet.containers);
  const strategy = strategyOf(policy.strategy, { mix, gpuCapacity: gpuCapacityOf(fleet.nodes) });
  const ranker = new Ranker({ index, strategy, search });
  return runRound(requests, fleet, { index, ranker, classes, policy, nowMs, rng });
}

/** GPUs of all nodes by type. */
export function gpuCapacityOf(nodes: readonly Node[]): ReadonlyMap<GpuType, number> {
  const capacity = new Map<GpuType, number>();
  for (const { gpuType, resources } of nodes) {
    if (gpuType === undefined) continue;
    capacity.set(gpuType, (capacity.get(gpuType) ?? 0) + Math.floor(resources.gpuCount));
  }
  return capacity;
}

/** What runs and what waits, as a guess at what will come. */
function mixOfSnapshot(
  requests: readonly ContainerRequest[],
  fleet: FleetSnapshot,
  classes: ClassTable,
): DemandMix {
  const counts = new Map<RequestClass, number>();
  const count = (request: RequestClass): void => {
    counts.set(request, (counts.get(request) ?? 0) + 1);
  };
  const nodes = new Map(fleet.nodes.map((node) => [node.nodeId, node]));
  for (const container of fleet.containers) {
    const node = nodes.get(container.nodeId);
    if (node !== undefined) count(classes.ofRunning(container, node));
  }
  for (const { needs } of requests) count(classes.of(needs));
  return demandMixOf(counts);
}
