import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_OPTIMIZER_POLICY,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  type ContainerNeeds,
  type OptimizerPolicy,
} from "../core/index.ts";
import {
  demandOf,
  NO_WORK_SEEN,
  observeWork,
  planInputOf,
  type FunctionWork,
  type SeenWork,
} from "./capacity.ts";
import { testOffer } from "./test-pool.ts";

const POLICY: OptimizerPolicy = {
  ...DEFAULT_OPTIMIZER_POLICY,
  buffers: { ...DEFAULT_OPTIMIZER_POLICY.buffers, waitMicroUsdPerGpuHour: 60_000_000 },
};
const NEEDS: ContainerNeeds = {
  gpu: { types: ["H100"], count: 1 },
  cpuMilli: 1_000,
  memoryMiB: 4_096,
  preemptible: false,
};
const OFFERS = [
  testOffer("h100x1", { resources: { gpuCount: 1, cpuMilli: 16_000, memoryMiB: 131_072 } }),
];

function workOf(containers: number, load: Partial<FunctionWork["load"]> = {}): FunctionWork {
  const known = { inputsPerSecond: 10, serviceMs: 10_000, backlog: 0, concurrency: 1 };
  return {
    needs: NEEDS,
    containers,
    load: { ...known, floor: 0, maxContainers: 1_000, ...load },
  };
}

describe("spot where waiting has a price", () => {
  const SPOT = testOffer("h100x1-spot", {
    zone: "a",
    purchase: "spot",
    resources: { gpuCount: 1, cpuMilli: 16_000, memoryMiB: 131_072 },
    reclaimFractionPerHour: 0.5,
    nodeCountMax: 300,
  });

  /** The most nodes of the spot offer that a plan may have after an hour of the same work. */
  function mostSpot(policy: OptimizerPolicy, count: number): number {
    return marketAfterAnHour(policy, count).offers[1]?.nodeCountMax ?? 0;
  }

  function marketAfterAnHour(policy: OptimizerPolicy, count: number) {
    let seen = NO_WORK_SEEN;
    const demand = demandOf([workOf(100)], policy);
    for (let atMs = 0; atMs <= 60 * MS_PER_MINUTE; atMs += 10 * MS_PER_SECOND) {
      const inputsPerSecond = 10 + 2 * Math.sin(atMs / (7 * MS_PER_MINUTE));
      const moving = demandOf([workOf(100, { inputsPerSecond })], policy);
      const look = { demand: moving, started: 100, missed: 0, spotGpuCount: 0, nowMs: atMs };
      seen = observeWork(seen, look, policy);
    }
    const fleet = [{ offerId: SPOT.offerId, count }];
    const market = { offers: [...OFFERS, SPOT], fleet, policy };
    return planInputOf(seen, demand, market).input;
  }

  test("is held in one zone as far as idle GPUs can take it over, and no further", () => {
    const most = mostSpot(POLICY, 0);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(40);
    // What is there stays until it is half as much again.
    expect(mostSpot(POLICY, 300)).toBeGreaterThanOrEqual(1.5 * most - 1);
    expect(mostSpot(POLICY, 300)).toBeLessThanOrEqual(1.5 * (most + 1));
  });

  test("leaves a few of those that are too many out of the plan", () => {
    const countOf = (policy: OptimizerPolicy): number =>
      marketAfterAnHour(policy, 300).fleet[0]?.count ?? 0;
    expect(countOf(POLICY)).toBeLessThan(300);
    expect(countOf(POLICY)).toBeGreaterThan(290);
    expect(countOf(DEFAULT_OPTIMIZER_POLICY)).toBe(300);
  });

  test("is little while next to nothing is known of demand", () => {
    const demand = demandOf([workOf(300, { inputsPerSecond: 0.1 })], POLICY);
    const look = { demand, started: 0, missed: 0, spotGpuCount: 0, nowMs: 0 };
    const seen = observeWork(NO_WORK_SEEN, look, POLICY);
    const market = { offers: [...OFFERS, SPOT], fleet: [], policy: POLICY };
    const first = planInputOf(seen, demandOf([workOf(300)], POLICY), market);
    expect(first.input.offers[1]?.nodeCountMax).toBeLessThan(10);
  });

  test("is bound by nothing where waiting has none", () => {
    expect(mostSpot(DEFAULT_OPTIMIZER_POLICY, 0)).toBe(300);
    const { buffers } = DEFAULT_OPTIMIZER_POLICY;
    const atLeast = { ...buffers, byGpuType: { H100: { gpuCountMin: 4 } } };
    expect(mostSpot({ ...DEFAULT_OPTIMIZER_POLICY, buffers: atLeast }, 0)).toBe(300);
  });
});

