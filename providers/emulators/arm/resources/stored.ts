/** Interfaces, public addresses and disks: create, read, tag, list and delete. */
import { z } from "zod";
import { ArmError } from "../arm-error.ts";
import {
  bodyOf,
  operationHeaders,
  requireGroup,
  requireRegion,
  resourceId,
  resourceNotFound,
  tagsSchema,
  type ActionHandler,
  type ArmCall,
} from "../call.ts";
import type { JsonObject } from "../machine.ts";
import { pageAnswer } from "../paging.ts";
import { forgetTheGone, isListed, type World } from "../world.ts";
import type { StoredResource, StoredType } from "./store.ts";

const NAMESPACES: Readonly<Record<StoredType, string>> = {
  networkInterfaces: "Microsoft.Network",
  publicIPAddresses: "Microsoft.Network",
  disks: "Microsoft.Compute",
};

/** The actions of one type of stored resource, by what follows its name in the action. */
export function storedActions(type: StoredType): Readonly<Record<string, ActionHandler>> {
  return {
    CreateOrUpdate: (world, call) => put(world, call, type),
    Get: (world, call) => ({ status: 200, body: show(world, required(world, call, type)) }),
    Update: (world, call) => patch(world, call, type),
    Delete: (world, call) => remove(world, call, type),
    List: (world, call) => {
      requireGroup(world, call);
      const group = call.resourceGroup.toLowerCase();
      return list(world, call, type, (one) => one.resourceGroup.toLowerCase() === group);
    },
    ListAll: (world, call) => list(world, call, type, () => true),
  };
}

const bodySchema = z.looseObject({
  location: z.string().min(1),
  tags: tagsSchema.optional(),
  zones: z.array(z.string()).optional(),
  properties: z.looseObject({}).optional(),
});
const interfaceSchema = z.looseObject({
  ipConfigurations: z
    .array(
      z.looseObject({
        name: z.string().min(1),
        properties: z.looseObject({
          subnet: z.looseObject({ id: z.string().min(1) }),
          publicIPAddress: z.looseObject({ id: z.string().min(1) }).optional(),
        }),
      }),
    )
    .min(1),
});

function put(world: World, call: ArmCall, type: StoredType) {
  requireGroup(world, call);
  const { location, tags = {}, zones, properties = {} } = bodyOf(bodySchema, call);
  const region = requireRegion(world, location, `${NAMESPACES[type]}/${type}`);
  const id = resourceId(call, NAMESPACES[type], type);
  const present = presentAt(world, id, region);
  if (type === "networkInterfaces") holdAddresses(world, id, call, properties);
  const resource: StoredResource = {
    sequence: world.nextSequence(),
    createdAtMs: world.clock.nowMs(),
    ...present,
    id,
    type,
    subscriptionId: call.subscriptionId,
    resourceGroup: call.resourceGroup,
    name: call.name,
    location: region,
    ...(zones === undefined ? {} : { zones }),
    tags,
    properties,
    readyAtMs: world.clock.nowMs() + changeMs(world, type),
  };
  world.store.put(resource);
  const status = present === undefined ? 201 : 200;
  return { status, body: show(world, resource), headers: changeHeaders(world, call, resource) };
}

/** What there is under an id, which must not move to another region. */
function presentAt(world: World, id: string, region: string): StoredResource | undefined {
  const present = world.store.find(id);
  if (present === undefined || present.location === region) return present;
  const message = `The resource '${present.name}' already exists in location '${present.location}'.`;
  throw new ArmError(409, "InvalidResourceLocation", message);
}

/** An interface holds the public addresses that it names, which must exist. */
function holdAddresses(world: World, id: string, call: ArmCall, properties: JsonObject): void {
  const parsed = bodyOf(interfaceSchema, { ...call, body: properties });
  for (const { properties: one } of parsed.ipConfigurations) {
    const { subnet, publicIPAddress } = one;
    if (!/\/virtualNetworks\/[^/]+\/subnets\/[^/]+$/i.test(subnet.id)) {
      const message = `Value for reference id is missing or malformed. Path ${subnet.id}`;
      throw new ArmError(400, "LinkedInvalidPropertyId", message);
    }
    if (publicIPAddress === undefined) continue;
    const address = world.store.find(publicIPAddress.id);
    if (address === undefined) {
      const message = `Resource ${publicIPAddress.id} referenced by resource ${id} was not found.`;
      throw new ArmError(400, "InvalidResourceReference", message);
    }
    address.usedBy = id;
  }
}

