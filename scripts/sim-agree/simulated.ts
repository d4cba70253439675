/** The same scene in the simulator. */
import { MS_PER_MINUTE, MS_PER_SECOND, type Offer } from "../../core/index.ts";
import { createSolvers } from "../../optimizer/index.ts";
import { Flight } from "../../simulations/engine/flight.ts";
import { OurPolicy } from "../../simulations/policies/ours.ts";
import type { SimulationResult } from "../../simulations/result.ts";
import type { World } from "../../simulations/world.ts";
import type { RealRun } from "./real.ts";
import {
  MAX_CONTAINERS,
  policyOf,
  RATES,
  SCALEDOWN_MS,
  SERVICE_MS,
  SERVICE_SIGMA,
} from "./scene.ts";

/** A container of the scene's function under gVisor, as `bench -- calls` measures it. */
const COLD_MS = 400;
const STEP_MS = 10 * MS_PER_SECOND;

/** One run; the seed draws arrivals, durations and boots. */
export function simulate(
  real: Pick<RealRun, "offerId" | "usdPerHour" | "bootMs">,
  seed: number,
): Promise<SimulationResult> {
  const world = worldOf(real);
  const { optimizer, pool } = world.policy;
  const policy = new OurPolicy({ optimizer, pool, solvers: createSolvers() });
  return new Flight(world, policy, { seed }).run();
}

function worldOf({ offerId, usdPerHour, bootMs }: Parameters<typeof simulate>[0]): World {
  const offer: Offer = {
    offerId,
    cloud: "aws",
    region: offerId.split("/")[1] ?? "",
    instanceType: offerId.split("/")[3] ?? "",
    purchase: "on-demand",
    gpuType: "T4",
    resources: { gpuCount: 1, cpuMilli: 4_000, memoryMiB: 16_384 },
    priceMicroUsdPerHour: Math.round(usdPerHour * 1e6),
    reclaimFractionPerHour: 0,
    bootMs,
    nodeCountMax: 1_000,
    quotaGroups: [],
    emulated: true,
  };
  const steps = MS_PER_MINUTE / STEP_MS;
  const perSecond = RATES.flatMap((rate) => Array.from({ length: steps }, () => rate));
  return {
    name: "agreement",
    description: "ten minutes of one function",
    trace: {
      name: "ten minutes",
      source: "scripts/sim-agree/scene.ts",
      stepMs: STEP_MS,
      windowMs: MS_PER_MINUTE,
      series: [{ functionId: "work", perSecond: Float64Array.from(perSecond) }],
      imputed: new Uint8Array(RATES.length),
    },
    functions: [
      {
        functionId: "work",
        needs: {
          gpu: { types: ["T4"], count: 1 },
          cpuMilli: 100,
          memoryMiB: 128,
          clouds: ["aws"],
          preemptible: false,
        },
        service: { meanMs: SERVICE_MS, sigma: SERVICE_SIGMA },
        start: { coldMs: COLD_MS },
        minContainers: 0,
        maxContainers: MAX_CONTAINERS,
        bufferContainers: 0,
        scaledownWindowMs: SCALEDOWN_MS,
        concurrency: 1,
      },
    ],
    market: {
      offers: [offer],
      bootSpreadFraction: 0,
      launchFailureFraction: 0,
      reclaimNoticeMs: 0,
      availability: [],
      events: [],
    },
    policy: policyOf(),
    controlMs: MS_PER_SECOND,
    evictsIdle: true,
    arrivalCv: 1,
  };
}
