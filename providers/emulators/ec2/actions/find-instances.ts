import { Ec2Error } from "../ec2-error.ts";
import type { Instance } from "../instance.ts";
import { visibleInstances, type World } from "../world.ts";

/**
 * The instances with these ids, each once, in the order given.
 *
 * @throws Ec2Error `InvalidInstanceID.Malformed`, and `InvalidInstanceID.NotFound` naming all
 * that are unknown: one unknown id fails the whole call.
 */
export function findInstances(
  world: World,
  region: string,
  ids: readonly string[],
): readonly Instance[] {
  const known = new Map(visibleInstances(world, region).map((one) => [one.instanceId, one]));
  const unknown: string[] = [];
  const found = new Set<Instance>();
  for (const id of ids) {
    if (!/^i-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id)) {
      throw new Ec2Error("InvalidInstanceID.Malformed", `Invalid id: "${id}"`);
    }
    const instance = known.get(id);
    if (instance === undefined) unknown.push(id);
    else found.add(instance);
  }
  if (unknown.length === 0) return [...found];
  const what = unknown.length === 1 ? "ID" : "IDs";
  const verb = unknown.length === 1 ? "does" : "do";
  throw new Ec2Error(
    "InvalidInstanceID.NotFound",
    `The instance ${what} '${unknown.join(", ")}' ${verb} not exist`,
  );
}
