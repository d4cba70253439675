/** Refusals in words: one sentence that names the constraint that binds. */
import { NODE_STATES, type ContainerNeeds, type GpuType, type NodeState } from "../core/index.ts";
import { STAGES, type Stage, type StageCounts } from "./feasibility.ts";
import { freeCardsOf, freeGpusOf, isShare, type Room } from "./room.ts";

/** Nodes that will take containers before long. */
const STARTING: readonly NodeState[] = ["requested", "booting", "registered"];

/** A node and the stage at which it was rejected. */
export interface Rejection {
  readonly room: Room;
  readonly stage: Stage;
}

/** Counts of rejected nodes by stage; every stage has an entry. */
export function countStages(rejections: readonly Rejection[]): StageCounts {
  const count = (stage: Stage): number =>
    rejections.filter((rejection) => rejection.stage === stage).length;
  return {
    state: count("state"),
    cloud: count("cloud"),
    region: count("region"),
    purchase: count("purchase"),
    gpuType: count("gpuType"),
    gpuCount: count("gpuCount"),
    cpu: count("cpu"),
    memory: count("memory"),
  };
}

/** Why no node takes a container with these needs, for a person. */
export function refusalReason(needs: ContainerNeeds, rejections: readonly Rejection[]): string {
  if (rejections.length === 0) return "the fleet has no nodes";
  const binding = STAGES.findLast((stage) => rejections.some((one) => one.stage === stage));
  if (binding === undefined) return "no node fits";
  const rooms = rejections.filter((one) => one.stage === binding).map((one) => one.room);
  const starting = rejections.filter(({ room }) => STARTING.includes(room.node.state)).length;
  const more = binding === "state" || starting === 0 ? "" : `; ${isStarting(starting)}`;
  return `${SENTENCES[binding](needs, rooms)}${more}`;
}

type Sentence = (needs: ContainerNeeds, rooms: readonly Room[]) => string;

const SENTENCES: Readonly<Record<Stage, Sentence>> = {
  state: (_needs, rooms) => `no node is ready: ${countStates(rooms)}`,
  cloud: (needs) => `no node is in ${either(needs.clouds ?? [])}`,
  region: (needs) => `no node is in ${either(needs.regions ?? [])}`,
  purchase: (_needs, rooms) =>
    `the container is not preemptible and ${nodes(rooms.length, "is", "are")} spot`,
  gpuType: (needs) => `no node has ${withArticle(needs.gpu?.types ?? [])}`,
  gpuCount: gpuSentence,
  cpu: (needs, rooms) =>
    shortSentence(needs, `${needs.cpuMilli / 1_000} free vCPU`, {
      free: `${Math.max(0, ...rooms.map((room) => room.cpuMilliFree)) / 1_000} vCPU`,
      nodeCount: rooms.length,
    }),
  memory: (needs, rooms) =>
    shortSentence(needs, `${needs.memoryMiB} MiB of free memory`, {
      free: `${Math.max(0, ...rooms.map((room) => room.memoryMiBFree))} MiB`,
      nodeCount: rooms.length,
    }),
};

function gpuSentence(needs: ContainerNeeds, rooms: readonly Room[]): string {
  const count = needs.gpu?.count ?? 0;
  const types = either(needs.gpu?.types ?? []);
  const have = `${nodes(rooms.length, "has", "have")} ${types}`;
  const largest = Math.max(...rooms.map((room) => room.cardCount));
  if (largest < count) return `no node has ${count} ${types}: ${have}, ${largest} at most`;
  const free = isShare(count) ? freeGpusOf : freeCardsOf;
  const most = Number(Math.max(...rooms.map(free)).toFixed(2));
  const left =
    most === 0
      ? "all GPUs in use"
      : `at most ${most} free on one${isShare(count) ? ", in pieces" : ""}`;
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

function countStates(rooms: readonly Room[]): string {
  return NODE_STATES.map((state) => ({
    state,
    count: rooms.filter((room) => room.node.state === state).length,
  }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`)
    .join(", ");
}

function isStarting(count: number): string {
  return `${nodes(count, "is", "are")} starting`;
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
