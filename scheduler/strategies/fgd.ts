/**
 * Fragmentation gradient descent: the node whose fragmentation grows least takes the container.
 *
 *     score = floor(100 * sigmoid((F(before) - F(after)) / 1000)),   F in thousandths of a GPU
 *
 * with the typical classes: the most frequent ones that make up 95 % of the demand, each
 * weighing its share; classes without GPUs count all idle GPU as fragmented. Ties go to the
 * smaller node id, which is part of the policy: whole scores tie often, and a fixed order
 * fills nodes one after the other where a random one would spread.
 *
 * Source: Q. Weng et al., USENIX ATC 2023, and its simulator
 * (github.com/hkust-adsl/kubernetes-scheduler-simulator).
 */
import type { GpuType } from "../../core/index.ts";
import type { DemandMix } from "../demand.ts";
import type { NodeState } from "../fleet/node-state.ts";
import { CARD, type RequestClass } from "../fleet/request-class.ts";
import { FragmentationTable, type WeightedClass } from "./fragmentation.ts";
import { sumOf, type Strategy, type StrategyKnowledge } from "./strategy.ts";

const TYPICAL_FRACTION = 0.95;

/** The strategy for a demand. */
export function fgd({ mix }: StrategyKnowledge): Strategy {
  const classes = typicalClasses(mix);
  const tables = new Map<GpuType | undefined, FragmentationTable>();
  const tableOf = (gpuType: GpuType | undefined): FragmentationTable => {
    const table = tables.get(gpuType) ?? new FragmentationTable(gpuType, classes);
    tables.set(gpuType, table);
    return table;
  };
  return sumOf(
    (request, state) => {
      const table = tableOf(state.profile.node.gpuType);
      const at = request.share > 0 ? bestCard(table, request, state) : 0;
      const growth = after(table, request, { state, at }) - before(table, state);
      return { fragmentation: -wholeScore(growth) };
    },
    {
      coldPenalty: 2,
      cardFor: (request, state) => bestCard(tableOf(state.profile.node.gpuType), request, state),
    },
  );
}

function typicalClasses(mix: DemandMix): readonly WeightedClass[] {
  const typical: WeightedClass[] = [];
  let covered = 0;
  for (const share of alikeMerged(mix)) {
    if (covered >= TYPICAL_FRACTION) break;
    typical.push({ share, weight: share.fraction });
    covered += share.fraction;
  }
  return typical.map(({ share, weight }) => ({ share, weight: weight / covered }));
}

/** Classes that ask for equal CPU and GPUs are one, whatever else they ask for. */
function alikeMerged(mix: DemandMix): DemandMix {
  const groups = Map.groupBy(mix, ({ request }) => {
    const types = [...(request.preferenceOf?.keys() ?? [])].sort();
    return [request.cpuMilli, request.gpuCount, ...types].join("|");
  });
  return [...groups.values()]
    .flatMap(([first, ...rest]) => {
      if (first === undefined) return [];
      const fraction = rest.reduce((sum, one) => sum + one.fraction, first.fraction);
      return [{ ...first, fraction }];
    })
    .sort((a, b) => b.fraction - a.fraction);
}

function before(table: FragmentationTable, state: NodeState): number {
  return fragmentation(table, state.cpuMilli, state.cards);
}

/** Fragmentation once the request is on the state; a share on the card at `at`. */
function after(
  table: FragmentationTable,
  request: RequestClass,
  where: { readonly state: NodeState; readonly at: number },
): number {
  const { state, at } = where;
  const cards =
    request.share > 0
      ? state.cards.map((free, place) => (place === at ? free - request.share : free))
      : state.cards.slice(request.cardCount);
  return fragmentation(table, state.cpuMilli - request.cpuMilli, cards);
}

function fragmentation(
  table: FragmentationTable,
  cpuMilli: number,
  cards: readonly number[],
): number {
  const row = table.rowOf(cpuMilli);
  let idle = 0;
  let wholeFree = 0;
  let sum = 0;
  for (const free of cards) {
    idle += Math.max(0, free) / CARD;
    if (free === CARD) wholeFree += 1;
    sum += table.ofCard(row, free);
  }
  return sum + table.ofNode(row, idle, wholeFree);
}

/** The card with the best whole score, the fullest one when several have it. */
function bestCard(table: FragmentationTable, request: RequestClass, state: NodeState): number {
  const present = before(table, state);
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let at = state.cards.length - 1; at >= 0; at -= 1) {
    const free = state.cards[at] ?? 0;
    if (free < request.share || free === state.cards[at + 1]) continue;
    const score = wholeScore(after(table, request, { state, at }) - present);
    if (score <= most) continue;
    most = score;
    best = at;
  }
  return best;
}

function wholeScore(growth: number): number {
  return Math.floor(100 / (1 + Math.exp(growth)));
}
