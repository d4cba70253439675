/**
 * Gangs: where all members of a gang may go together.
 *
 * A domain is one region, zone or placement group; members are placed one after the other
 * inside it and all taken back when one finds no room, so no partial gang ever holds machines.
 * Domains are tried with the fewest free GPUs first, so that large ones stay free for large
 * gangs. A gang that has lost a member completes in the domain of those that are left.
 */
import type { ContainerNeeds, GangRule, Node, PlacedContainer } from "../../core/index.ts";
import type { FleetIndex } from "../fleet/fleet-index.ts";

/** One region, zone or placement group of one cloud. */
export interface GangDomain {
  readonly within: GangRule["within"];
  readonly cloud: Node["cloud"];
  readonly region: string;
  readonly name: string;
}

/** Why the gang is not even tried, for a person; absent when it is. */
export function gangRefusal(
  gang: GangRule,
  now: { readonly pendingCount: number; readonly placedCount: number; readonly nowMs: number },
): string | undefined {
  if (gang.deadlineMs !== undefined && now.nowMs > gang.deadlineMs) {
    return "its gang was not complete before the deadline";
  }
  const count = now.pendingCount + now.placedCount;
  return count < gang.size ? `its gang has ${count} of ${gang.size} members so far` : undefined;
}

/** The domains to try, in order. O(nodes). */
export function gangDomains(
  gang: GangRule,
  placed: readonly PlacedContainer[],
  index: FleetIndex,
): readonly GangDomain[] {
  const found = new Map<string, { readonly domain: GangDomain; gpuFree: number }>();
  for (const { node, cards } of index.nodes()) {
    const domain = domainOf(node, gang.within);
    if (domain === undefined) continue;
    const key = keyOf(domain);
    const entry = found.get(key) ?? { domain, gpuFree: 0 };
    entry.gpuFree += cards.reduce((sum, free) => sum + Math.max(0, free), 0);
    found.set(key, entry);
  }
  const homes = new Set(
    placed.flatMap(({ nodeId }) => {
      const node = index.node(nodeId)?.node;
      const domain = node && domainOf(node, gang.within);
      return domain === undefined ? [] : [keyOf(domain)];
    }),
  );
  return [...found]
    .filter(([key]) => homes.size === 0 || homes.has(key))
    .sort(([key, a], [otherKey, b]) => a.gpuFree - b.gpuFree || (key < otherKey ? -1 : 1))
    .map(([, { domain }]) => domain);
}

/** The needs of a member, confined to the domain; nothing fits where they exclude it. */
export function withinDomain(needs: ContainerNeeds, domain: GangDomain): ContainerNeeds {
  const { within, cloud, region, name } = domain;
  const only = <Name extends string>(
    accepted: readonly Name[] | undefined,
    one: Name,
  ): readonly Name[] => (accepted === undefined || accepted.includes(one) ? [one] : []);
  return {
    ...needs,
    clouds: only(needs.clouds, cloud),
    regions: only(needs.regions, region),
    ...(within === "zone" ? { zones: only(needs.zones, name) } : {}),
    ...(within === "placementGroup" ? { placementGroups: only(needs.placementGroups, name) } : {}),
  };
}

function domainOf(node: Node, within: GangRule["within"]): GangDomain | undefined {
  const { cloud, region, zone, placementGroup } = node;
  const name = within === "region" ? region : within === "zone" ? zone : placementGroup;
  return name === undefined ? undefined : { within, cloud, region, name };
}

function keyOf({ cloud, region, name }: GangDomain): string {
  return `${cloud}/${region}/${name}`;
}
