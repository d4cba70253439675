/** Microsoft.Compute/virtualMachines. */
import { z } from "zod";
import { ArmError } from "../arm-error.ts";
import {
  bodyOf,
  operationHeaders,
  requireGroup,
  resourceId,
  resourceNotFound,
  tagsSchema,
  type ActionHandler,
  type ArmCall,
} from "../call.ts";
import { isAllocated, type Machine, type MachineSpec } from "../machine.ts";
import { pageAnswer } from "../paging.ts";
import { quotaError, SHORTAGE_MESSAGES } from "../shortages.ts";
import { forgetTheGone, isListed, type World } from "../world.ts";
import { machineCreateOf } from "./machine-spec.ts";
import { instanceView, machineDocument, statusDocument } from "./machine-view.ts";

/** Creates, or repeats or changes what is there. */
export const putMachine: ActionHandler = (world, call) => {
  requireGroup(world, call);
  const { spec, tags } = machineCreateOf(world, call);
  const present = world.fleet.find(spec.id);
  if (present !== undefined) return putAgain(world, call, present, { spec, tags });
  checkInterfaces(world, spec);
  checkLimits(world, spec);
  const machine = world.fleet.create(spec, world.nextSequence(), tags, call.fate);
  attach(world, machine);
  const headers = operationHeaders(world, call, machine.creation);
  return { status: 201, body: machineDocument(machine), headers };
};

export const getMachine: ActionHandler = (world, call) => {
  const machine = requireMachine(world, call);
  return { status: 200, body: machineDocument(machine, call.query.get("$expand") ?? "") };
};

export const getInstanceView: ActionHandler = (world, call) => ({
  status: 200,
  body: instanceView(requireMachine(world, call)),
});

/** Tags only. */
export const patchMachine: ActionHandler = (world, call) => {
  const machine = requireMachine(world, call);
  const { tags } = bodyOf(z.looseObject({ tags: tagsSchema.optional() }), call);
  if (tags !== undefined) machine.tags = tags;
  const change = world.operations.start("Microsoft.Compute", machine.spec.region);
  world.operations.end(change);
  const headers = operationHeaders(world, call, change);
  return { status: 200, body: machineDocument(machine), headers };
};

/** An absent machine is deleted already: 204. */
export const deleteMachine: ActionHandler = (world, call) => {
  const machine = world.fleet.find(machineId(call));
  if (machine === undefined) return { status: 204 };
  world.fleet.delete(machine);
  const { deletion } = machine;
  return {
    status: 202,
    ...(deletion === undefined ? {} : { headers: operationHeaders(world, call, deletion) }),
  };
};

export const listMachines: ActionHandler = (world, call) => {
  requireGroup(world, call);
  return listed(world, call, ({ spec }) => isInGroup(spec, call));
};

/** All of a subscription; `statusOnly=true` gives states and no models. */
export const listAllMachines: ActionHandler = (world, call) =>
  listed(world, call, ({ spec }) => spec.subscriptionId === call.subscriptionId);

/** All of a subscription in one region. */
export const listMachinesIn: ActionHandler = (world, call) =>
  listed(world, call, ({ spec }) => {
    const isHere = spec.region === call.location.toLowerCase();
    return isHere && spec.subscriptionId === call.subscriptionId;
  });

/** Evicts with notice. The real one takes up to 30 minutes to begin. */
export const simulateEviction: ActionHandler = (world, call) => {
  const machine = requireMachine(world, call);
  if (machine.spec.market !== "spot") {
    const message = "Simulate Eviction is only supported for Azure Spot Virtual Machines.";
    throw new ArmError(409, "OperationNotAllowed", message);
  }
  world.fleet.preempt(machine, world.settings().evictionNoticeMs);
  return { status: 204 };
};

export const deallocateMachine: ActionHandler = (world, call) => {
  const machine = requireMachine(world, call);
  world.fleet.deallocate(machine);
  const change = world.operations.start("Microsoft.Compute", machine.spec.region);
  world.operations.end(change);
  return { status: 202, headers: operationHeaders(world, call, change) };
};

function listed(world: World, call: ArmCall, isWanted: (machine: Machine) => boolean) {
  forgetTheGone(world);
  const machines = world.fleet.all().filter((one) => isWanted(one) && isListed(one, world));
  const isStatusOnly = call.query.get("statusOnly") === "true";
  const show = isStatusOnly ? statusDocument : (one: Machine) => machineDocument(one);
  return pageAnswer(machines, call, { size: world.settings().pageSize, show });
}

/** A PUT to a name that is taken: repeats what is there, or may not change it. */
function putAgain(
  world: World,
  call: ArmCall,
  machine: Machine,
  wanted: { readonly spec: MachineSpec; readonly tags: Readonly<Record<string, string>> },
) {
  if (call.headers["if-none-match"] === "*") {
    const message = `The resource '${machine.spec.id}' exists, and the request asks that it does not.`;
    throw new ArmError(412, "PreconditionFailed", message);
  }
  if (machine.spec.region !== wanted.spec.region) throw otherLocation(machine, wanted.spec.region);
  if (machine.provisioningState === "Deleting") throw markedForDeletion(machine);
  if (machine.spec.fingerprint !== wanted.spec.fingerprint) {
    const message = "Changing the size, priority, image, zone or custom data is not allowed.";
    throw new ArmError(409, "PropertyChangeNotAllowed", message);
  }
  machine.tags = wanted.tags;
  const headers = operationHeaders(world, call, machine.creation);
  return { status: 200, body: machineDocument(machine), headers };
}

