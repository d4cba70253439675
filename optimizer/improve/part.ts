/**
 * A part of a candidate as a program of its own: the nodes of some groups and the containers on
 * them, and unmet demand that those groups could serve, are free; all else stays as it is.
 *
 * Containers are whole here, which the relaxation does not ask for. Limits count what is outside
 * as constants: remaining quotas and budget, shares and concentration of all GPUs. The loads that
 * the relaxation found (relaxation/loads.ts) hold the packing together.
 */
import { gpuRulesOf, type GpuRule } from "../market-rules.ts";
import type { Candidate } from "../candidate.ts";
import type { Assignment } from "../formulate.ts";
import type { Problem } from "../problem.ts";
import { ModelBuilder, type MipModel } from "../solvers/solver.ts";
import type { Load } from "../relaxation/loads.ts";

/** What may be rearranged. */
export interface PartOptions {
  readonly problem: Problem;
  readonly candidate: Candidate;
  /** Ascending. */
  readonly groupIndexes: readonly number[];
  /** Containers on a group by class and scenario, as the candidate has them. */
  readonly held: Holdings;
  /** Whether the present nodes must stay, and whether there may be others; absent means free. */
  readonly keeping?: Keeping;
  /** Loads of a group to be obeyed. */
  readonly loadsOf: (groupIndex: number) => readonly Load[];
  /** Whether a class is worth a try on a group. */
  readonly mayHold: (groupIndex: number, position: number) => boolean;
}

/** Present nodes stay: exactly those, or with more. */
export type Keeping = "exactly" | "at least";

/** Containers by scenario, group and class. */
export type Holdings = readonly (readonly ReadonlyMap<number, number>[])[];

/** The program, and how its columns are to be read. */
export interface Part {
  readonly model: MipModel;
  /** The candidate as it is, in columns: a feasible start. */
  readonly start: Float64Array;
  /** Classes that are rearranged, ascending. */
  readonly classIndexes: readonly number[];
  /** Nodes of the whole candidate and containers of this part, as `values` have them. */
  read(values: Float64Array): Assignment;
}

interface Column {
  readonly cost: number;
  readonly lower?: number;
  readonly upper?: number;
  /** In the candidate as it is. */
  readonly value: number;
  /** Absent means that it is whole. */
  readonly integer?: boolean;
}

interface NodeColumns {
  readonly offerIndex: number;
  /** Present nodes that stay, and launched ones; -1 where there are none. */
  readonly kept: number;
  readonly launched: number;
}

interface Place {
  readonly groupIndex: number;
  readonly position: number;
  readonly classIndex: number;
  /** What one container costs there beyond the node, USD/h. */
  readonly usd: number;
  readonly isWorthATry: boolean;
}

interface ContainerColumn extends Place {
  readonly column: number;
  readonly scenarioIndex: number;
}

type Entry = readonly [column: number, value: number];

/** States a part. */
export function partOf(options: PartOptions): Part {
  const draft = new PartDraft(options);
  draft.addNodes();
  draft.addContainers();
  draft.addLoads();
  draft.addLimits();
  return draft.finish();
}

class PartDraft {
  readonly #options: PartOptions;
  readonly #builder = new ModelBuilder();
  readonly #start: number[] = [];
  readonly #nodes: NodeColumns[] = [];
  readonly #nodesByGroup = new Map<number, readonly number[]>();
  readonly #containers: ContainerColumn[] = [];
  readonly #classIndexes: readonly number[];

  constructor(options: PartOptions) {
    this.#options = options;
    this.#classIndexes = classesIn(options);
  }

