/**
 * The control endpoint: everything that can be set in the process, over HTTP.
 *
 * Bodies are JSON with `content-type: application/json`, which a foreign page in a browser
 * cannot send here without a preflight that is never answered.
 */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import type { Ec2EmulatorControls } from "./controls.ts";
import type { Answer } from "./http.ts";

/** Where the control endpoint begins. */
export const CONTROL_PREFIX = "/_emulator/";

/** A request of the control endpoint. */
export interface ControlRequest {
  readonly method: string;
  /** What follows the prefix, without a query. */
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}

type Route = (controls: Ec2EmulatorControls, body: unknown) => unknown;

const JSON_TYPE = "application/json";
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
  terminatedListedMs: count.exactOptional(),
});

const selector = {
  instanceType: text.exactOptional(),
  region: text.exactOptional(),
  zone: text.exactOptional(),
  market: z.enum(["on-demand", "spot"]).exactOptional(),
};

const capacityRule = z.strictObject({ ...selector, instanceCountMax: count.exactOptional() });

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
  region: text.exactOptional(),
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

const priceWalk = z.strictObject({ everyMs: count.min(1), spreadFraction: fraction });

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

const ROUTES: Readonly<Record<string, Route>> = {
  "GET instances": (controls) => ({ instances: controls.instances() }),
  "GET journal": (controls) => ({ entries: controls.journal() }),
  "GET settings": (controls) => controls.settings(),
  "POST settings": (controls, body) => controls.configure(settings.parse(body)),
  "POST capacity": (controls, body) => controls.setCapacity(capacityRule.parse(body)),
  "POST quota": (controls, body) => controls.setQuota(quotaRule.parse(body)),
  "POST faults": (controls, body) => controls.injectFault(fault.parse(body)),
  "DELETE faults": (controls) => controls.clearFaults(),
  "POST rate-limits": (controls, body) => controls.setRateLimit(rateLimitRule.parse(body)),
  "POST spot-prices": (controls, body) => controls.setSpotPrice(spotPriceRule.parse(body)),
  "POST price-walk": (controls, body) => controls.setPriceWalk(priceWalk.parse(body)),
  "DELETE price-walk": (controls) => controls.setPriceWalk(undefined),
  "POST fates": (controls, body) => controls.setFate(fateRule.parse(body)),
  "POST preempt": (controls, body) => ({
    instanceIds: controls.preempt(preemption.parse(body)),
  }),
  "POST rebalance": (controls, body) =>
    controls.recommendRebalance(instanceRef.parse(body).instanceId),
  "POST schedule": (controls, body) => controls.schedule(scheduledChange.parse(body)),
  "POST reclaim": (controls, body) => controls.reclaim(instanceRef.parse(body).instanceId),
};

/** Does one control request: 200 with an object, or 400, 404, 415 with `{ "error" }`. */
export function answerControl(controls: Ec2EmulatorControls, request: ControlRequest): Answer {
  const { method, path, contentType, body } = request;
  const route = ROUTES[`${method} ${path}`];
  if (route === undefined) {
    const known = Object.keys(ROUTES).join(", ");
    return json(404, { error: `no route ${method} ${path}; there are: ${known}` });
  }
  if (method === "POST" && !contentType.startsWith(JSON_TYPE)) {
    return json(415, { error: `send a body with content-type: ${JSON_TYPE}` });
  }
  try {
    return json(200, route(controls, method === "POST" ? JSON.parse(body) : undefined) ?? {});
  } catch (error) {
    return json(400, { error: explain(error) });
  }
}

/** What is wrong with the input; anything that is not about the input is thrown on. */
function explain(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  if (error instanceof SyntaxError || error instanceof PlatformError) return error.message;
  throw error;
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: JSON_TYPE, body: `${JSON.stringify(value)}\n` };
}
