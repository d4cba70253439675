import fc from "fast-check";
import { expect, test } from "vitest";
import {
  createRng,
  DEFAULT_SCHEDULER_POLICY,
  STRATEGY_NAMES,
  type ContainerRequest,
  type PlacedContainer,
} from "../core/index.ts";
import { FleetIndex } from "./fleet/fleet-index.ts";
import { place } from "./place.ts";
import { anyNodes, anyRequests, holds, holdsOneMore, meets, settled } from "./test-arbitraries.ts";
import { gpu, node, OPTIONS, plan, request } from "./test-fleet.ts";

const anyStrategy = fc.constantFrom(...STRATEGY_NAMES);
const policyOf = (strategy: (typeof STRATEGY_NAMES)[number]): typeof DEFAULT_SCHEDULER_POLICY => ({
  ...DEFAULT_SCHEDULER_POLICY,
  strategy,
});

function keptApart(
  containers: readonly PlacedContainer[],
  zoneOf: (nodeId: string) => string,
): boolean {
  const ruled = containers.filter(({ spread }) => spread !== undefined);
  return ruled.every(({ spread, nodeId }) => {
    const same = ruled.filter(
      (other) =>
        other.spread?.key === spread?.key &&
        (spread?.apart === "zone"
          ? zoneOf(other.nodeId) === zoneOf(nodeId)
          : other.nodeId === nodeId),
    );
    return same.length <= (spread?.countMax ?? 1);
  });
}

test("nothing is overfilled, every constraint holds, every request is answered once", () => {
  fc.assert(
    fc.property(anyRequests, anyNodes, anyStrategy, (requests, nodes, strategy) => {
      const fleet = { nodes, containers: [] };
      const result = place(requests, fleet, { ...OPTIONS, policy: policyOf(strategy) });
      const answered = [...result.placements, ...result.refusals].map((one) => one.containerId);
      expect(answered.sort()).toEqual(requests.map((one) => one.containerId).sort());
      const after = settled(requests, fleet, result);
      for (const where of nodes) {
        const here = after.filter((one) => one.nodeId === where.nodeId);
        expect(holds(where, here)).toBe(true);
        for (const { containerId } of here) {
          const wanted = requests.find((one) => one.containerId === containerId)!;
          expect(meets(where, wanted.needs)).toBe(true);
          expect(wanted.excludedNodeIds?.includes(where.nodeId) ?? false).toBe(false);
        }
      }
      const zones = new Map(
        nodes.map((one) => [one.nodeId, `${one.cloud}/${one.region}/${one.zone ?? ""}`]),
      );
      expect(keptApart(after, (nodeId) => zones.get(nodeId)!)).toBe(true);
      const gang = after.filter((one) => one.gang !== undefined);
      const members = requests.filter((one) => one.gang !== undefined).length;
      expect([0, members]).toContain(gang.length);
      expect(new Set(gang.map((one) => zones.get(one.nodeId))).size).toBeLessThanOrEqual(1);
    }),
    { numRuns: 300 },
  );
});

