/** Made-up candidates of a search, so that its page can be looked at and tested without one. */
import { createRng } from "../../core/index.ts";
import type { ParetoCandidate, ParetoStudy } from "./pareto.ts";

/** 64 candidates along a front, a quarter of them judged on the held-out window. */
export function madeUpStudy(world = "m-mid, week 1"): ParetoStudy {
  const rng = createRng("candidates");
  const candidates = Array.from({ length: 64 }, (_, index): ParetoCandidate => {
    const quantile = 0.5 + 0.499 * rng.next();
    const spot = rng.next();
    const waste = 1 + 0.25 * rng.next();
    const costMicroUsdPerHour = Math.round(
      1e6 * 4_200 * waste * (0.7 + 0.6 * quantile - 0.3 * spot),
    );
    const waitP99Ms = 60_000 * (1 - quantile) ** 1.4 * (1 + 2 * spot * spot) * waste;
    const heldOut = { costMicroUsdPerHour: costMicroUsdPerHour * 1.03, waitP99Ms: waitP99Ms * 1.3 };
    return {
      name: `candidate ${index + 1}`,
      settings: { "buffers.*.quantile": round(quantile), "spot.maxShare": round(spot) },
      train: { costMicroUsdPerHour, waitP99Ms },
      ...(index % 4 === 0 ? { heldOut } : {}),
    };
  });
  const objective = "cost + 0.002*waitP99Ms";
  const winner = candidates.toSorted((left, right) => scoreOf(left) - scoreOf(right))[0];
  return { world, seeds: [1, 2], objective, candidates, winner: winner?.name ?? "" };
}

function scoreOf({ train }: ParetoCandidate): number {
  return train.costMicroUsdPerHour / 1e6 + 0.2 * train.waitP99Ms;
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