describe("demand", () => {
  const offeredOf = (work: FunctionWork): number => {
    const { offered } = demandOf([work], POLICY);
    return Object.values(offered)[0] ?? 0;
  };
  const workedOff = (work: FunctionWork): number => {
    const { backlog } = demandOf([work], POLICY);
    return Object.values(backlog)[0] ?? 0;
  };

  test("is what is there, and offered is what arrivals keep busy", () => {
    const { classes, quantity, offered } = demandOf([workOf(120), workOf(30)], POLICY);
    expect(classes).toHaveLength(1);
    expect(Object.values(quantity)).toEqual([150]);
    expect(Object.values(offered)).toEqual([200]);
  });

  test("a backlog counts for as many containers as work it off in a minute", () => {
    expect(workedOff(workOf(100, { backlog: 60 }))).toBeCloseTo(10, 9);
    expect(workedOff(workOf(0, { inputsPerSecond: 0, serviceMs: 600_000, backlog: 7 }))).toBe(7);
    expect(workedOff(workOf(100, { backlog: 6_000, maxContainers: 130 }))).toBe(30);
    expect(workedOff(workOf(5, { inputsPerSecond: 0, floor: 5, backlog: 60 }))).toBe(5);
    expect(workedOff({ needs: NEEDS, containers: 3 })).toBe(0);
  });

  test("a backlog is not what forecasts learn", () => {
    expect(offeredOf(workOf(100, { backlog: 60 }))).toBe(100);
  });

  const wantedOf = (work: FunctionWork): number => {
    const { quantity } = demandOf([work], POLICY);
    return Object.values(quantity)[0] ?? 0;
  };

  test("a burst does not rent a machine for every input that waits", () => {
    const burst = { ...workOf(3_100, { backlog: 3_000 }), waiting: 3_000 };
    expect(wantedOf(burst)).toBe(600);
    expect(wantedOf({ ...burst, waiting: 0 })).toBe(3_100);
    expect(wantedOf({ needs: NEEDS, containers: 3_100, waiting: 3_000 })).toBe(3_100);
  });

  test("what waits for a node for another reason than a backlog is wanted whole", () => {
    const floor = { inputsPerSecond: 0, floor: 50, backlog: 0 };
    expect(wantedOf({ ...workOf(50, floor), waiting: 50 })).toBe(50);
    const both = { inputsPerSecond: 0, floor: 50, backlog: 12 };
    expect(wantedOf({ ...workOf(62, both), waiting: 62 })).toBe(50);
    expect(wantedOf({ ...workOf(20, { inputsPerSecond: 0, backlog: 20 }), waiting: 5 })).toBe(15);
    const long = { inputsPerSecond: 0, serviceMs: 600_000, backlog: 7 };
    expect(wantedOf({ ...workOf(7, long), waiting: 7 })).toBe(7);
  });

  test("at most what is there or waits is wanted, whatever the work", () => {
    const cases = fc.record({
      containers: fc.nat(200),
      waiting: fc.nat(200),
      backlog: fc.nat(5_000),
      inputsPerSecond: fc.double({ min: 0, max: 50, noNaN: true }),
    });
    fc.assert(
      fc.property(cases, ({ containers, waiting, ...load }) => {
        const work = { ...workOf(containers + waiting, load), waiting };
        const wanted = demandOf([work], POLICY).quantity;
        const [count = 0] = Object.values(wanted);
        expect(count).toBeGreaterThanOrEqual(containers);
        expect(count).toBeLessThanOrEqual(containers + waiting);
      }),
    );
  });

  test("keeps to floors, limits and concurrency", () => {
    expect(offeredOf(workOf(100, { concurrency: 4 }))).toBe(25);
    expect(offeredOf(workOf(100, { maxContainers: 60 }))).toBe(60);
    expect(offeredOf(workOf(5, { inputsPerSecond: 0, floor: 5 }))).toBe(5);
  });

  test("without known arrivals what is there stands for what is offered", () => {
    expect(offeredOf({ needs: NEEDS, containers: 3 })).toBe(3);
    expect(demandOf([{ needs: NEEDS, containers: 0 }], POLICY).classes).toEqual([]);
  });
});

