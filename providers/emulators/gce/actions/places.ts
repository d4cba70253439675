/** Zones, regions, the project and its machine types. */
import { linkTo } from "../documents.ts";
import { invalidField, notFound } from "../gce-error.ts";
import { regionOfZone, shapeOf } from "../market.ts";
import { pageOf } from "../paging.ts";
import type { ActionHandler, ActionRequest, World } from "../world.ts";

/** The zone of a call. @throws GceError `invalid` for one that does not exist. */
export function zoneOf({ market }: World, { params }: ActionRequest): string {
  const zone = params.get("zone") ?? "";
  if (market.zones.includes(zone)) return zone;
  throw invalidField("zone", zone, "Unknown zone.");
}

/** zones.list, without filters. */
export const listZones: ActionHandler = (world, { params }) => {
  const zones = world.market.zones.map((zone, sequence) => ({ zone, sequence }));
  const { items, ...page } = pageOf(zones, params);
  const kind = "compute#zoneList";
  return { kind, items: items.map(({ zone }) => zoneDocument(world, zone)), ...page };
};

export const getZone: ActionHandler = (world, request) =>
  zoneDocument(world, zoneOf(world, request));

/** regions.get, with the quotas that are limited or in use. */
export const getRegion: ActionHandler = (world, { params }) => {
  const region = params.get("region") ?? "";
  if (!world.market.regions.includes(region)) {
    throw notFound(`projects/${world.projectId}/regions/${region}`);
  }
  return {
    kind: "compute#region",
    name: region,
    status: "UP",
    quotas: world.limits.quotaUses(region, world.fleet.all()),
    zones: world.market.zones
      .filter((zone) => regionOfZone(zone) === region)
      .map((zone) => linkTo(world, `zones/${zone}`)),
    selfLink: linkTo(world, `regions/${region}`),
  };
};

/** projects.get, with the quotas of all regions together. */
export const getProject: ActionHandler = (world) => ({
  kind: "compute#project",
  name: world.projectId,
  quotas: world.limits.quotaUses("", world.fleet.all()),
  selfLink: linkTo(world, "").replace(/\/$/, ""),
});

/** machineTypes.list of a zone, without filters. */
export const listMachineTypes: ActionHandler = (world, request) => {
  const zone = zoneOf(world, request);
  const types = world.market.machineTypesOf(zone).map((name, sequence) => ({ name, sequence }));
  const { items, ...page } = pageOf(types, request.params);
  const kind = "compute#machineTypeList";
  return { kind, items: items.map(({ name }) => typeDocument(world, zone, name)), ...page };
};

export const getMachineType: ActionHandler = (world, request) => {
  const zone = zoneOf(world, request);
  const name = request.params.get("machineType") ?? "";
  if (world.market.machineTypesOf(zone).includes(name)) return typeDocument(world, zone, name);
  throw notFound(`projects/${world.projectId}/zones/${zone}/machineTypes/${name}`);
};

function zoneDocument(world: World, zone: string): object {
  return {
    kind: "compute#zone",
    name: zone,
    status: world.settings().unreachableZones.includes(zone) ? "DOWN" : "UP",
    region: linkTo(world, `regions/${regionOfZone(zone)}`),
    selfLink: linkTo(world, `zones/${zone}`),
  };
}

/** Without figures for a type that is sold only with accelerators. */
function typeDocument(world: World, zone: string, name: string): object {
  const shape = shapeOf(name);
  return {
    kind: "compute#machineType",
    name,
    zone,
    ...(shape === undefined
      ? {}
      : { guestCpus: shape.vcpuCount, memoryMb: shape.resources.memoryMiB }),
    selfLink: linkTo(world, `zones/${zone}/machineTypes/${name}`),
  };
}
