/** The actions that the emulator knows. */
import type { ActionHandler } from "../world.ts";
import { createTags } from "./create-tags.ts";
import { describeInstances } from "./describe-instances.ts";
import { describeInstanceTypeOfferings, describeSpotPriceHistory } from "./describe-market.ts";
import { runInstances } from "./run-instances.ts";
import { terminateInstances } from "./terminate-instances.ts";

/** Handlers by the name that `Action` gives. */
export const ACTIONS: ReadonlyMap<string, ActionHandler> = new Map([
  ["CreateTags", createTags],
  ["DescribeInstances", describeInstances],
  ["DescribeInstanceTypeOfferings", describeInstanceTypeOfferings],
  ["DescribeSpotPriceHistory", describeSpotPriceHistory],
  ["RunInstances", runInstances],
  ["TerminateInstances", terminateInstances],
]);
