/**
 * Best fit: the node with the least CPU and GPU left takes the container.
 *
 *     penalty = 50 * CPU left / 128 cores + 50 * GPUs left / 8
 *
 * A share goes on the fullest card that holds it.
 * Source: the BestFit baseline of Q. Weng et al., USENIX ATC 2023, with its reference machine.
 */
import { CARD } from "../fleet/request-class.ts";
import { sumOf, within, type Strategy } from "./strategy.ts";

/** The machine that amounts are measured by. */
export const REFERENCE = { cpuMilli: 128_000, gpuCount: 8 } as const;

export function bestFit(): Strategy {
  return sumOf(
    (request, state) => ({
      cpuLeft: 50 * within((state.cpuMilli - request.cpuMilli) / REFERENCE.cpuMilli, 0, 8),
      gpuLeft: 50 * within((state.gpuFree / CARD - request.gpuCount) / REFERENCE.gpuCount, 0, 8),
    }),
    { coldPenalty: 5 },
  );
}
