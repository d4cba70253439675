/** Finds loads of groups that a solution breaks, and adds their rows. */
import type { ActiveGroup } from "./active-group.ts";
import type { RestrictedModel, Optimal } from "./restricted-model.ts";

/** A load counts as broken by more than this share of the nodes. */
const VIOLATION = 1e-6;
const HELD = 1e-9;
/** The loads broken most in one scenario are added, this many at once, in every scenario. */
const LOADS_PER_SCENARIO = 3;

/** Adds the rows of broken loads; gives how many. */
export function separateLoads(model: RestrictedModel, { values }: Optimal): number {
  const wanted: { groupIndex: number; scenarioIndex: number; load: number }[] = [];
  for (const active of model.activeGroups.values()) {
    const { groupIndex } = active;
    const nodes = model
      .nodeColumnsOf(groupIndex)
      .reduce((sum, column) => sum + (values[column] ?? 0), 0);
    const broken = new Set<number>();
    for (const scenarioIndex of active.loadRows.keys()) {
      for (const load of brokenLoads(active, scenarioIndex, nodes, values)) broken.add(load);
    }
    for (const load of broken) {
      for (const [scenarioIndex, rows] of active.loadRows.entries()) {
        if (rows.some((row) => row.load === load)) continue;
        wanted.push({ groupIndex, scenarioIndex, load });
      }
    }
  }
  model.addLoads(wanted);
  return wanted.length;
}

function brokenLoads(
  active: ActiveGroup,
  scenarioIndex: number,
  nodes: number,
  values: Float64Array,
): readonly number[] {
  const held = heldBy(active, scenarioIndex, values);
  if (held.length === 0) return [];
  const present = new Set(active.loadRows[scenarioIndex]?.map(({ load }) => load));
  const broken: { readonly load: number; readonly by: number }[] = [];
  for (const [load, weights] of active.loads.entries()) {
    if (present.has(load)) continue;
    let sum = 0;
    for (const [position, amount] of held) sum += (weights[position] ?? 0) * amount;
    if (sum > nodes + VIOLATION * Math.max(1, nodes)) broken.push({ load, by: sum - nodes });
  }
  broken.sort((a, b) => b.by - a.by || a.load - b.load);
  return broken.slice(0, LOADS_PER_SCENARIO).map(({ load }) => load);
}

/** Containers that a solution puts on a group. */
function heldBy(
  active: ActiveGroup,
  scenarioIndex: number,
  values: Float64Array,
): readonly (readonly [position: number, amount: number])[] {
  const held: (readonly [position: number, amount: number])[] = [];
  for (const [position, column] of (active.pairColumns[scenarioIndex] ?? []).entries()) {
    const amount = column < 0 ? 0 : (values[column] ?? 0);
    if (amount > HELD) held.push([position, amount]);
  }
  return held;
}
