/**
 * The fleet as a mixed-integer program.
 *
 * Sets: offers o, groups g of offers with like nodes, classes d, scenarios s (probability p_s),
 * resources r (GPUs, cpu, memory), quota groups q.
 * Data: rent_o and reclaim_o (USD/h a node; rent is 0 for committed nodes), f_o present nodes,
 * c_o most nodes, launch_o and release_o (USD/h a node, spread over the horizon, failed launches
 * counted in), a_dr need of a container, A_gr resources of a node, G_o GPUs of a node, n_ds
 * containers wanted, v_d price of an unmet container (USD/h), e_dg price of a container beyond
 * its node (less wanted GPU type, region, egress; USD/h), shares phi_k of all GPUs, their price
 * kappa_k (USD/h a GPU). Sources of the figures: the offers, the policy, the demand; see costs.ts.
 *
 * Variables: x_o nodes (whole, 0..c_o), y_dgs containers (whole, 0..n_ds), u_ds unmet (>= 0),
 * l_o and r_o launches and releases (>= 0; for f_o = 0 the launches are x_o itself), z_k GPUs
 * beyond a free share (>= 0).
 *
 *   min  sum_o (rent_o + reclaim_o) x_o + sum_o (launch_o l_o + release_o r_o) + sum_k kappa_k z_k
 *        + sum_s p_s (sum_dg e_dg y_dgs + sum_d v_d u_ds)
 *   s.t. sum_g y_dgs + u_ds = n_ds                            every container is served or unmet
 *        sum_d a_dr y_dgs <= A_gr sum_{o in g} x_o            resources of a group
 *        y_dgs <= fit_dg sum_{o in g} x_o                     whole containers per whole node
 *        sum_d w_kd y_dgs <= sum_{o in g(k)} x_o              packing cuts k, see cuts.ts
 *        x_o - l_o + r_o = f_o                                churn
 *        sum_{o in q} x_o <= limit_q;  sum_o rent_o x_o <= budget
 *        T = sum_o G_o x_o                                                        all GPUs
 *        min_k T <= sum_{o in k} G_o x_o <= max_k T                               shares
 *        sum_{o in k} G_o x_o - phi_k T <= z_k                                    concentration
 *
 * The resource rows alone let eight 1-GPU nodes serve half of a 2-GPU container each; the fit
 * rows forbid that for one class, the cuts for mixtures. Rows that others imply are left out.
 */
import { gpuRulesOf } from "./market-rules.ts";
import type { OfferGroup, Problem } from "./problem.ts";
import { ModelBuilder, type MipModel } from "./solvers/solver.ts";

/** For every scenario: the weighted containers of a group are at most its nodes. */
export interface PackingCut {
  readonly groupIndex: number;
  /** Class index to its weight, the share of a node it takes at least. */
  readonly weights: ReadonlyMap<number, number>;
}

/** A row or column bound that a person may want the price of. */
export interface PricedRow {
  readonly constraint: string;
  readonly row: number;
}

export interface Formulation {
  /** Column o is the number of nodes of offer o; the others follow. */
  readonly model: MipModel;
  readonly containerColumns: readonly ContainerColumn[];
  readonly pricedRows: readonly PricedRow[];
}

interface ContainerColumn {
  readonly column: number;
  readonly groupIndex: number;
  readonly classIndex: number;
  readonly scenarioIndex: number;
}

/** Nodes per offer, and containers per scenario and group by class. */
export interface Assignment {
  readonly counts: readonly number[];
  readonly containers: readonly (readonly ReadonlyMap<number, number>[])[];
}

/** Builds the program. Size: offers + groups x classes x scenarios columns. */
export function formulate(problem: Problem, cuts: readonly PackingCut[]): Formulation {
  const builder = new ModelBuilder();
  addNodeColumns(builder, problem);
  const containerColumns = addContainerColumns(builder, problem);
  addDemandRows(builder, problem, containerColumns);
  addPackingRows(builder, problem, containerColumns, cuts);
  const pricedRows = addLimitRows(builder, problem);
  return { model: builder.build(), containerColumns, pricedRows };
}

