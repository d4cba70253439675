/** Refusals in words: one sentence that names the constraint that binds. */
import { NODE_STATES, type ContainerNeeds, type GpuType, type NodeState } from "../core/index.ts";
import {
  failedProfileStage,
  failedRoomStage,
  STAGES,
  type Stage,
  type StageCounts,
} from "./feasibility.ts";
import type { FleetIndex, IndexedNode } from "./fleet/fleet-index.ts";
import type { NodeState as IndexState } from "./fleet/node-state.ts";
import { CARD, type RequestClass } from "./fleet/request-class.ts";

/** Nodes that will take containers before long. */
const STARTING: readonly NodeState[] = ["requested", "booting", "registered"];

/** Why a request stays pending, and the nodes rejected at each stage. */
export interface Explanation {
  readonly reason: string;
  readonly rejected: StageCounts;
}

/** Nodes in one state that were rejected at one stage. */
interface Rejection {
  readonly state: IndexState;
  readonly stage: Stage;
  readonly nodeCount: number;
}

/** Tests of single nodes, beyond what their state says. */
export interface NodeTests {
  /** Nodes that are not to be asked: refused a moment ago, or kept free for another. */
  readonly isExcluded: (node: IndexedNode) => boolean;
  /** Whether a rule that keeps containers apart forbids the node. */
  readonly isTooClose: (node: IndexedNode) => boolean;
}

/** No node was looked at. */
export const NO_COUNTS: StageCounts = Object.freeze(
  Object.fromEntries(STAGES.map((stage) => [stage, 0])) as Record<Stage, number>,
);

/** Why no node takes the request. O(states), and O(nodes) where single nodes decide. */
export function explainRefusal(
  request: RequestClass,
  index: FleetIndex,
  tests: NodeTests,
): Explanation {
  const rejections: Rejection[] = [];
  const rejected: Record<Stage, number> = { ...NO_COUNTS };
  for (const state of index.active()) {
    for (const one of rejectionsOf(request, state, { index, tests })) {
      rejections.push(one);
      rejected[one.stage] += one.nodeCount;
    }
  }
  return { reason: reasonOf(request.needs, rejections, rejected), rejected };
}

function rejectionsOf(
  request: RequestClass,
  state: IndexState,
  { index, tests }: { readonly index: FleetIndex; readonly tests: NodeTests },
): readonly Rejection[] {
  const stage = failedProfileStage(state.profile, request) ?? failedRoomStage(state, request);
  if (stage !== undefined) return [{ state, stage, nodeCount: state.nodeCount }];
  const excluded = index.nodesOf(state).filter((node) => tests.isExcluded(node)).length;
  return [
    { state, stage: "excluded" as const, nodeCount: excluded },
    { state, stage: "spread" as const, nodeCount: state.nodeCount - excluded },
  ].filter(({ nodeCount }) => nodeCount > 0);
}

function reasonOf(
  needs: ContainerNeeds,
  rejections: readonly Rejection[],
  rejected: StageCounts,
): string {
  if (rejections.length === 0) return "the fleet has no nodes";
  const binding = STAGES.findLast((stage) => rejected[stage] > 0);
  if (binding === undefined) return "no node fits";
  const bound = rejections.filter((one) => one.stage === binding);
  const starting = total(
    rejections.filter(({ state }) => STARTING.includes(state.profile.node.state)),
  );
  const more =
    binding === "state" || starting === 0 ? "" : `; ${nodes(starting, "is", "are")} starting`;
  return `${SENTENCES[binding](needs, bound)}${more}`;
}

type Sentence = (needs: ContainerNeeds, bound: readonly Rejection[]) => string;

