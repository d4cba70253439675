import fc from "fast-check";
import { expect, it } from "vitest";
import { CapacitySchedule, type CapacityUser } from "./capacity-schedule.ts";

const small = fc.constantFrom("a", "b");
const user: fc.Arbitrary<CapacityUser> = fc.record({
  instanceType: small,
  region: small,
  zone: small,
  market: fc.constantFrom("on-demand", "spot"),
});
const rule = fc.record(
  {
    instanceType: small,
    region: small,
    zone: small,
    market: fc.constantFrom("on-demand" as const, "spot" as const),
    instanceCountMax: fc.nat(5),
  },
  { requiredKeys: ["instanceCountMax"] },
);

it("never lets a launch break any rule that matches it, and lets every other through", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 4 }),
      fc.array(user, { maxLength: 8 }),
      (rules, users) => {
        const schedule = new CapacitySchedule();
        for (const one of rules) schedule.set(one, 0);
        const live: CapacityUser[] = [];
        for (const wanted of users) {
          if (schedule.available(wanted, live, 0) >= 1) live.push(wanted);
        }
        const latest = new Map(
          rules.map((one) => [
            JSON.stringify({ ...one, instanceCountMax: 0 }, Object.keys(one).sort()),
            one,
          ]),
        );
        for (const { instanceCountMax, ...selector } of latest.values()) {
          const keys = Object.keys(selector) as (keyof typeof selector)[];
          const matching = live.filter((one) => keys.every((key) => one[key] === selector[key]));
          expect(matching.length).toBeLessThanOrEqual(instanceCountMax);
        }
        if (rules.length === 0) expect(live).toHaveLength(users.length);
      },
    ),
  );
});

it("follows its steps, counted from when the rule was set", () => {
  const schedule = new CapacitySchedule();
  const wanted: CapacityUser = { instanceType: "t", region: "r", zone: "z", market: "spot" };
  const steps = [{ afterMs: 10, instanceCountMax: 3 }, { afterMs: 20 }];
  schedule.set({ zone: "z", instanceCountMax: 1, steps }, 1_000);
  const at = (nowMs: number) => schedule.available(wanted, [wanted], nowMs);
  expect([at(1_000), at(1_009), at(1_010), at(1_020)]).toEqual([0, 0, 2, Infinity]);
  schedule.set({ zone: "z" }, 1_000);
  expect(at(1_000)).toBe(Infinity);
});