function patch(world: World, call: ArmCall, type: StoredType) {
  const resource = required(world, call, type);
  const { tags } = bodyOf(z.looseObject({ tags: tagsSchema.optional() }), call);
  if (tags !== undefined) resource.tags = tags;
  return { status: 200, body: show(world, resource) };
}

function remove(world: World, call: ArmCall, type: StoredType) {
  const resource = world.store.find(resourceId(call, NAMESPACES[type], type));
  if (resource === undefined) return { status: 204 };
  checkUnused(world, resource);
  dropResource(world, resource);
  return { status: 202, headers: changeHeaders(world, call, resource) };
}

/** Ends a resource, and lets go of the addresses that an interface held. */
export function dropResource(world: World, resource: StoredResource): void {
  resource.deletedAtMs = world.clock.nowMs();
  for (const address of world.store.ofType("publicIPAddresses")) {
    if (address.usedBy === resource.id) delete address.usedBy;
  }
}

function checkUnused(
  world: World,
  { type, id, usedBy, reservedUntilMs = 0 }: StoredResource,
): void {
  if (usedBy !== undefined && type === "disks") {
    const message = `Disk ${id} is attached to VM ${usedBy}.`;
    throw new ArmError(409, "OperationNotAllowed", message);
  }
  if (usedBy !== undefined && type === "publicIPAddresses") {
    const message = `Public IP address ${id} can not be deleted since it is still allocated to resource ${usedBy}.`;
    throw new ArmError(400, "PublicIPAddressCannotBeDeleted", message);
  }
  const leftMs = reservedUntilMs - world.clock.nowMs();
  if (leftMs > 0) {
    const message = `Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide another nic(s) or retry after ${Math.ceil(leftMs / 1000)} seconds.`;
    throw new ArmError(400, "NicReservedForAnotherVm", message);
  }
  if (usedBy === undefined) return;
  const message = `Network Interface ${id} is used by existing resource ${usedBy}. In order to delete the network interface, it must be dissociated from the resource.`;
  throw new ArmError(400, "NicInUse", message);
}

function list(
  world: World,
  call: ArmCall,
  type: StoredType,
  isWanted: (resource: StoredResource) => boolean,
) {
  forgetTheGone(world);
  const items = world.store
    .ofType(type)
    .filter((one) => one.subscriptionId === call.subscriptionId && isWanted(one))
    .filter((one) => isListed(one, world));
  return pageAnswer(items, call, {
    size: world.settings().pageSize,
    show: (one) => show(world, one),
  });
}

function required(world: World, call: ArmCall, type: StoredType): StoredResource {
  const id = resourceId(call, NAMESPACES[type], type);
  const resource = world.store.find(id);
  if (resource === undefined) throw resourceNotFound(id, call);
  return resource;
}

function show(world: World, resource: StoredResource): JsonObject {
  const { id, type, name, location, zones, tags, ...rest } = resource;
  const { properties, usedBy, createdAtMs } = rest;
  const isDisk = type === "disks";
  const user = type === "networkInterfaces" && usedBy !== undefined ? { id: usedBy } : undefined;
  return {
    name,
    id,
    type: `${NAMESPACES[type]}/${type}`,
    location,
    tags,
    ...(zones === undefined ? {} : { zones }),
    ...(isDisk && usedBy !== undefined ? { managedBy: usedBy } : {}),
    properties: {
      ...properties,
      provisioningState: world.clock.nowMs() < resource.readyAtMs ? "Updating" : "Succeeded",
      ...(isDisk ? { timeCreated: new Date(createdAtMs).toISOString() } : {}),
      ...(isDisk ? { diskState: usedBy === undefined ? "Unattached" : "Attached" } : {}),
      ...(user === undefined ? {} : { virtualMachine: user }),
    },
  };
}

function changeHeaders(world: World, call: ArmCall, { type, location }: StoredResource) {
  const change = world.operations.start(NAMESPACES[type], location);
  const delayMs = changeMs(world, type);
  if (delayMs === 0) world.operations.end(change);
  else void world.clock.sleep(delayMs).then(() => world.operations.end(change));
  return operationHeaders(world, call, change);
}

/** A change of the network takes `networkMs`; one of a disk is done at once. */
function changeMs(world: World, type: StoredType): number {
  return type === "disks" ? 0 : world.settings().networkMs;
}
