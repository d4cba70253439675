/**
 * Packing: shared cards first, then free cards of used nodes, then empty nodes; within each the
 * fullest node.
 *
 *     penalty = 100 * tier + 100 * GPUs left / GPUs of the node,   tier 0, 1, 2
 *
 * Source: the GpuPacking baseline of Q. Weng et al., USENIX ATC 2023.
 */
import type { NodeState } from "../fleet/node-state.ts";
import { CARD, type RequestClass } from "../fleet/request-class.ts";
import { sumOf, tightestCard, within, type Strategy } from "./strategy.ts";

export function packing(): Strategy {
  return sumOf(
    (request, state) => ({
      tier: 100 * tierOf(request, state),
      left: 100 * within(partLeft(request, state), 0, 1),
    }),
    { coldPenalty: 5 },
  );
}

function tierOf(request: RequestClass, state: NodeState): number {
  if (!state.occupied) return 2;
  if (request.share === 0) return 1;
  const card = state.cards[tightestCard(state.cards, request.share)];
  return card !== undefined && card < CARD ? 0 : 1;
}

/** Of GPUs, or of CPU where a node has none. */
function partLeft(request: RequestClass, { profile, gpuFree, cpuMilli }: NodeState): number {
  if (profile.cardCount > 0) return (gpuFree / CARD - request.gpuCount) / profile.cardCount;
  return (cpuMilli - request.cpuMilli) / Math.max(1, profile.cpuMilli);
}