test("a refused request without rules of its own fits on no node as the fleet becomes", () => {
  fc.assert(
    fc.property(anyRequests, anyNodes, anyStrategy, (requests, nodes, strategy) => {
      const fleet = { nodes, containers: [] };
      const result = place(requests, fleet, { ...OPTIONS, policy: policyOf(strategy) });
      const after = settled(requests, fleet, result);
      for (const { containerId, rejected } of result.refusals) {
        const wanted = requests.find((one) => one.containerId === containerId)!;
        if (wanted.gang !== undefined) continue;
        const total = Object.values(rejected).reduce((sum, count) => sum + count, 0);
        expect(total).toBe(nodes.length);
        if (wanted.spread !== undefined || wanted.excludedNodeIds !== undefined) continue;
        for (const where of nodes.filter((one) => meets(one, wanted.needs))) {
          const here = after.filter((one) => one.nodeId === where.nodeId);
          expect(holdsOneMore(where, here, wanted.needs)).toBe(false);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("the index decides exactly as scoring every node does", () => {
  fc.assert(
    fc.property(anyRequests, anyNodes, anyStrategy, (requests, nodes, strategy) => {
      const options = { ...OPTIONS, policy: policyOf(strategy) };
      const fleet = { nodes, containers: [] };
      const byIndex = place(requests, fleet, options);
      expect(place(requests, fleet, { ...options, search: "full" })).toEqual(byIndex);
    }),
    { numRuns: 300 },
  );
});

test("equal inputs give equal plans whatever their order, and the inputs stay as they were", () => {
  fc.assert(
    fc.property(anyRequests, anyNodes, (requests, nodes) => {
      const before = JSON.stringify([requests, nodes]);
      const once = place(requests, { nodes, containers: [] }, OPTIONS);
      const again = place(
        requests.toReversed(),
        { nodes: nodes.toReversed(), containers: [] },
        { ...OPTIONS, rng: createRng(2) },
      );
      expect(JSON.stringify(again)).toBe(JSON.stringify(once));
      expect(JSON.stringify([requests, nodes])).toBe(before);
    }),
    { numRuns: 150 },
  );
});

test("taking the placed containers away restores exactly the room there was", () => {
  fc.assert(
    fc.property(anyRequests, anyRequests, anyNodes, (first, second, nodes) => {
      const empty = { nodes, containers: [] };
      const containers = settled(first, empty, place(first, empty, OPTIONS));
      const fleet = { nodes, containers };
      const renamed = second.map((one) => ({ ...one, containerId: `${one.containerId}_b` }));
      const index = new FleetIndex(nodes, containers);
      const before = JSON.stringify([...index.nodes()].map((one) => one.state?.key));
      const more = settled(renamed, fleet, place(renamed, fleet, OPTIONS)).slice(containers.length);
      const full = new FleetIndex(nodes, [...containers, ...more]);
      for (const { containerId } of more.toReversed()) full.dismiss(containerId);
      expect(JSON.stringify([...full.nodes()].map((one) => one.state?.key))).toBe(before);
    }),
    { numRuns: 100 },
  );
});

/** Whether all sizes fit into bins with these capacities, by trying everything. */
function packs(sizes: readonly number[], bins: readonly number[]): boolean {
  const [first, ...rest] = sizes;
  if (first === undefined) return true;
  return bins.some((free, index) => {
    const repeat = bins.indexOf(free) < index;
    return !repeat && free >= first && packs(rest, bins.with(index, free - first));
  });
}

function gpuRequests(sizes: readonly number[]): readonly ContainerRequest[] {
  return sizes.map((count, index) => ({
    ...request(`co_${String(index).padStart(2, "0")}`, gpu(count)),
    requestedAtMs: index,
  }));
}

test("falling powers of two all fit whenever brute force packs them", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(1, 2, 4, 8), { maxLength: 9 }),
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 4 }),
      (sizes, bins) => {
        const falling = sizes.toSorted((a, b) => b - a);
        const nodes = bins.map((gpus, index) => node({ nodeId: `n${index}`, gpus }));
        const all = plan(gpuRequests(falling), nodes).refusals.length === 0;
        expect(all).toBe(packs(falling, bins));
      },
    ),
    { numRuns: 300 },
  );
});

test("what brute force packs on m equal nodes fits on 11/9 m + 6/9 of them, largest first", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 10 }),
      (sizes) => {
        const falling = sizes.toSorted((a, b) => b - a);
        let best = 1;
        while (!packs(falling, new Array<number>(best).fill(8))) best += 1;
        const allowed = Math.floor((11 / 9) * best + 6 / 9);
        const nodes = Array.from({ length: allowed }, (_, index) =>
          node({ nodeId: `n${index}`, gpus: 8 }),
        );
        expect(plan(gpuRequests(falling), nodes).refusals).toEqual([]);
      },
    ),
    { numRuns: 200 },
  );
});