/** Reads whole numbers out of checked values. */
export function readAssignment(
  problem: Problem,
  formulation: Formulation,
  values: Float64Array,
): Assignment {
  const containers = problem.probabilities.map(() =>
    problem.groups.map(() => new Map<number, number>()),
  );
  for (const { column, groupIndex, classIndex, scenarioIndex } of formulation.containerColumns) {
    const quantity = Math.round(values[column] ?? 0);
    if (quantity > 0) containers[scenarioIndex]?.[groupIndex]?.set(classIndex, quantity);
  }
  return { counts: problem.offers.map((_, index) => Math.round(values[index] ?? 0)), containers };
}

/** The same model with at least, and if `exactly` at most, the present nodes of every offer. */
export function keepingPresent(problem: Problem, model: MipModel, exactly: boolean): MipModel {
  const lower = Float64Array.from(model.lower);
  const upper = Float64Array.from(model.upper);
  for (const [index, { present }] of problem.offers.entries()) {
    lower[index] = present;
    if (exactly) upper[index] = present;
  }
  return { ...model, lower, upper };
}

function addNodeColumns(builder: ModelBuilder, problem: Problem): void {
  for (const { rentUsd, reclaimUsd, launchUsd, present, countMax } of problem.offers) {
    const cost = rentUsd + reclaimUsd + (present === 0 ? launchUsd : 0);
    builder.column({ cost, upper: countMax, integer: true });
  }
  for (const [index, { present, launchUsd, releaseUsd }] of problem.offers.entries()) {
    if (present === 0) continue;
    const launches = builder.column({ cost: launchUsd });
    const releases = builder.column({ cost: releaseUsd, upper: present });
    const entries = [[index, 1] as const, [launches, -1] as const, [releases, 1] as const];
    builder.row({ lower: present, upper: present, entries });
  }
}

function addContainerColumns(builder: ModelBuilder, problem: Problem): readonly ContainerColumn[] {
  const columns: ContainerColumn[] = [];
  for (const [scenarioIndex, probability] of problem.probabilities.entries()) {
    for (const [groupIndex, group] of problem.groups.entries()) {
      for (const [position, classIndex] of group.classIndexes.entries()) {
        const wanted = problem.classes[classIndex]?.wanted[scenarioIndex] ?? 0;
        if (wanted === 0) continue;
        const cost = probability * (group.costs[position]?.usd ?? 0);
        const column = builder.column({ cost, upper: wanted, integer: true });
        columns.push({ column, groupIndex, classIndex, scenarioIndex });
      }
    }
  }
  return columns;
}

function addDemandRows(
  builder: ModelBuilder,
  problem: Problem,
  columns: readonly ContainerColumn[],
): void {
  const byDemand = Map.groupBy(columns, (column) => demandKey(column));
  for (const [classIndex, { wanted, unmetUsd }] of problem.classes.entries()) {
    for (const [scenarioIndex, quantity] of wanted.entries()) {
      if (quantity === 0) continue;
      const probability = problem.probabilities[scenarioIndex] ?? 0;
      const unmet = builder.column({ cost: probability * unmetUsd, upper: quantity });
      const serving = byDemand.get(demandKey({ classIndex, scenarioIndex })) ?? [];
      const entries = [unmet, ...serving.map(({ column }) => column)];
      builder.row({
        lower: quantity,
        upper: quantity,
        entries: entries.map((column) => [column, 1] as const),
      });
    }
  }
}

function demandKey(of: { readonly classIndex: number; readonly scenarioIndex: number }): string {
  return `${of.classIndex}/${of.scenarioIndex}`;
}

type Entry = readonly [column: number, value: number];

