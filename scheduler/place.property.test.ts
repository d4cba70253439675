import fc from "fast-check";
import { expect, test } from "vitest";
import {
  createRng,
  type ContainerNeeds,
  type ContainerRequest,
  type GpuType,
  type Node,
  type PlacedContainer,
} from "../core/index.ts";
import { place, type FleetSnapshot, type PlacementPlan } from "./place.ts";
import { CARD, roomsOf, withContainer } from "./room.ts";
import { SCORE_TERMS, scoreTerm } from "./score.ts";
import { gpu, node, OPTIONS, plan, request } from "./test-fleet.ts";

const anyGpuType = fc.constantFrom<GpuType>("H100", "L4");
const anyNode = fc.record({
  gpus: fc.constantFrom(0, 0, 1, 2, 4, 8),
  gpuType: anyGpuType,
  cpuMilli: fc.constantFrom(4_000, 16_000, 64_000),
  memoryMiB: fc.constantFrom(8_192, 65_536),
  cloud: fc.constantFrom("aws" as const, "gcp" as const),
  region: fc.constantFrom("r1", "r2"),
  purchase: fc.constantFrom("spot" as const, "on-demand" as const),
  state: fc.constantFrom("healthy" as const, "healthy" as const, "draining" as const),
});
const anyNodes = fc.array(anyNode, { maxLength: 6 }).map((all) =>
  all.map(({ gpus, gpuType, cpuMilli, memoryMiB, ...rest }, index) => {
    const base = node({ nodeId: `no_${index}`, ...rest });
    const resources = { gpuCount: gpus, cpuMilli, memoryMiB };
    return gpus > 0 ? { ...base, resources, gpuType } : { ...base, resources };
  }),
);
const anyNeeds: fc.Arbitrary<ContainerNeeds> = fc
  .record({
    gpu: fc.option(
      fc.record({
        types: fc.uniqueArray(anyGpuType, { minLength: 1 }),
        count: fc.constantFrom(0.25, 0.3, 0.5, 1 / 3, 1, 1, 2, 4, 8),
      }),
      { nil: undefined },
    ),
    cpuMilli: fc.constantFrom(0, 125, 1_000, 6_000),
    memoryMiB: fc.constantFrom(128, 2_048, 16_384),
    regions: fc.option(fc.constant(["r1"]), { nil: undefined }),
    clouds: fc.option(fc.constant(["aws" as const]), { nil: undefined }),
    preemptible: fc.boolean(),
  })
  .map(({ gpu: wanted, regions, clouds, ...rest }) => ({
    ...rest,
    ...(wanted === undefined ? {} : { gpu: wanted }),
    ...(regions === undefined ? {} : { regions }),
    ...(clouds === undefined ? {} : { clouds }),
  }));
const anyRequests = fc.array(fc.tuple(anyNeeds, fc.nat(5)), { maxLength: 40 }).map((all) =>
  all.map(([wanted, requestedAtMs], index) => ({
    containerId: `co_${index}`,
    functionId: "fn_1",
    needs: wanted,
    requestedAtMs,
  })),
);

/** `containers` after the placements of `result` have moved in. */
function settled(
  requests: readonly ContainerRequest[],
  fleet: FleetSnapshot,
  result: PlacementPlan,
): readonly PlacedContainer[] {
  const placed = result.placements.map(({ containerId, nodeId }) => {
    const { functionId, needs: wanted } = requests.find((one) => one.containerId === containerId)!;
    const resources = {
      gpuCount: wanted.gpu?.count ?? 0,
      cpuMilli: wanted.cpuMilli,
      memoryMiB: wanted.memoryMiB,
    };
    return { containerId, functionId, nodeId, resources };
  });
  return [...fleet.containers, ...placed];
}

/** Whether shares fit on `cards` cards, by trying every assignment. */
function sharesFit(shares: readonly number[], cards: readonly number[]): boolean {
  const [first, ...rest] = shares;
  if (first === undefined) return true;
  return cards.some(
    (free, index) => free >= first && sharesFit(rest, cards.with(index, free - first)),
  );
}

function meets(where: Node, wanted: ContainerNeeds): boolean {
  return (
    where.state === "healthy" &&
    (wanted.clouds?.includes(where.cloud) ?? true) &&
    (wanted.regions?.includes(where.region) ?? true) &&
    (wanted.preemptible || where.purchase !== "spot") &&
    (wanted.gpu === undefined ||
      (where.gpuType !== undefined && wanted.gpu.types.includes(where.gpuType)))
  );
}

