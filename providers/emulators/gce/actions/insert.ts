/** Inserts of one instance and of many, with the cloud's checks and its idempotency. */
import { GceError } from "../gce-error.ts";
import type { LaunchSpec } from "../instance.ts";
import { newGroupId, type Operation, type OperationError } from "../operation.ts";
import type { ActionHandler, ActionRequest, World } from "../world.ts";
import { forcedError, replayed } from "./idempotency.ts";
import { readBulk, readInstance } from "./launch-spec.ts";
import { zoneOf } from "./places.ts";

/** instances.insert: what is short or over a quota is told by the operation, not here. */
export const insertInstance: ActionHandler = (world, request) => {
  const zone = zoneOf(world, request);
  return replayed(world, request, `insert ${zone}`, () => {
    const spec = readInstance(world, zone, request.body);
    if (world.fleet.find(zone, spec.name) !== undefined) {
      const resource = `projects/${world.projectId}/zones/${zone}/instances/${spec.name}`;
      throw new GceError(409, "alreadyExists", `The resource '${resource}' already exists`);
    }
    const [error] = roomErrors(world, request, [spec]);
    const toldError = error ?? forcedError(request, "after");
    const [operation] = launch(world, [{ spec, isMade: error === undefined, toldError }]);
    return operation;
  });
};

/**
 * instances.bulkInsert: as many as there is room for, if that is at least `minCount`; else none.
 * Each machine has an operation of its own in the group of the bulk operation.
 */
export const bulkInsertInstances: ActionHandler = (world, request) => {
  const zone = zoneOf(world, request);
  return replayed(world, request, `bulkInsert ${zone}`, () => {
    const { specs, countMin } = readBulk(world, zone, request.body);
    const errors = roomErrors(world, request, specs);
    const target = specs.length;
    const created = errors.filter((error) => error === undefined).length;
    const groupId = newGroupId(world.rng);
    const start = { operationType: "bulkInsert", zone, groupId };
    if (created < Math.max(1, countMin)) {
      const error = errors.find((one) => one !== undefined) ?? requestedTooFew(created, countMin);
      return begin(world, { ...start, error, bulk: { target, created: 0 } });
    }
    launch(
      world,
      specs.map((spec, index) => ({
        spec,
        isMade: errors[index] === undefined,
        toldError: errors[index],
      })),
      groupId,
    );
    const forced = forcedError(request, "after");
    return begin(world, {
      ...start,
      bulk: { target, created },
      ...(forced === undefined ? {} : { error: forced }),
    });
  });
};

interface Attempt {
  readonly spec: LaunchSpec;
  readonly isMade: boolean;
  /** What its operation ends with: the truth, unless a fault has it otherwise. */
  readonly toldError: OperationError | undefined;
}

function launch(
  world: World,
  attempts: readonly Attempt[],
  groupId?: string,
): readonly [Operation, ...Operation[]] {
  const specs = attempts.filter(({ isMade }) => isMade).map(({ spec }) => spec);
  const ids = new Map(
    world.fleet.launch(specs).map(({ spec, instanceId }) => [spec.name, instanceId]),
  );
  const work = world.clock.sleep(world.settings().operationMs);
  const [first, ...rest] = attempts.map(({ spec, toldError }) => {
    const targetId = ids.get(spec.name);
    const start = {
      operationType: "insert",
      zone: spec.zone,
      target: `zones/${spec.zone}/instances/${spec.name}`,
      ...(targetId === undefined ? {} : { targetId }),
      ...(groupId === undefined ? {} : { groupId }),
      ...(toldError === undefined ? {} : { error: toldError }),
    };
    return world.operations.begin(start, work);
  });
  if (first === undefined) throw new GceError(400, "invalid", "No instances requested.");
  return [first, ...rest];
}

function begin(world: World, start: Parameters<World["operations"]["begin"]>[0]): Operation {
  return world.operations.begin(start, world.clock.sleep(world.settings().operationMs));
}

/** Why each machine cannot be had, in order; undefined for one that can. */
function roomErrors(
  world: World,
  request: ActionRequest,
  specs: readonly LaunchSpec[],
): readonly (OperationError | undefined)[] {
  const forced = forcedError(request, "before");
  if (forced !== undefined) return specs.map(() => forced);
  const [first] = specs;
  if (first === undefined) return [];
  const taken = specs.map(({ zone, name }) => world.fleet.find(zone, name) !== undefined);
  const free = taken.filter((isTaken) => !isTaken).length;
  const { stockoutCode } = world.settings();
  const room = world.limits.roomFor(first, free, {
    instances: world.fleet.all(),
    nowMs: world.clock.nowMs(),
    stockoutCode,
    projectId: world.projectId,
  });
  let left = room.count;
  return specs.map(({ zone, name }, index) => {
    if (taken[index] === true) return alreadyExists(world, zone, name);
    left -= 1;
    return left >= 0 ? undefined : room.error;
  });
}

function alreadyExists({ projectId }: World, zone: string, name: string): OperationError {
  const resource = `projects/${projectId}/zones/${zone}/instances/${name}`;
  const message = `The resource '${resource}' already exists`;
  return { code: "RESOURCE_ALREADY_EXISTS", message, status: 409 };
}

function requestedTooFew(created: number, countMin: number): OperationError {
  const message = `${created} instances could be created, which is less than minCount ${countMin}.`;
  return { code: "ZONE_RESOURCE_POOL_EXHAUSTED", message, status: 503 };
}
