import { afterEach, expect, test } from "vitest";
import { DEFAULT_OPTIMIZER_POLICY, type Offer } from "../../core/index.ts";
import type { PlanInput } from "../../optimizer/index.ts";
import { Planner } from "./planner.ts";

const OFFER: Offer = {
  offerId: "aws/r/*/t/on-demand",
  cloud: "aws",
  region: "r",
  instanceType: "t",
  purchase: "on-demand",
  gpuType: "T4",
  resources: { gpuCount: 1, cpuMilli: 4_000, memoryMiB: 16_384 },
  priceMicroUsdPerHour: 500_000,
  reclaimFractionPerHour: 0,
  bootMs: 1,
  nodeCountMax: 10,
  quotaGroups: [],
  emulated: false,
};
const INPUT: PlanInput = {
  offers: [OFFER],
  classes: [
    {
      classId: "c",
      needs: {
        gpu: { types: ["T4"], count: 1 },
        cpuMilli: 1_000,
        memoryMiB: 1_024,
        preemptible: false,
      },
      unmetMicroUsdPerHour: 100_000_000,
    },
  ],
  scenarios: [{ scenarioId: "s", probability: 1, quantity: { c: 3 } }],
  fleet: [],
  policy: DEFAULT_OPTIMIZER_POLICY,
};

let reports: unknown[] = [];
const planner = (): Planner => new Planner((error) => reports.push(error));
afterEach(() => (reports = []));

test("a plan is made in another thread, again and again", async () => {
  const one = planner();
  for (const count of [3, 5]) {
    const scenarios = [{ scenarioId: "s", probability: 1, quantity: { c: count } }];
    const { plan, solveMs } = await one.plan({ ...INPUT, scenarios });
    expect(plan.lines).toMatchObject([{ offerId: OFFER.offerId, count }]);
    expect(solveMs).toBeGreaterThanOrEqual(0);
  }
  expect(reports).toEqual([]);
  await one.close();
});

test("an input that makes no sense is refused once, and the next plan is made", async () => {
  const one = planner();
  const twice = { ...INPUT, offers: [OFFER, OFFER] };
  await expect(one.plan(twice)).rejects.toMatchObject({ code: "invalid_request" });
  expect(reports).toEqual([]);
  expect((await one.plan(INPUT)).plan.unmet).toEqual([]);
  await one.close();
});

test("cancelling rejects at once with its reason, and the next plan is made", async () => {
  const one = planner();
  const stop = new AbortController();
  const planning = one.plan(INPUT, { signal: stop.signal });
  const reason = new Error("enough");
  stop.abort(reason);
  await expect(planning).rejects.toBe(reason);
  await expect(one.plan(INPUT, { signal: stop.signal })).rejects.toBe(reason);
  expect((await one.plan(INPUT)).plan.unmet).toEqual([]);
  expect(reports).toEqual([]);
  await one.close();
});

test("a thread that overruns its time is replaced by one that needs no solver", async () => {
  const one = planner();
  // The thread has less than no time, so that both attempts overrun and no plan is made.
  const policy = { ...DEFAULT_OPTIMIZER_POLICY, solveTimeLimitMs: -1_500 };
  await expect(one.plan({ ...INPUT, policy })).rejects.toMatchObject({ code: "unavailable" });
  expect(reports).toHaveLength(2);
  expect((await one.plan(INPUT)).plan.unmet).toEqual([]);
  await one.close();
});

test("a closed planner gives up the plan that is being made and makes no more", async () => {
  const one = planner();
  const planning = one.plan(INPUT);
  await one.close();
  await expect(planning).rejects.toMatchObject({ code: "unavailable" });
  await expect(one.plan(INPUT)).rejects.toMatchObject({ code: "unavailable" });
});
