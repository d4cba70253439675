/** The controls over HTTP: routes and the schemas of their bodies. */
import { z } from "zod";
import type { ControlRoutes } from "../shared/control-routes.ts";
import { SHORTAGE_CODES } from "./capacity.ts";
import { priceWalkSchema, regionalPriceSchema } from "../shared/spot-market.ts";
import type { ArmEmulatorControls } from "./controls.ts";

const count = z.number().int().nonnegative();
const text = z.string().min(1);
const status = z.number().int().min(200).max(599);
const tags = z.record(z.string(), z.string());
const market = z.enum(["on-demand", "spot"]);

const settings = z.strictObject({
  createMs: count.exactOptional(),
  bootMs: count.exactOptional(),
  deleteMs: count.exactOptional(),
  networkMs: count.exactOptional(),
  listLagMs: count.exactOptional(),
  flickerMs: count.exactOptional(),
  flickerFraction: z.number().min(0).max(1).exactOptional(),
  deletedListedMs: count.exactOptional(),
  nicReservedMs: count.exactOptional(),
  evictionNoticeMs: count.exactOptional(),
  latencyMs: count.exactOptional(),
  pageSize: count.min(1).exactOptional(),
  downRegions: z.array(text).exactOptional(),
  retryAfterS: count.exactOptional(),
  throttleRetryAfterS: count.exactOptional(),
});

const capacityRule = z.strictObject({
  instanceType: text.exactOptional(),
  region: text.exactOptional(),
  zone: text.exactOptional(),
  market: market.exactOptional(),
  instanceCountMax: count.exactOptional(),
  steps: z
    .array(z.strictObject({ afterMs: count, instanceCountMax: count.exactOptional() }))
    .exactOptional(),
  code: z.enum(SHORTAGE_CODES).exactOptional(),
});

const quotaRule = z.strictObject({
  region: text,
  usage: text,
  vcpuCountMax: count.exactOptional(),
});

const rateRule = z.strictObject({
  kind: z.enum(["read", "write", "delete"]),
  rate: z.strictObject({ burst: count, perSecond: z.number().positive() }).exactOptional(),
});

const coded = { code: text, message: z.string() };
const failure = z.strictObject({ ...coded, inner: z.strictObject(coded).exactOptional() });
const effect = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("error"),
    code: text,
    status,
    message: z.string().exactOptional(),
    retryAfterS: count.exactOptional(),
  }),
  z.strictObject({ kind: z.literal("reset") }),
  z.strictObject({ kind: z.literal("hang") }),
  z.strictObject({ kind: z.literal("body"), status, contentType: text, body: z.string() }),
  z.strictObject({ kind: z.literal("fail-create"), failure }),
  z.strictObject({ kind: z.literal("die-at-boot") }),
  z.strictObject({ kind: z.literal("never-register") }),
]);

const fault = z.strictObject({
  effect,
  when: z.enum(["before", "after"]),
  action: text.exactOptional(),
  place: text.exactOptional(),
  params: tags.exactOptional(),
  fraction: z.number().min(0).max(1).exactOptional(),
  skipCount: count.exactOptional(),
  times: count.min(1).exactOptional(),
});

const eviction = z.strictObject({ name: text, noticeMs: count.exactOptional() });
const evictionWave = z.strictObject({
  fraction: z.number().min(0).max(1),
  noticeMs: count.exactOptional(),
  region: text.exactOptional(),
  zone: text.exactOptional(),
  instanceType: text.exactOptional(),
});
const phantoms = z.strictObject({
  count,
  subscriptionId: text,
  resourceGroup: text,
  region: text,
  instanceType: text,
  market,
  name: text,
  tags,
});

/** What each route of the control endpoint does. */
export function routesOf(controls: ArmEmulatorControls): ControlRoutes {
  return {
    "GET machines": () => ({ machines: controls.machines() }),
    "GET resources": () => ({ resources: controls.resources() }),
    "GET journal": () => ({ entries: controls.journal() }),
    "GET settings": () => controls.settings(),
    "POST settings": (body) => controls.configure(settings.parse(body)),
    "POST capacity": (body) => controls.setCapacity(capacityRule.parse(body)),
    "POST quota": (body) => controls.setQuota(quotaRule.parse(body)),
    "POST rate": (body) => controls.setRate(rateRule.parse(body)),
    "POST spot-prices": (body) => controls.setSpotPrice(regionalPriceSchema.parse(body)),
    "POST price-walk": (body) => controls.setPriceWalk(priceWalkSchema.parse(body)),
    "DELETE price-walk": () => controls.setPriceWalk(undefined),
    "POST faults": (body) => controls.injectFault(fault.parse(body)),
    "DELETE faults": () => controls.clearFaults(),
    "POST phantoms": (body) => controls.addPhantoms(phantoms.parse(body)),
    "POST evict-some": (body) => controls.evictSome(evictionWave.parse(body)),
    "POST evict": (body) => {
      const { name, ...options } = eviction.parse(body);
      controls.evict(name, options);
    },
  };
}
