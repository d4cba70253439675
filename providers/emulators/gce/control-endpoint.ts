/** The routes of the control endpoint: the controls of the emulator with checked bodies. */
import { z } from "zod";
import type { ControlRoutes } from "../shared/control-routes.ts";
import { priceWalkSchema, regionalPriceSchema } from "../shared/spot-market.ts";
import type { GceEmulatorControls } from "./controls.ts";

const count = z.number().int().nonnegative();
const fraction = z.number().min(0).max(1);
const text = z.string().min(1);

const settings = z.strictObject({
  bootMs: count.exactOptional(),
  shutdownMs: count.exactOptional(),
  operationMs: count.exactOptional(),
  visibilityMs: count.exactOptional(),
  flickerMs: count.exactOptional(),
  flickerFraction: fraction.exactOptional(),
  noticeMs: count.exactOptional(),
  requestMemoryMs: count.exactOptional(),
  latencyMs: count.exactOptional(),
  unreachableZones: z.array(text).exactOptional(),
  deniedPermissions: z.array(text).exactOptional(),
  stockoutCode: z
    .enum(["ZONE_RESOURCE_POOL_EXHAUSTED", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"])
    .exactOptional(),
});

const capacityRule = z.strictObject({
  instanceType: text.exactOptional(),
  region: text.exactOptional(),
  zone: text.exactOptional(),
  market: z.enum(["on-demand", "spot"]).exactOptional(),
  instanceCountMax: count.exactOptional(),
  steps: z
    .array(z.strictObject({ afterMs: count, instanceCountMax: count.exactOptional() }))
    .exactOptional(),
});

const quotaRule = z.strictObject({
  metric: text,
  region: text.exactOptional(),
  limit: z.number().nonnegative().exactOptional(),
});

const rateRule = z.strictObject({
  kind: z.enum(["read", "change"]),
  rate: z
    .strictObject({ burst: z.number().min(1), perSecond: z.number().positive() })
    .exactOptional(),
});

const bootRule = z.strictObject({
  outcome: z.enum(["runs", "dies", "silent"]),
  instanceType: text.exactOptional(),
  zone: text.exactOptional(),
  fraction: fraction.exactOptional(),
});

const status = z.number().int().min(200).max(599);
const message = z.string().exactOptional();

const fault = z.strictObject({
  effect: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("error"), reason: text, status, message }),
    z.strictObject({
      kind: z.literal("operation"),
      code: text,
      status: status.exactOptional(),
      message,
    }),
    z.strictObject({ kind: z.literal("reset") }),
    z.strictObject({ kind: z.literal("hang") }),
    z.strictObject({ kind: z.literal("body"), status, contentType: text, body: z.string() }),
  ]),
  when: z.enum(["before", "after"]),
  action: text.exactOptional(),
  place: text.exactOptional(),
  params: z.record(z.string(), z.string()).exactOptional(),
  fraction: fraction.exactOptional(),
  skipCount: count.exactOptional(),
  times: count.min(1).exactOptional(),
});

const machine = z.strictObject({ instanceId: text, withoutNotice: z.boolean().exactOptional() });

/** The routes by method and name. */
export function controlRoutes(controls: GceEmulatorControls): ControlRoutes {
  return {
    "GET settings": () => controls.settings(),
    "GET instances": () => ({ instances: controls.instances() }),
    "GET journal": () => ({ entries: controls.journal() }),
    "POST settings": (body) => controls.configure(settings.parse(body)),
    "POST capacity": (body) => controls.setCapacity(capacityRule.parse(body)),
    "POST quota": (body) => controls.setQuota(quotaRule.parse(body)),
    "POST rate": (body) => controls.setRate(rateRule.parse(body)),
    "POST boot": (body) => controls.setBoot(bootRule.parse(body)),
    "POST spot-prices": (body) => controls.setSpotPrice(regionalPriceSchema.parse(body)),
    "POST price-walk": (body) => controls.setPriceWalk(priceWalkSchema.parse(body)),
    "DELETE price-walk": () => controls.setPriceWalk(undefined),
    "POST faults": (body) => controls.injectFault(fault.parse(body)),
    "DELETE faults": () => controls.clearFaults(),
    "POST preempt": (body) => controls.preempt(machine.parse(body)),
  };
}
