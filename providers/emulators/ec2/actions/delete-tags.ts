import { listOf, structsOf } from "../query.ts";
import type { ActionHandler } from "../world.ts";
import { findInstances } from "./find-instances.ts";
import { dryRun } from "./run-instances.ts";

/**
 * DeleteTags, for instances only: those of the keys given, where a value is given only those that
 * have it, and all when no key is given.
 */
export const deleteTags: ActionHandler = (world, { region, params }) => {
  const instances = findInstances(world, region, listOf(params, "ResourceId"));
  if (params.get("DryRun") === "true") throw dryRun();
  const wanted = structsOf(params, "Tag");
  for (const { tags } of instances) {
    if (wanted.length === 0) tags.clear();
    for (const tag of wanted) {
      const key = tag.get("Key") ?? "";
      const value = tag.get("Value");
      if (value === undefined || tags.get(key) === value) tags.delete(key);
    }
  }
  return { return: true };
};
