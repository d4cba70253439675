/**
 * Checks a plan's input and brings it into one order, so that equal inputs give equal plans.
 *
 * Everything a person or a price feed can get wrong is one `invalid_request` that names the
 * thing and the field. What is well-formed but cannot be had (no offers, a quota of 0) is not
 * an error: it becomes unmet demand.
 */
import {
  PlatformError,
  type DemandClass,
  type Offer,
  type OptimizerPolicy,
} from "../core/index.ts";
import type { DemandScenario, PlanInput, PresentNodes } from "./plan.ts";

/** Probabilities may miss 1 by rounding, no more. */
const PROBABILITY_TOLERANCE = 1e-6;

/**
 * The same input with every list sorted by id.
 *
 * @throws PlatformError `invalid_request`, naming the first mistake found.
 */
export function readInput(input: PlanInput): PlanInput {
  const offers = sortedById(input.offers, "offer", (offer) => offer.offerId);
  const classes = sortedById(input.classes, "demand class", (demand) => demand.classId);
  const scenarios = sortedById(input.scenarios, "scenario", (scenario) => scenario.scenarioId);
  const fleet = sortedById(input.fleet, "fleet entry", (present) => present.offerId);
  offers.forEach(checkOffer);
  classes.forEach(checkClass);
  fleet.forEach(checkPresent);
  checkScenarios(scenarios, new Set(classes.map((demand) => demand.classId)));
  checkQuotas(input.quotaLimits ?? {});
  checkPolicy(input.policy);
  return { ...input, offers, classes, scenarios, fleet };
}

