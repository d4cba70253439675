/**
 * Checks a plan against its input, knowing nothing of how it was made.
 *
 * Nobody may act on a plan that this has not passed. It adds up nodes, quotas, rent and demand
 * again from the input, and packs the containers of every layout on one node with its own
 * first-fit-decreasing over that node's GPUs; it shares no code with the formulation.
 */
import {
  OBJECTIVE_TERMS,
  type ContainerNeeds,
  type DemandClass,
  type Offer,
  type OptimizerPolicy,
} from "../core/index.ts";
import type { FleetPlan, NodeLayout, PlanInput, PlanLine } from "./plan.ts";

/** One thing that is wrong with a plan. */
export interface PlanViolation {
  readonly kind:
    "figures" | "lines" | "capacity" | "quota" | "budget" | "share" | "rule" | "packing" | "demand";
  readonly message: string;
}

const USD_TOLERANCE = 1e-4;
const SHARE_TOLERANCE = 1e-6;

/** No machine runs more; guards the verifier itself against a plan that says so. */
const CONTAINER_COUNT_MAX = 1_000_000;

/** Everything that is wrong with the plan; empty when it is safe to act on. */
export function verifyPlan(input: PlanInput, plan: FleetPlan): readonly PlanViolation[] {
  const facts = factsOf(input);
  return [
    ...figureViolations(facts, plan),
    ...lineViolations(facts, plan),
    ...limitViolations(facts, plan),
    ...plan.lines.flatMap((line) => layoutViolations(facts, line)),
    ...demandViolations(facts, plan),
  ];
}

interface Facts {
  readonly input: PlanInput;
  readonly offers: ReadonlyMap<string, Offer>;
  readonly present: ReadonlyMap<string, number>;
  readonly countMax: ReadonlyMap<string, number>;
  readonly classes: ReadonlyMap<string, DemandClass>;
}

function factsOf(input: PlanInput): Facts {
  const present = new Map(input.fleet.map((entry) => [entry.offerId, entry.count]));
  const offers = new Map(
    input.fleet.flatMap(({ offerId, offer }) => (offer ? [[offerId, offer] as const] : [])),
  );
  const countMax = new Map(present);
  for (const offer of input.offers) {
    offers.set(offer.offerId, offer);
    const most = Math.max(offer.nodeCountMax, present.get(offer.offerId) ?? 0);
    countMax.set(offer.offerId, most);
  }
  const classes = new Map(input.classes.map((demand) => [demand.classId, demand]));
  return { input, offers, present, countMax, classes };
}

function violation(kind: PlanViolation["kind"], message: string): PlanViolation {
  return { kind, message };
}

function figureViolations(
  { input, offers, countMax }: Facts,
  plan: FleetPlan,
): readonly PlanViolation[] {
  const found: PlanViolation[] = [];
  const { objectiveUsdPerHour, boundUsdPerHour, gapFraction, terms } = plan;
  const figures = [objectiveUsdPerHour, boundUsdPerHour, gapFraction, ...Object.values(terms)];
  if (!figures.every((figure) => Number.isFinite(figure) && figure >= 0)) {
    found.push(violation("figures", "a figure is negative or not finite"));
  }
  const sum = OBJECTIVE_TERMS.reduce((total, term) => total + terms[term], 0);
  if (!near(sum, objectiveUsdPerHour)) {
    found.push(violation("figures", `terms add up to ${sum}, objective is ${objectiveUsdPerHour}`));
  }
  if (boundUsdPerHour > objectiveUsdPerHour + USD_TOLERANCE) {
    found.push(violation("figures", `bound ${boundUsdPerHour} is above ${objectiveUsdPerHour}`));
  }
  const rent = rentUsdOf(plan, offers);
  if (!near(rent, terms.rent)) {
    found.push(violation("figures", `lines cost ${rent} USD/h, rent says ${terms.rent}`));
  }
  const committed = committedUsdOf({ offers, countMax });
  if (!near(committed, terms.committed)) {
    found.push(violation("figures", `commitments cost ${committed}, not ${terms.committed} USD/h`));
  }
  const unmet = unmetUsdOf(input, plan);
  if (!near(unmet, terms.unmet)) {
    found.push(violation("figures", `unmet demand costs ${unmet}, the term says ${terms.unmet}`));
  }
  for (const { offerId, priceMicroUsdPerHour } of plan.lines) {
    if (priceMicroUsdPerHour !== (offers.get(offerId)?.priceMicroUsdPerHour ?? 0)) {
      found.push(violation("figures", `line ${offerId} has another price than its offer`));
    }
  }
  return found;
}

function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= USD_TOLERANCE + 1e-9 * Math.abs(b);
}

/** Rent of all lines but committed ones, whose price is paid anyway. */
function rentUsdOf(plan: FleetPlan, offers: Facts["offers"]): number {
  return plan.lines.reduce((sum, { offerId, count, priceMicroUsdPerHour }) => {
    const isCommitted = offers.get(offerId)?.purchase === "reserved";
    return isCommitted ? sum : sum + (count * priceMicroUsdPerHour) / 1e6;
  }, 0);
}

