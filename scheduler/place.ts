/**
 * Placement: which node takes each waiting container.
 *
 * Oldest request first; for each, every node is tested in stages (feasibility.ts), the most
 * wanted GPU type that fits somewhere wins, and among its nodes the smallest penalty
 * (score.ts), ties going to the smaller node id. Greedy and without migration, because it runs
 * on every change of the queue; a request that fits now is never turned away for a later one.
 *
 * Guarantees, held by tests: no node is overfilled in any resource, no whole GPU is shared,
 * every stated constraint holds, a refused request fits on no node of the resulting fleet, and
 * whole-GPU requests in falling powers of two all fit if any packing of them does.
 * Limits: O(requests * nodes) at worst; needs that were refused once in a round are refused
 * again without looking, since room only shrinks.
 *
 * Pure: equal inputs give equal placements, order included.
 */
import {
  demandClassKey,
  resourcesOf,
  type ContainerNeeds,
  type ContainerRequest,
  type Node,
  type PlacedContainer,
  type Rng,
} from "../core/index.ts";
import { countStages, refusalReason, type Rejection } from "./explain.ts";
import { failedStage, malformation, type StageCounts } from "./feasibility.ts";
import { freeGpusOf, roomsOf, withContainer, type Room } from "./room.ts";
import { penaltyOf } from "./score.ts";

/** The fleet as the scheduler sees it; nodes in any order, each once. */
export interface FleetSnapshot {
  readonly nodes: readonly Node[];
  /** Everything that holds resources on a node, starting containers included. */
  readonly containers: readonly PlacedContainer[];
}

/** Time and chance for strategies that want them; the built-in one uses neither. */
export interface PlaceOptions {
  readonly nowMs: number;
  readonly rng: Rng;
}

/** A container and the node that takes it. */
export interface Placement {
  readonly containerId: string;
  readonly nodeId: string;
  readonly reason: string;
}

/** A container that stays pending, and the constraint that binds. */
export interface Refusal {
  readonly containerId: string;
  /** One sentence for a person. */
  readonly reason: string;
  /** Nodes rejected at each stage; all 0 when no node was looked at. */
  readonly rejected: StageCounts;
}

/** Every request is in exactly one of the lists, oldest request first. */
export interface PlacementPlan {
  readonly placements: readonly Placement[];
  readonly refusals: readonly Refusal[];
}

/**
 * Places what fits and says why the rest does not.
 *
 * @param requests In any order; oldest `requestedAtMs` first, ties by `containerId`. A container
 *   that is on a node already is refused, so asking twice never takes room twice.
 */
export function place(
  requests: readonly ContainerRequest[],
  fleet: FleetSnapshot,
  _options: PlaceOptions,
): PlacementPlan {
  const rooms = new Map(roomsOf(fleet.nodes, fleet.containers));
  const homes = new Map(fleet.containers.map((held) => [held.containerId, held.nodeId]));
  const refusedClasses = new Map<string, Omit<Refusal, "containerId">>();
  const placements: Placement[] = [];
  const refusals: Refusal[] = [];
  for (const request of [...requests].sort(byAge)) {
    const { containerId, needs } = request;
    const key = demandClassKey(needs);
    const known = obviousRefusal(needs, homes.get(containerId)) ?? refusedClasses.get(key);
    const choice = known ?? choose(needs, rooms);
    if (!("room" in choice)) {
      if (known === undefined) refusedClasses.set(key, choice);
      refusals.push({ containerId, ...choice });
      continue;
    }
    const { nodeId } = choice.room.node;
    rooms.set(nodeId, choice.room);
    homes.set(containerId, nodeId);
    placements.push({ containerId, nodeId, reason: choice.reason });
  }
  return { placements, refusals };
}

/** The node chosen, as it is after the container has moved in. */
interface Choice {
  readonly room: Room;
  readonly reason: string;
}

interface Candidate {
  readonly room: Room;
  /** Place of the node's GPU type in the request's list; 0 without GPUs. */
  readonly preference: number;
  readonly penalty: number;
}

function choose(
  needs: ContainerNeeds,
  rooms: ReadonlyMap<string, Room>,
): Choice | Omit<Refusal, "containerId"> {
  const rejections: Rejection[] = [];
  let best: Candidate | undefined;
  let fitCount = 0;
  for (const before of rooms.values()) {
    const stage = failedStage(before, needs);
    if (stage !== undefined) {
      rejections.push({ room: before, stage });
      continue;
    }
    fitCount += 1;
    const candidate = candidateOf(needs, before);
    if (best === undefined || isBetter(candidate, best)) best = candidate;
  }
  if (best === undefined) {
    return { reason: refusalReason(needs, rejections), rejected: countStages(rejections) };
  }
  return { room: best.room, reason: choiceReason(needs, best, fitCount) };
}

function candidateOf(needs: ContainerNeeds, before: Room): Candidate {
  const after = withContainer(before, resourcesOf(needs));
  const type = before.node.gpuType;
  const preference =
    needs.gpu === undefined || type === undefined ? 0 : needs.gpu.types.indexOf(type);
  return { room: after, preference, penalty: penaltyOf({ needs, before, after }) };
}

function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.preference !== other.preference) return one.preference < other.preference;
  if (one.penalty !== other.penalty) return one.penalty < other.penalty;
  return one.room.node.nodeId < other.room.node.nodeId;
}

function choiceReason(needs: ContainerNeeds, best: Candidate, fitCount: number): string {
  const { node, cardCount } = best.room;
  const among = fitCount === 1 ? "the only node that fits" : `best of ${fitCount} nodes that fit`;
  if (needs.gpu === undefined || node.gpuType === undefined) return among;
  const free = Number(freeGpusOf(best.room).toFixed(2));
  const order =
    needs.gpu.types.length === 1
      ? ""
      : `, choice ${best.preference + 1} of ${needs.gpu.types.length}`;
  return `${among} (${node.gpuType}${order}); ${free} of ${cardCount} GPUs stay free`;
}

function obviousRefusal(
  needs: ContainerNeeds,
  homeNodeId: string | undefined,
): Omit<Refusal, "containerId"> | undefined {
  const wrong = malformation(needs);
  if (wrong !== undefined) {
    return { reason: `the request is malformed: ${wrong}`, rejected: countStages([]) };
  }
  if (homeNodeId === undefined) return undefined;
  return { reason: `already placed on ${homeNodeId}`, rejected: countStages([]) };
}

function byAge(one: ContainerRequest, other: ContainerRequest): number {
  if (one.requestedAtMs !== other.requestedAtMs) return one.requestedAtMs - other.requestedAtMs;
  return one.containerId < other.containerId ? -1 : 1;
}
