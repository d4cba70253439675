/** Small worlds for tests of the engine. */
import { DEFAULT_POLICY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";
import type { CapacityPolicy } from "../capacity-policy.ts";
import { testNeeds, testOffer } from "../test-market.ts";
import type { SimulatedFunction, World } from "../world.ts";

/** A function whose inputs run for a second. */
export function testFunction(over: Partial<SimulatedFunction> = {}): SimulatedFunction {
  return {
    functionId: "chat",
    needs: testNeeds({ preemptible: true }),
    service: { meanMs: MS_PER_SECOND, sigma: 1 },
    start: { coldMs: 5 * MS_PER_SECOND },
    minContainers: 0,
    maxContainers: 10_000,
    bufferContainers: 0,
    scaledownWindowMs: MS_PER_MINUTE,
    concurrency: 1,
    ...over,
  };
}

export interface TestWorld extends Partial<Omit<World, "trace">> {
  /** Inputs a second of each function, constant. */
  readonly perSecond?: number;
  readonly hours?: number;
}

/** An hour of one function on H100s. */
export function testWorld(over: TestWorld = {}): World {
  const { perSecond = 1, hours = 1, functions = [testFunction()], ...rest } = over;
  const stepMs = 10 * MS_PER_SECOND;
  const length = Math.round((hours * MS_PER_HOUR) / stepMs);
  return {
    name: "test",
    description: "a constant rate",
    trace: {
      name: "constant",
      source: "made up",
      stepMs,
      windowMs: 10 * MS_PER_MINUTE,
      series: functions.map(({ functionId }) => ({
        functionId,
        perSecond: new Float64Array(length).fill(perSecond),
      })),
      imputed: new Uint8Array(Math.ceil(length / 60)),
    },
    functions,
    market: {
      offers: [testOffer()],
      bootSpreadFraction: 0.2,
      launchFailureFraction: 0,
      reclaimNoticeMs: 0,
      availability: [],
      events: [],
    },
    policy: DEFAULT_POLICY,
    controlMs: 10 * MS_PER_SECOND,
    evictsIdle: true,
    arrivalCv: 1,
    ...rest,
  };
}

/** Always the same number of nodes of the first offer. */
export function fixedFleet(count: number): CapacityPolicy {
  return {
    name: `fixed ${count}`,
    pool: { ...DEFAULT_POLICY.pool, launchBurstMax: 1_000, launchesPerSecondMax: 100 },
    decide: ({ offers }) => ({
      lines: offers.slice(0, 1).map(({ offerId }) => ({ offerId, count, reason: "fixed" })),
      bufferGpuCount: 0,
    }),
  };
}