/** Whether everything on a node fits, worked out from first principles. */
function holds(where: Node, resources: readonly PlacedContainer["resources"][]): boolean {
  const sum = (pick: (one: PlacedContainer["resources"]) => number): number =>
    resources.reduce((total, one) => total + pick(one), 0);
  const counts = resources.map((one) => one.gpuCount);
  const cards = where.resources.gpuCount - sum(({ gpuCount }) => (gpuCount >= 1 ? gpuCount : 0));
  const shares = counts.filter((one) => one > 0 && one < 1).map((one) => Math.round(one * CARD));
  return (
    sum((one) => one.cpuMilli) <= where.resources.cpuMilli &&
    sum((one) => one.memoryMiB) <= where.resources.memoryMiB &&
    cards >= 0 &&
    sharesFit(shares, new Array<number>(cards).fill(CARD))
  );
}

test("nothing is overfilled, every constraint holds, every request is answered once", () => {
  fc.assert(
    fc.property(anyRequests, anyNodes, (requests, nodes) => {
      const fleet = { nodes, containers: [] };
      const result = place(requests, fleet, OPTIONS);
      const answered = [...result.placements, ...result.refusals].map((one) => one.containerId);
      expect(answered.sort()).toEqual(requests.map((one) => one.containerId).sort());
      const after = settled(requests, fleet, result);
      for (const where of nodes) {
        const here = after.filter((one) => one.nodeId === where.nodeId);
        expect(
          holds(
            where,
            here.map((one) => one.resources),
          ),
        ).toBe(true);
        for (const { containerId } of here) {
          const wanted = requests.find((one) => one.containerId === containerId)!.needs;
          expect(meets(where, wanted)).toBe(true);
        }
      }
      for (const { rejected } of result.refusals) {
        const total = Object.values(rejected).reduce((sum, count) => sum + count, 0);
        expect(total).toBe(nodes.length);
      }
    }),
    { numRuns: 300 },
  );
});

test("a refused request fits on no node of the fleet as it becomes", () => {
  const even = anyRequests.map((all) =>
    all.filter(({ needs: { gpu: one } }) => ![0.3, 1 / 3].includes(one?.count ?? 0)),
  );
  fc.assert(
    fc.property(even, anyNodes, (requests, nodes) => {
      const fleet = { nodes, containers: [] };
      const result = place(requests, fleet, OPTIONS);
      const after = settled(requests, fleet, result);
      for (const { containerId } of result.refusals) {
        const wanted = requests.find((one) => one.containerId === containerId)!.needs;
        const more = {
          gpuCount: wanted.gpu?.count ?? 0,
          cpuMilli: wanted.cpuMilli,
          memoryMiB: wanted.memoryMiB,
        };
        for (const where of nodes.filter((one) => meets(one, wanted))) {
          const here = after.filter((one) => one.nodeId === where.nodeId);
          expect(holds(where, [...here.map((one) => one.resources), more])).toBe(false);
        }
      }
    }),
    { numRuns: 200 },
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
      expect(JSON.stringify(again.placements)).toBe(JSON.stringify(once.placements));
      expect(JSON.stringify(again.refusals)).toBe(JSON.stringify(once.refusals));
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
      const full = settled(renamed, fleet, place(renamed, fleet, OPTIONS));
      const left = full.filter((one) => !one.containerId.endsWith("_b")).toReversed();
      expect(roomsOf(nodes, left)).toEqual(roomsOf(nodes, containers));
      expect(place(renamed, { nodes, containers: left }, OPTIONS)).toEqual(
        place(renamed, fleet, OPTIONS),
      );
    }),
    { numRuns: 100 },
  );
});

test("every score term stays within 0 and 1", () => {
  fc.assert(
    fc.property(anyNodes, anyRequests, (nodes, requests) => {
      for (const before of roomsOf(nodes, []).values()) {
        for (const { needs: wanted } of requests) {
          const after = withContainer(before, {
            gpuCount: wanted.gpu?.count ?? 0,
            cpuMilli: wanted.cpuMilli,
            memoryMiB: wanted.memoryMiB,
          });
          for (const term of SCORE_TERMS) {
            const value = scoreTerm(term, { needs: wanted, before, after });
            expect(value >= 0 && value <= 1).toBe(true);
          }
        }
      }
    }),
    { numRuns: 50 },
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
