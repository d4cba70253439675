/**
 * Spread: the node with the most left takes the container, so that one lost node hurts least.
 *
 *     penalty = 100 * (used part of CPU + of memory + of GPUs), the container included
 *
 * A share opens the emptiest card. Wastes GPUs; for fleets that are paid for anyway.
 */
import { CARD } from "../fleet/request-class.ts";
import { sumOf, within, type Strategy } from "./strategy.ts";

export function spread(): Strategy {
  return sumOf(
    (request, { profile, ...free }) => ({
      cpu: used(free.cpuMilli - request.cpuMilli, profile.cpuMilli),
      memory: used(free.memoryMiB - request.memoryMiB, profile.memoryMiB),
      gpu: used(free.gpuFree / CARD - request.gpuCount, profile.cardCount),
    }),
    { coldPenalty: 5, cardFor: () => 0 },
  );
}

/** 0 where there is nothing to use. */
function used(free: number, total: number): number {
  return total > 0 ? 100 * within(1 - free / total, 0, 1) : 0;
}