  #column(spec: Column): number {
    const { value, integer = true, ...rest } = spec;
    this.#start.push(value);
    return this.#builder.column({ ...rest, integer });
  }

  addNodes(): void {
    const { problem, candidate, groupIndexes, keeping } = this.#options;
    for (const groupIndex of groupIndexes) {
      const own: number[] = [];
      for (const offerIndex of problem.groups[groupIndex]?.offerIndexes ?? []) {
        const offer = problem.offers[offerIndex];
        if (!offer) continue;
        const { present, countMax, rentUsd, reclaimUsd, launchUsd, releaseUsd } = offer;
        const count = candidate.counts[offerIndex] ?? 0;
        const usd = rentUsd + reclaimUsd;
        const kept =
          present > 0
            ? this.#column({
                cost: usd - releaseUsd,
                lower: keeping ? Math.min(present, count) : 0,
                upper: present,
                value: Math.min(present, count),
              })
            : -1;
        const more = keeping === "exactly" ? 0 : countMax - present;
        const launched =
          more > 0
            ? this.#column({
                cost: usd + launchUsd,
                upper: more,
                value: Math.max(0, count - present),
              })
            : -1;
        this.#nodes.push({ offerIndex, kept, launched });
        own.push(...[kept, launched].filter((column) => column >= 0));
      }
      this.#nodesByGroup.set(groupIndex, own);
    }
  }

  addContainers(): void {
    const { problem } = this.#options;
    const wanted = this.#wanted();
    const columns = new Map<number, number[]>();
    for (const place of this.#places()) {
      for (const [scenarioIndex, probability] of problem.probabilities.entries()) {
        const key = place.classIndex * problem.probabilities.length + scenarioIndex;
        const upper = wanted.get(key) ?? 0;
        const value = this.#heldAt(place, scenarioIndex);
        if (upper === 0 || (value === 0 && !place.isWorthATry)) continue;
        const column = this.#column({ cost: probability * place.usd, upper, value });
        this.#containers.push({ ...place, column, scenarioIndex });
        const serving = columns.get(key) ?? [];
        serving.push(column);
        columns.set(key, serving);
      }
    }
    this.#addDemand(wanted, columns);
  }

  /** Where the classes of this part may be in it. */
  #places(): readonly Place[] {
    const { problem, groupIndexes, mayHold } = this.#options;
    const rearranged = new Set(this.#classIndexes);
    return groupIndexes.flatMap((groupIndex) => {
      const group = problem.groups[groupIndex];
      return (group?.classIndexes ?? []).flatMap((classIndex, position) => {
        if (!rearranged.has(classIndex)) return [];
        const usd = group?.costs[position]?.usd ?? 0;
        const isWorthATry = mayHold(groupIndex, position);
        return [{ groupIndex, position, classIndex, usd, isWorthATry }];
      });
    });
  }

  #heldAt({ groupIndex, classIndex }: Place, scenarioIndex: number): number {
    return this.#options.held[scenarioIndex]?.[groupIndex]?.get(classIndex) ?? 0;
  }

  /** Containers to be served by this part: those that it holds and those that nobody does. */
  #wanted(): ReadonlyMap<number, number> {
    const { problem, candidate, groupIndexes, held } = this.#options;
    const scenarioCount = problem.probabilities.length;
    const wanted = new Map<number, number>();
    for (const classIndex of this.#classIndexes) {
      for (let scenarioIndex = 0; scenarioIndex < scenarioCount; scenarioIndex += 1) {
        const inside = groupIndexes.reduce(
          (sum, group) => sum + (held[scenarioIndex]?.[group]?.get(classIndex) ?? 0),
          0,
        );
        const open = openOf(problem, candidate, classIndex, scenarioIndex);
        wanted.set(classIndex * scenarioCount + scenarioIndex, inside + open);
      }
    }
    return wanted;
  }

  #addDemand(
    wanted: ReadonlyMap<number, number>,
    columns: ReadonlyMap<number, readonly number[]>,
  ): void {
    const { problem, candidate } = this.#options;
    const scenarioCount = problem.probabilities.length;
    for (const [key, serving] of columns) {
      const quantity = wanted.get(key) ?? 0;
      const scenarioIndex = key % scenarioCount;
      const classIndex = (key - scenarioIndex) / scenarioCount;
      const price =
        (problem.probabilities[scenarioIndex] ?? 0) * (problem.classes[classIndex]?.unmetUsd ?? 0);
      const open = openOf(problem, candidate, classIndex, scenarioIndex);
      const unmet = this.#column({ cost: price, upper: quantity, value: open, integer: false });
      const entries = [unmet, ...serving].map((column) => [column, 1] as const);
      this.#builder.row({ lower: quantity, upper: quantity, entries });
    }
  }

  addLoads(): void {
    const { loadsOf, problem } = this.#options;
    const scenarioCount = problem.probabilities.length;
    const places = Map.groupBy(
      this.#containers,
      ({ groupIndex, scenarioIndex }) => groupIndex * scenarioCount + scenarioIndex,
    );
    for (const placed of places.values()) {
      const groupIndex = placed[0]?.groupIndex ?? -1;
      const nodes = (this.#nodesByGroup.get(groupIndex) ?? []).map((of) => [of, -1] as const);
      for (const load of loadsOf(groupIndex)) {
        const held = placed.map((of) => [of.column, load[of.position] ?? 0] as const);
        if (!held.some(([, weight]) => weight > 0)) continue;
        this.#builder.row({ upper: 0, entries: [...held, ...nodes] });
      }
    }
  }

  addLimits(): void {
    const { problem } = this.#options;
    for (const { limit, offerIndexes } of problem.quotas) {
      this.#addLimit(limit, offerIndexes, () => 1);
    }
    if (problem.budgetUsd !== undefined) {
      const rentOf = (index: number): number => problem.offers[index]?.rentUsd ?? 0;
      this.#addLimit(problem.budgetUsd, problem.offers.keys(), rentOf);
    }
    const rules = gpuRulesOf(problem);
    if (rules.length > 0) this.#addGpuRules(rules);
  }

  /** A limit on nodes, less what the nodes outside use of it. */
  #addLimit(
    limit: number,
    offerIndexes: Iterable<number>,
    valueOf: (offerIndex: number) => number,
  ): void {
    const { entries, inside, outside } = this.#amounts(offerIndexes, valueOf);
    // A candidate is within its limits but for rounding.
    if (entries.length > 0) {
      this.#builder.row({ upper: Math.max(limit - outside, inside), entries });
    }
  }

  #addGpuRules(rules: readonly GpuRule[]): void {
    const { problem } = this.#options;
    const gpusOf = (index: number): number => problem.offers[index]?.offer.resources.gpuCount ?? 0;
    const total = this.#amounts(problem.offers.keys(), gpusOf);
    const gpus = total.inside + total.outside;
    const all = this.#column({ cost: 0, value: gpus, integer: false });
    const entries = [...total.entries, [all, -1] as const];
    this.#builder.row({ lower: -total.outside, upper: -total.outside, entries });
    for (const { usdPerGpu, fraction, sign, offerIndexes } of rules) {
      const own = this.#amounts(offerIndexes, (index) => sign * gpusOf(index));
      const beyond = own.inside + own.outside - sign * fraction * gpus;
      const row: Entry[] = [...own.entries, [all, -sign * fraction]];
      if (usdPerGpu !== undefined) {
        const value = Math.max(0, beyond);
        row.push([this.#column({ cost: usdPerGpu, value, integer: false }), -1]);
      }
      const slack = usdPerGpu === undefined ? Math.max(0, beyond) : 0;
      this.#builder.row({ upper: slack - own.outside, entries: row });
    }
  }

  /** What offers have of something: as columns of this part, and in the candidate as it is. */
  #amounts(
    offerIndexes: Iterable<number>,
    valueOf: (offerIndex: number) => number,
  ): { readonly entries: readonly Entry[]; readonly inside: number; readonly outside: number } {
    const { counts } = this.#options.candidate;
    const columnsOf = this.#nodeColumns();
    const entries: Entry[] = [];
    let inside = 0;
    let outside = 0;
    for (const offerIndex of offerIndexes) {
      const columns = columnsOf.get(offerIndex);
      const count = counts[offerIndex] ?? 0;
      if (count === 0 && !columns) continue;
      const value = valueOf(offerIndex);
      if (columns) inside += value * count;
      else outside += value * count;
      for (const column of columns ?? []) entries.push([column, value]);
    }
    return { entries, inside, outside };
  }

  #nodeColumns(): ReadonlyMap<number, readonly number[]> {
    this.#columnsOf ??= new Map(
      this.#nodes.map(({ offerIndex, kept, launched }) => [
        offerIndex,
        [kept, launched].filter((column) => column >= 0),
      ]),
    );
    return this.#columnsOf;
  }
  #columnsOf: ReadonlyMap<number, readonly number[]> | undefined;

  finish(): Part {
    const { problem, candidate } = this.#options;
    const nodes = this.#nodeColumns();
    const containerColumns = this.#containers;
    return {
      model: this.#builder.build(),
      start: Float64Array.from(this.#start),
      classIndexes: this.#classIndexes,
      read: (values) => {
        const counts = [...candidate.counts];
        for (const [offerIndex, columns] of nodes) {
          counts[offerIndex] = columns.reduce(
            (sum, column) => sum + Math.round(values[column] ?? 0),
            0,
          );
        }
        const containers = problem.probabilities.map(() =>
          problem.groups.map(() => new Map<number, number>()),
        );
        for (const { column, groupIndex, classIndex, scenarioIndex } of containerColumns) {
          const quantity = Math.round(values[column] ?? 0);
          if (quantity > 0) containers[scenarioIndex]?.[groupIndex]?.set(classIndex, quantity);
        }
        return { counts, containers };
      },
    };
  }
}

