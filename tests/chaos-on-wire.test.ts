/**
 * Crashes around each step of rent and release, and an hour of chaos, on each cloud by its real
 * SDK against its emulator; the thousand seeds are flown on the fake cloud.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assert, createRng } from "../core/index.ts";
import { chaosIn, crashRunIn, CRASH_POLICY, type ChaosFindings } from "../pool/test-chaos.ts";
import type { CrashPoint } from "../pool/test-world.ts";
import { WIRE_CLOUDS, type WireCloud } from "./support/wire-worlds.ts";

/** Where the process dies in the half that rents, and in the half that gives back. */
const PAIRS = [
  ["put requested", "put draining"],
  ["rent", "release"],
  ["put booting", "put terminated"],
] as const;
const RANDOM_SEEDS = [1, 2];
const BILL_TOLERANCE_MS = 60_000;

let cloud: WireCloud;

function problemsOf(findings: ChaosFindings): readonly string[] {
  const { leaks, doubleLaunches, billedAfterRelease, unsettled } = findings;
  return [...leaks, ...doubleLaunches, ...billedAfterRelease, ...unsettled];
}

async function crashAt(
  seed: string,
  points?: readonly [CrashPoint, CrashPoint],
): Promise<ChaosFindings> {
  const rng = createRng(`wire crash ${seed}`);
  const [offer] = cloud.offers;
  assert(offer !== undefined, "there is an offer");
  const world = cloud.openWorld({ seed, policy: CRASH_POLICY });
  const plan = { offer, count: 1 + rng.below(3), rng, billToleranceMs: BILL_TOLERANCE_MS };
  return crashRunIn(world, { ...plan, ...(points === undefined ? {} : { points }) });
}

describe.each(WIRE_CLOUDS)("on $name", ({ open }) => {
  beforeEach(async () => {
    cloud = await open();
  });
  afterEach(() => cloud.close());

  describe.each(["before", "after"] as const)("killed %s a step", (when) => {
    test.each(PAIRS)(
      "of %s, and then of %s: no leak, no double, no bill",
      async (rent, release) => {
        const points = [
          { call: rent, when },
          { call: release, when },
        ] as const;
        const findings = await crashAt(`${rent} ${when}`, points);
        expect(problemsOf(findings)).toEqual([]);
        expect(findings.deaths).toEqual([`${when} ${rent}`, `${when} ${release}`]);
      },
    );
  });

  test.each(RANDOM_SEEDS)(
    "killed anywhere: no leak, no double, no bill (seed %i)",
    async (seed) => {
      expect(problemsOf(await crashAt(String(seed)))).toEqual([]);
    },
  );

  test("an hour of shortages, failing calls, reclaims and deaths ends as planned", async () => {
    const world = cloud.openWorld({ seed: "hour", tickMs: 30_000 });
    const { offers, knobs } = cloud;
    const rng = createRng("wire chaos");
    const lengths = { machineCountMax: 16, hourTicks: 120, calmTicks: 100 };
    const findings = await chaosIn(world, { rng, offers, knobs, ...lengths });
    expect(problemsOf(findings)).toEqual([]);
    expect(findings.deaths.length).toBeGreaterThan(3);
    expect(world.ledger.all().length).toBeGreaterThan(16);
  }, 300_000);
});
