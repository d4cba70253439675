/**
 * Places containers again, the largest first: in the room there is, and on new nodes, those first
 * that hold the most worth for their cost. Half of the time room is used first, and half of the
 * time nodes that are well worth it are rented before.
 */
import type { Rng } from "../../core/index.ts";
import { emptyRoom, fitIn, take, type Room } from "./bin.ts";
import type { Item, OpenFleet, OpenNode } from "./open-fleet.ts";

export interface RecreateOptions {
  readonly rng: Rng;
  /** Whether nodes may be rented. */
  readonly mayRent: boolean;
}

/** Worth over cost from which a node is rented before room elsewhere is used. */
const WELL_FILLED = 0.93;
/** Draws of a group for one more node. */
const GROUP_DRAWS = 24;
/** New nodes in one change, at most. */
const NODES_MAX = 20;

/** Serves what it can of the containers of these keys that have no node. */
export function recreate(
  fleet: OpenFleet,
  keys: readonly number[],
  { rng, mayRent }: RecreateOptions,
): void {
  const items = largestFirst(fleet, keys, rng);
  const roomFirst = !mayRent || rng.next() < 0.5;
  if (!roomFirst) rentNodes(fleet, items, { rng, least: WELL_FILLED });
  for (const item of items) useRoom(fleet, item);
  if (mayRent) rentNodes(fleet, items, { rng, least: 0 });
}

/** Weights of cpu and memory beside GPUs: far more of them than come with one. */
const CPU_MILLI_PER_GPU = 32_000;
const MEMORY_MIB_PER_GPU = 128 * 1_024;

/** About the largest first. */
function largestFirst(fleet: OpenFleet, keys: readonly number[], rng: Rng): readonly Item[] {
  const sized = keys.map((key) => {
    const item = fleet.itemOf(key);
    const { gpuCount, cpuMilli, memoryMiB } = item.needs;
    const size = gpuCount + cpuMilli / CPU_MILLI_PER_GPU + memoryMiB / MEMORY_MIB_PER_GPU;
    return { item, size: size * (0.8 + 0.4 * rng.next()) };
  });
  return sized.sort((a, b) => b.size - a.size).map(({ item }) => item);
}

function useRoom(fleet: OpenFleet, item: Item): void {
  while (fleet.openAt(item.key) > 0) {
    const node = tightestRoom(fleet, item);
    const bin = node?.bins[item.scenarioIndex];
    if (!node || !bin) return;
    fleet.put(node, item, Math.min(fleet.openAt(item.key), fitIn(bin, item.needs)));
  }
}

/** Of the nodes with room for one, the one where it costs least and leaves least over. */
function tightestRoom(fleet: OpenFleet, item: Item): OpenNode | undefined {
  const { scenarioIndex, probability, needs, unmetUsd } = item;
  let best: OpenNode | undefined;
  let bestScore = Infinity;
  for (const { groupIndex, usd } of fleet.worth.places[item.classIndex] ?? []) {
    const expectedUsd = probability * usd;
    if (expectedUsd >= unmetUsd) continue;
    for (const node of fleet.nodesOf(groupIndex)) {
      const bin = node.bins[scenarioIndex];
      if (!bin || fitIn(bin, needs) === 0) continue;
      const score = expectedUsd + slackUsd(bin) - LOSS_WEIGHT * node.lossUsd;
      if (score < bestScore) [best, bestScore] = [node, score];
    }
  }
  return best;
}

/** A tie-breaker among rooms: free room counts as a little money, and so does being a bad node. */
function slackUsd({ wholeGpus, cpuMilli, memoryMiB }: Room): number {
  return 1e-3 * (wholeGpus + cpuMilli / 40_000 + memoryMiB / 163_840);
}
const LOSS_WEIGHT = 1e-3;

interface RentOptions {
  readonly rng: Rng;
  /** Least worth over cost. */
  readonly least: number;
}

function rentNodes(fleet: OpenFleet, items: readonly Item[], options: RentOptions): void {
  for (let added = 0; added < NODES_MAX; added += 1) {
    const left = items.filter(({ key }) => fleet.openAt(key) > 0);
    const offerIndex = left.length > 0 ? bestOffer(fleet, left, options) : undefined;
    const node = offerIndex === undefined ? undefined : fleet.add(offerIndex);
    if (!node) return;
    fill(fleet, node, left);
  }
}

/** The offer with the most worth for its cost, if that beats leaving everything unmet. */
function bestOffer(
  fleet: OpenFleet,
  items: readonly Item[],
  { rng, least }: RentOptions,
): number | undefined {
  let best: number | undefined;
  let bestScore = least;
  for (const groupIndex of someGroups(fleet, items, rng)) {
    const offerIndex = fleet.worth.offersOf[groupIndex]?.find((one) => fleet.spareOf(one) > 0);
    if (offerIndex === undefined) continue;
    const { worthUsd, savedUsd } = filling(fleet, groupIndex, items);
    if (savedUsd <= fleet.nextNodeUsd(offerIndex)) continue;
    const usd = Math.max(1e-6, fleet.worth.nodeUsd[offerIndex] ?? 0);
    const score = (worthUsd / usd) * (0.97 + 0.06 * rng.next());
    if (score > bestScore) [best, bestScore] = [offerIndex, score];
  }
  return best;
}

/** Groups that could hold some of it, those likelier where it loses less. */
function someGroups(fleet: OpenFleet, items: readonly Item[], rng: Rng): ReadonlySet<number> {
  const groups = new Set<number>();
  for (let draw = 0; draw < GROUP_DRAWS; draw += 1) {
    const places = fleet.worth.places[items[rng.below(items.length)]?.classIndex ?? -1] ?? [];
    const place = places[Math.floor(places.length * rng.next() ** 2)];
    if (place) groups.add(place.groupIndex);
  }
  return groups;
}

/** What an empty node of a group would take, in the order of the items. */
function filling(
  fleet: OpenFleet,
  groupIndex: number,
  items: readonly Item[],
): { readonly worthUsd: number; readonly savedUsd: number } {
  let worthUsd = 0;
  let savedUsd = 0;
  const resources = fleet.problem.groups[groupIndex]?.resources;
  const costs = fleet.costsOn(groupIndex);
  if (!resources || !costs) return { worthUsd, savedUsd };
  const rooms: (Room | undefined)[] = [];
  for (const item of items) {
    const usd = item.probability * (costs[item.classIndex] ?? NaN);
    if (!(usd < item.unmetUsd)) continue;
    const room = (rooms[item.scenarioIndex] ??= emptyRoom(resources));
    const count = Math.min(fleet.openAt(item.key), fitIn(room, item.needs));
    if (count === 0) continue;
    take(room, item.needs, count);
    worthUsd += count * (item.worthUsd - usd);
    savedUsd += count * (item.unmetUsd - usd);
  }
  return { worthUsd, savedUsd };
}

/** Fills a new node as `filling` does. */
function fill(fleet: OpenFleet, node: OpenNode, items: readonly Item[]): void {
  const costs = fleet.costsOn(node.groupIndex);
  for (const item of items) {
    const usd = item.probability * (costs?.[item.classIndex] ?? NaN);
    const bin = node.bins[item.scenarioIndex];
    if (!bin || !(usd < item.unmetUsd)) continue;
    const count = Math.min(fleet.openAt(item.key), fitIn(bin, item.needs));
    if (count > 0) fleet.put(node, item, count);
  }
}
