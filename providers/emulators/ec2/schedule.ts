/** Changes of the emulated cloud that are planned ahead: shortages, prices, reclaims, faults. */
import type { CapacityRule } from "../shared/capacity-schedule.ts";
import type { QuotaRule } from "./capacity.ts";
import type { Fault } from "./faults.ts";
import type { FateRule } from "./fates.ts";
import type { RateLimitRule } from "./rate-limits.ts";
import type { SpotPriceRule } from "../shared/spot-market.ts";
import type { Preemption } from "./preempt.ts";

/** One change of the cloud. */
export type CloudChange =
  | { readonly kind: "capacity"; readonly rule: CapacityRule }
  | { readonly kind: "quota"; readonly rule: QuotaRule }
  | { readonly kind: "spot-price"; readonly rule: SpotPriceRule }
  | { readonly kind: "rate-limit"; readonly rule: RateLimitRule }
  | { readonly kind: "fate"; readonly rule: FateRule }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "clear-faults" }
  | { readonly kind: "preempt"; readonly preemption: Preemption };

/** A change and when it happens. */
export interface ScheduledChange {
  /** From the moment it is scheduled. */
  readonly afterMs: number;
  readonly change: CloudChange;
}
