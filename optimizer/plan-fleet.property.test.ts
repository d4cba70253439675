import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { usdFromMicroUsd, type ContainerNeeds, type GpuType, type Offer } from "../core/index.ts";
import { planFleet } from "./plan-fleet.ts";
import type { PlanInput } from "./plan.ts";
import { createSolvers } from "./solvers/create-solvers.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";
import { verifyPlan } from "./verify-plan.ts";

const solvers = createSolvers();
const GPUS = ["H100", "A100-80GB"] as const;
const TYPE_LISTS: readonly (readonly GpuType[])[] = [
  ["H100"],
  ["A100-80GB"],
  ["H100", "A100-80GB"],
  ["A100-80GB", "H100"],
];

const anyOffer = fc.record({
  gpuType: fc.constantFrom(...GPUS),
  gpuCount: fc.constantFrom(1, 2, 3, 4, 8),
  cores: fc.integer({ min: 4, max: 32 }),
  memoryGiB: fc.integer({ min: 8, max: 64 }),
  cents: fc.integer({ min: 0, max: 900 }),
  spot: fc.boolean(),
  reclaimFractionPerHour: fc.constantFrom(0, 0.05),
  region: fc.constantFrom("us-east-1", "eu-west-1"),
  nodeCountMax: fc.integer({ min: 0, max: 2 }),
});

const anyClass = fc.record({
  types: fc.constantFrom(...TYPE_LISTS),
  gpuCount: fc.constantFrom(0, 0.25, 0.4, 0.5, 1, 1, 2, 3),
  cores: fc.integer({ min: 1, max: 16 }),
  memoryGiB: fc.integer({ min: 1, max: 24 }),
  preemptible: fc.boolean(),
  european: fc.boolean(),
  unmetUsd: fc.constantFrom(1, 5, 1000),
});

type AnyClass = typeof anyClass extends fc.Arbitrary<infer T> ? T : never;
type AnyOffer = typeof anyOffer extends fc.Arbitrary<infer T> ? T : never;

function toNeeds(draw: AnyClass): ContainerNeeds {
  const needs = {
    cpuMilli: draw.cores * 1000,
    memoryMiB: draw.memoryGiB * 1024,
    preemptible: draw.preemptible,
    ...(draw.european ? { regions: ["eu-west-1"] } : {}),
  };
  if (draw.gpuCount === 0) return needs;
  return { ...needs, gpu: { types: draw.types, count: draw.gpuCount } };
}

function toOffer(draw: AnyOffer, index: number): Offer {
  return testOffer(`type${index}`, {
    gpuType: draw.gpuType,
    resources: {
      gpuCount: draw.gpuCount,
      cpuMilli: draw.cores * 1000,
      memoryMiB: draw.memoryGiB * 1024,
    },
    priceMicroUsdPerHour: draw.cents * 10_000,
    purchase: draw.spot ? "spot" : "on-demand",
    reclaimFractionPerHour: draw.spot ? draw.reclaimFractionPerHour : 0,
    region: draw.region,
    nodeCountMax: draw.nodeCountMax,
    quotaGroups: [draw.region, draw.gpuType],
  });
}

interface Size {
  readonly offers: number;
  readonly classes: number;
  readonly wanted: number;
}

function anyInput(size: Size): fc.Arbitrary<PlanInput> {
  return fc
    .record({
      offers: fc.array(anyOffer, { minLength: 1, maxLength: size.offers }),
      classes: fc.array(anyClass, { minLength: 1, maxLength: size.classes }),
      wanted: fc.array(fc.nat({ max: size.wanted }), {
        minLength: 2 * size.classes,
        maxLength: 2 * size.classes,
      }),
      probability: fc.constantFrom(1, 0.8),
      present: fc.array(fc.nat({ max: 1 }), { minLength: size.offers, maxLength: size.offers }),
      quota: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
      budgetUsd: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
      hysteresisFraction: fc.constantFrom(0, 0.1),
    })
    .map((draw) => {
      const offers = draw.offers.map(toOffer);
      const classes = draw.classes.map((each, index) => ({
        ...testClass(`c${index}`, {}),
        needs: toNeeds(each),
        unmetMicroUsdPerHour: each.unmetUsd * 1e6,
      }));
      const scenario = (scenarioId: string, probability: number, from: number) => ({
        scenarioId,
        probability,
        quantity: Object.fromEntries(
          classes.map(({ classId }, index) => [classId, draw.wanted[from + index] ?? 0]),
        ),
      });
      const scenarios = [scenario("s0", draw.probability, 0)];
      if (draw.probability < 1) scenarios.push(scenario("s1", 1 - draw.probability, size.classes));
      return testInput({
        offers,
        classes,
        scenarios,
        fleet: offers.flatMap(({ offerId }, index) =>
          draw.present[index] === 1 ? [{ offerId, count: 1 }] : [],
        ),
        ...(draw.quota === undefined ? {} : { quotaLimits: { H100: draw.quota } }),
        policy: {
          hysteresisFraction: draw.hysteresisFraction,
          ...(draw.budgetUsd === undefined
            ? {}
            : { budgetMicroUsdPerHourMax: draw.budgetUsd * 1e6 }),
        },
      });
    });
}