function committedUsdOf({ offers, countMax }: Pick<Facts, "offers" | "countMax">): number {
  let usd = 0;
  for (const { offerId, purchase, priceMicroUsdPerHour } of offers.values()) {
    if (purchase !== "reserved") continue;
    usd += ((countMax.get(offerId) ?? 0) * priceMicroUsdPerHour) / 1e6;
  }
  return usd;
}

function unmetUsdOf(input: PlanInput, plan: FleetPlan): number {
  const probability = new Map(input.scenarios.map((each) => [each.scenarioId, each.probability]));
  const price = new Map(
    input.classes.map((each) => [each.classId, each.unmetMicroUsdPerHour / 1e6]),
  );
  return plan.unmet.reduce(
    (sum, { classId, scenarioId, quantity }) =>
      sum + (probability.get(scenarioId) ?? 0) * quantity * (price.get(classId) ?? 0),
    0,
  );
}

function lineViolations(facts: Facts, plan: FleetPlan): readonly PlanViolation[] {
  const found: PlanViolation[] = [];
  const lines = new Map(plan.lines.map((line) => [line.offerId, line]));
  if (lines.size !== plan.lines.length) found.push(violation("lines", "an offer has two lines"));
  for (const [offerId, count] of facts.present) {
    if (count > 0 && !lines.has(offerId)) {
      found.push(violation("lines", `the present nodes of ${offerId} have no line`));
    }
  }
  for (const line of plan.lines) found.push(...oneLineViolations(facts, line));
  return found;
}

function oneLineViolations(facts: Facts, line: PlanLine): readonly PlanViolation[] {
  const found: PlanViolation[] = [];
  const { offerId, count, delta } = line;
  const present = facts.present.get(offerId) ?? 0;
  const offer = facts.offers.get(offerId);
  if (!Number.isSafeInteger(count) || count < 0) {
    found.push(violation("lines", `line ${offerId} counts ${count} nodes`));
  }
  if (delta !== count - present)
    found.push(violation("lines", `line ${offerId} has a wrong delta`));
  if (!offer && delta !== 0) {
    found.push(violation("lines", `line ${offerId} moves nodes of an unknown offer`));
  }
  if (count > (facts.countMax.get(offerId) ?? 0)) {
    found.push(violation("capacity", `line ${offerId} wants ${count} nodes, more than there are`));
  }
  if (offer && count > 0 && !policyAllows(offer, facts.input.policy)) {
    found.push(violation("rule", `policy forbids ${offerId}`));
  }
  return found;
}

function policyAllows(offer: Offer, policy: OptimizerPolicy): boolean {
  if (policy.clouds !== undefined && !policy.clouds.includes(offer.cloud)) return false;
  if (policy.regions !== undefined && !policy.regions.includes(offer.region)) return false;
  return policy.spotAllowed || offer.purchase !== "spot";
}

function limitViolations(facts: Facts, plan: FleetPlan): readonly PlanViolation[] {
  const { input, offers } = facts;
  const found: PlanViolation[] = [];
  for (const [group, limit] of Object.entries(input.quotaLimits ?? {})) {
    const used = plan.lines.reduce((sum, line) => {
      const counts = offers.get(line.offerId)?.quotaGroups.includes(group) ?? false;
      return counts ? sum + line.count : sum;
    }, 0);
    if (used > limit)
      found.push(violation("quota", `quota ${group}: ${used} nodes, ${limit} allowed`));
  }
  const budget = (input.policy.budgetMicroUsdPerHourMax ?? Infinity) / 1e6;
  const rent = rentUsdOf(plan, offers);
  const committed = committedUsdOf(facts);
  // What is committed cannot be given up: a budget below it allows no rent at all.
  if (rent > Math.max(0, budget - committed) + USD_TOLERANCE) {
    found.push(violation("budget", `rent is ${rent + committed} USD/h, budget ${budget}`));
  }
  return [...found, ...shareViolations(facts, plan)];
}

function shareViolations({ input, offers }: Facts, plan: FleetPlan): readonly PlanViolation[] {
  const gpusOf = ({ offerId, count }: PlanLine): number =>
    count * (offers.get(offerId)?.resources.gpuCount ?? 0);
  const all = plan.lines.reduce((sum, line) => sum + gpusOf(line), 0);
  return input.policy.shares.flatMap(({ of, name, minFraction = 0, maxFraction = 1 }) => {
    const held = plan.lines
      .filter(({ offerId }) => offers.get(offerId)?.[of] === name)
      .reduce((sum, line) => sum + gpusOf(line), 0);
    const isWithin =
      held <= maxFraction * all + SHARE_TOLERANCE * (1 + all) &&
      held >= minFraction * all - SHARE_TOLERANCE * (1 + all);
    const text = `${of} ${name} holds ${held} of ${all} GPUs, ${minFraction} to ${maxFraction} allowed`;
    return isWithin ? [] : [violation("share", text)];
  });
}

