/** The policy of production: its forecast, its buffers, its optimizer. */
import { assert, type OptimizerPolicy, type PoolPolicy } from "../../core/index.ts";
import { createPlanMemory, planFleet, type PlanInput } from "../../optimizer/index.ts";
import {
  demandOf,
  desiredLinesOf,
  NO_WORK_SEEN,
  observeWork,
  planInputOf,
  type DesiredLine,
  type FunctionWork,
} from "../../pool/index.ts";
import type {
  CapacityAnswer,
  CapacityPolicy,
  CapacityView,
  FunctionLoad,
  PolicyState,
} from "../capacity-policy.ts";

type Solvers = Parameters<typeof planFleet>[1];

export interface OurPolicyOptions {
  readonly name?: string;
  readonly optimizer: OptimizerPolicy;
  readonly pool: PoolPolicy;
  readonly solvers: Solvers;
}

/** What production does, as a policy of a simulation. */
export class OurPolicy implements CapacityPolicy {
  readonly name: string;
  readonly pool: PoolPolicy;
  readonly #optimizer: OptimizerPolicy;
  readonly #solvers: Solvers;
  #memory = createPlanMemory();
  #seen = NO_WORK_SEEN;
  #key = "";
  #answer: CapacityAnswer = { lines: [], bufferGpuCount: 0 };

  constructor({ name = "flotilla", optimizer, pool, solvers }: OurPolicyOptions) {
    this.name = name;
    this.pool = pool;
    this.#optimizer = optimizer;
    this.#solvers = solvers;
  }

  save(): PolicyState {
    const kind = "planner";
    return { kind, seen: this.#seen, memory: this.#memory, key: this.#key, answer: this.#answer };
  }

  resume(state: PolicyState): void {
    assert(state.kind === "planner", "a planner goes on from what a planner remembered");
    this.#seen = state.seen;
    this.#memory = state.memory;
    this.#key = state.key;
    this.#answer = state.answer;
  }

  async decide(view: CapacityView): Promise<CapacityAnswer> {
    const { nowMs, started, missed, offers } = view;
    const demand = demandOf(view.functions.map(workOf), this.#optimizer);
    const spotGpuCount = spotGpusOf(view.fleet);
    const look = { demand, started, missed, spotGpuCount, nowMs };
    this.#seen = observeWork(this.#seen, look, this.#optimizer);
    const fleet = view.fleet.map(({ offer, nodeCount }) => presentOf(offer, nodeCount, offers));
    const planned = planInputOf(this.#seen, demand, { offers, fleet, policy: this.#optimizer });
    const { input, buffers } = planned;
    if (input.classes.length === 0 && fleet.length === 0) return { lines: [], bufferGpuCount: 0 };
    const key = keyOf(input);
    if (key === this.#key) return this.#answer;
    const plan = await planFleet(input, this.#solvers, undefined, this.#memory);
    const lines: readonly DesiredLine[] = desiredLinesOf(
      plan.lines,
      input.classes,
      this.#optimizer,
    );
    const bufferGpuCount = buffers.reduce(
      (sum, { demandClass, quantity }) => sum + quantity * (demandClass.needs.gpu?.count ?? 0),
      0,
    );
    const { status, gapFraction, unmet } = plan;
    const unmetContainers = unmet.reduce((sum, { quantity }) => sum + quantity, 0);
    this.#key = key;
    this.#answer = {
      lines,
      bufferGpuCount,
      plan: { isFallback: status === "fallback", gapFraction, unmetContainers },
    };
    return this.#answer;
  }
}

function spotGpusOf(fleet: CapacityView["fleet"]): number {
  return fleet.reduce(
    (sum, { offer, nodeCount }) =>
      sum + (offer.purchase === "spot" ? nodeCount * offer.resources.gpuCount : 0),
    0,
  );
}

function workOf(load: FunctionLoad): FunctionWork {
  const { needs, containers, waiting, serviceMs } = load;
  if (serviceMs === undefined) return { needs, containers, waiting };
  const { arrivedPerSecond: inputsPerSecond, backlog, concurrency, floor, maxContainers } = load;
  const known = { inputsPerSecond, serviceMs, backlog, concurrency, floor, maxContainers };
  return { needs, containers, waiting, load: known };
}

function presentOf(
  offer: CapacityView["offers"][number],
  count: number,
  open: CapacityView["offers"],
): PlanInput["fleet"][number] {
  const { offerId } = offer;
  const isOpen = open.some((one) => one.offerId === offerId);
  return isOpen ? { offerId, count } : { offerId, count, offer };
}

/** Equal keys mean equal plans. */
function keyOf({ offers, scenarios, fleet }: PlanInput): string {
  const priced = offers.map((one) => [one.offerId, one.priceMicroUsdPerHour, one.nodeCountMax]);
  const present = fleet.map(({ offerId, count }) => [offerId, count]);
  return JSON.stringify([priced, scenarios[0]?.quantity, present]);
}
