/**
 * The default strategy: goes down a potential of each node, in GPUs that nobody will use.
 *
 *     penalty   = potential(after) - potential(before) + small terms for everything else
 *     potential = w_stranded * stranded + w_fragmented * fragmented + w_wasted * wasted
 *
 * - stranded: idle GPU that the node's free CPU or memory will not serve. What an idle amount E
 *   will ask of CPU is taken as normal with mean k E and deviation s sqrt(E), where k and s are
 *   parts of the mean CPU per GPU of the demand; the expected shortfall over k is GPUs lost.
 *   The worse of CPU and memory counts. GPU-rich nodes thus refuse CPU-heavy containers, and
 *   nodes with CPU to spare absorb them. Most of the gain over FGD rests on this term.
 * - fragmented: idle GPU that a class of the demand could not use (fragmentation.ts), whole
 *   GPUs counted by size, so that rare large requests are not forgotten.
 * - wasted: what is left on partly used cards and will not be filled (potential/remainder.ts).
 * - scarce: GPUs of a type without which others can do nothing (potential/scarcity.ts).
 *
 * Learned from the demand alone. With no demand known it packs tightly.
 */
import type { NodeState } from "../fleet/node-state.ts";
import type { RequestClass } from "../fleet/request-class.ts";
import { PART_WEIGHTS, Potential } from "./potential/potential.ts";
import { scarcityPrices } from "./potential/scarcity.ts";
import { within, type Strategy, type StrategyKnowledge } from "./strategy.ts";

/** What the small terms count, in GPUs. Each is 0..1 before, but for `scarce`. */
const WEIGHTS = {
  /** Scarcity of a type times GPUs taken of it. */
  scarce: 2.4,
  /** CPU left free around work without GPUs, in reference machines: best fit for such work. */
  spareCpu: 0.8,
  /** Work without GPUs on a node that has some. */
  gpuNodeForCpu: 8,
  /** An empty node, which could have been released. */
  openedNode: 0.005,
  /** A node that cannot be reclaimed, for a container that would do with one that can. */
  steadyNode: 0.02,
} as const;

const SCARCITY_MAX = 16;
const REFERENCE_CPU_MILLI = 128_000;

/** The strategy for a demand. */
export function defaultStrategy({ mix, gpuCapacity }: StrategyKnowledge): Strategy {
  const potential = new Potential(mix);
  const gpuMix = mix.filter(({ request }) => request.gpuCount > 0);
  const prices = scarcityPrices(gpuMix, gpuCapacity);
  const scarcityOf = (request: RequestClass, { profile: { node } }: NodeState): number => {
    if (request.gpuCount === 0 || node.gpuType === undefined) return 0;
    return (
      WEIGHTS.scarce * within(prices.get(node.gpuType) ?? 0, 0, SCARCITY_MAX) * request.gpuCount
    );
  };
  return {
    penalty: (request, state) =>
      potential.growth(request, state) +
      scarcityOf(request, state) +
      spareCpu(request, state) +
      nodePenalty(request, state),
    terms: (request, state) => {
      const grown = potential.partsGrown(request, state);
      return {
        stranded: PART_WEIGHTS.stranded * grown.stranded,
        fragmented: PART_WEIGHTS.fragmented * grown.fragmented,
        wasted: PART_WEIGHTS.wasted * grown.wasted,
        scarce: scarcityOf(request, state),
        spareCpu: spareCpu(request, state),
        node: nodePenalty(request, state),
      };
    },
    cardFor: (request, state) => potential.bestCard(request, state),
    coldPenalty: 0.1,
  };
}

function spareCpu(request: RequestClass, state: NodeState): number {
  if (request.gpuCount > 0) return 0;
  const left = (state.cpuMilli - request.cpuMilli) / REFERENCE_CPU_MILLI;
  return WEIGHTS.spareCpu * within(left, 0, 1);
}

function nodePenalty(request: RequestClass, { occupied, profile }: NodeState): number {
  const misplaced = request.gpuCount === 0 && profile.cardCount > 0 ? WEIGHTS.gpuNodeForCpu : 0;
  const steady = request.needs.preemptible && profile.node.purchase !== "spot";
  return misplaced + (occupied ? 0 : WEIGHTS.openedNode) + (steady ? WEIGHTS.steadyNode : 0);
}
