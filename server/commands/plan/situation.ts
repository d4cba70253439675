/** Everything that the files say, before it is put to the optimizer. */
import type { Offer, Policy } from "../../../core/index.ts";
import type { PlanInput } from "../../../optimizer/index.ts";
import type { Demand } from "./demand-file.ts";

/** What is to be planned; a what-if makes another one of it. */
export interface Situation {
  readonly offers: readonly Offer[];
  readonly demand: Demand;
  readonly fleet: PlanInput["fleet"];
  readonly quotaLimits: Readonly<Record<string, number>>;
  readonly policy: Policy;
  /** What the policy file said, defaults not filled in. */
  readonly policyRaw: unknown;
  /** Overrules the policy's limit of one solve. */
  readonly timeLimitMs?: number;
}

/** The optimizer's input: the demand's horizon and the command's time limit go first. */
export function planInputOf(situation: Situation): PlanInput {
  const { offers, demand, fleet, quotaLimits, policy, timeLimitMs } = situation;
  const { optimizer } = policy;
  const { unmetMicroUsdPerHour } = optimizer;
  return {
    offers,
    classes: demand.classes.map((one) => ({ unmetMicroUsdPerHour, ...one })),
    scenarios: demand.scenarios,
    fleet,
    quotaLimits,
    policy: {
      ...optimizer,
      horizonMs: demand.horizonMs ?? optimizer.horizonMs,
      solveTimeLimitMs: timeLimitMs ?? optimizer.solveTimeLimitMs,
    },
  };
}

/** Containers wanted in all classes and scenarios together; 0 means nothing is asked for. */
export function wantedCount({ demand }: Situation): number {
  return demand.scenarios.reduce(
    (sum, { quantity }) => sum + Object.values(quantity).reduce((part, one) => part + one, 0),
    0,
  );
}
