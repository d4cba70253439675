import { describe, expect, test } from "vitest";
import { chaosHour, crashRun, type ChaosFindings } from "./test-chaos.ts";

const CRASH_SEEDS = 1_000;
const CHAOS_SEEDS = [1, 2, 3];

function problemsOf(seed: number, findings: ChaosFindings): readonly string[] {
  const { leaks, doubleLaunches, billedAfterRelease, unsettled } = findings;
  return [...leaks, ...doubleLaunches, ...billedAfterRelease, ...unsettled].map(
    (problem) => `seed ${seed}: ${problem}`,
  );
}

describe("killed before and after each step of rent and release", () => {
  test("S1, S2, S3: leaks nothing, launches nothing twice, bills nothing after its release", async () => {
    const deaths = new Set<string>();
    const problems: string[] = [];
    for (let seed = 1; seed <= CRASH_SEEDS; seed += 1) {
      const findings = await crashRun(seed);
      problems.push(...problemsOf(seed, findings));
      for (const death of findings.deaths) deaths.add(death);
    }
    expect(problems).toEqual([]);
    const calls = ["rent", "release", "put requested", "put booting", "put draining"];
    for (const call of [...calls, "put terminated", "listNodes", "listOpen", "get", "note"]) {
      expect([...deaths], call).toContain(`before ${call}`);
      expect([...deaths], call).toContain(`after ${call}`);
    }
  }, 120_000);
});

describe("an hour of shortages, failing calls, reclaims, jumping clocks and deaths", () => {
  test.each(CHAOS_SEEDS)("leaves nothing behind and ends as planned (seed %i)", async (seed) => {
    expect(problemsOf(seed, await chaosHour(seed))).toEqual([]);
  });
});
