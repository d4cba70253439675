/**
 * The linear relaxation, but for columns and rows that do not matter yet.
 *
 * Columns: nodes of the offers of active groups (present ones that stay, and launched ones,
 * apart), containers of a class on an active group in a scenario (active pairs), unmet demand,
 * excess concentration. Rows: demand, quotas, budget, shares, concentration from the start; the
 * loads of a group (loads.ts) as they are broken. Everything that is missing is priced or
 * separated from outside: see relax.ts.
 */
import { gpuRulesOf } from "../market-rules.ts";
import type { Problem } from "../problem.ts";
import type { LinearModel, LinearSolution, NewColumn, NewRow } from "../solvers/linear-model.ts";
import {
  pairColumn,
  pairEntries,
  type ActiveGroup,
  type LoadRow,
  type Pair,
} from "./active-group.ts";
import { loadsOf, type Load } from "./loads.ts";
import { SharesByGroup } from "./shares.ts";

/** Bounds that a column is narrowed to. */
export interface ColumnBounds {
  readonly column: number;
  readonly lower: number;
  readonly upper: number;
}

/** A solution that may be built on. */
export type Optimal = Extract<LinearSolution, { status: "optimal" }>;

export class RestrictedModel {
  readonly problem: Problem;
  readonly #lp: LinearModel;
  readonly #active = new Map<number, ActiveGroup>();
  readonly pairs: Pair[] = [];
  /** Columns by offer, or -1: nodes that stay, and nodes that are launched. */
  readonly keptColumns: Int32Array;
  readonly launchedColumns: Int32Array;
  readonly #demandRows: Int32Array;
  readonly unmetColumns: Int32Array;
  /** Entries of one node of each offer in the rows of limits. */
  readonly #limitRows: readonly { readonly rows: number[]; readonly values: number[] }[];
  /** Upper bound of every column; the lower ones are all 0. */
  readonly #uppers: number[] = [];
  /** Columns that are narrowed. */
  #kept: readonly number[] = [];
  /** Names of limits that may be priced, by row. */
  readonly pricedRows: { readonly constraint: string; readonly row: number }[] = [];

  readonly shares: SharesByGroup;

  /** Opens an empty linear program. */
  readonly open: () => LinearModel;

  constructor(problem: Problem, open: () => LinearModel) {
    this.problem = problem;
    this.shares = new SharesByGroup(problem);
    this.open = open;
    this.#lp = open();
    const { offers, classes, probabilities } = problem;
    this.keptColumns = new Int32Array(offers.length).fill(-1);
    this.launchedColumns = new Int32Array(offers.length).fill(-1);
    this.#demandRows = new Int32Array(classes.length * probabilities.length).fill(-1);
    this.unmetColumns = new Int32Array(classes.length * probabilities.length).fill(-1);
    this.#limitRows = offers.map(() => ({ rows: [], values: [] }));
    this.#addDemand();
    this.#addLimits();
  }

  get activeGroups(): ReadonlyMap<number, ActiveGroup> {
    return this.#active;
  }

  /** Solver time so far, by its own account. */
  get spentMs(): number {
    return this.#spentMs;
  }
  #spentMs = 0;

  solve(timeLimitMs: number): LinearSolution {
    const solution = this.#lp.solve(timeLimitMs);
    this.#spentMs += solution.solveMs;
    return solution;
  }

