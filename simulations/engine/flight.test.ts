import { describe, expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";
import { createSolvers } from "../../optimizer/index.ts";
import { OurPolicy } from "../policies/ours.ts";
import type { SimulationResult } from "../result.ts";
import { testOffer } from "../test-market.ts";
import type { World } from "../world.ts";
import { Flight } from "./flight.ts";
import { fixedFleet, testFunction, testWorld } from "./test-world.ts";

const solvers = createSolvers();

function ours(world: World): OurPolicy {
  const { optimizer, pool } = world.policy;
  const buffers = { ...optimizer.buffers, waitMicroUsdPerGpuHour: 60_000_000 };
  return new OurPolicy({ optimizer: { ...optimizer, buffers }, pool, solvers });
}

/** What must hold of every result. */
function checkSums(result: SimulationResult): void {
  const { gpu, cost, waits, inputs, functions } = result;
  expect(waits.slot.count).toBe(inputs);
  expect(gpu.usefulGpuSeconds + gpu.lostGpuSeconds).toBeLessThanOrEqual(gpu.heldGpuSeconds + 1e-6);
  expect(gpu.heldGpuSeconds).toBeLessThanOrEqual(gpu.paidGpuSeconds + 1e-6);
  for (const part of [cost.byOffer, cost.byCloud, cost.byRegion, cost.byGpuType, cost.byPurchase]) {
    expect(Object.values(part).reduce((sum, micro) => sum + micro, 0)).toBe(cost.paidMicroUsd);
  }
  expect(functions.reduce((sum, one) => sum + one.inputs, 0)).toBe(inputs);
  const { timeline, untilMs } = result;
  const bucketCount = Math.ceil(untilMs / timeline.bucketMs);
  for (const [bucket, busy] of timeline.busyGpus.entries()) {
    expect(busy).toBeLessThanOrEqual((timeline.heldGpus[bucket] ?? 0) + 1e-6);
  }
  for (const values of [timeline.busyGpus, timeline.offeredGpus, timeline.slotWaitP99Ms]) {
    expect(values).toHaveLength(bucketCount);
  }
  const series = Object.values(result.timeline.costByOffer).flat();
  const charted = series.reduce((sum, micro) => sum + micro, 0);
  expect(Math.abs(charted - cost.paidMicroUsd)).toBeLessThan(1e-3 * cost.paidMicroUsd + 100);
}

describe("queueing", () => {
  test("one container with inputs at random waits as Pollaczek and Khinchine say", async () => {
    const world = testWorld({ perSecond: 0.6, hours: 60, functions: [keptFunction(1)] });
    const result = await new Flight(world, fixedFleet(1), { seed: 1 }).run();
    checkSums(result);
    // λ E[S²] / 2(1 - ρ) with E[S²] = e^(σ²) for mean 1.
    const expectedMs = ((0.6 * Math.E) / (2 * (1 - 0.6))) * MS_PER_SECOND;
    expect(result.waits.slot.meanMs / expectedMs).toBeGreaterThan(0.9);
    expect(result.waits.slot.meanMs / expectedMs).toBeLessThan(1.1);
    expect(result.gpu.usefulGpuSeconds / (60 * 3_600)).toBeCloseTo(0.6, 1);
  });

  test("many servers of equally long inputs wait as Erlang's formula bounds them", async () => {
    const functions = [keptFunction(12, { service: { meanMs: 1_000, sigma: 0 } })];
    const world = testWorld({ perSecond: 9, hours: 20, functions });
    const result = await new Flight(world, fixedFleet(12), { seed: 2 }).run();
    checkSums(result);
    // Erlang C with 12 servers and 9 erlangs; equally long inputs wait a bit over half as long.
    const erlang = (erlangC(12, 9) / (12 - 9)) * MS_PER_SECOND;
    expect(result.waits.slot.meanMs).toBeGreaterThan(0.45 * erlang);
    expect(result.waits.slot.meanMs).toBeLessThan(0.65 * erlang);
  });

  test("a container with room for several inputs runs them at once", async () => {
    const world = testWorld({ perSecond: 6, functions: [keptFunction(2, { concurrency: 8 })] });
    const result = await new Flight(world, fixedFleet(2), { seed: 3 }).run();
    checkSums(result);
    expect(result.waits.missFraction).toBeLessThan(0.01);
    expect(result.gpu.usefulGpuSeconds / 3_600).toBeCloseTo(6 / 8, 0);
  });
});

describe("rounds of placement", () => {
  /** Rare inputs, each of which starts a container on a node that is free. */
  const rare = testWorld({
    perSecond: 0.004,
    hours: 60,
    functions: [testFunction({ scaledownWindowMs: MS_PER_SECOND })],
  });

  test("an input that needs a container has a free node at once, and not at the next second", async () => {
    const { waits } = await new Flight(rare, fixedFleet(20), { seed: 1 }).run();
    expect(waits.coldStartFraction).toBeGreaterThan(0.8);
    expect(waits.slot.p90Ms).toBe(0);
  });

  test("the slot of an idle container of another function is had within a tenth of a second", async () => {
    const functions = ["a", "b"].map((functionId) =>
      testFunction({ functionId, service: { meanMs: 1_000, sigma: 0 }, scaledownWindowMs: 1e9 }),
    );
    const world = testWorld({ perSecond: 0.004, hours: 40, functions });
    const { waits, functions: own } = await new Flight(world, fixedFleet(1), { seed: 1 }).run();
    expect(own.reduce((sum, { evictions }) => sum + evictions, 0)).toBeGreaterThan(100);
    expect(waits.slot.p50Ms).toBeLessThanOrEqual(100);
    expect(waits.slot.p90Ms).toBeLessThanOrEqual(200);
  });

  test("costs and waits are those of rounds at every millisecond, within 1 percent", async () => {
    const service = { meanMs: 4_000, sigma: 1 };
    const functions = [testFunction({ service, scaledownWindowMs: 2 * MS_PER_SECOND })];
    const world = testWorld({ perSecond: 10, hours: 3, functions });
    const rates = world.trace.series[0]?.perSecond ?? new Float64Array();
    for (const step of rates.keys()) if (step % 30 < 10) rates[step] = 14;
    const run = (over: { readonly placeEveryMs?: number } = {}): Promise<SimulationResult> =>
      new Flight(world, fixedFleet(57), { seed: 1, ...over }).run();
    const [usual, exact] = [await run(), await run({ placeEveryMs: 1 })];
    expect(exact.waits.coldStartFraction).toBeGreaterThan(0.03);
    expect(usual.cost.paidMicroUsd).toBe(exact.cost.paidMicroUsd);
    for (const of of ["slot", "firstInstruction"] as const) {
      for (const figure of ["meanMs", "p99Ms", "p999Ms"] as const) {
        const ratio = usual.waits[of][figure] / exact.waits[of][figure];
        expect(Math.abs(ratio - 1), `${of} ${figure}`).toBeLessThan(0.01);
      }
    }
  });
});

describe("a fleet that follows demand", () => {
  test("serves all, and pays for little more than the bound", async () => {
    const world = testWorld({ perSecond: 50, hours: 2 });
    const result = await new Flight(world, ours(world), { seed: 4 }).run();
    checkSums(result);
    expect(result.fleet.unserved).toBeLessThan(100);
    expect(result.waits.missFraction).toBeLessThan(0.02);
    expect(result.cost.paidMicroUsd).toBeGreaterThan(result.bounds.b0MicroUsd);
    expect(result.cost.paidMicroUsd).toBeLessThan(2 * result.bounds.b60MicroUsd);
  });

  test("equal worlds, policies and seeds give equal bytes, others do not", async () => {
    const world = testWorld({ perSecond: 20, hours: 0.5 });
    const run = async (seed: number): Promise<string> =>
      JSON.stringify(await new Flight(world, ours(world), { seed }).run());
    expect(await run(5)).toBe(await run(5));
    expect(await run(6)).not.toBe(await run(5));
  });

  test("stops when it is told to", async () => {
    const controller = new AbortController();
    const world = testWorld({ hours: 1 });
    const onProgress = (): void => controller.abort(new Error("enough"));
    const options = { seed: 1, onProgress, signal: controller.signal };
    await expect(new Flight(world, fixedFleet(1), options).run()).rejects.toThrow("enough");
  });
});

describe("a market that changes", () => {
  const spot = testOffer({ purchase: "spot", reclaimFractionPerHour: 0.6 });

  test.each([0, 30 * MS_PER_SECOND])(
    "machines taken back with a notice of %d ms lose no input",
    async (reclaimNoticeMs) => {
      const base = testWorld({ perSecond: 20, hours: 3 });
      const world = { ...base, market: { ...base.market, offers: [spot], reclaimNoticeMs } };
      const result = await new Flight(world, ours(world), { seed: 7 }).run();
      checkSums(result);
      expect(result.fleet.reclaims).toBeGreaterThan(20);
      const last = result.waits.slot.count - result.fleet.unserved;
      expect(last).toBeGreaterThan(0.99 * result.inputs);
      // An input may well run for longer than the notice.
      const { lostGpuSeconds, usefulGpuSeconds } = result.gpu;
      if (reclaimNoticeMs > 0) expect(lostGpuSeconds).toBeLessThan(usefulGpuSeconds / 1_000);
      else expect(result.fleet.retries).toBeGreaterThan(0);
    },
  );

  test("what a measured trace takes back is not drawn as well", async () => {
    const base = testWorld({ perSecond: 5, hours: 2 });
    const availability = [{ offerIds: [spot.offerId], stepMs: MS_PER_HOUR, nodeCounts: [10, 4] }];
    const world = { ...base, market: { ...base.market, offers: [spot], availability } };
    const result = await new Flight(world, fixedFleet(10), { seed: 7 }).run();
    expect(result.fleet.reclaims).toBe(6);
  });

  test("a shortage is waited out on another offer, at its price", async () => {
    const dear = testOffer({ instanceType: "dear", priceMicroUsdPerHour: 9_000_000 });
    const base = testWorld({ perSecond: 10, hours: 2 });
    const events = [
      {
        kind: "capacity" as const,
        atMs: 0.5 * MS_PER_HOUR,
        match: { purchase: "on-demand", cloud: "aws" },
        nodeCountMax: 0,
      },
      {
        kind: "capacity" as const,
        atMs: 0.5 * MS_PER_HOUR,
        match: { cloud: "gcp" },
        nodeCountMax: 100,
      },
    ];
    const offers = [testOffer(), { ...dear, cloud: "gcp" as const, offerId: "gcp/dear" }];
    const world = { ...base, market: { ...base.market, offers, events } };
    const result = await new Flight(world, ours(world), { seed: 8 }).run();
    checkSums(result);
    expect(result.fleet.reclaims).toBeGreaterThan(5);
    expect(result.cost.byCloud["gcp"]).toBeGreaterThan(0);
    expect(result.fleet.unserved).toBeLessThan(50);
  });

  test("an outage of the cloud's interfaces ends nothing that runs", async () => {
    const base = testWorld({ perSecond: 10, hours: 1 });
    const outage = {
      kind: "outage" as const,
      atMs: 10 * MS_PER_MINUTE,
      untilMs: 40 * MS_PER_MINUTE,
      match: {},
    };
    const world = { ...base, market: { ...base.market, events: [outage] } };
    const result = await new Flight(world, ours(world), { seed: 9 }).run();
    checkSums(result);
    expect(result.fleet.retries).toBe(0);
    expect(result.fleet.unserved).toBeLessThan(50);
  });

  test("a price that doubles is paid from then on", async () => {
    const base = testWorld({ perSecond: 1 });
    const price = { kind: "price" as const, atMs: MS_PER_HOUR / 2, match: {}, factor: 2 };
    const cost = async (world: World): Promise<number> =>
      (await new Flight(world, fixedFleet(4), { seed: 1 }).run()).cost.paidMicroUsd;
    const market = { ...base.market, events: [price] };
    expect((await cost({ ...base, market })) / (await cost(base))).toBeCloseTo(1.5, 3);
  });
});

test("idle containers of others give way where they may, and are waited for where not", async () => {
  const functions = ["a", "b", "c"].map((functionId) =>
    testFunction({ functionId, scaledownWindowMs: 30 * MS_PER_MINUTE }),
  );
  const base = testWorld({ perSecond: 0.05, hours: 3, functions });
  const run = (evictsIdle: boolean): Promise<SimulationResult> =>
    new Flight({ ...base, evictsIdle }, fixedFleet(1), { seed: 1 }).run();
  const [evicting, pinned] = [await run(true), await run(false)];
  checkSums(evicting);
  checkSums(pinned);
  expect(evicting.functions.reduce((sum, one) => sum + one.evictions, 0)).toBeGreaterThan(10);
  expect(evicting.waits.slot.meanMs).toBeLessThan(pinned.waits.slot.meanMs / 10);
});

/** A function that always has its containers. */
function keptFunction(count: number, over: Partial<Parameters<typeof testFunction>[0]> = {}) {
  return testFunction({ minContainers: count, maxContainers: count, ...over });
}

/** Chance that an input waits with exponential times (Erlang 1917). */
function erlangC(servers: number, load: number): number {
  let inverse = 1;
  for (let count = 1; count <= servers; count += 1) inverse = 1 + (inverse * count) / load;
  const blocking = 1 / inverse;
  return blocking / (1 - (load / servers) * (1 - blocking));
}
