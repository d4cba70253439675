/**
 * Dot product: the node whose free amounts point least along the request takes the container,
 * so that what is plentiful on a node is kept for requests of its own shape.
 *
 *     penalty = 100 * (free CPU * CPU wanted + free GPUs * GPUs wanted), in reference machines
 *
 * Source: the DotProd baseline of Q. Weng et al., USENIX ATC 2023, after R. Grandl et al.,
 * "Multi-resource Packing for Cluster Schedulers", SIGCOMM 2014.
 */
import { CARD } from "../fleet/request-class.ts";
import { REFERENCE } from "./best-fit.ts";
import { sumOf, within, type Strategy } from "./strategy.ts";

export function dotProduct(): Strategy {
  return sumOf(
    (request, state) => ({
      cpu: product(state.cpuMilli, request.cpuMilli, REFERENCE.cpuMilli),
      gpu: product(state.gpuFree / CARD, request.gpuCount, REFERENCE.gpuCount),
    }),
    { coldPenalty: 5 },
  );
}

function product(free: number, wanted: number, unit: number): number {
  return within((100 * free * wanted) / (unit * unit), 0, 500);
}