const SENTENCES: Readonly<Record<Stage, Sentence>> = {
  state: (_needs, bound) => `no node is ready: ${countStates(bound)}`,
  cloud: (needs) => `no node is in ${either(needs.clouds ?? [])}`,
  region: (needs) => `no node is in ${either(needs.regions ?? [])}`,
  zone: (needs) => `no node is in ${either(needs.zones ?? [])}`,
  placementGroup: (needs) => `no node is in placement group ${either(needs.placementGroups ?? [])}`,
  purchase: (_needs, bound) =>
    `the container is not preemptible and ${nodes(total(bound), "is", "are")} spot`,
  arch: (needs) => `no node has CPUs of ${needs.arch ?? "that kind"}`,
  cpuFeatures: (needs) => `no node has CPUs with ${(needs.cpuFeatures ?? []).join(" and ")}`,
  gpuType: (needs) => `no node has ${withArticle(needs.gpu?.types ?? [])}`,
  interconnect: (needs) => `no node has GPUs joined by ${needs.interconnect ?? "that"}`,
  gpuCount: gpuSentence,
  cpu: (needs, bound) =>
    shortSentence(needs, `${needs.cpuMilli / 1_000} free vCPU`, {
      free: `${most(bound, ({ cpuMilli }) => cpuMilli) / 1_000} vCPU`,
      nodeCount: total(bound),
    }),
  memory: (needs, bound) =>
    shortSentence(needs, `${needs.memoryMiB} MiB of free memory`, {
      free: `${most(bound, ({ memoryMiB }) => memoryMiB)} MiB`,
      nodeCount: total(bound),
    }),
  disk: (needs, bound) =>
    shortSentence(needs, `${needs.diskMiB ?? 0} MiB of free disk`, {
      free: `${most(bound, ({ diskMiB }) => diskMiB)} MiB`,
      nodeCount: total(bound),
    }),
  excluded: (_needs, bound) =>
    `${nodes(total(bound), "has", "have")} room and refused it lately or ` +
    "is kept free for a request that has waited too long",
  spread: (_needs, bound) =>
    `${nodes(total(bound), "has", "have")} room and already ` +
    "holds a container that this one keeps apart from",
};

function gpuSentence(needs: ContainerNeeds, bound: readonly Rejection[]): string {
  const count = needs.gpu?.count ?? 0;
  const types = either(needs.gpu?.types ?? []);
  const have = `${nodes(total(bound), "has", "have")} ${types}`;
  const largest = most(bound, ({ profile }) => profile.cardCount);
  if (largest < count) return `no node has ${count} ${types}: ${have}, ${largest} at most`;
  const isShare = count < 1;
  const amount = ({ gpuFree, wholeFree }: IndexState): number => {
    return isShare ? Number((gpuFree / CARD).toFixed(2)) : wholeFree;
  };
  const free = most(bound, amount);
  const left =
    free === 0 ? "all GPUs in use" : `at most ${free} free on one${isShare ? ", in pieces" : ""}`;
  return `no node has ${count} free ${types}: ${have}, ${left}`;
}

function shortSentence(
  needs: ContainerNeeds,
  wanted: string,
  short: { readonly free: string; readonly nodeCount: number },
): string {
  const gpu = needs.gpu;
  const having = gpu === undefined ? "" : ` with ${gpu.count} free ${either(gpu.types)}`;
  const count = nodes(short.nodeCount, "fits", "fit");
  return `no node${having} has ${wanted}: ${count} otherwise, at most ${short.free} free on one`;
}

function countStates(bound: readonly Rejection[]): string {
  return NODE_STATES.map((state) => ({
    state,
    count: total(bound.filter((one) => one.state.profile.node.state === state)),
  }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`)
    .join(", ");
}

function total(rejections: readonly Rejection[]): number {
  return rejections.reduce((sum, { nodeCount }) => sum + nodeCount, 0);
}

function most(bound: readonly Rejection[], amount: (state: IndexState) => number): number {
  return bound.reduce((largest, { state }) => Math.max(largest, amount(state)), 0);
}

function nodes(count: number, one: string, many: string): string {
  return count === 1 ? `1 node ${one}` : `${count} nodes ${many}`;
}

function either(names: readonly string[]): string {
  return names.join(" or ");
}

/** "an H100", "a T4 or L4": letters that are spoken with a vowel first take "an". */
function withArticle(types: readonly GpuType[]): string {
  const article = /^[AEFHILMNORSX]/.test(types[0] ?? "") ? "an" : "a";
  return `${article} ${either(types)}`;
}
