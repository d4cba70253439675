import { listOf } from "../query.ts";
import type { ActionHandler } from "../world.ts";
import { findInstances } from "./find-instances.ts";
import { tagsOf } from "./launch-spec.ts";
import { dryRun } from "./run-instances.ts";

/** CreateTags, for instances only: adds tags and overwrites those of the same key. */
export const createTags: ActionHandler = (world, { region, params }) => {
  const instances = findInstances(world, region, listOf(params, "ResourceId"));
  const tags = Object.entries(tagsOf(params, "Tag"));
  if (params.get("DryRun") === "true") throw dryRun();
  for (const instance of instances) {
    for (const [key, value] of tags) instance.tags.set(key, value);
  }
  return { return: true };
};
