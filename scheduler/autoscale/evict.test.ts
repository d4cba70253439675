import fc from "fast-check";
import { expect, test } from "vitest";
import type { ContainerNeeds, Node } from "../../core/index.ts";
import {
  evict,
  type EvictableContainer,
  type EvictionInput,
  type FitsOn,
  type KeptContainers,
  type WaitingContainer,
} from "./evict.ts";

const NOW_MS = 1_000_000;
const NODE: Node = {
  nodeId: "no_1",
  cloud: "local",
  region: "here",
  instanceType: "this",
  purchase: "on-demand",
  gpuType: "L4",
  resources: { gpuCount: 2, cpuMilli: 4_000, memoryMiB: 4_096 },
  priceMicroUsdPerHour: 0,
  state: "healthy",
  stateSinceMs: 0,
  emulated: false,
  isolation: "gvisor",
};

/** Room by GPUs and CPU alone. */
const fitsOn: FitsOn = ({ needs }, node, containers) => {
  const used = (pick: "gpuCount" | "cpuMilli"): number =>
    containers.reduce((sum, { resources }) => sum + resources[pick], 0);
  const gpus = used("gpuCount") + (needs.gpu?.count ?? 0) <= node.resources.gpuCount;
  return gpus && used("cpuMilli") + needs.cpuMilli <= node.resources.cpuMilli;
};

const needsOf = (gpuCount: number, cpuMilli = 100): ContainerNeeds => ({
  ...(gpuCount === 0 ? {} : { gpu: { types: ["L4"], count: gpuCount } }),
  cpuMilli,
  memoryMiB: 64,
  preemptible: true,
});

function waiting(containerId: string, gpuCount: number, functionId = "fn_new"): WaitingContainer {
  const needs = needsOf(gpuCount);
  return { containerId, functionId, functionName: functionId, needs, requestedAtMs: NOW_MS - 10 };
}

function held(containerId: string, over: Partial<EvictableContainer> = {}): EvictableContainer {
  return {
    containerId,
    functionId: `fn_${containerId}`,
    functionName: `fn_${containerId}`,
    nodeId: "no_1",
    resources: { gpuCount: 1, cpuMilli: 100, memoryMiB: 64 },
    idleSinceMs: NOW_MS - 10_000,
    ending: false,
    startupMs: 1_000,
    ...over,
  };
}

function busy(containerId: string): EvictableContainer {
  const { functionId, functionName, nodeId, resources, ending, startupMs } = held(containerId);
  return { containerId, functionId, functionName, nodeId, resources, ending, startupMs };
}

function decide(
  wait: readonly WaitingContainer[],
  containers: readonly EvictableContainer[],
  kept: Readonly<Record<string, KeptContainers>> = {},
  nodes: readonly Node[] = [NODE],
): readonly { for: string; on: string; stop: readonly string[] }[] {
  const table = new Map(Object.entries(kept));
  return evict({ fitsOn, waiting: wait, nodes, containers, kept: table }, NOW_MS).map(
    (eviction) => ({
      for: eviction.forContainerId,
      on: eviction.nodeId,
      stop: eviction.stop.map(({ containerId }) => containerId),
    }),
  );
}

test("the container that is worth least ends for the one that waits", () => {
  const long = held("a", { idleSinceMs: NOW_MS - 50_000 });
  expect(decide([waiting("w", 1)], [held("b"), long])).toEqual([
    { for: "w", on: "no_1", stop: ["a"] },
  ]);
  const dear = held("a", { idleSinceMs: NOW_MS - 50_000, startupMs: 60_000 });
  expect(decide([waiting("w", 1)], [held("b"), dear])).toEqual([
    { for: "w", on: "no_1", stop: ["b"] },
  ]);
});

test("the reason names who waits and how long the other idled", () => {
  const input = { fitsOn, waiting: [waiting("w", 2)], nodes: [NODE], kept: new Map() };
  const [eviction] = evict({ ...input, containers: [held("a")] }, NOW_MS);
  expect(eviction?.stop).toEqual([
    {
      containerId: "a",
      reason: "evicted: idle for 10.0 s above its floor, and fn_new waits for its slot",
    },
  ]);
});

test("containers that work, start, end or belong to a floor stay", () => {
  expect(decide([waiting("w", 1)], [busy("a"), busy("b")])).toEqual([]);
  const kept = { fn_a: { minContainers: 1, bufferContainers: 0 } };
  expect(decide([waiting("w", 1)], [held("a"), busy("b")], kept)).toEqual([]);
  const two = [held("a"), held("a2", { functionId: "fn_a", idleSinceMs: NOW_MS - 5 })];
  expect(decide([waiting("w", 1)], two, kept)).toEqual([{ for: "w", on: "no_1", stop: ["a"] }]);
  expect(decide([waiting("w", 2)], two, kept)).toEqual([]);
});

test("a function's own idle containers do not make room for it", () => {
  expect(decide([waiting("w", 1, "fn_a")], [held("a"), busy("b")])).toEqual([]);
});

test("a buffer goes last", () => {
  const kept = { fn_a: { minContainers: 0, bufferContainers: 1 } };
  const fresh = held("b", { idleSinceMs: NOW_MS - 1, startupMs: 60_000 });
  expect(decide([waiting("w", 1)], [held("a"), fresh], kept)).toEqual([
    { for: "w", on: "no_1", stop: ["b"] },
  ]);
  expect(decide([waiting("w", 2)], [held("a"), fresh], kept)).toEqual([
    { for: "w", on: "no_1", stop: ["b", "a"] },
  ]);
});

