/** Reading operations and waiting for them. */
import { operationDocument } from "../documents.ts";
import { applyFilter } from "../filter.ts";
import { GceError, notFound } from "../gce-error.ts";
import type { Operation } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { ActionHandler, ActionRequest, World } from "../world.ts";

/** A wait that has not ended by then answers with what there is (API reference, read 2026-11). */
const WAIT_MS_MAX = 120_000;

/** zoneOperations.list and globalOperations.list. */
export const listOperations: ActionHandler = (world, request) => {
  const zone = request.params.get("zone");
  const there = world.operations.all().filter((operation) => operation.zone === zone);
  const { items, ...page } = pageOf(filtered(there, request), request.params);
  const kind = "compute#operationList";
  return { kind, items: items.map((one) => operationDocument(world, one)), ...page };
};

/** globalOperations.aggregatedList. */
export const aggregateOperations: ActionHandler = (world, request) => {
  const { items, ...page } = pageOf(filtered(world.operations.all(), request), request.params);
  const byScope = Map.groupBy(items, ({ zone }) =>
    zone === undefined ? "global" : `zones/${zone}`,
  );
  const scopes = [...byScope].map(([scope, found]) => {
    const operations = found.map((one) => operationDocument(world, one));
    return [scope, { operations }] as const;
  });
  return { kind: "compute#operationAggregatedList", items: Object.fromEntries(scopes), ...page };
};

export const getOperation: ActionHandler = (world, request) =>
  operationDocument(world, operationOf(world, request));

/** zoneOperations.wait: answers when the operation is DONE, or after two minutes. */
export const waitOperation: ActionHandler = async (world, request) => {
  const operation = operationOf(world, request);
  await world.waits.atMost(world.clock, WAIT_MS_MAX, operation.finished);
  return operationDocument(world, operation);
};

function operationOf(world: World, { params }: ActionRequest): Operation {
  const zone = params.get("zone");
  const name = params.get("operation") ?? "";
  const operation = world.operations.find(name);
  if (operation !== undefined && operation.zone === zone) return operation;
  const place = zone === undefined ? "global" : `zones/${zone}`;
  throw notFound(`projects/${world.projectId}/${place}/operations/${name}`);
}

function filtered(
  operations: readonly Operation[],
  { params }: ActionRequest,
): readonly Operation[] {
  return applyFilter(operations, params.get("filter"), (operation, field) => {
    switch (field) {
      case "name":
        return operation.name;
      case "operationType":
        return operation.operationType;
      case "operationGroupId":
        return operation.groupId;
      case "targetId":
        return operation.targetId;
      case "status":
        return operation.doneAtMs === undefined ? "RUNNING" : "DONE";
      default:
        throw new GceError(400, "invalid", `Invalid list filter expression: field '${field}'.`);
    }
  });
}