function layoutViolations(facts: Facts, line: PlanLine): readonly PlanViolation[] {
  const found: PlanViolation[] = [];
  const used = new Map<string, number>();
  for (const layout of line.layouts) {
    used.set(layout.scenarioId, (used.get(layout.scenarioId) ?? 0) + layout.nodeCount);
    const problem = layoutFault(facts, line.offerId, layout);
    if (problem !== undefined) found.push(violation("packing", `line ${line.offerId}: ${problem}`));
  }
  for (const [scenarioId, nodes] of used) {
    if (nodes > line.count) {
      found.push(
        violation("packing", `line ${line.offerId} packs ${nodes} nodes in ${scenarioId}`),
      );
    }
  }
  return found;
}

function layoutFault(facts: Facts, offerId: string, layout: NodeLayout): string | undefined {
  const offer = facts.offers.get(offerId);
  if (!offer) return "containers on nodes of unknown size";
  if (!isCount(layout.nodeCount)) return `${layout.nodeCount} nodes`;
  const held: ContainerNeeds[] = [];
  for (const { classId, quantity } of layout.containers) {
    const needs = facts.classes.get(classId)?.needs;
    if (!needs || !isCount(quantity)) return `${quantity} containers of ${classId}`;
    if (!isAllowedOn(offer, needs)) return `${classId} may not run there`;
    if (quantity > CONTAINER_COUNT_MAX) return `${quantity} containers of ${classId} on one node`;
    for (let each = 0; each < quantity; each += 1) held.push(needs);
  }
  return fitsOneNode(offer, held) ? undefined : "more containers than one node holds";
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function isAllowedOn(offer: Offer, needs: ContainerNeeds): boolean {
  const gpuOk =
    !needs.gpu || (offer.gpuType !== undefined && needs.gpu.types.includes(offer.gpuType));
  const regionOk = needs.regions === undefined || needs.regions.includes(offer.region);
  const cloudOk = needs.clouds === undefined || needs.clouds.includes(offer.cloud);
  return gpuOk && regionOk && cloudOk && (needs.preemptible || offer.purchase !== "spot");
}

/** Packs containers on one node: whole GPUs first, then fractions first-fit by decreasing size. */
function fitsOneNode(offer: Offer, held: readonly ContainerNeeds[]): boolean {
  const { cpuMilli, memoryMiB, gpuCount } = offer.resources;
  const cpu = held.reduce((sum, needs) => sum + needs.cpuMilli, 0);
  const memory = held.reduce((sum, needs) => sum + needs.memoryMiB, 0);
  if (cpu > cpuMilli * (1 + 1e-9) || memory > memoryMiB * (1 + 1e-9)) return false;
  const wanted = held.map((needs) => needs.gpu?.count ?? 0);
  const whole = wanted.reduce((sum, count) => sum + (count >= 1 ? count : 0), 0);
  if (whole > gpuCount) return false;
  const free = Array.from({ length: gpuCount - whole }, () => 1);
  const fractions = wanted.filter((count) => count > 0 && count < 1).sort((a, b) => b - a);
  return fractions.every((fraction) => {
    const gpu = free.findIndex((share) => share >= fraction - SHARE_TOLERANCE);
    if (gpu < 0) return false;
    free[gpu] = (free[gpu] ?? 0) - fraction;
    return true;
  });
}

function demandViolations({ input }: Facts, plan: FleetPlan): readonly PlanViolation[] {
  const found: PlanViolation[] = [];
  const answered = new Map<string, number>();
  const add = (scenarioId: string, classId: string, quantity: number): void => {
    const key = JSON.stringify([scenarioId, classId]);
    answered.set(key, (answered.get(key) ?? 0) + quantity);
  };
  for (const { scenarioId, nodeCount, containers } of plan.lines.flatMap((line) => line.layouts)) {
    for (const { classId, quantity } of containers) add(scenarioId, classId, nodeCount * quantity);
  }
  for (const { scenarioId, classId, quantity, reason } of plan.unmet) {
    if (!(quantity > 0) || reason === "") {
      found.push(
        violation("demand", `unmet ${classId} in ${scenarioId} lacks a quantity or reason`),
      );
    }
    add(scenarioId, classId, quantity);
  }
  for (const { scenarioId, quantity } of input.scenarios) {
    for (const { classId } of input.classes) {
      const key = JSON.stringify([scenarioId, classId]);
      const wanted = quantity[classId] ?? 0;
      const got = answered.get(key) ?? 0;
      answered.delete(key);
      if (got !== wanted) {
        found.push(violation("demand", `${got} of ${wanted} ${classId} answered in ${scenarioId}`));
      }
    }
  }
  for (const key of answered.keys())
    found.push(violation("demand", `answers nobody's demand ${key}`));
  return found;
}
