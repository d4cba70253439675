/**
 * Feasibility: whether a container may sit on a node, tested in stages.
 *
 * A node is rejected at the first stage that it fails, so the counts of a round add up to the
 * number of nodes and the last stage with a count names the constraint that binds: the nodes
 * rejected there met everything before it. Stages up to `interconnect` depend on the node's
 * profile alone and those from `gpuCount` to `disk` on its state, so they are tested once for
 * all nodes that share it; the last two depend on the node itself.
 */
import type { ContainerNeeds, Node } from "../core/index.ts";
import type { NodeProfile } from "./fleet/profile.ts";
import type { NodeState } from "./fleet/node-state.ts";
import type { RequestClass } from "./fleet/request-class.ts";

const PROFILE_STAGES = [
  "state",
  "cloud",
  "region",
  "zone",
  "placementGroup",
  "purchase",
  "arch",
  "cpuFeatures",
  "gpuType",
  "interconnect",
] as const;

type ProfileStage = (typeof PROFILE_STAGES)[number];

/** The stages in the order they are tested. */
export const STAGES = [
  ...PROFILE_STAGES,
  "gpuCount",
  "cpu",
  "memory",
  "disk",
  "excluded",
  "spread",
] as const;

export type Stage = (typeof STAGES)[number];

/** How many nodes were rejected at each stage. */
export type StageCounts = Readonly<Record<Stage, number>>;

/** The first stage that every node of the profile fails whatever it holds. */
export function failedProfileStage(
  profile: Pick<NodeProfile, "node">,
  request: RequestClass,
): ProfileStage | undefined {
  return PROFILE_STAGES.find((stage) => !PASSES[stage](profile.node, request.needs));
}

/** Whether the free amounts of a state hold the request. */
export function hasRoom(state: NodeState, request: RequestClass): boolean {
  return failedRoomStage(state, request) === undefined;
}

/** The first stage at which a state that passes by its profile fails by its free amounts. */
export function failedRoomStage(
  state: Pick<NodeState, "cpuMilli" | "memoryMiB" | "diskMiB" | "cards" | "wholeFree">,
  request: RequestClass,
): "gpuCount" | "cpu" | "memory" | "disk" | undefined {
  if (
    request.share > 0 ? (state.cards[0] ?? 0) < request.share : state.wholeFree < request.cardCount
  )
    return "gpuCount";
  if (state.cpuMilli < request.cpuMilli) return "cpu";
  if (state.memoryMiB < request.memoryMiB) return "memory";
  return state.diskMiB < request.diskMiB ? "disk" : undefined;
}

/** What is wrong with needs that no node could ever meet; absent when they are well formed. */
export function malformation(needs: ContainerNeeds): string | undefined {
  if (!isAmount(needs.cpuMilli)) return `cpuMilli is ${needs.cpuMilli}, not a number >= 0`;
  if (!isAmount(needs.memoryMiB)) return `memoryMiB is ${needs.memoryMiB}, not a number >= 0`;
  if (!isAmount(needs.diskMiB ?? 0)) return `diskMiB is ${needs.diskMiB ?? 0}, not a number >= 0`;
  if (needs.gpu === undefined) return undefined;
  const { count, types } = needs.gpu;
  if (types.length === 0) return "it asks for GPUs and accepts no GPU type";
  const possible = isAmount(count) && count > 0 && (count < 1 || Number.isInteger(count));
  return possible ? undefined : `${count} GPUs is neither a whole number nor a fraction of one`;
}

const PASSES: Readonly<Record<ProfileStage, (node: Node, needs: ContainerNeeds) => boolean>> = {
  state: (node) => node.state === "healthy",
  cloud: (node, needs) => needs.clouds?.includes(node.cloud) ?? true,
  region: (node, needs) => needs.regions?.includes(node.region) ?? true,
  zone: (node, needs) => isOneOf(node.zone, needs.zones),
  placementGroup: (node, needs) => isOneOf(node.placementGroup, needs.placementGroups),
  purchase: (node, needs) => needs.preemptible || node.purchase !== "spot",
  arch: (node, needs) => needs.arch === undefined || (node.arch ?? "x64") === needs.arch,
  cpuFeatures: (node, needs) =>
    (needs.cpuFeatures ?? []).every((feature) => node.cpuFeatures?.includes(feature) ?? false),
  gpuType: (node, needs) =>
    needs.gpu === undefined ||
    (node.gpuType !== undefined && needs.gpu.types.includes(node.gpuType)),
  interconnect: (node, needs) => needs.interconnect !== "nvlink" || node.interconnect === "nvlink",
};

function isOneOf(name: string | undefined, accepted: readonly string[] | undefined): boolean {
  return accepted === undefined || (name !== undefined && accepted.includes(name));
}

function isAmount(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}
