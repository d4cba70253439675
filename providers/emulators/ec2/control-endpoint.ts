/** The control endpoint: what is accepted, and what each route does. */
import { z } from "zod";
import type { ControlRoutes } from "../shared/control-routes.ts";
import { priceWalkSchema } from "../shared/spot-market.ts";
import type { Ec2EmulatorControls } from "./controls.ts";

const count = z.number().int().nonnegative();
const text = z.string().min(1);
const fraction = z.number().min(0).max(1);
const positive = z.number().positive();

const settings = z.strictObject({
  flickerMs: count.exactOptional(),
  flickerFraction: fraction.exactOptional(),
  bootMs: count.exactOptional(),
  shutdownMs: count.exactOptional(),
  visibilityMs: count.exactOptional(),
  tagVisibilityMs: count.exactOptional(),
  terminatedListedMs: count.exactOptional(),
});

const selector = {
  instanceType: text.exactOptional(),
  region: text.exactOptional(),
  zone: text.exactOptional(),
  market: z.enum(["on-demand", "spot"]).exactOptional(),
};

const capacityRule = z.strictObject({
  ...selector,
  instanceCountMax: count.exactOptional(),
  steps: z
    .array(z.strictObject({ afterMs: count, instanceCountMax: count.exactOptional() }))
    .exactOptional(),
});

const quotaRule = z.strictObject({ quotaGroup: text, vcpuCountMax: count.exactOptional() });

const status = z.number().int().min(200).max(599);
const effect = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("error"),
    code: text,
    status,
    message: z.string().exactOptional(),
  }),
  z.strictObject({ kind: z.literal("reset") }),
  z.strictObject({ kind: z.literal("hang") }),
  z.strictObject({ kind: z.literal("body"), status, contentType: text, body: z.string() }),
]);

const fault = z.strictObject({
  effect,
  when: z.enum(["before", "after"]),
  action: text.exactOptional(),
  place: text.exactOptional(),
  params: z.record(z.string(), z.string()).exactOptional(),
  skipCount: count.exactOptional(),
  times: count.min(1).exactOptional(),
  fraction: fraction.exactOptional(),
});

const rateLimitRule = z.strictObject({
  action: text.exactOptional(),
  perSecond: positive.exactOptional(),
  burst: count.min(1).exactOptional(),
});

const spotPriceRule = z.strictObject({
  region: text,
  instanceType: text,
  zone: text.exactOptional(),
  usdPerHour: positive,
});

const fateRule = z.strictObject({
  ...selector,
  fate: z.enum(["dies-at-boot", "never-starts"]),
  reasonCode: text.exactOptional(),
  times: count.min(1).exactOptional(),
});

const preemption = z.strictObject({
  ...selector,
  instanceId: text.exactOptional(),
  fraction: fraction.exactOptional(),
  noticeMs: count.exactOptional(),
  withNotice: z.boolean().exactOptional(),
});

const change = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("capacity"), rule: capacityRule }),
  z.strictObject({ kind: z.literal("quota"), rule: quotaRule }),
  z.strictObject({ kind: z.literal("spot-price"), rule: spotPriceRule }),
  z.strictObject({ kind: z.literal("rate-limit"), rule: rateLimitRule }),
  z.strictObject({ kind: z.literal("fate"), rule: fateRule }),
  z.strictObject({ kind: z.literal("fault"), fault }),
  z.strictObject({ kind: z.literal("clear-faults") }),
  z.strictObject({ kind: z.literal("preempt"), preemption }),
]);

const scheduledChange = z.strictObject({ afterMs: count, change });

const instanceRef = z.strictObject({ instanceId: text });

/** What each route does. */
export function controlRoutes(controls: Ec2EmulatorControls): ControlRoutes {
  return {
    "GET instances": () => ({ instances: controls.instances() }),
    "GET journal": () => ({ entries: controls.journal() }),
    "GET settings": () => controls.settings(),
    "POST settings": (body) => controls.configure(settings.parse(body)),
    "POST capacity": (body) => controls.setCapacity(capacityRule.parse(body)),
    "POST quota": (body) => controls.setQuota(quotaRule.parse(body)),
    "POST faults": (body) => controls.injectFault(fault.parse(body)),
    "DELETE faults": () => controls.clearFaults(),
    "POST rate-limits": (body) => controls.setRateLimit(rateLimitRule.parse(body)),
    "POST spot-prices": (body) => controls.setSpotPrice(spotPriceRule.parse(body)),
    "POST price-walk": (body) => controls.setPriceWalk(priceWalkSchema.parse(body)),
    "DELETE price-walk": () => controls.setPriceWalk(undefined),
    "POST fates": (body) => controls.setFate(fateRule.parse(body)),
    "POST preempt": (body) => ({ instanceIds: controls.preempt(preemption.parse(body)) }),
    "POST rebalance": (body) => controls.recommendRebalance(instanceRef.parse(body).instanceId),
    "POST schedule": (body) => controls.schedule(scheduledChange.parse(body)),
    "POST reclaim": (body) => controls.reclaim(instanceRef.parse(body).instanceId),
  };
}
