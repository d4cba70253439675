/**
 * Whether one container fits on one node, without a round: what eviction asks hundreds of times
 * for each decision.
 *
 * Decides as `place` does for one request and one node, held by a test. A member of a gang is
 * left to `place`, since it needs its whole gang. O(containers of the node).
 */
import {
  createRng,
  DEFAULT_SCHEDULER_POLICY,
  type ContainerRequest,
  type Node,
  type PlacedContainer,
  type Clock,
  type SchedulerPolicy,
} from "../core/index.ts";
import type { FitsOn } from "./autoscale/evict.ts";
import { failedProfileStage, failedRoomStage, malformation } from "./feasibility.ts";
import { ClassTable } from "./fleet/class-table.ts";
import { layOut } from "./fleet/lay-out.ts";
import { amountsOf } from "./fleet/profile.ts";
import { CARD } from "./fleet/request-class.ts";
import { place } from "./place.ts";
import { SpreadLedger } from "./queue/spread-ledger.ts";

/**
 * The question with what it remembers between two of them; one object may serve for ever.
 *
 * Quotas of workspaces do not count: they were settled when the container was left without room.
 *
 * @param clock For the deadlines of gangs.
 */
export function fitsOnNode(
  clock: Pick<Clock, "nowMs">,
  policy: SchedulerPolicy = DEFAULT_SCHEDULER_POLICY,
): FitsOn {
  const classes = new ClassTable();
  const alone = { ...policy, quotas: {}, evictionCountMaxPerRound: 0 };
  const rng = createRng("eviction");
  return (waiting, node, containers) => {
    if (waiting.gang !== undefined) {
      const options = { nowMs: clock.nowMs(), rng, policy: alone };
      return place([waiting], { nodes: [node], containers }, options).placements.length > 0;
    }
    const { needs, containerId } = waiting;
    if (malformation(needs) !== undefined) return false;
    const request = classes.of(needs);
    if (failedProfileStage({ node }, request) !== undefined) return false;
    const here = containers.filter(({ nodeId }) => nodeId === node.nodeId);
    if (here.some((one) => one.containerId === containerId)) return false;
    return (
      failedRoomStage(freeOn(node, here), request) === undefined && isAllowed(waiting, node, here)
    );
  };
}

function freeOn(
  node: Node,
  containers: readonly PlacedContainer[],
): Parameters<typeof failedRoomStage>[0] {
  const { cardCount, ...amounts } = amountsOf(node);
  const cards = new Array<number>(cardCount).fill(CARD);
  for (const { taken } of layOut(cards, containers)) {
    amounts.cpuMilli -= taken.cpuMilli;
    amounts.memoryMiB -= taken.memoryMiB;
    amounts.diskMiB -= taken.diskMiB;
    for (const card of taken.cards) cards[card] = (cards[card] ?? 0) - taken.perCard;
  }
  const wholeFree = cards.filter((free) => free === CARD).length;
  return { ...amounts, wholeFree, cards: cards.sort((a, b) => b - a) };
}

function isAllowed(
  { excludedNodeIds, spread }: ContainerRequest,
  node: Node,
  containers: readonly PlacedContainer[],
): boolean {
  if (excludedNodeIds?.includes(node.nodeId) === true) return false;
  return spread === undefined || new SpreadLedger(containers, () => node).allows(spread, node);
}
