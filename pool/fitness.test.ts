import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MS_PER_MINUTE } from "../core/index.ts";
import { fitnessOf, type WatchedNode } from "./fitness.ts";
import { degradedClouds, noteLaunch, type LaunchMemory } from "./launch-health.ts";
import { badFraction, FAULT_HALF_LIFE_MS, penalise, penalisedOffer } from "./penalties.ts";
import { testNode, testOffer } from "./test-pool.ts";
import { lineOf, TestWorld } from "./test-world.ts";

const offer = testOffer();
const offersById = new Map([[offer.offerId, offer]]);

function fitness(states: readonly ("good" | "bad" | "silent")[]) {
  const nodes: readonly WatchedNode[] = states.map((state, index) => ({
    node: testNode(`no_${index}`, "healthy").record.node,
    agent: { lastHeardAtMs: 0, faults: state === "bad" ? ["GPU 0 is lost"] : [] },
    isSilent: state === "silent",
  }));
  return fitnessOf(nodes, offersById, 0.2);
}

describe("fitness", () => {
  test("S28: a fifth of the nodes may be repaired, more at once stop it", () => {
    const of = (badCount: number, silentCount: number, count: number) =>
      fitness(
        Array.from({ length: count }, (_, index) => {
          if (index < badCount) return "bad";
          return index < badCount + silentCount ? "silent" : "good";
        }),
      );
    expect(of(2, 0, 10)).toMatchObject({ isRepairHalted: false });
    expect(of(2, 0, 10).faults.size).toBe(2);
    expect(of(3, 0, 10).isRepairHalted).toBe(true);
    expect(of(2, 1, 10).isRepairHalted).toBe(true);
    expect(of(1, 0, 1).isRepairHalted).toBe(false);
    expect(of(2, 0, 2).isRepairHalted).toBe(true);
    expect(of(0, 5, 10).isRepairHalted).toBe(false);
  });

  test("a machine with fewer GPUs than its offer promised is unfit", () => {
    const { node } = testNode("no_1", "healthy").record;
    const resources = { ...offer.resources, gpuCount: 7 };
    const watched = { node, agent: { lastHeardAtMs: 0, resources }, isSilent: false };
    const { faults } = fitnessOf([watched], offersById, 0.2);
    expect(faults.get("no_1")).toBe("it has 7 of the 8 GPUs of its offer");
    expect(fitnessOf([watched], new Map(), 0.2).faults.size).toBe(0);
  });
});

describe("penalties", () => {
  test("make an offer dearer by its bad machines, half as much a day later", () => {
    const once = penalise(new Map(), offer.offerId, 0);
    expect(badFraction(once, offer.offerId, 0)).toBeCloseTo(0.2);
    expect(penalisedOffer(once, offer, 0)).toMatchObject({
      priceMicroUsdPerHour: offer.priceMicroUsdPerHour / 0.8,
    });
    expect(badFraction(once, offer.offerId, FAULT_HALF_LIFE_MS)).toBeCloseTo(1 - 0.8 ** 0.5);
    const twice = penalise(once, offer.offerId, 0);
    expect(badFraction(twice, offer.offerId, 0)).toBeCloseTo(0.36);
  });

  test("end: after a week an offer is as it was, and others never cost more", () => {
    const once = penalise(new Map(), offer.offerId, 0);
    expect(penalisedOffer(once, offer, 7 * FAULT_HALF_LIFE_MS)).toBe(offer);
    expect(penalisedOffer(once, testOffer("other"), 0)).toMatchObject({ offerId: /other/ });
    expect(penalisedOffer(once, testOffer("other"), 0).launchFailureFraction).toBeUndefined();
  });

  test("stay below 1 for any history, also when the clock is set back", () => {
    const times = fc.array(fc.integer({ min: 0, max: 10 * FAULT_HALF_LIFE_MS }), { maxLength: 30 });
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: FAULT_HALF_LIFE_MS }), (faults, nowMs) => {
        let memory: Parameters<typeof penalise>[0] = new Map();
        for (const atMs of faults) memory = penalise(memory, offer.offerId, atMs);
        const fraction = badFraction(memory, offer.offerId, nowMs);
        expect(fraction).toBeGreaterThanOrEqual(0);
        expect(fraction).toBeLessThan(1);
      }),
    );
  });
});

describe("launches", () => {
  const after = (history: string): LaunchMemory => {
    let memory: LaunchMemory = new Map();
    for (const one of history) memory = noteLaunch(memory, "fake", one === "+");
    return memory;
  };

  test("S8: two failures among the last four degrade a cloud, a success mends it", () => {
    const degraded = (history: string): boolean => degradedClouds(after(history)).has("fake");
    for (const history of ["--", "-+-", "+-+-", "-++-", "++++--"]) {
      expect(degraded(history), history).toBe(true);
    }
    for (const history of ["", "-", "+-", "-+++", "-+++-", "--+", "--+-", "----+-"]) {
      expect(degraded(history), history).toBe(false);
    }
  });

  test("S8: machines that never register stop launches for 5 min and more, then one is tried", async () => {
    const world = new TestWorld({ policy: { registrationTimeoutMs: 60_000, refusalTtlMs: 1_000 } });
    for (let number = 1; number < 200; number += 1) {
      world.mute.add(`no_${String(number).padStart(26, "0")}`);
    }
    const lines = [lineOf(offer, 3)];
    for (let tick = 0; tick < 15; tick += 1) await world.tick(lines);
    expect(world.ledger.all()).toHaveLength(3);
    expect(world.refusals.map(({ key }) => key)).toContain("launches fake");
    for (let tick = 0; tick < 40; tick += 1) await world.tick(lines);
    expect(world.ledger.all()).toHaveLength(3);
    for (let tick = 0; tick < 12 * 55; tick += 1) await world.tick(lines);
    // An hour: 3 at first, then one at a time after 5, 10, 20 min and so on.
    expect(world.ledger.all().length).toBeLessThanOrEqual(7);
    expect(world.ledger.all().length).toBeGreaterThan(4);
    world.mute.clear();
    for (let tick = 0; tick < (31 * MS_PER_MINUTE) / 5_000; tick += 1) await world.tick(lines);
    expect(await world.live()).toHaveLength(3);
    expect(world.refusals).toEqual([]);
  });
});
