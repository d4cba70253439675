/** Profiles: what never changes on a node while containers come and go, interned. */
import type { Node } from "../../core/index.ts";

/** Nodes of one profile differ in nothing that a request or a strategy can see but their load. */
export interface NodeProfile {
  /** Small and dense. */
  readonly id: number;
  /** One node of the profile; its id and its age mean nothing. */
  readonly node: Node;
  readonly cardCount: number;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}

/** What a node has in whole units; what is not whole is rounded down. */
export function amountsOf({
  resources,
}: Node): Pick<NodeProfile, "cardCount" | "cpuMilli" | "memoryMiB" | "diskMiB"> {
  const { gpuCount, cpuMilli, memoryMiB, diskMiB } = resources;
  return {
    cardCount: Math.floor(gpuCount),
    cpuMilli: Math.floor(cpuMilli),
    memoryMiB: Math.floor(memoryMiB),
    diskMiB: diskMiB === undefined ? Number.POSITIVE_INFINITY : Math.floor(diskMiB),
  };
}

/** Gives equal nodes one profile. */
export class ProfileTable {
  readonly #byKey = new Map<string, NodeProfile>();
  readonly #all: NodeProfile[] = [];

  of(node: Node): NodeProfile {
    const key = profileKey(node);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const profile: NodeProfile = { id: this.#all.length, node, ...amountsOf(node) };
    this.#byKey.set(key, profile);
    this.#all.push(profile);
    return profile;
  }
}

function profileKey(node: Node): string {
  const { gpuCount, cpuMilli, memoryMiB, diskMiB } = node.resources;
  return [
    node.state,
    node.cloud,
    node.region,
    node.zone ?? "",
    node.placementGroup ?? "",
    node.purchase,
    node.gpuType ?? "",
    node.arch ?? "",
    (node.cpuFeatures ?? []).join(","),
    node.interconnect ?? "",
    gpuCount,
    cpuMilli,
    memoryMiB,
    diskMiB ?? "",
  ].join("|");
}
