/** The actions that the emulator knows. */
import type { ActionHandler } from "../world.ts";
import { createFleet } from "./create-fleet.ts";
import { createTags } from "./create-tags.ts";
import { deleteTags } from "./delete-tags.ts";
import { describeInstances } from "./describe-instances.ts";
import { describeInstanceTypeOfferings, describeSpotPriceHistory } from "./describe-market.ts";
import {
  createLaunchTemplate,
  deleteLaunchTemplate,
  describeLaunchTemplates,
} from "./launch-templates.ts";
import { runInstances } from "./run-instances.ts";
import { terminateInstances } from "./terminate-instances.ts";

/** Handlers by the name that `Action` gives. */
export const ACTIONS: ReadonlyMap<string, ActionHandler> = new Map([
  ["CreateFleet", createFleet],
  ["CreateLaunchTemplate", createLaunchTemplate],
  ["CreateTags", createTags],
  ["DeleteLaunchTemplate", deleteLaunchTemplate],
  ["DeleteTags", deleteTags],
  ["DescribeInstances", describeInstances],
  ["DescribeLaunchTemplates", describeLaunchTemplates],
  ["DescribeInstanceTypeOfferings", describeInstanceTypeOfferings],
  ["DescribeSpotPriceHistory", describeSpotPriceHistory],
  ["RunInstances", runInstances],
  ["TerminateInstances", terminateInstances],
]);