function checkInterfaces(world: World, spec: MachineSpec): void {
  const inline = new Set(spec.inlineInterfaces.map(({ id }) => id));
  for (const { id } of spec.interfaces) {
    const found = world.store.find(id);
    if (found === undefined && inline.has(id)) continue;
    if (found === undefined || found.location !== spec.region) {
      const message = `Resource ${id} referenced by resource ${spec.id} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`;
      throw new ArmError(400, "InvalidResourceReference", message);
    }
    if (found.usedBy !== undefined && found.usedBy.toLowerCase() !== spec.id.toLowerCase()) {
      const message = `Network Interface ${id} is used by existing resource ${found.usedBy}.`;
      throw new ArmError(409, "NicInUse", message);
    }
  }
}

/** What Azure refuses at once: a quota, or a size that the region has none of. */
function checkLimits(world: World, spec: MachineSpec): void {
  const quota = world.capacity.exceededQuota(spec, world.fleet.counted());
  if (quota !== undefined) throw quotaError(quota, spec.region, spec.shape.vcpuCount);
  const allocated = world.fleet.all().filter(isAllocated);
  const short = world.capacity.shortage(
    spec,
    allocated.map((one) => one.spec),
    world.clock.nowMs(),
  );
  if (short !== "SkuNotAvailable") return;
  throw new ArmError(409, short, SHORTAGE_MESSAGES[short]);
}

/** The machine takes its interfaces, and gets a disk that carries its tags. */
function attach(world: World, { spec, tags }: Machine): void {
  makeInterfaces(world, spec);
  for (const { id } of spec.interfaces) {
    const found = world.store.find(id);
    if (found !== undefined) found.usedBy = spec.id;
  }
  world.store.put({
    ...madeWith(world, spec),
    ...zonesOf(spec),
    id: spec.osDisk.id,
    type: "disks",
    name: spec.osDisk.id.split("/").at(-1) ?? "",
    tags,
    properties: { creationData: { createOption: "FromImage" }, diskSizeGB: 30 },
    usedBy: spec.id,
  });
}

/** Interfaces that a create describes are made, or made equal to what it says, before it. */
function makeInterfaces(world: World, spec: MachineSpec): void {
  for (const { id, name, tags, properties, addresses } of spec.inlineInterfaces) {
    world.store.put({
      ...world.store.find(id),
      ...madeWith(world, spec),
      ...{ id, type: "networkInterfaces", name, tags, properties },
    });
    for (const address of addresses) {
      world.store.put({
        ...madeWith(world, spec),
        ...zonesOf(spec),
        id: address.id,
        type: "publicIPAddresses",
        name: address.name,
        tags: address.tags,
        properties: { deleteOption: address.deleteOption },
        usedBy: id,
      });
    }
  }
}

function zonesOf({ zone }: MachineSpec): { readonly zones?: readonly string[] } {
  return zone === undefined ? {} : { zones: [zone] };
}

/** What everything has that is made along with a machine. */
function madeWith(world: World, { subscriptionId, resourceGroup, region }: MachineSpec) {
  return {
    subscriptionId,
    resourceGroup,
    location: region,
    sequence: world.nextSequence(),
    createdAtMs: world.clock.nowMs(),
    readyAtMs: world.clock.nowMs(),
  };
}

function requireMachine(world: World, call: ArmCall): Machine {
  const id = machineId(call);
  const machine = world.fleet.find(id);
  if (machine === undefined) throw resourceNotFound(id, call);
  return machine;
}

function machineId(call: ArmCall): string {
  return resourceId(call, "Microsoft.Compute", "virtualMachines");
}

function isInGroup(spec: MachineSpec, { subscriptionId, resourceGroup }: ArmCall): boolean {
  const isSame = spec.resourceGroup.toLowerCase() === resourceGroup.toLowerCase();
  return isSame && spec.subscriptionId === subscriptionId;
}

function otherLocation({ spec }: Machine, location: string): ArmError {
  return new ArmError(
    409,
    "InvalidResourceLocation",
    `The resource '${spec.name}' already exists in location '${spec.region}' in resource group ` +
      `'${spec.resourceGroup}'. A resource with the same name cannot be created in location ` +
      `'${location}'. Please select a new resource name.`,
  );
}

function markedForDeletion({ spec }: Machine): ArmError {
  return new ArmError(
    409,
    "OperationNotAllowed",
    `Operation 'PUT' is not allowed on VM '${spec.name}' since the VM is marked for deletion. ` +
      "You can only retry the Delete operation (or wait for an ongoing one to complete).",
  );
}
