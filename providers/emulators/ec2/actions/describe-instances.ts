import { Ec2Error } from "../ec2-error.ts";
import type { Instance } from "../instance.ts";
import { pageOf } from "../paging.ts";
import { listOf } from "../query.ts";
import { visibleInstances, type ActionHandler, type World } from "../world.ts";
import { applyFilters, type FilterTexts } from "./filters.ts";
import { findInstances } from "./find-instances.ts";
import { reservationXml } from "./instance-xml.ts";

const TAG_PREFIX = "tag:";

const FILTERS = new Map<string, FilterTexts<Instance>>([
  ["availability-zone", ({ spec }) => [spec.zone]],
  ["client-token", ({ spec }) => presentTexts(spec.clientToken)],
  ["image-id", ({ spec }) => [spec.imageId]],
  ["instance-id", ({ instanceId }) => [instanceId]],
  ["instance-lifecycle", ({ spec }) => (spec.market === "spot" ? ["spot"] : [])],
  ["instance-state-name", ({ state }) => [state]],
  ["instance-type", ({ spec }) => [spec.shape.instanceType]],
  ["reservation-id", ({ reservationId }) => [reservationId]],
  ["state-reason-code", ({ stateReason }) => presentTexts(stateReason?.code)],
  ["tag-key", ({ tags }) => [...tags.keys()]],
]);

/** DescribeInstances: by ids or by filters, in pages, in launch order. */
export const describeInstances: ActionHandler = (world, { region, params }) => {
  const ids = listOf(params, "InstanceId");
  if (ids.length > 0 && params.has("MaxResults")) {
    throw new Ec2Error(
      "InvalidParameterCombination",
      "The parameter instancesSet cannot be used with the parameter maxResults",
    );
  }
  const listed =
    ids.length > 0 ? findInstances(world, region, ids) : visibleInstances(world, region);
  const seen = listed.map((instance) => withVisibleTags(world, instance));
  const page = pageOf(applyFilters(seen, params, filterOf), params, ({ sequence }) => sequence);
  const reservations = Map.groupBy(page.items, ({ reservationId }) => reservationId);
  return {
    reservationSet: [...reservations.values()].map(reservationXml),
    nextToken: page.nextToken,
  };
};

/** The instance as answers show it: its tags may come later than itself. */
function withVisibleTags(world: World, instance: Instance): Instance {
  const ageMs = world.clock.nowMs() - instance.launchedAtMs;
  return ageMs < world.settings().tagVisibilityMs ? { ...instance, tags: new Map() } : instance;
}

function filterOf(name: string): FilterTexts<Instance> | undefined {
  if (!name.startsWith(TAG_PREFIX)) return FILTERS.get(name);
  const key = name.slice(TAG_PREFIX.length);
  return ({ tags }) => presentTexts(tags.get(key));
}

function presentTexts(text: string | undefined): readonly string[] {
  return text === undefined ? [] : [text];
}
