/**
 * The plan of a market with one offer, without a solver: as many nodes as the containers fill.
 *
 * With one offer a plan is one number. Serving all is best when leaving any container unmet costs
 * more than a node, and then the least number of nodes that holds all containers is optimal as
 * long as giving up a node saves more than its release costs. The number is the lower bound of
 * the resources; where the packer needs a node more than that, a solver is asked.
 */
import { costOf, type Candidate } from "./candidate.ts";
import { fillDraft } from "./complete-draft.ts";
import { fixedUsdOf, type Problem, type ProblemOffer } from "./problem.ts";

/** What is found without a solver, with its proof. */
export interface Evident {
  readonly candidate: Candidate;
  readonly boundUsd: number;
  /** Set when the present fleet stays because leaving it hardly saves. */
  readonly keptFraction?: number;
}

/** The optimal plan where there is one offer and nothing binds; else undefined. O(containers). */
export function onlyOffer(problem: Problem): Evident | undefined {
  const [entry, ...others] = problem.offers;
  const isPlain = problem.probabilities.length === 1 && problem.shares.length === 0;
  if (entry === undefined || others.length > 0 || !isPlain) return undefined;
  if (problem.concentrations.length > 0 || !isWorthServing(problem, entry)) return undefined;
  const count = leastCount(problem, entry);
  if (count > entry.countMax || isLimited(problem, count)) return undefined;
  const candidate = fillDraft(problem, { counts: [count] });
  if (!isServed(problem, candidate)) return undefined;
  const usd = costOf(problem, candidate);
  const boundUsd = usd - fixedUsdOf(problem);
  return kept(problem, { entry, count, usd, boundUsd }) ?? { candidate, boundUsd };
}

/** Whether any container unmet costs more than the node that would serve it. */
function isWorthServing({ classes, groups }: Problem, entry: ProblemOffer): boolean {
  const nodeUsd = entry.rentUsd + entry.reclaimUsd;
  if (nodeUsd <= entry.releaseUsd) return false;
  const costs = groups[entry.groupIndex]?.costs ?? [];
  const extraUsd = Math.max(0, ...costs.map(({ usd }) => usd));
  return classes.every(
    ({ unmetUsd, places }) => places.length > 0 && unmetUsd >= nodeUsd + entry.launchUsd + extraUsd,
  );
}

/** No fewer nodes have the resources that all containers take together. */
function leastCount({ classes }: Problem, { offer }: ProblemOffer): number {
  const taken = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
  for (const { needs, wanted } of classes) {
    const count = wanted[0] ?? 0;
    taken.gpuCount += count * needs.gpuCount;
    taken.cpuMilli += count * needs.cpuMilli;
    taken.memoryMiB += count * needs.memoryMiB;
  }
  const { resources } = offer;
  return Math.max(
    0,
    ...(["gpuCount", "cpuMilli", "memoryMiB"] as const).map((name) =>
      taken[name] === 0 ? 0 : Math.ceil(taken[name] / resources[name] - 1e-9),
    ),
  );
}

function isLimited({ quotas, budgetUsd, offers }: Problem, count: number): boolean {
  const rentUsd = (offers[0]?.rentUsd ?? 0) * count;
  return (
    quotas.some(({ limit }) => count > limit) || (budgetUsd !== undefined && rentUsd > budgetUsd)
  );
}

function isServed({ classes }: Problem, { unmet }: Candidate): boolean {
  return classes.every(({ excess }, index) => (unmet[index]?.[0] ?? 0) <= (excess[0] ?? 0));
}

/** Hysteresis: more nodes than are needed stay while giving them up hardly saves. */
function kept(
  problem: Problem,
  best: {
    readonly entry: ProblemOffer;
    readonly count: number;
    readonly usd: number;
    readonly boundUsd: number;
  },
): Evident | undefined {
  const { present } = best.entry;
  const { hysteresisFraction } = problem.input.policy;
  if (present <= best.count || hysteresisFraction === 0) return undefined;
  if (present > best.entry.countMax || isLimited(problem, present)) return undefined;
  const candidate = fillDraft(problem, { counts: [present] });
  const keptUsd = costOf(problem, candidate);
  const keptFraction = keptUsd > 0 ? (keptUsd - best.usd) / keptUsd : 0;
  if (keptFraction >= hysteresisFraction) return undefined;
  return { candidate, boundUsd: best.boundUsd, keptFraction };
}