/** Looks every ten seconds at steady work of which a share is missed. */
function steady(minutes: number, missFraction: number, policy = POLICY): SeenWork {
  let seen = NO_WORK_SEEN;
  const demand = demandOf([workOf(100)], policy);
  for (let nowMs = 0; nowMs <= minutes * MS_PER_MINUTE; nowMs += 10 * MS_PER_SECOND) {
    const missed = 100 * missFraction;
    const look = { demand, started: 100, missed, spotGpuCount: 0, nowMs };
    seen = observeWork(seen, look, policy);
  }
  return seen;
}

describe("the gain", () => {
  test("grows while more is missed than policy says, and shrinks while less is", () => {
    expect(steady(60, 0.005).gain).toBeCloseTo(1, 9);
    expect(steady(60, 0.05).gain).toBeGreaterThan(1.15);
    expect(steady(600, 0).gain).toBeLessThan(0.85);
    expect(steady(5, 0.5).gain).toBe(1);
  });

  test("rests when nothing happens", () => {
    let seen = steady(60, 0.05);
    const { gain } = seen;
    const demand = demandOf([], POLICY);
    for (let minute = 61; minute < 200; minute += 1) {
      const nowMs = minute * MS_PER_MINUTE;
      const look = { demand, started: 0, missed: 0, spotGpuCount: 0, nowMs };
      seen = observeWork(seen, look, POLICY);
    }
    expect(seen.gain).toBeCloseTo(gain, 1);
  });

  /** The gain two hours on, when all wait for four minutes after the spot nodes are so many. */
  function gainAfterLoss(spotBefore: number, spotAfter: number): number {
    const demand = demandOf([workOf(100)], POLICY);
    let seen = NO_WORK_SEEN;
    for (let second = 0; second <= 7_200; second += 10) {
      const isShort = second >= 3_600 && second < 3_840;
      const missed = isShort ? 100 : 0.5;
      const spotGpuCount = second < 3_600 ? spotBefore : spotAfter;
      const nowMs = second * MS_PER_SECOND;
      seen = observeWork(seen, { demand, started: 100, missed, spotGpuCount, nowMs }, POLICY);
    }
    return seen.gain;
  }

  test("is not told of waits that come of a loss of spot nodes, but of all others", () => {
    expect(gainAfterLoss(60, 0)).toBeCloseTo(1, 2);
    expect(gainAfterLoss(60, 60)).toBeGreaterThan(1.3);
    expect(gainAfterLoss(0, 0)).toBeGreaterThan(1.3);
    // Nodes that go one by one are no loss, nor are those that come.
    expect(gainAfterLoss(60, 58)).toBeGreaterThan(1.3);
    expect(gainAfterLoss(0, 60)).toBeGreaterThan(1.3);
  });

  test("is told again of what waits five minutes after a loss", () => {
    const demand = demandOf([workOf(100)], POLICY);
    let seen = NO_WORK_SEEN;
    for (let second = 0; second <= 7_200; second += 10) {
      const missed = second >= 3_600 + 300 ? 5 : 0.5;
      const spotGpuCount = second < 3_600 ? 60 : 0;
      const nowMs = second * MS_PER_SECOND;
      seen = observeWork(seen, { demand, started: 100, missed, spotGpuCount, nowMs }, POLICY);
    }
    expect(seen.gain).toBeGreaterThan(1.2);
    expect(seen.lossUntilMs).toBeUndefined();
  });
});

describe("the input of a plan", () => {
  const inputOf = (seen: SeenWork, containers: number, policy = POLICY) =>
    planInputOf(seen, demandOf([workOf(containers)], policy), {
      offers: OFFERS,
      fleet: [],
      policy,
    });

  test("holds a buffer beyond what is wanted, and a larger one with more gain", () => {
    // Early, while it is believed to swing as public traffic does: it then proves to be calm.
    const seen = steady(2, 0.005);
    const plain = inputOf(seen, 100).buffers[0]?.quantity ?? 0;
    const more = inputOf({ ...seen, gain: 2 }, 100).buffers[0]?.quantity ?? 0;
    expect(plain).toBeGreaterThan(0);
    expect(more).toBeGreaterThan(plain);
  });

  test("without a price on waiting there is none", () => {
    const { input, buffers } = inputOf(steady(60, 0.005), 100, DEFAULT_OPTIMIZER_POLICY);
    expect(buffers).toEqual([]);
    expect(input.classes).toHaveLength(1);
    expect(Object.values(input.scenarios[0]?.quantity ?? {})).toEqual([100]);
  });
});
