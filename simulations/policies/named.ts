/** The policies that a run may name. Each run needs one of its own: they remember. */
import { nearestWord } from "../../documents/index.ts";
import { BASELINE_NAMES, createBaseline, type BaselineName } from "../baselines/index.ts";
import { reactive, REACTIVE_TUNED, type ReactiveParameters } from "../baselines/reactive.ts";
import type { CapacityPolicy } from "../capacity-policy.ts";
import { refusal } from "../runs/run-spec.ts";
import type { World } from "../world.ts";
import { OurPolicy, type OurPolicyOptions } from "./ours.ts";

/** `flotilla` is what production does; `tuned-reactive` the best reactive setting for the world. */
export const POLICY_NAMES = ["flotilla", ...BASELINE_NAMES, "tuned-reactive"] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/** The policy of a name. @throws PlatformError `invalid_request` that lists those there are. */
export function policyNamed(name: string): PolicyName {
  const found = POLICY_NAMES.find((one) => one === name);
  if (found !== undefined) return found;
  const near = nearestWord(name, POLICY_NAMES);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  throw refusal(`there is no policy ${name}${hint}: take one of ${POLICY_NAMES.join(", ")}`);
}

export interface PolicyParts {
  readonly solvers: OurPolicyOptions["solvers"];
  /** Of `tuned-reactive`. */
  readonly reactive?: ReactiveParameters | undefined;
}

/** A fresh policy for one run of a world. */
export function createPolicy(name: PolicyName, world: World, parts: PolicyParts): CapacityPolicy {
  const { optimizer, pool } = world.policy;
  switch (name) {
    case "flotilla":
      return new OurPolicy({ optimizer, pool, solvers: parts.solvers });
    case "tuned-reactive":
      return reactive(name, parts.reactive ?? REACTIVE_TUNED, optimizer);
    default:
      return createBaseline(name satisfies BaselineName, world);
  }
}
