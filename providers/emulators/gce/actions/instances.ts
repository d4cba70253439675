/** Reading, deleting and labelling instances. */
import { z } from "zod";
import { instanceDocument, labelFingerprintOf } from "../documents.ts";
import { applyFilter } from "../filter.ts";
import { GceError, notFound } from "../gce-error.ts";
import type { Instance } from "../instance.ts";
import { pageOf } from "../paging.ts";
import { visibleInstances, type ActionHandler, type ActionRequest, type World } from "../world.ts";
import { forcedError, replayed } from "./idempotency.ts";
import { checkLabels } from "./launch-spec.ts";
import { zoneOf } from "./places.ts";

/** instances.list of one zone. */
export const listInstances: ActionHandler = (world, request) => {
  const zone = zoneOf(world, request);
  if (world.settings().unreachableZones.includes(zone)) {
    throw new GceError(503, "backendError", `The zone '${zone}' cannot be reached.`);
  }
  const inZone = visibleInstances(world).filter(({ spec }) => spec.zone === zone);
  const { items, ...page } = pageOf(filtered(world, inZone, request), request.params);
  const kind = "compute#instanceList";
  return { kind, items: items.map((one) => instanceDocument(world, one)), ...page };
};

/**
 * instances.aggregatedList: every zone has a member, with a warning where it adds nothing.
 * Zones that cannot be reached are named in `unreachables` when partial success is asked for,
 * and carry a warning when it is not.
 */
export const aggregateInstances: ActionHandler = (world, request) => {
  const { unreachableZones } = world.settings();
  const reachable = visibleInstances(world).filter(
    ({ spec }) => !unreachableZones.includes(spec.zone),
  );
  const { items, ...page } = pageOf(filtered(world, reachable, request), request.params);
  const byZone = Map.groupBy(items, ({ spec }) => spec.zone);
  const isPartialFine = request.params.get("returnPartialSuccess") === "true";
  const named = world.market.zones.filter(
    (zone) => !isPartialFine || !unreachableZones.includes(zone),
  );
  const scopes = named.map((zone) => {
    const isUnreachable = unreachableZones.includes(zone);
    return [`zones/${zone}`, scopeOf(world, zone, byZone.get(zone) ?? [], isUnreachable)] as const;
  });
  return {
    kind: "compute#instanceAggregatedList",
    items: Object.fromEntries(scopes),
    ...page,
    ...(isPartialFine && unreachableZones.length > 0
      ? {
          unreachables: unreachableZones.map((zone) => `projects/${world.projectId}/zones/${zone}`),
        }
      : {}),
  };
};

export const getInstance: ActionHandler = (world, request) =>
  instanceDocument(world, instanceOf(world, request));

/** instances.delete: the operation is DONE when the instance is gone. */
export const deleteInstance: ActionHandler = (world, request) => {
  const zone = zoneOf(world, request);
  const name = request.params.get("instance") ?? "";
  return replayed(world, request, `delete ${zone}/${name}`, () => {
    const instance = instanceOf(world, request);
    const before = forcedError(request, "before");
    const after = forcedError(request, "after");
    const error = before ?? after;
    if (before === undefined) world.fleet.remove(instance);
    const start = {
      operationType: "delete",
      zone,
      target: `zones/${zone}/instances/${name}`,
      targetId: instance.instanceId,
      ...(error === undefined ? {} : { error }),
    };
    return world.operations.begin(start, before === undefined ? instance.gone : undefined);
  });
};

const labelsBody = z.object({
  labels: z.record(z.string(), z.string()).optional(),
  labelFingerprint: z.string().optional(),
});

/** instances.setLabels: all labels anew, if the fingerprint is that of the present ones. */
export const setLabels: ActionHandler = (world, request) => {
  const instance = instanceOf(world, request);
  const { zone, name } = instance.spec;
  return replayed(world, request, `setLabels ${zone}/${name}`, () => {
    const { labels = {}, labelFingerprint } = labelsBody.parse(request.body ?? {});
    checkLabels(labels, "labels");
    if (labelFingerprint !== labelFingerprintOf(instance)) {
      const message = "Labels fingerprint either invalid or resource labels have changed";
      throw new GceError(412, "conditionNotMet", message);
    }
    instance.labels = labels;
    instance.labelVersion += 1;
    return world.operations.begin({
      operationType: "setLabels",
      zone,
      target: `zones/${zone}/instances/${name}`,
      targetId: instance.instanceId,
    });
  });
};

function instanceOf(world: World, request: ActionRequest): Instance {
  const zone = zoneOf(world, request);
  const name = request.params.get("instance") ?? "";
  const found = visibleInstances(world).find(
    ({ spec }) => spec.zone === zone && spec.name === name,
  );
  if (found !== undefined) return found;
  throw notFound(`projects/${world.projectId}/zones/${zone}/instances/${name}`);
}

function filtered(
  world: World,
  instances: readonly Instance[],
  { params }: ActionRequest,
): readonly Instance[] {
  return applyFilter(
    instances,
    params.get("filter"),
    ({ instanceId, spec, status, labels }, field) => {
      const [, label] = /^labels\.(.+)$/.exec(field) ?? [];
      if (label !== undefined) return labels[label];
      switch (field) {
        case "name":
          return spec.name;
        case "id":
          return instanceId;
        case "status":
          return status;
        default:
          throw new GceError(400, "invalid", `Invalid list filter expression: field '${field}'.`);
      }
    },
  );
}

function scopeOf(
  world: World,
  zone: string,
  instances: readonly Instance[],
  isUnreachable: boolean,
): object {
  if (instances.length > 0)
    return { instances: instances.map((one) => instanceDocument(world, one)) };
  const data = [{ key: "scope", value: `zones/${zone}` }];
  const warning = isUnreachable
    ? { code: "UNREACHABLE", message: `The zone '${zone}' cannot be reached.`, data }
    : { code: "NO_RESULTS_ON_PAGE", message: "There are no results for this scope.", data };
  return { warning };
}
