/** Quotas as EC2's refusals tell them: what is known of them bounds the offers. */
import { MS_PER_HOUR, type Offer } from "../../core/index.ts";
import { instanceShape } from "../catalog/index.ts";
import type { RentRefusal } from "../provider.ts";
import { vcpuLimitIn } from "./limits.ts";

/** How long a learnt limit is believed; it may have been raised since. */
const BELIEVED_MS = MS_PER_HOUR;

/** The limits learnt by one provider, in vCPUs. */
export class LearntQuotas {
  readonly #known = new Map<string, { readonly vcpuCountMax: number; readonly untilMs: number }>();

  /** Takes in the limits that refusals name. */
  learn(refusals: readonly RentRefusal[], nowMs: number): void {
    for (const { scope, reason } of refusals) {
      const vcpuCountMax = scope.kind === "quota" ? vcpuLimitIn(reason) : undefined;
      if (scope.kind !== "quota" || vcpuCountMax === undefined) continue;
      this.#known.set(scope.quotaGroup, { vcpuCountMax, untilMs: nowMs + BELIEVED_MS });
    }
  }

  /** The offer with no more nodes than its quota allows all of its kind together. */
  applied(offer: Offer, nowMs: number): Offer {
    const vcpuCount = instanceShape("aws", offer.instanceType)?.vcpuCount ?? 0;
    const limits = offer.quotaGroups
      .flatMap((group) => this.#known.get(group) ?? [])
      .filter(({ untilMs }) => nowMs < untilMs)
      .map(({ vcpuCountMax }) => vcpuCountMax);
    if (limits.length === 0 || vcpuCount === 0) return offer;
    const nodeCountMax = Math.floor(Math.min(...limits) / vcpuCount);
    return nodeCountMax < offer.nodeCountMax ? { ...offer, nodeCountMax } : offer;
  }
}