function addPackingRows(
  builder: ModelBuilder,
  problem: Problem,
  columns: readonly ContainerColumn[],
  cuts: readonly PackingCut[],
): void {
  const places = Map.groupBy(columns, (of) => `${of.scenarioIndex}/${of.groupIndex}`);
  for (const placed of places.values()) {
    const groupIndex = placed[0]?.groupIndex ?? 0;
    const group = problem.groups[groupIndex];
    if (!group) continue;
    const nodes = (amount: number): readonly Entry[] =>
      group.offerIndexes.map((offer) => [offer, -amount] as const);
    for (const resource of RESOURCES) {
      const entries = placed.map((of) => [of.column, needOf(problem, of, resource)] as const);
      if (!entries.some(([, need]) => need > 0)) continue;
      const has = group.resources[resource.name] / resource.scale;
      builder.row({ upper: 0, entries: [...entries, ...nodes(has)] });
    }
    for (const of of placed) {
      const fit = fitBeyondResources(problem, group, of.classIndex);
      if (fit !== undefined) builder.row({ upper: 0, entries: [[of.column, 1], ...nodes(fit)] });
    }
    for (const { weights } of cuts.filter((cut) => cut.groupIndex === groupIndex)) {
      const entries = placed.map((of) => [of.column, weights.get(of.classIndex) ?? 0] as const);
      if (!entries.some(([, weight]) => weight > 0)) continue;
      builder.row({ upper: 0, entries: [...entries, ...nodes(1)] });
    }
  }
}

/** Scales keep the coefficients near 1: GPUs, cores, GiB. */
const RESOURCES = [
  { name: "gpuCount", scale: 1 },
  { name: "cpuMilli", scale: 1_000 },
  { name: "memoryMiB", scale: 1_024 },
] as const;

function needOf(
  problem: Problem,
  of: ContainerColumn,
  resource: (typeof RESOURCES)[number],
): number {
  return (problem.classes[of.classIndex]?.needs[resource.name] ?? 0) / resource.scale;
}

/** Containers per node, when the resource rows alone would allow more. */
function fitBeyondResources(
  problem: Problem,
  group: OfferGroup,
  classIndex: number,
): number | undefined {
  const fit = group.fits[group.classIndexes.indexOf(classIndex)] ?? 0;
  const needs = problem.classes[classIndex]?.needs;
  if (!needs) return undefined;
  const byResource = RESOURCES.map(({ name }) =>
    needs[name] === 0 ? Infinity : group.resources[name] / needs[name],
  );
  return fit < Math.min(...byResource) - 1e-9 ? fit : undefined;
}

function addLimitRows(builder: ModelBuilder, problem: Problem): readonly PricedRow[] {
  const priced: PricedRow[] = problem.quotas.map(({ quotaGroup, limit, offerIndexes }) => ({
    constraint: `quota ${quotaGroup}`,
    row: builder.row({ upper: limit, entries: offerIndexes.map((index) => [index, 1] as const) }),
  }));
  if (problem.budgetUsd !== undefined && problem.offers.length > 0) {
    const entries = problem.offers.map(({ rentUsd }, index) => [index, rentUsd] as const);
    const row = builder.row({ upper: problem.budgetUsd, entries });
    priced.push({ constraint: "budget", row });
  }
  addGpuRows(builder, problem, priced);
  return priced;
}

function addGpuRows(builder: ModelBuilder, problem: Problem, priced: PricedRow[]): void {
  const rules = gpuRulesOf(problem);
  if (rules.length === 0) return;
  const gpusOf = (index: number): number => problem.offers[index]?.offer.resources.gpuCount ?? 0;
  const all = builder.column({ cost: 0 });
  const offers = problem.offers.map((_, index) => [index, gpusOf(index)] as const);
  builder.row({ lower: 0, upper: 0, entries: [...offers, [all, -1]] });
  for (const { constraint, usdPerGpu, fraction, sign, offerIndexes } of rules) {
    const inside = offerIndexes.map((index): Entry => [index, sign * gpusOf(index)]);
    const entries: Entry[] = [...inside, [all, -sign * fraction]];
    if (usdPerGpu !== undefined) entries.push([builder.column({ cost: usdPerGpu }), -1]);
    const row = builder.row({ upper: 0, entries });
    if (constraint !== undefined) priced.push({ constraint, row });
  }
}
