/** How well the simulation tests the whole: the mistakes that it catches, and the seeds of CI. */
import { availableParallelism } from "node:os";
import { HUNT_SEEDS, huntMutants } from "../../tests/sim-check/hunt.ts";
import { MUTANTS } from "../../tests/sim-check/mutants.ts";
import { SEEDS } from "../../tests/sim-check/worlds.ts";
import type { Report } from "../harness.ts";

/**
 * Figures `mutants_caught` (of as many as there are) and `sim_seeds` (flown by `npm test`).
 *
 * Cost: a run of about half a second for each seed that a mistake needs.
 */
export async function reportMutants(report: Report): Promise<void> {
  const catches = await huntMutants(HUNT_SEEDS, availableParallelism(), (one) => {
    report.note(`${one.mutant}: caught by seed ${one.seed ?? 0} (${one.finding ?? ""})`);
  });
  const value = catches.filter(({ seed }) => seed !== undefined).length;
  const baseline = MUTANTS.length;
  report.figure({ metric: "mutants_caught", value, unit: "mutants", baseline });
  report.figure({ metric: "sim_seeds", value: SEEDS, unit: "seeds" });
}