/** Text order by code unit: the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortedById<T>(items: readonly T[], what: string, idOf: (item: T) => string): readonly T[] {
  const sorted = [...items].sort((a, b) => compareText(idOf(a), idOf(b)));
  sorted.forEach((item, index) => {
    const next = sorted[index + 1];
    if (next !== undefined && idOf(item) === idOf(next)) {
      throw invalid(`${what} ${idOf(item)} is listed twice`, { id: idOf(item) });
    }
  });
  return sorted;
}

function checkOffer(offer: Offer): void {
  const what = `offer ${offer.offerId}`;
  checkAmount(what, "priceMicroUsdPerHour", offer.priceMicroUsdPerHour);
  checkAmount(what, "reclaimFractionPerHour", offer.reclaimFractionPerHour, 1);
  checkAmount(what, "resources.cpuMilli", offer.resources.cpuMilli);
  checkAmount(what, "resources.memoryMiB", offer.resources.memoryMiB);
  checkWhole(what, "resources.gpuCount", offer.resources.gpuCount);
  checkWhole(what, "nodeCountMax", offer.nodeCountMax);
  const failing = offer.launchFailureFraction ?? 0;
  if (!(failing >= 0 && failing < 1)) {
    throw wrong(what, "launchFailureFraction", failing, "0 or more and below 1");
  }
}

function checkClass(demand: DemandClass): void {
  const what = `demand class ${demand.classId}`;
  const { needs } = demand;
  checkAmount(what, "unmetMicroUsdPerHour", demand.unmetMicroUsdPerHour);
  if (demand.home) checkAmount(what, "home.gibPerHour", demand.home.gibPerHour);
  checkAmount(what, "needs.cpuMilli", needs.cpuMilli);
  checkAmount(what, "needs.memoryMiB", needs.memoryMiB);
  if (needs.gpu) {
    const { count, types } = needs.gpu;
    if (!(count > 0 && (count < 1 || Number.isSafeInteger(count)))) {
      throw wrong(what, "needs.gpu.count", count, "a fraction below 1 or a whole number");
    }
    if (types.length === 0) throw wrong(what, "needs.gpu.types", "empty", "at least one type");
  } else if (needs.cpuMilli === 0 && needs.memoryMiB === 0) {
    throw wrong(what, "needs", "nothing", "some cpu, memory or GPU");
  }
}

function checkPresent(present: PresentNodes): void {
  checkWhole(`fleet entry ${present.offerId}`, "count", present.count);
  if (!present.offer) return;
  checkOffer(present.offer);
  if (present.offer.offerId !== present.offerId) {
    throw wrong(`fleet entry ${present.offerId}`, "offer", present.offer.offerId, "the same offer");
  }
}

function checkScenarios(scenarios: readonly DemandScenario[], known: ReadonlySet<string>): void {
  if (scenarios.length === 0) throw invalid("a plan needs at least one scenario", {});
  let sum = 0;
  for (const { scenarioId, probability, quantity } of scenarios) {
    const what = `scenario ${scenarioId}`;
    if (!(probability > 0)) throw wrong(what, "probability", probability, "above 0");
    sum += probability;
    for (const [classId, wanted] of Object.entries(quantity)) {
      if (!known.has(classId)) throw wrong(what, "quantity", classId, "a known class");
      checkWhole(what, `quantity of ${classId}`, wanted);
    }
  }
  if (!(Math.abs(sum - 1) <= PROBABILITY_TOLERANCE)) {
    throw invalid(`the probabilities of the scenarios add up to ${sum}, not 1`, { sum });
  }
}

function checkQuotas(limits: Readonly<Record<string, number>>): void {
  for (const [group, limit] of Object.entries(limits)) checkWhole(`quota ${group}`, "limit", limit);
}

function checkPolicy(policy: OptimizerPolicy): void {
  const amounts = {
    interruptionMicroUsd: policy.interruptionMicroUsd,
    churnMicroUsd: policy.churnMicroUsd,
    unmetMicroUsdPerHour: policy.unmetMicroUsdPerHour,
    gpuPreferencePenaltyFraction: policy.gpuPreferencePenaltyFraction,
    budgetMicroUsdPerHourMax: policy.budgetMicroUsdPerHourMax ?? 0,
  };
  for (const [field, value] of Object.entries(amounts)) checkAmount("policy", field, value);
  checkAmount("policy", "gapFraction", policy.gapFraction, 1);
  checkRules(policy);
  checkAmount("policy", "hysteresisFraction", policy.hysteresisFraction, 1);
  if (!(policy.horizonMs > 0 && Number.isFinite(policy.horizonMs))) {
    throw wrong("policy", "horizonMs", policy.horizonMs, "above 0");
  }
  if (!(policy.solveTimeLimitMs > 0 && Number.isFinite(policy.solveTimeLimitMs))) {
    throw wrong("policy", "solveTimeLimitMs", policy.solveTimeLimitMs, "above 0");
  }
}

function checkRules({ shares, concentration, ...policy }: OptimizerPolicy): void {
  for (const { of, name, minFraction = 0, maxFraction = 1 } of shares) {
    const what = `policy: share rule for ${of} ${name}`;
    checkAmount(what, "minFraction", minFraction, 1);
    checkAmount(what, "maxFraction", maxFraction, 1);
    if (minFraction > maxFraction) {
      throw wrong(what, "minFraction", minFraction, `at most maxFraction, ${maxFraction}`);
    }
  }
  for (const { of, freeFraction, microUsdPerGpuHour } of concentration) {
    checkAmount(`policy: concentration of one ${of}`, "freeFraction", freeFraction, 1);
    checkAmount(`policy: concentration of one ${of}`, "microUsdPerGpuHour", microUsdPerGpuHour);
  }
  const prices = { ...policy.egressMicroUsdPerGib, ...policy.regionMicroUsdPerContainerHour };
  for (const [where, price] of Object.entries(prices)) {
    checkAmount(`policy: price for ${where}`, "microUsd", price);
  }
}

function checkAmount(what: string, field: string, value: number, max = Number.MAX_VALUE): void {
  if (!(value >= 0 && value <= max)) {
    throw wrong(what, field, value, max === 1 ? "0 to 1" : "a finite number >= 0");
  }
}

function checkWhole(what: string, field: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 0)) {
    throw wrong(what, field, value, "a whole number >= 0");
  }
}

function wrong(what: string, field: string, value: string | number, wanted: string): PlatformError {
  return invalid(`${what}: ${field} is ${String(value)}, but must be ${wanted}`, { what, field });
}

function invalid(
  message: string,
  details: Readonly<Record<string, string | number>>,
): PlatformError {
  return new PlatformError(`planning refused: ${message}`, {
    code: "invalid_request",
    retryable: false,
    details,
  });
}
