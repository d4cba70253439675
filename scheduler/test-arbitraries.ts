/** Random fleets and request streams for property tests, and what must hold of them. */
import fc from "fast-check";
import {
  resourcesOf,
  type ContainerNeeds,
  type ContainerRequest,
  type GpuType,
  type Node,
  type PlacedContainer,
} from "../core/index.ts";
import { CARD, shareOf, wholeCardsOf } from "./fleet/request-class.ts";
import type { FleetSnapshot, PlacementPlan } from "./plan.ts";
import { node } from "./test-fleet.ts";

const anyGpuType = fc.constantFrom<GpuType>("H100", "L4");

const anyNode = fc.record({
  gpus: fc.constantFrom(0, 0, 1, 2, 4, 8),
  gpuType: anyGpuType,
  cpuMilli: fc.constantFrom(4_000, 16_000, 64_000),
  memoryMiB: fc.constantFrom(8_192, 65_536),
  diskMiB: fc.constantFrom(undefined, 4_096),
  cloud: fc.constantFrom("aws" as const, "gcp" as const),
  region: fc.constantFrom("r1", "r2"),
  zone: fc.constantFrom("z1", "z2"),
  purchase: fc.constantFrom("spot" as const, "on-demand" as const),
  arch: fc.constantFrom("x64" as const, "x64" as const, "arm64" as const),
  interconnect: fc.constantFrom("pcie" as const, "nvlink" as const),
  cachedArtifacts: fc.subarray(["image", "snapshot"]),
  state: fc.constantFrom("healthy" as const, "healthy" as const, "draining" as const),
});

export const anyNodes: fc.Arbitrary<readonly Node[]> = fc
  .array(anyNode, { maxLength: 7 })
  .map((all) =>
    all.map(({ gpus, gpuType, cpuMilli, memoryMiB, diskMiB, ...rest }, index) => {
      const resources = {
        gpuCount: gpus,
        cpuMilli,
        memoryMiB,
        ...(diskMiB === undefined ? {} : { diskMiB }),
      };
      const base = { ...node({ nodeId: `no_${index}`, ...rest }), resources };
      return gpus > 0 ? { ...base, gpuType } : base;
    }),
  );

export const anyNeeds: fc.Arbitrary<ContainerNeeds> = fc
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
    preemptible: fc.boolean(),
    rare: fc.option(
      fc.constantFrom<Partial<ContainerNeeds>>(
        { regions: ["r1"] },
        { clouds: ["aws"] },
        { zones: ["z2"] },
        { diskMiB: 3_000 },
        { arch: "arm64" },
        { interconnect: "nvlink" },
      ),
      { nil: {}, freq: 2 },
    ),
  })
  .map(({ gpu, rare, ...rest }) => ({ ...rest, ...rare, ...(gpu === undefined ? {} : { gpu }) }));

const anyRule = fc.constantFrom<Partial<ContainerRequest>>(
  {},
  {},
  {},
  { spread: { key: "s", apart: "node" } },
  { spread: { key: "t", apart: "zone", countMax: 2 } },
  {
    artifacts: [
      { contentHash: "image", sizeMiB: 300 },
      { contentHash: "snapshot", sizeMiB: 700 },
    ],
  },
  { excludedNodeIds: ["no_0", "no_2"] },
  { gang: { gangId: "g", size: 3, within: "zone" } },
  { workspaceId: "w1" },
  { workspaceId: "w2", priority: 1 },
);

/** Requests with rules of every kind. */
export const anyRequests: fc.Arbitrary<readonly ContainerRequest[]> = fc
  .array(fc.tuple(anyNeeds, fc.nat(5), anyRule), { maxLength: 40 })
  .map((all) =>
    all.map(([needs, requestedAtMs, rule], index) => ({
      containerId: `co_${index}`,
      functionId: "fn_1",
      needs,
      requestedAtMs,
      ...rule,
    })),
  );

/** The containers after the placements of `result` have moved in, with the cards they got. */
export function settled(
  requests: readonly ContainerRequest[],
  fleet: FleetSnapshot,
  result: PlacementPlan,
): readonly PlacedContainer[] {
  const byId = new Map(requests.map((one) => [one.containerId, one]));
  const placed = result.placements.flatMap(({ containerId, nodeId, cards }) => {
    const request = byId.get(containerId);
    if (request === undefined) return [];
    const { functionId, needs, spread, gang } = request;
    return [
      {
        containerId,
        functionId,
        nodeId,
        resources: resourcesOf(needs),
        needs,
        cards,
        ...(spread === undefined ? {} : { spread }),
        ...(gang === undefined ? {} : { gang }),
      },
    ];
  });
  return [...fleet.containers, ...placed];
}

/** Whether a node meets everything in the needs that its load does not decide. */
export function meets(where: Node, wanted: ContainerNeeds): boolean {
  return (
    where.state === "healthy" &&
    isIn(where.cloud, wanted.clouds) &&
    isIn(where.region, wanted.regions) &&
    isIn(where.zone, wanted.zones) &&
    isIn(where.arch, wanted.arch && [wanted.arch]) &&
    isIn(where.gpuType, wanted.gpu?.types) &&
    isIn(where.purchase, wanted.preemptible ? undefined : ["on-demand", "reserved"]) &&
    isIn(where.interconnect, wanted.interconnect === "nvlink" ? ["nvlink"] : undefined)
  );
}

function isIn(name: string | undefined, accepted: readonly string[] | undefined): boolean {
  return accepted === undefined || (name !== undefined && accepted.includes(name));
}

/** Whether the containers of a node fit on it and on the cards they say. */
export function holds(where: Node, containers: readonly PlacedContainer[]): boolean {
  const sum = (pick: (one: PlacedContainer["resources"]) => number): number =>
    containers.reduce((total, { resources }) => total + pick(resources), 0);
  const cards = new Array<number>(where.resources.gpuCount).fill(CARD);
  for (const { cards: own = [], resources } of containers) {
    const each = shareOf(resources.gpuCount) || CARD;
    for (const card of own) cards[card] = (cards[card] ?? 0) - each;
  }
  return (
    sum((one) => one.cpuMilli) <= where.resources.cpuMilli &&
    sum((one) => one.memoryMiB) <= where.resources.memoryMiB &&
    sum((one) => one.diskMiB ?? 0) <= (where.resources.diskMiB ?? Number.POSITIVE_INFINITY) &&
    cards.length === where.resources.gpuCount &&
    cards.every((free) => free >= 0)
  );
}

/** Whether one more container would fit beside those, on some of the cards as they are. */
export function holdsOneMore(
  where: Node,
  containers: readonly PlacedContainer[],
  wanted: ContainerNeeds,
): boolean {
  const cards = new Array<number>(where.resources.gpuCount).fill(CARD);
  for (const { cards: own = [], resources } of containers) {
    const each = shareOf(resources.gpuCount) || CARD;
    for (const card of own) cards[card] = (cards[card] ?? 0) - each;
  }
  const count = wanted.gpu?.count ?? 0;
  const share = shareOf(count);
  const free = [...cards.keys()].filter((card) =>
    share > 0 ? (cards[card] ?? 0) >= share : cards[card] === CARD,
  );
  const needed = share > 0 ? 1 : wholeCardsOf(count);
  if (free.length < needed) return false;
  const more = {
    containerId: "more",
    functionId: "f",
    nodeId: where.nodeId,
    resources: resourcesOf(wanted),
    cards: free.slice(0, needed),
  };
  return holds(where, [...containers, more]);
}
