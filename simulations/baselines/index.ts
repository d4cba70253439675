/** The baselines by name. Each run of a world needs one of its own: they remember. */
import type { CapacityPolicy } from "../capacity-policy.ts";
import type { World } from "../world.ts";
import { KARPENTER_DEFAULT, karpenterLike } from "./karpenter-like.ts";
import { knapsack } from "./knapsack.ts";
import { REACTIVE_70_10, REACTIVE_TUNED, reactive } from "./reactive.ts";
import { staticPeak } from "./static-peak.ts";

/**
 * - `static`: the peak of the trace; `static-110`: 1.1 times it;
 * - `reactive`: utilization 0.7, kept for 10 minutes; `reactive-90`: 0.9 and 150 s;
 * - `karpenter-like`: cheapest that fits, consolidation by its published rule;
 * - `knapsack`: sized like `reactive`, the cheapest combination of machines for each kind.
 */
export const BASELINE_NAMES = [
  "static",
  "static-110",
  "reactive",
  "reactive-90",
  "karpenter-like",
  "knapsack",
] as const;
export type BaselineName = (typeof BASELINE_NAMES)[number];

/** A fresh baseline for one run of a world; it keeps to the hard rules of the world's policy. */
export function createBaseline(
  name: BaselineName,
  { trace, functions, policy: { optimizer } }: Pick<World, "trace" | "functions" | "policy">,
): CapacityPolicy {
  switch (name) {
    case "static":
      return staticPeak(name, { trace, functions, factor: 1, policy: optimizer });
    case "static-110":
      return staticPeak(name, { trace, functions, factor: 1.1, policy: optimizer });
    case "reactive":
      return reactive(name, REACTIVE_70_10, optimizer);
    case "reactive-90":
      return reactive(name, REACTIVE_TUNED, optimizer);
    case "karpenter-like":
      return karpenterLike(name, KARPENTER_DEFAULT, optimizer);
    case "knapsack":
      return knapsack(name, REACTIVE_70_10, optimizer);
  }
}