  /** Narrows columns; those narrowed before have their own bounds again. */
  keep(bounds: readonly ColumnBounds[]): void {
    const own = [...this.#kept].map((column): ColumnBounds => ({
      column,
      lower: 0,
      upper: this.#uppers[column] ?? Infinity,
    }));
    this.#kept = bounds.map(({ column }) => column);
    const all = [...own, ...bounds];
    this.#lp.setColumnBounds(
      all.map(({ column }) => column),
      all.map(({ lower }) => lower),
      all.map(({ upper }) => upper),
    );
  }

  close(): void {
    this.#lp.close();
  }

  demandRow(classIndex: number, scenarioIndex: number): number {
    return this.#demandRows[classIndex * this.problem.probabilities.length + scenarioIndex] ?? -1;
  }

  /** What the limits make one node of an offer dearer, at the duals of a solution. */
  limitsUsd(offerIndex: number, rowDuals: Float64Array): number {
    const { rows, values } = this.#limitRows[offerIndex] ?? { rows: [], values: [] };
    let usd = 0;
    for (let entry = 0; entry < rows.length; entry += 1) {
      usd -= (rowDuals[rows[entry] ?? 0] ?? 0) * (values[entry] ?? 0);
    }
    return usd;
  }

  /** Brings groups in: their offers, and the first load of each in every scenario. */
  activate(groupIndexes: readonly number[]): void {
    const { problem } = this;
    const scenarioCount = problem.probabilities.length;
    const fresh = groupIndexes.filter((index) => !this.#active.has(index));
    for (const groupIndex of fresh) {
      const group = problem.groups[groupIndex];
      if (!group) continue;
      this.#active.set(groupIndex, {
        groupIndex,
        loads: [...loadsOf(problem, group)],
        loadRows: Array.from({ length: scenarioCount }, () => []),
        pairColumns: Array.from({ length: scenarioCount }, () =>
          new Int32Array(group.classIndexes.length).fill(-1),
        ),
      });
    }
    this.#addNodes(fresh);
    this.addLoads(
      fresh.flatMap((groupIndex) =>
        Array.from(
          { length: scenarioCount * plainLoadCount(this.#active.get(groupIndex)) },
          (_, index) => ({
            groupIndex,
            scenarioIndex: index % scenarioCount,
            load: Math.floor(index / scenarioCount),
          }),
        ),
      ),
    );
  }

  /** Adds pairs; ones that are there already are passed over. */
  addPairs(wanted: readonly Omit<Pair, "column" | "classIndex">[]): void {
    const columns: NewColumn[] = [];
    const made: Omit<Pair, "column">[] = [];
    for (const { groupIndex, position, scenarioIndex } of wanted) {
      const active = this.#active.get(groupIndex);
      const group = this.problem.groups[groupIndex];
      const inScenario = active?.pairColumns[scenarioIndex];
      if (!active || !group || inScenario?.[position] !== -1) continue;
      const classIndex = group.classIndexes[position] ?? -1;
      const row = this.demandRow(classIndex, scenarioIndex);
      if (row < 0) continue;
      inScenario[position] = COMING;
      const pair = { groupIndex, position, classIndex, scenarioIndex };
      columns.push(pairColumn(this.problem, active, pair, row));
      made.push(pair);
    }
    let column = this.#addColumns(columns);
    for (const pair of made) {
      const inScenario = this.#active.get(pair.groupIndex)?.pairColumns[pair.scenarioIndex];
      if (inScenario) inScenario[pair.position] = column;
      this.pairs.push({ ...pair, column });
      column += 1;
    }
  }

  /** Adds load rows of active groups. */
  addLoads(
    wanted: readonly {
      readonly groupIndex: number;
      readonly scenarioIndex: number;
      readonly load: number;
    }[],
  ): void {
    const rows: NewRow[] = [];
    const made: { readonly list: LoadRow[]; readonly load: number }[] = [];
    for (const { groupIndex, scenarioIndex, load } of wanted) {
      const active = this.#active.get(groupIndex);
      const list = active?.loadRows[scenarioIndex];
      if (!active || !list) continue;
      const held = pairEntries(active, scenarioIndex, load);
      const nodes = this.nodeColumnsOf(groupIndex);
      rows.push({
        lower: -Infinity,
        upper: 0,
        columns: [...held.columns, ...nodes],
        values: [...held.values, ...nodes.map(() => -1)],
      });
      made.push({ list, load });
    }
    let row = this.#lp.addRows(rows);
    for (const { list, load } of made) {
      list.push({ row, load });
      row += 1;
    }
  }

  /** Adds a load of an active group, in every scenario. */
  addLoad(groupIndex: number, weights: Load): void {
    const active = this.#active.get(groupIndex);
    if (!active) return;
    const load = active.loads.push(weights) - 1;
    this.addLoads(
      [...active.loadRows.keys()].map((scenarioIndex) => ({ groupIndex, scenarioIndex, load })),
    );
  }

  /** Columns of the nodes of a group. */
  nodeColumnsOf(groupIndex: number): readonly number[] {
    return (this.problem.groups[groupIndex]?.offerIndexes ?? []).flatMap((offerIndex) =>
      [this.keptColumns[offerIndex] ?? -1, this.launchedColumns[offerIndex] ?? -1].filter(
        (column) => column >= 0,
      ),
    );
  }

  /** What a node of a group is worth by the loads that bind, at the duals of a solution. */
  loadsUsd(groupIndex: number, rowDuals: Float64Array): number {
    let usd = 0;
    for (const row of this.#loadRowsOf(groupIndex)) usd -= rowDuals[row] ?? 0;
    return usd;
  }

  /** Nodes of an offer in a solution. */
  nodesOf(offerIndex: number, values: Float64Array): number {
    const kept = this.keptColumns[offerIndex] ?? -1;
    const launched = this.launchedColumns[offerIndex] ?? -1;
    return (kept < 0 ? 0 : (values[kept] ?? 0)) + (launched < 0 ? 0 : (values[launched] ?? 0));
  }

  /** Rows of the loads of a group, in every scenario. */
  #loadRowsOf(groupIndex: number): readonly number[] {
    const active = this.#active.get(groupIndex);
    return active ? active.loadRows.flatMap((rows) => rows.map(({ row }) => row)) : [];
  }

  #addColumns(columns: readonly NewColumn[]): number {
    for (const { upper } of columns) this.#uppers.push(upper);
    return this.#lp.addColumns(columns);
  }

  #addDemand(): void {
    const { classes, probabilities } = this.problem;
    const rows: NewRow[] = [];
    const columns: NewColumn[] = [];
    const keys: number[] = [];
    for (const [classIndex, { wanted, unmetUsd }] of classes.entries()) {
      for (const [scenarioIndex, quantity] of wanted.entries()) {
        if (quantity === 0) continue;
        const row = rows.length;
        rows.push({ lower: quantity, upper: Infinity, columns: [], values: [] });
        const cost = (probabilities[scenarioIndex] ?? 0) * unmetUsd;
        columns.push({ cost, lower: 0, upper: quantity, rows: [row], values: [1] });
        keys.push(classIndex * probabilities.length + scenarioIndex);
      }
    }
    const firstRow = this.#lp.addRows(rows);
    const firstColumn = this.#addColumns(columns);
    for (const [index, key] of keys.entries()) {
      this.#demandRows[key] = firstRow + index;
      this.unmetColumns[key] = firstColumn + index;
    }
  }

  #addLimits(): void {
    const { problem } = this;
    for (const { quotaGroup, limit, offerIndexes } of problem.quotas) {
      const most = offerIndexes.reduce((sum, i) => sum + (problem.offers[i]?.countMax ?? 0), 0);
      if (most <= limit) continue;
      const row = this.#addLimit(limit, `quota ${quotaGroup}`);
      for (const index of offerIndexes) this.#addEntry(index, row, 1);
    }
    if (problem.budgetUsd !== undefined) {
      const row = this.#addLimit(problem.budgetUsd, "budget");
      for (const [index, { rentUsd }] of problem.offers.entries()) {
        this.#addEntry(index, row, rentUsd);
      }
    }
    this.#addGpuRules();
  }

  #addGpuRules(): void {
    const rules = gpuRulesOf(this.problem);
    if (rules.length === 0) return;
    const gpusOf = (index: number): number =>
      this.problem.offers[index]?.offer.resources.gpuCount ?? 0;
    const free = { lower: 0, upper: Infinity, rows: [], values: [] };
    const all = this.#addColumns([{ ...free, cost: 0 }]);
    const sum = this.#lp.addRows([{ lower: 0, upper: 0, columns: [all], values: [-1] }]);
    for (const index of this.problem.offers.keys()) this.#addEntry(index, sum, gpusOf(index));
    for (const { constraint, usdPerGpu, fraction, sign, offerIndexes } of rules) {
      const columns = [all];
      if (usdPerGpu !== undefined) columns.push(this.#addColumns([{ ...free, cost: usdPerGpu }]));
      const values = [-sign * fraction, -1].slice(0, columns.length);
      const row = this.#addLimit(0, constraint, { columns, values });
      for (const index of offerIndexes) this.#addEntry(index, row, sign * gpusOf(index));
    }
  }

  #addLimit(
    upper: number,
    constraint: string | undefined,
    entries: Pick<NewRow, "columns" | "values"> = { columns: [], values: [] },
  ): number {
    const row = this.#lp.addRows([{ lower: -Infinity, upper, ...entries }]);
    if (constraint !== undefined) this.pricedRows.push({ constraint, row });
    return row;
  }

  #addEntry(offerIndex: number, row: number, value: number): void {
    const entries = this.#limitRows[offerIndex];
    if (value === 0 || !entries) return;
    entries.rows.push(row);
    entries.values.push(value);
  }

  #addNodes(groupIndexes: readonly number[]): void {
    const columns: NewColumn[] = [];
    const made: { readonly list: Int32Array; readonly offerIndex: number }[] = [];
    for (const groupIndex of groupIndexes) {
      for (const offerIndex of this.problem.groups[groupIndex]?.offerIndexes ?? []) {
        const offer = this.problem.offers[offerIndex];
        if (!offer) continue;
        const { rows, values } = this.#limitRows[offerIndex] ?? { rows: [], values: [] };
        const usd = offer.rentUsd + offer.reclaimUsd;
        const { present, countMax, launchUsd, releaseUsd } = offer;
        if (present > 0) {
          columns.push({ cost: usd - releaseUsd, lower: 0, upper: present, rows, values });
          made.push({ list: this.keptColumns, offerIndex });
        }
        if (countMax > present) {
          const upper = countMax - present;
          columns.push({ cost: usd + launchUsd, lower: 0, upper, rows, values });
          made.push({ list: this.launchedColumns, offerIndex });
        }
      }
    }
    let column = this.#addColumns(columns);
    for (const { list, offerIndex } of made) {
      list[offerIndex] = column;
      column += 1;
    }
  }
}

/** Stands for a column that is about to be added. */
const COMING = -2;

/** Plain shares come first in the list of loads, one for each resource; they are always in. */
const PLAIN_LOADS_MAX = 3;

function plainLoadCount(active: ActiveGroup | undefined): number {
  return Math.min(PLAIN_LOADS_MAX, active?.loads.length ?? 0);
}
