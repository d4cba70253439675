/** A call's names and figures as flat texts, for faults to match and journals to keep. */
import { z } from "zod";
import { redacted } from "../shared/call-journal.ts";
import type { ArmCall } from "./call.ts";
import type { World } from "./world.ts";

/** The parts of a body that are kept; everything else may hold secrets. */
const keptSchema = z.looseObject({
  location: z.string().optional(),
  zones: z.array(z.string()).optional(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z
    .looseObject({
      priority: z.string().optional(),
      evictionPolicy: z.string().optional(),
      hardwareProfile: z.looseObject({ vmSize: z.string() }).optional(),
      userData: z.string().optional(),
      osProfile: z.looseObject({ customData: z.string().optional() }).optional(),
    })
    .optional(),
});

/**
 * Path, query and the known parts of the body: `name`, `resourceGroup`, `zone`, `vmSize`,
 * `priority`, `evictionPolicy`, `tags.KEY`, and of boot data the length alone.
 */
export function paramsOf(call: ArmCall): ReadonlyMap<string, string> {
  const body = keptOf(call);
  const { osProfile, hardwareProfile, priority, evictionPolicy, userData } = body.properties ?? {};
  const customData = osProfile?.customData;
  const texts: Readonly<Record<string, string | undefined>> = {
    subscriptionId: call.subscriptionId,
    resourceGroup: call.resourceGroup,
    name: call.name,
    location: body.location,
    zone: body.zones?.[0],
    vmSize: hardwareProfile?.vmSize,
    priority,
    evictionPolicy,
    userData: userData === undefined ? undefined : redacted(userData),
    customData: customData === undefined ? undefined : redacted(customData),
  };
  const given = Object.entries(texts).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, value] as const],
  );
  const tags = Object.entries(body.tags ?? {}).map(
    ([key, value]) => [`tags.${key}`, value] as const,
  );
  return new Map([...call.query, ...given, ...tags]);
}

/** The region that a call speaks of; empty when it speaks of none or of several. */
export function placeOf(world: World, call: ArmCall): string {
  const location = call.location === "" ? keptOf(call).location : call.location;
  if (location !== undefined) return location.toLowerCase();
  const id = `/subscriptions/${call.subscriptionId}/resourceGroups/${call.resourceGroup}`;
  const machine = world.fleet.find(
    `${id}/providers/Microsoft.Compute/virtualMachines/${call.name}`,
  );
  return machine?.spec.region ?? "";
}

function keptOf({ body }: ArmCall): z.infer<typeof keptSchema> {
  return keptSchema.safeParse(body).data ?? {};
}
