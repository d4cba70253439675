/**
 * Feasibility: whether a container may sit on a node, tested in stages.
 *
 * A node is rejected at the first stage that it fails, so the counts of a round add up to the
 * number of nodes and the last stage with a count names the constraint that binds: the nodes
 * rejected there met everything before it.
 */
import type { ContainerNeeds } from "../core/index.ts";
import { hasGpus, type Room } from "./room.ts";

/** The stages in the order they are tested. */
export const STAGES = [
  "state",
  "cloud",
  "region",
  "purchase",
  "gpuType",
  "gpuCount",
  "cpu",
  "memory",
] as const;

export type Stage = (typeof STAGES)[number];

/** How many nodes were rejected at each stage. */
export type StageCounts = Readonly<Record<Stage, number>>;

/** The first stage that the node fails, or `undefined` when the container fits. */
export function failedStage(room: Room, needs: ContainerNeeds): Stage | undefined {
  return STAGES.find((stage) => !PASSES[stage](room, needs));
}

/** What is wrong with needs that no node could ever meet; absent when they are well formed. */
export function malformation(needs: ContainerNeeds): string | undefined {
  if (!isAmount(needs.cpuMilli)) return `cpuMilli is ${needs.cpuMilli}, not a number >= 0`;
  if (!isAmount(needs.memoryMiB)) return `memoryMiB is ${needs.memoryMiB}, not a number >= 0`;
  if (needs.gpu === undefined) return undefined;
  const { count, types } = needs.gpu;
  if (types.length === 0) return "it asks for GPUs and accepts no GPU type";
  const possible = isAmount(count) && count > 0 && (count < 1 || Number.isInteger(count));
  return possible ? undefined : `${count} GPUs is neither a whole number nor a fraction of one`;
}

const PASSES: Readonly<Record<Stage, (room: Room, needs: ContainerNeeds) => boolean>> = {
  state: ({ node }) => node.state === "healthy",
  cloud: ({ node }, needs) => needs.clouds?.includes(node.cloud) ?? true,
  region: ({ node }, needs) => needs.regions?.includes(node.region) ?? true,
  purchase: ({ node }, needs) => needs.preemptible || node.purchase !== "spot",
  gpuType: ({ node }, needs) =>
    needs.gpu === undefined ||
    (node.gpuType !== undefined && needs.gpu.types.includes(node.gpuType)),
  gpuCount: (room, needs) => hasGpus(room, needs.gpu?.count ?? 0),
  cpu: (room, needs) => room.cpuMilliFree >= needs.cpuMilli,
  memory: (room, needs) => room.memoryMiBFree >= needs.memoryMiB,
};

function isAmount(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}