test("nobody ends who need not: one that is too small is spared for one that is enough", () => {
  const small = held("a", {
    idleSinceMs: NOW_MS - 90_000,
    resources: { gpuCount: 0, cpuMilli: 100, memoryMiB: 64 },
  });
  expect(decide([waiting("w", 1)], [small, held("b"), busy("c")])).toEqual([
    { for: "w", on: "no_1", stop: ["b"] },
  ]);
});

test("room that comes free already is waited for, and only once", () => {
  const ending = { ...busy("a"), ending: true };
  expect(decide([waiting("w", 1)], [ending, held("b")])).toEqual([
    { for: "w", on: "no_1", stop: [] },
  ]);
  expect(decide([waiting("w", 1), waiting("x", 1)], [ending, held("b")])).toEqual([
    { for: "w", on: "no_1", stop: [] },
    { for: "x", on: "no_1", stop: ["b"] },
  ]);
});

test("one that fits already is left to placement, and costs nobody its container", () => {
  expect(decide([waiting("w", 1)], [held("a")])).toEqual([]);
});

const anyContainer = fc.record({
  functionIndex: fc.nat(3),
  nodeIndex: fc.nat(2),
  gpuCount: fc.constantFrom(0, 0.5, 1, 2),
  cpuMilli: fc.integer({ min: 100, max: 2_000 }),
  idleMs: fc.option(fc.nat(100_000), { nil: undefined }),
  ending: fc.boolean(),
  startupMs: fc.integer({ min: 100, max: 60_000 }),
});

const anyInput: fc.Arbitrary<EvictionInput> = fc
  .record({
    containers: fc.array(anyContainer, { maxLength: 12 }),
    waiting: fc.array(fc.record({ functionIndex: fc.nat(5), gpuCount: fc.nat(2) }), {
      maxLength: 5,
    }),
    kept: fc.array(fc.record({ minContainers: fc.nat(2), bufferContainers: fc.nat(2) }), {
      minLength: 4,
      maxLength: 4,
    }),
  })
  .map((any) => ({
    fitsOn,
    nodes: [0, 1, 2].map((index) => ({ ...NODE, nodeId: `no_${index}` })),
    kept: new Map(any.kept.map((kept, index) => [`fn_${index}`, kept] as const)),
    waiting: any.waiting.map((one, index) => ({
      ...waiting(`w_${index}`, one.gpuCount, `fn_${one.functionIndex}`),
    })),
    containers: any.containers.map(({ functionIndex, nodeIndex, idleMs, ...one }, index) => {
      const { gpuCount, cpuMilli } = one;
      return {
        ...busy(`co_${index}`),
        functionId: `fn_${functionIndex}`,
        nodeId: `no_${nodeIndex}`,
        resources: { gpuCount, cpuMilli, memoryMiB: 64 },
        ending: one.ending,
        startupMs: one.startupMs,
        ...(idleMs === undefined || one.ending ? {} : { idleSinceMs: NOW_MS - idleMs }),
      };
    }),
  }));

test("only idle containers of others end, none below its floor, and for room that is real", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const evictions = evict(input, NOW_MS);
      expect(evict(structuredCloneOf(input), NOW_MS)).toEqual(evictions);
      const gone = new Set(evictions.flatMap(({ stop }) => stop.map((one) => one.containerId)));
      const ended = input.containers.filter(({ containerId }) => gone.has(containerId));
      expect(ended).toHaveLength(evictions.reduce((sum, { stop }) => sum + stop.length, 0));
      for (const one of ended) expect(one.ending || one.idleSinceMs === undefined).toBe(false);
      checkFloors(input, gone);
      checkRoom(input, evictions, gone);
    }),
    { numRuns: 500 },
  );
});

function structuredCloneOf(input: EvictionInput): EvictionInput {
  return {
    ...input,
    containers: [...input.containers].reverse(),
    nodes: [...input.nodes].reverse(),
  };
}

function checkFloors({ containers, kept }: EvictionInput, gone: ReadonlySet<string>): void {
  for (const [functionId, { minContainers }] of kept) {
    const own = containers.filter((one) => one.functionId === functionId && !one.ending);
    const left = own.filter(({ containerId }) => !gone.has(containerId));
    expect(left.length).toBeGreaterThanOrEqual(Math.min(own.length, minContainers));
  }
}

/** Everybody who was promised room fits, all together; nobody who ends could have stayed. */
function checkRoom(
  input: EvictionInput,
  evictions: ReturnType<typeof evict>,
  gone: ReadonlySet<string>,
): void {
  for (const node of input.nodes) {
    const here = evictions.filter(({ nodeId }) => nodeId === node.nodeId);
    const staying = input.containers.filter(
      (one) => one.nodeId === node.nodeId && !one.ending && !gone.has(one.containerId),
    );
    const promised = here.flatMap(({ forContainerId }) =>
      input.waiting.filter(({ containerId }) => containerId === forContainerId),
    );
    let onNode = staying.map(({ resources }) => ({ ...held("x"), resources }));
    for (const one of promised) {
      expect(fitsOn(one, node, onNode)).toBe(true);
      const resources = {
        gpuCount: one.needs.gpu?.count ?? 0,
        cpuMilli: one.needs.cpuMilli,
        memoryMiB: 64,
      };
      onNode = [...onNode, { ...held("x"), resources }];
    }
    const [only] = here;
    if (only === undefined || here.length > 1) continue;
    const [wait] = promised;
    for (const { containerId } of only.stop) {
      const back = input.containers.filter((one) => one.containerId === containerId);
      if (wait !== undefined) expect(fitsOn(wait, node, [...staying, ...back])).toBe(false);
    }
  }
}
