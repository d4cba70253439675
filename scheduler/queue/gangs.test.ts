import fc from "fast-check";
import { expect, test } from "vitest";
import type { ContainerRequest, GangRule, PlacedContainer } from "../../core/index.ts";
import { place } from "../place.ts";
import { gpu, node, OPTIONS, request } from "../test-fleet.ts";

function gangOf(size: number, over: Partial<GangRule> = {}, gpus = 4): ContainerRequest[] {
  const gang = { gangId: "g", size, within: "zone" as const, ...over };
  return Array.from({ length: size }, (_, index) => ({ ...request(`m${index}`, gpu(gpus)), gang }));
}

const zones = (...counts: number[]) =>
  counts.flatMap((count, zone) =>
    Array.from({ length: count }, (_, index) =>
      node({ nodeId: `z${zone}_${index}`, gpus: 4, zone: `z${zone}`, placementGroup: `p${zone}` }),
    ),
  );

test("all members go to one zone, the one with the least to spare", () => {
  const nodes = zones(2, 5, 3);
  const { placements } = place(gangOf(3), { nodes, containers: [] }, OPTIONS);
  expect(placements.map(({ nodeId }) => nodeId.slice(0, 2))).toEqual(["z2", "z2", "z2"]);
  expect(placements[0]?.reason).toContain("with its gang in z2");
});

test("a gang that fits in no single zone takes nothing, though the fleet has the room", () => {
  const nodes = zones(2, 2, 2);
  const more = request("x", gpu(4));
  const result = place([...gangOf(3), more], { nodes, containers: [] }, OPTIONS);
  expect(result.placements.map((one) => one.containerId)).toEqual(["x"]);
  expect(new Set(result.refusals.map(({ reason }) => reason))).toEqual(
    new Set(["no zone has room for all 3 members of its gang"]),
  );
  const group = gangOf(3, { within: "placementGroup" });
  expect(place(group, { nodes, containers: [] }, OPTIONS).placements).toEqual([]);
  const region = gangOf(3, { within: "region" });
  expect(place(region, { nodes, containers: [] }, OPTIONS).placements).toHaveLength(3);
});

test("a gang waits for its members and gives up after its deadline", () => {
  const nodes = zones(4);
  const early = place(gangOf(3).slice(0, 2), { nodes, containers: [] }, OPTIONS);
  expect(early.refusals[0]?.reason).toBe("its gang has 2 of 3 members so far");
  const late = place(gangOf(3, { deadlineMs: 999 }), { nodes, containers: [] }, OPTIONS);
  expect(late.refusals[0]?.reason).toBe("its gang was not complete before the deadline");
});

test("a gang that lost a member completes where the others are, or gives its machines back", () => {
  const [lost, ...others] = gangOf(3);
  const containers: PlacedContainer[] = others.map((one, index) => ({
    containerId: one.containerId,
    functionId: "f",
    nodeId: `z0_${index}`,
    resources: { gpuCount: 4, cpuMilli: 100, memoryMiB: 128 },
    gang: one.gang!,
  }));
  const completed = place([lost!], { nodes: zones(3, 3), containers }, OPTIONS);
  expect(completed.placements.map((one) => one.nodeId)).toEqual(["z0_2"]);
  const stuck = place([lost!], { nodes: zones(2, 3), containers }, OPTIONS);
  expect(stuck.placements).toEqual([]);
  expect(stuck.evictions.map((one) => one.containerId)).toEqual(["m1", "m2"]);
});

test("no partial gang ever holds machines, and trying one changes nothing for the others", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom(1, 2, 4)), {
        maxLength: 5,
      }),
      (counts, gangs) => {
        const requests = gangs.flatMap(([size, gpus], index) =>
          gangOf(size, { gangId: `g${index}` }, gpus).map((one) => ({
            ...one,
            containerId: `g${index}_${one.containerId}`,
          })),
        );
        const single = request("zz", gpu(1));
        const nodes = zones(...counts);
        const { placements, refusals } = place(
          [...requests, single],
          { nodes, containers: [] },
          OPTIONS,
        );
        for (const [index, [size]] of gangs.entries()) {
          const own = placements.filter((one) => one.containerId.startsWith(`g${index}_`));
          expect([0, size]).toContain(own.length);
          expect(new Set(own.map(({ nodeId }) => nodeId.slice(0, 2))).size).toBeLessThanOrEqual(1);
        }
        const gangsPlaced = placements
          .filter((one) => one.containerId !== "zz")
          .map((one) => one.containerId);
        const withoutRefused = requests.filter((one) => gangsPlaced.includes(one.containerId));
        const again = place([...withoutRefused, single], { nodes, containers: [] }, OPTIONS);
        const where = (plan: typeof again): string[] =>
          plan.placements.map((one) => `${one.containerId}@${one.nodeId}`);
        if (withoutRefused.length === requests.length)
          expect(refusals.length).toBeLessThanOrEqual(1);
        expect(where(again).length).toBe(placements.length);
      },
    ),
    { numRuns: 150 },
  );
});
