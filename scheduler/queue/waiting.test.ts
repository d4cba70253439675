import { expect, test } from "vitest";
import {
  createRng,
  DEFAULT_SCHEDULER_POLICY,
  resourcesOf,
  type ContainerRequest,
  type PlacedContainer,
} from "../../core/index.ts";
import { place } from "../place.ts";
import { gpu, node, request } from "../test-fleet.ts";

const PATIENCE_MS = 100;
const LIFETIME_MS = 300;
const STEP_MS = 10;

interface Living {
  readonly container: PlacedContainer;
  readonly endsAtMs: number;
}

/** Steps until `awaited` is placed, while small requests fill every gap; undefined if never. */
function waitedMs(awaited: readonly ContainerRequest[], patienceMs: number): number | undefined {
  const nodes = ["a", "b", "c"].map((nodeId) => node({ nodeId, gpus: 4, zone: "z" }));
  const rng = createRng("stream");
  const policy = { ...DEFAULT_SCHEDULER_POLICY, patienceMs };
  let living: readonly Living[] = [];
  let backlog: ContainerRequest[] = [];
  for (let nowMs = 0; nowMs < 20 * LIFETIME_MS; nowMs += STEP_MS) {
    living = living.filter(({ endsAtMs }) => endsAtMs > nowMs);
    for (let index = 0; index < 4; index += 1) {
      backlog.push({ ...request(`s_${nowMs}_${index}`, gpu(1)), requestedAtMs: nowMs });
    }
    const asks = [...backlog.slice(0, 40), ...(nowMs >= LIFETIME_MS ? awaited : [])];
    const containers = living.map(({ container }) => container);
    const { placements } = place(asks, { nodes, containers }, { nowMs, rng, policy });
    const placed = new Map(placements.map((one) => [one.containerId, one]));
    if (awaited.every(({ containerId }) => placed.has(containerId))) return nowMs - LIFETIME_MS;
    // Young ones are always asked for: an endless stream of small requests.
    backlog = backlog.filter(({ containerId }) => !placed.has(containerId)).slice(-20);
    const fresh = asks.flatMap(({ containerId, functionId, needs }) => {
      const at = placed.get(containerId);
      if (at === undefined) return [];
      const { nodeId, cards } = at;
      const container = { containerId, functionId, nodeId, cards, resources: resourcesOf(needs) };
      return [{ container, endsAtMs: nowMs + LIFETIME_MS * (0.5 + rng.next() / 2) }];
    });
    living = [...living, ...fresh];
  }
  return undefined;
}

const whole = { ...request("big", gpu(4)), requestedAtMs: LIFETIME_MS };
const gang = { gangId: "g", size: 2, within: "zone" as const };
const members = ["m1", "m2"].map((id) => ({
  ...request(id, gpu(4)),
  requestedAtMs: LIFETIME_MS,
  gang,
}));

test("a large request waits no longer than patience and the lifetimes of what is in its way", () => {
  expect(waitedMs([whole], PATIENCE_MS)).toBeLessThanOrEqual(PATIENCE_MS + 2 * LIFETIME_MS);
});

test("nor does a gang that needs several nodes", () => {
  expect(waitedMs(members, PATIENCE_MS)).toBeLessThanOrEqual(PATIENCE_MS + 2 * LIFETIME_MS);
});

test("without patience at its end the same stream keeps it waiting for ever", () => {
  expect(waitedMs([whole], Number.POSITIVE_INFINITY)).toBeUndefined();
});

test("a request that no machine could ever hold reserves nothing", () => {
  const nodes = [node({ nodeId: "a", gpus: 4 })];
  const held = {
    containerId: "x",
    functionId: "f",
    nodeId: "a",
    resources: { gpuCount: 1, cpuMilli: 1, memoryMiB: 1 },
  };
  const now = { nowMs: 1e9, rng: createRng(1) };
  const plan = place(
    [request("never", gpu(8)), { ...request("young", gpu(1)), requestedAtMs: 1e9 }],
    { nodes, containers: [held] },
    now,
  );
  expect(plan.reservations).toEqual([]);
  expect(plan.placements.map((one) => one.containerId)).toEqual(["young"]);
});
