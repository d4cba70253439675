/** Which action a method and a path of the REST API mean. */
import type { ActionHandler } from "./world.ts";
import { bulkInsertInstances, insertInstance } from "./actions/insert.ts";
import {
  aggregateInstances,
  deleteInstance,
  getInstance,
  listInstances,
  setLabels,
} from "./actions/instances.ts";
import {
  aggregateOperations,
  getOperation,
  listOperations,
  waitOperation,
} from "./actions/operations.ts";
import {
  getMachineType,
  getProject,
  getRegion,
  getZone,
  listMachineTypes,
  listZones,
} from "./actions/places.ts";

/** An action and the parameters that the path gives. */
export interface Routed {
  /** Such as `instances.insert`. */
  readonly action: string;
  readonly handler: ActionHandler;
  readonly pathParams: ReadonlyMap<string, string>;
}

type Row = readonly [action: string, method: string, pattern: string, handler: ActionHandler];

/** Patterns below `/compute/v1/projects/PROJECT/`. Source: compute.proto, `google.api.http`. */
const ROWS: readonly Row[] = [
  ["projects.get", "GET", "", getProject],
  ["zones.list", "GET", "zones", listZones],
  ["zones.get", "GET", "zones/{zone}", getZone],
  ["regions.get", "GET", "regions/{region}", getRegion],
  ["machineTypes.list", "GET", "zones/{zone}/machineTypes", listMachineTypes],
  ["machineTypes.get", "GET", "zones/{zone}/machineTypes/{machineType}", getMachineType],
  ["instances.insert", "POST", "zones/{zone}/instances", insertInstance],
  ["instances.bulkInsert", "POST", "zones/{zone}/instances/bulkInsert", bulkInsertInstances],
  ["instances.list", "GET", "zones/{zone}/instances", listInstances],
  ["instances.aggregatedList", "GET", "aggregated/instances", aggregateInstances],
  ["instances.get", "GET", "zones/{zone}/instances/{instance}", getInstance],
  ["instances.delete", "DELETE", "zones/{zone}/instances/{instance}", deleteInstance],
  ["instances.setLabels", "POST", "zones/{zone}/instances/{instance}/setLabels", setLabels],
  ["zoneOperations.list", "GET", "zones/{zone}/operations", listOperations],
  ["zoneOperations.get", "GET", "zones/{zone}/operations/{operation}", getOperation],
  ["zoneOperations.wait", "POST", "zones/{zone}/operations/{operation}/wait", waitOperation],
  ["globalOperations.list", "GET", "global/operations", listOperations],
  ["globalOperations.get", "GET", "global/operations/{operation}", getOperation],
  ["globalOperations.wait", "POST", "global/operations/{operation}/wait", waitOperation],
  ["globalOperations.aggregatedList", "GET", "aggregated/operations", aggregateOperations],
];

const ROUTES = ROWS.map(([action, method, pattern, handler]) => ({
  action,
  method,
  handler,
  path: new RegExp(`^${pattern.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
}));

/** The first row that fits; undefined for what is not emulated. */
export function routeOf(method: string, path: string): Routed | undefined {
  for (const route of ROUTES) {
    const match = route.method === method ? route.path.exec(path) : null;
    if (match === null) continue;
    const pathParams = new Map(
      Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
    return { action: route.action, handler: route.handler, pathParams };
  }
  return undefined;
}
