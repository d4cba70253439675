/** What an account has besides resources: groups, usages, sizes and operations. */
import { z } from "zod";
import { AZURE_SPOT_QUOTA, AZURE_TOTAL_QUOTA, type InstanceShape } from "../../../catalog/index.ts";
import { ArmError } from "../arm-error.ts";
import { bodyOf, requireRegion, tagsSchema, type ActionHandler, type ArmCall } from "../call.ts";
import { vcpuCountOf } from "../capacity.ts";
import type { JsonObject } from "../machine.ts";
import { shapesSold } from "../market.ts";
import { operationDocument } from "../operations.ts";
import { pageAnswer } from "../paging.ts";
import { ZONES, type ResourceGroup, type World } from "../world.ts";

/** What an account may use of a counter that has no limit here. */
const UNLIMITED_VCPU_COUNT = 1_000_000;

export const putGroup: ActionHandler = (world, call) => {
  const { location, tags = {} } = bodyOf(
    z.looseObject({ location: z.string().min(1), tags: tagsSchema.optional() }),
    call,
  );
  const region = requireRegion(world, location, "Microsoft.Resources/resourceGroups");
  const key = groupKey(call);
  const isNew = !world.resourceGroups.has(key);
  const { subscriptionId, resourceGroup: name } = call;
  const group: ResourceGroup = { subscriptionId, name, location: region, tags };
  world.resourceGroups.set(key, group);
  return { status: isNew ? 201 : 200, body: groupDocument(group) };
};

export const getGroup: ActionHandler = (world, call) => {
  const group = world.resourceGroups.get(groupKey(call));
  if (group !== undefined) return { status: 200, body: groupDocument(group) };
  const message = `Resource group '${call.resourceGroup}' could not be found.`;
  throw new ArmError(404, "ResourceGroupNotFound", message);
};

/** Usage counters of a region: one for each family, one for all cores, one for spot. */
export const listUsages: ActionHandler = (world, call) => {
  const region = requireRegion(world, call.location, "Microsoft.Compute/locations/usages");
  const families = new Set(shapesSold(region).map(({ quotaFamily }) => quotaFamily));
  const usages = [AZURE_TOTAL_QUOTA, AZURE_SPOT_QUOTA, ...families];
  const counted = world.fleet.counted();
  const value = usages.map((usage) => ({
    limit: world.capacity.quotaOf(region, usage) ?? UNLIMITED_VCPU_COUNT,
    unit: "Count",
    currentValue: vcpuCountOf(region, usage, counted),
    name: { value: usage, localizedValue: usage },
  }));
  return { status: 200, body: { value } };
};

/**
 * Sizes by region, of one region with `$filter=location eq '...'`. A `SkuNotAvailable` rule of
 * no machines at all, for a size in a region or one of its zones, shows as a restriction.
 */
export const listSkus: ActionHandler = (world, call) => {
  const wanted = /^location eq '([^']+)'$/i.exec(call.query.get("$filter") ?? "")?.[1];
  const regions = wanted === undefined ? world.regions : [wanted.toLowerCase()];
  const rows = regions.flatMap((region) => shapesSold(region).map((shape) => ({ region, shape })));
  const skus = rows.map((row, sequence) => ({ ...row, sequence }));
  return pageAnswer(skus, call, {
    size: world.settings().pageSize,
    show: ({ region, shape }): JsonObject => ({
      resourceType: "virtualMachines",
      name: shape.instanceType,
      tier: "Standard",
      size: shape.instanceType.replace(/^Standard_/, ""),
      family: shape.quotaFamily,
      locations: [region],
      locationInfo: [{ location: region, zones: ZONES, zoneDetails: [] }],
      capabilities: [
        { name: "vCPUs", value: String(shape.vcpuCount) },
        { name: "MemoryGB", value: String(shape.resources.memoryMiB / 1024) },
        { name: "GPUs", value: String(shape.resources.gpuCount) },
        { name: "LowPriorityCapable", value: "True" },
      ],
      restrictions: restrictionsOf(world, region, shape),
    }),
  });
};

export const getOperation: ActionHandler = (world, call) => {
  const operation = requireOperation(world, call);
  const isRunning = operation.status === "InProgress";
  return {
    status: 200,
    body: operationDocument(operation),
    ...(isRunning ? { headers: retryAfter(world) } : {}),
  };
};

/** The `Location` address: 202 while it runs, and then the end as a status. */
export const getOperationResult: ActionHandler = (world, call) => {
  const { status, failure } = requireOperation(world, call);
  if (status === "InProgress") return { status: 202, headers: retryAfter(world) };
  if (failure !== undefined) throw new ArmError(409, failure.code, failure.message);
  return { status: 204 };
};

function restrictionsOf(world: World, region: string, shape: InstanceShape): readonly JsonObject[] {
  const nowMs = world.clock.nowMs();
  const reasonCode = "NotAvailableForSubscription";
  const isShut = (zone?: string) =>
    world.capacity.isRestricted({ region, shape, ...(zone === undefined ? {} : { zone }) }, nowMs);
  const located = { values: [region], reasonCode };
  if (isShut()) return [{ type: "Location", ...located, restrictionInfo: { locations: [region] } }];
  const zones = ZONES.filter(isShut);
  if (zones.length === 0) return [];
  return [{ type: "Zone", ...located, restrictionInfo: { locations: [region], zones } }];
}

function requireOperation(world: World, { name }: ArmCall) {
  const operation = world.operations.find(name);
  if (operation !== undefined) return operation;
  throw new ArmError(404, "NotFound", `The operation '${name}' was not found.`);
}

function retryAfter(world: World): Readonly<Record<string, string>> {
  return { "retry-after": String(world.settings().retryAfterS) };
}

function groupKey({ subscriptionId, resourceGroup }: ArmCall): string {
  return `${subscriptionId}/${resourceGroup}`.toLowerCase();
}

function groupDocument({ subscriptionId, name, location, tags }: ResourceGroup): JsonObject {
  return {
    id: `/subscriptions/${subscriptionId}/resourceGroups/${name}`,
    name,
    type: "Microsoft.Resources/resourceGroups",
    location,
    tags,
    properties: { provisioningState: "Succeeded" },
  };
}
