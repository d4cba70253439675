/**
 * Consolidating: moves that the strategy itself would make if it placed a container again.
 *
 * Each movable container is taken off its node and ranked anew; when the best node beats its
 * own by more than `gainMin`, it moves there. Every move lowers the strategy's penalty, so this
 * ends. For the default strategy, whose penalty is the growth of a potential, it goes down the
 * potential of the whole fleet: small shares end up in remainders that nothing else would fill,
 * and CPU-heavy containers where they strand no GPU.
 */
import type { IndexedNode } from "../fleet/fleet-index.ts";
import type { Movable, MoveBudget, RepackContext, Step } from "./make-room.ts";

export interface ConsolidateOptions {
  readonly budget: MoveBudget;
  /** In the strategy's own unit; what a move must be worth. */
  readonly gainMin: number;
}

/** Moves of one pass over all movable containers; the index then holds them. */
export function consolidate(
  context: RepackContext,
  { budget, gainMin }: ConsolidateOptions,
): readonly Step[] {
  const steps: Step[] = [];
  let gpuCount = 0;
  for (const node of [...context.index.nodes()]) {
    for (const movable of context.movableOn(node.node.nodeId)) {
      if (steps.length >= budget.moveCountMax) return steps;
      if (gpuCount + movable.request.gpuCount > budget.gpuCountMax) continue;
      const step = moveIfBetter(node, movable, { context, gainMin });
      if (step === undefined) continue;
      steps.push(step);
      gpuCount += movable.request.gpuCount;
    }
  }
  return steps;
}

function moveIfBetter(
  node: IndexedNode,
  { containerId, request }: Movable,
  { context, gainMin }: { readonly context: RepackContext; readonly gainMin: number },
): Step | undefined {
  const { index, ranker } = context;
  const home = index.residence(containerId);
  if (home === undefined) return undefined;
  index.dismiss(containerId);
  const own = ranker.totalOn(request, node);
  const best = ranker.best({ request });
  if (best === undefined || own === undefined || best.total >= own - gainMin) {
    index.admit(containerId, home);
    return undefined;
  }
  const toNodeId = best.node.node.nodeId;
  const taken = ranker.takenBy(request, best);
  index.admit(containerId, { nodeId: toNodeId, taken });
  return { containerId, fromNodeId: home.nodeId, toNodeId, cards: taken.cards };
}
