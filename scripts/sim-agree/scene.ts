/** The scene that is played for real and simulated: demand, policy and times, stated once. */
import { parsePolicy } from "../../server/policy/parse-policy.ts";
import { exponentialDraws, lognormalDraws, normalDraws } from "../../simulations/chance.ts";
import { createRng, MS_PER_MINUTE, MS_PER_SECOND, type Policy } from "../../core/index.ts";

/** Inputs a second, minute by minute. */
export const RATES: readonly number[] = [1, 1, 3, 3, 1, 5, 5, 2, 1, 1];
export const SERVICE_MS = 2 * MS_PER_SECOND;
export const SERVICE_SIGMA = 0.5;
/** From an accepted rent to the agent of an emulated machine being started. */
export const BOOT_MS = 15 * MS_PER_SECOND;
export const SCALEDOWN_MS = 20 * MS_PER_SECOND;
export const MAX_CONTAINERS = 40;

/** The same policy for both, as an operator writes it. */
export const POLICY_TEXT = `
optimizer:
  spotAllowed: false
  buffers: { waitUsdPerGpuHour: 10, quantileMax: 0.9 }
pool:
  idleReleaseSeconds: 30
`;

export function policyOf(): Policy {
  return parsePolicy(POLICY_TEXT, "the policy of the scene").policy;
}

/** An input of the real run. */
export interface SceneInput {
  readonly atMs: number;
  readonly durationMs: number;
}

/** Arrivals at random by the rates of the scene. */
export function inputsOf(seed: number): readonly SceneInput[] {
  const rng = createRng(seed);
  const gap = exponentialDraws(rng.fork("gaps"));
  const durationMs = lognormalDraws(normalDraws(rng.fork("durations")), {
    mean: SERVICE_MS,
    sigma: SERVICE_SIGMA,
  });
  const inputs: SceneInput[] = [];
  for (const [minute, perSecond] of RATES.entries()) {
    let atMs = minute * MS_PER_MINUTE;
    for (;;) {
      atMs += (gap() / perSecond) * MS_PER_SECOND;
      if (atMs >= (minute + 1) * MS_PER_MINUTE) break;
      inputs.push({ atMs, durationMs: Math.round(durationMs()) });
    }
  }
  return inputs;
}