describe("random plans", () => {
  it("cost exactly what brute force finds on tiny markets", async () => {
    await fc.assert(
      fc.asyncProperty(anyInput({ offers: 3, classes: 2, wanted: 2 }), async (drawn) => {
        const input = { ...drawn, policy: { ...drawn.policy, hysteresisFraction: 0 } };
        const plan = await planFleet(input, solvers);
        expect(verifyPlan(input, plan)).toEqual([]);
        const best = bruteForceUsd(input);
        expect(plan.objectiveUsdPerHour).toBeCloseTo(best, 4);
        expect(plan.boundUsdPerHour).toBeLessThanOrEqual(best + 1e-4);
      }),
      { numRuns: 300, seed: 7 },
    );
  }, 60_000);

  it("pass the verifier, with every solver and with none", async () => {
    await fc.assert(
      fc.asyncProperty(
        anyInput({ offers: 12, classes: 6, wanted: 9 }),
        fc.constantFrom("highs" as const, "glpk" as const, undefined),
        async (input, name) => {
          const plan = await planFleet(input, name ? { [name]: solvers[name] } : {});
          expect(verifyPlan(input, plan)).toEqual([]);
          expect(plan.solverFailures).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);

  it("are the same bytes for the same input, whatever the order of its lists", async () => {
    await fc.assert(
      fc.asyncProperty(anyInput({ offers: 8, classes: 4, wanted: 6 }), async (input) => {
        const first = await planFleet(input, solvers);
        const turned = {
          ...input,
          offers: input.offers.toReversed(),
          classes: input.classes.toReversed(),
          scenarios: input.scenarios.toReversed(),
          fleet: input.fleet.toReversed(),
        };
        const again = await planFleet(turned, createSolvers());
        expect(JSON.stringify(again)).toBe(JSON.stringify(first));
      }),
      { numRuns: 30 },
    );
  }, 60_000);

  it("without a solver cost no less than the proved bound of one", async () => {
    await fc.assert(
      fc.asyncProperty(anyInput({ offers: 8, classes: 4, wanted: 6 }), async (input) => {
        const plan = await planFleet(input, solvers);
        const cover = await planFleet(input, {});
        expect(cover.objectiveUsdPerHour).toBeGreaterThanOrEqual(plan.boundUsdPerHour - 1e-4);
      }),
      { numRuns: 50 },
    );
  }, 60_000);
});

/** Least objective over all node counts and all placements of single containers. */
function bruteForceUsd(input: PlanInput): number {
  let best = Infinity;
  const present = new Map(input.fleet.map((entry) => [entry.offerId, entry.count]));
  const visit = (counts: readonly number[]): void => {
    const offer = input.offers[counts.length];
    if (offer) {
      const most = Math.max(offer.nodeCountMax, present.get(offer.offerId) ?? 0);
      for (let count = 0; count <= most; count += 1) visit([...counts, count]);
      return;
    }
    const fixed = fleetUsd(input, counts, present);
    if (fixed >= best) return;
    const nodes = input.offers.flatMap((each, index) =>
      Array.from({ length: counts[index] ?? 0 }, () => each),
    );
    const scenarios = input.scenarios.reduce(
      (sum, scenario) =>
        sum + scenario.probability * bestServiceUsd(input, nodes, scenario.quantity),
      0,
    );
    best = Math.min(best, fixed + scenarios);
  };
  visit([]);
  return best;
}

function fleetUsd(
  input: PlanInput,
  counts: readonly number[],
  present: ReadonlyMap<string, number>,
): number {
  const { policy, offers, quotaLimits = {} } = input;
  let rent = 0;
  let other = 0;
  for (const [index, offer] of offers.entries()) {
    const count = counts[index] ?? 0;
    rent += (count * offer.priceMicroUsdPerHour) / 1e6;
    other += count * offer.reclaimFractionPerHour * usdFromMicroUsd(policy.interruptionMicroUsd);
    other += Math.abs(count - (present.get(offer.offerId) ?? 0)) * 0.05;
  }
  for (const [group, limit] of Object.entries(quotaLimits)) {
    const used = offers.reduce(
      (sum, offer, index) => (offer.quotaGroups.includes(group) ? sum + (counts[index] ?? 0) : sum),
      0,
    );
    if (used > limit) return Infinity;
  }
  const budget = (policy.budgetMicroUsdPerHourMax ?? Infinity) / 1e6;
  return rent > budget + 1e-9 ? Infinity : rent + other;
}

interface OpenNode {
  readonly offer: Offer;
  cpuMilli: number;
  memoryMiB: number;
  readonly gpus: number[];
}

function bestServiceUsd(
  input: PlanInput,
  nodes: readonly Offer[],
  quantity: Readonly<Record<string, number>>,
): number {
  const open: OpenNode[] = nodes.map((offer) => ({
    offer,
    cpuMilli: offer.resources.cpuMilli,
    memoryMiB: offer.resources.memoryMiB,
    gpus: Array.from({ length: offer.resources.gpuCount }, () => 1),
  }));
  const wanted = input.classes.flatMap((demand) =>
    Array.from({ length: quantity[demand.classId] ?? 0 }, () => demand),
  );
  const stepUsd = new Map(
    input.classes.map((demand) => [demand.classId, stepUsdOf(input, demand.needs)]),
  );
  const serve = (at: number): number => {
    const demand = wanted[at];
    if (!demand) return 0;
    let best = demand.unmetMicroUsdPerHour / 1e6 + serve(at + 1);
    for (const node of open) {
      if (!allowed(node.offer, demand.needs)) continue;
      const steps = demand.needs.gpu?.types.indexOf(node.offer.gpuType ?? "T4") ?? 0;
      const usd = steps * (stepUsd.get(demand.classId) ?? 0);
      eachPlacement(node, demand.needs, () => {
        best = Math.min(best, usd + serve(at + 1));
      });
    }
    return best;
  };
  return serve(0);
}

/** Runs `visit` with the container on the node, once for each way to give it GPUs. */
function eachPlacement(node: OpenNode, needs: ContainerNeeds, visit: () => void): void {
  if (needs.cpuMilli > node.cpuMilli || needs.memoryMiB > node.memoryMiB) return;
  const count = needs.gpu?.count ?? 0;
  const whole = node.gpus.flatMap((share, gpu) => (share === 1 ? [gpu] : []));
  const fits = (share: number): boolean => share >= count - 1e-9;
  const ways =
    count === 0
      ? [[]]
      : count >= 1
        ? whole.length >= count
          ? [whole.slice(0, count)]
          : []
        : [...new Set(node.gpus)].filter(fits).map((share) => [node.gpus.indexOf(share)]);
  node.cpuMilli -= needs.cpuMilli;
  node.memoryMiB -= needs.memoryMiB;
  for (const way of ways) {
    const before = [...node.gpus];
    for (const gpu of way) node.gpus[gpu] = count >= 1 ? 0 : (node.gpus[gpu] ?? 0) - count;
    visit();
    node.gpus.splice(0, node.gpus.length, ...before);
  }
  node.cpuMilli += needs.cpuMilli;
  node.memoryMiB += needs.memoryMiB;
}

function allowed(offer: Offer, needs: ContainerNeeds): boolean {
  if (needs.gpu && !needs.gpu.types.includes(offer.gpuType ?? "T4")) return false;
  if (needs.regions && !needs.regions.includes(offer.region)) return false;
  return needs.preemptible || offer.purchase !== "spot";
}

/** Price of one step down the list of GPU types: 2 % of the least rent of such a container. */
function stepUsdOf(input: PlanInput, needs: ContainerNeeds): number {
  const present = new Set(input.fleet.map((entry) => entry.offerId));
  const rents = input.offers
    .filter((offer) => offer.nodeCountMax > 0 || present.has(offer.offerId))
    .filter((offer) => allowed(offer, needs))
    .map(({ resources, priceMicroUsdPerHour }) => {
      const shares = [
        (needs.gpu?.count ?? 0) / resources.gpuCount,
        needs.cpuMilli / resources.cpuMilli,
        needs.memoryMiB / resources.memoryMiB,
      ];
      const share = Math.max(...shares);
      return share > 1 ? Infinity : (priceMicroUsdPerHour / 1e6) * share;
    });
  const least = Math.min(Infinity, ...rents);
  return least === Infinity ? 0 : 0.02 * least;
}