/** Classes that the groups hold, or that are unmet and may use one of them; ascending. */
function classesIn({ problem, candidate, groupIndexes, held, mayHold }: PartOptions): number[] {
  const found = new Set<number>();
  for (const groupIndex of groupIndexes) {
    for (const scenario of held) {
      for (const classIndex of scenario[groupIndex]?.keys() ?? []) found.add(classIndex);
    }
    for (const [position, classIndex] of (
      problem.groups[groupIndex]?.classIndexes ?? []
    ).entries()) {
      if (found.has(classIndex) || !mayHold(groupIndex, position)) continue;
      const isOpen = [...problem.probabilities.keys()].some(
        (scenarioIndex) => openOf(problem, candidate, classIndex, scenarioIndex) > 0,
      );
      if (isOpen) found.add(classIndex);
    }
  }
  return [...found].sort((a, b) => a - b);
}

/** Unmet containers that somebody might still serve. */
export function openOf(
  problem: Problem,
  { unmet }: Candidate,
  classIndex: number,
  scenarioIndex: number,
): number {
  const excess = problem.classes[classIndex]?.excess[scenarioIndex] ?? 0;
  return (unmet[classIndex]?.[scenarioIndex] ?? 0) - excess;
}

/** What every group holds of every class in every scenario. */
export function holdingsOf(problem: Problem, { stacks }: Candidate): Holdings {
  return stacks.map((scenario) => {
    const held = problem.groups.map(() => new Map<number, number>());
    for (const { offerIndex, nodeCount, containers } of scenario) {
      const own = held[problem.offers[offerIndex]?.groupIndex ?? -1];
      for (const [classIndex, quantity] of containers) {
        own?.set(classIndex, (own.get(classIndex) ?? 0) + nodeCount * quantity);
      }
    }
    return held;
  });
}
