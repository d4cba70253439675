/**
 * When the aggregate lied: exact packing of a few classes on like nodes, and cuts against it.
 *
 * A pattern is a set of containers that fits on one node of a group. With all maximal patterns P
 * at hand, the question "do Y containers fit on N nodes" has an exact answer (cover Y with the
 * fewest patterns), and if even fractions of patterns do not reach, the linear program
 *
 *   max sum_d w_d Y_d   s.t.  sum_d w_d p_d <= 1 for every pattern p,  w >= 0
 *
 * exceeds N, and sum_d w_d y_d <= nodes is an inequality that every real packing obeys and Y
 * breaks: the strongest such cut. Valid in every scenario, so bounds stay proved. Patterns grow
 * fast with the number of classes; beyond `PATTERN_COUNT_MAX` there is no answer, and the plan
 * is repaired instead of cut. Inside one node, GPU fractions are packed first-fit.
 *
 * Source: P. C. Gilmore, R. E. Gomory, A Linear Programming Approach to the Cutting-Stock
 * Problem, Operations Research 9 (1961).
 */
import { fitCount, roomAfter, roomOf, type NodeRoom } from "./packing.ts";
import type { PackingCut } from "./formulate.ts";
import type { OfferGroup, Problem } from "./problem.ts";
import { ModelBuilder, type MipModel } from "./solvers/solver.ts";

/** More patterns than this make the packing program slower than it is worth. */
export const PATTERN_COUNT_MAX = 2_000;

/** Larger groups are left to first-fit, whose losses are small there. */
const NODE_COUNT_MAX = 10_000;

/** A cut must beat the number of nodes by this much, or rounding could have made it. */
const VIOLATION_MIN = 1e-6;

/** Containers on one node, aligned with the classes that were asked about. */
export type Pattern = readonly number[];

/** Solves a model to values; undefined when the solver fails. */
export type Ask = (model: MipModel) => Promise<Float64Array | undefined>;

/** What to pack: a group, its nodes, and containers by class index. */
export interface PackingQuestion {
  readonly groupIndex: number;
  readonly nodeCount: number;
  readonly containers: ReadonlyMap<number, number>;
}

/** Nodes by pattern, a cut that forbids the question, or neither. */
export type PackingAnswer =
  | { readonly kind: "packed"; readonly nodes: readonly PatternNodes[] }
  | { readonly kind: "impossible"; readonly cut: PackingCut }
  | { readonly kind: "unknown" };

/** Nodes that all hold the same containers. */
export interface PatternNodes {
  readonly nodeCount: number;
  readonly containers: ReadonlyMap<number, number>;
}

/** Answers a packing question exactly when the patterns are few; asks the solver twice at most. */
export async function packExactly(
  problem: Problem,
  question: PackingQuestion,
  ask: Ask,
): Promise<PackingAnswer> {
  const group = problem.groups[question.groupIndex];
  if (question.nodeCount > NODE_COUNT_MAX) return { kind: "unknown" };
  const classIndexes = [...question.containers.keys()].sort((a, b) => a - b);
  const patterns = group ? maximalPatterns(problem, group, classIndexes) : undefined;
  if (!patterns) return { kind: "unknown" };
  const weights = await ask(weightProgram(classIndexes, patterns, question));
  if (!weights) return { kind: "unknown" };
  const cut = cutFrom(classIndexes, patterns, question, weights);
  if (cut) return { kind: "impossible", cut };
  const cover = await ask(coverProgram(classIndexes, patterns, question));
  return cover ? readCover(classIndexes, patterns, question, cover) : { kind: "unknown" };
}

/** All patterns to which nothing can be added in the last class; undefined when too many. */
export function maximalPatterns(
  problem: Problem,
  group: OfferGroup,
  classIndexes: readonly number[],
): readonly Pattern[] | undefined {
  const patterns: Pattern[] = [];
  const extend = (room: NodeRoom, chosen: Pattern): boolean => {
    const classIndex = classIndexes[chosen.length];
    const needs = classIndex === undefined ? undefined : problem.classes[classIndex]?.needs;
    if (!needs) return patterns.push(chosen) <= PATTERN_COUNT_MAX;
    const most = fitCount(room, needs);
    const least = chosen.length === classIndexes.length - 1 ? most : 0;
    for (let count = most; count >= least; count -= 1) {
      if (!extend(roomAfter(room, needs, count), [...chosen, count])) return false;
    }
    return true;
  };
  return extend(roomOf(group.resources), []) ? patterns : undefined;
}

function weightProgram(
  classIndexes: readonly number[],
  patterns: readonly Pattern[],
  question: PackingQuestion,
): MipModel {
  const builder = new ModelBuilder();
  for (const index of classIndexes) {
    builder.column({ cost: -(question.containers.get(index) ?? 0), upper: 1 });
  }
  for (const pattern of patterns) builder.row({ upper: 1, entries: pattern.entries() });
  return builder.build();
}

/** Scales the weights so that they are valid to the last digit, then looks whether they cut. */
function cutFrom(
  classIndexes: readonly number[],
  patterns: readonly Pattern[],
  question: PackingQuestion,
  raw: Float64Array,
): PackingCut | undefined {
  const load = (pattern: Pattern): number =>
    pattern.reduce((sum, count, position) => sum + count * Math.max(0, raw[position] ?? 0), 0);
  const scale = Math.max(1, ...patterns.map(load));
  const weights = new Map(
    classIndexes.map((index, position) => [index, Math.max(0, raw[position] ?? 0) / scale]),
  );
  let nodes = 0;
  for (const [index, weight] of weights) nodes += weight * (question.containers.get(index) ?? 0);
  return nodes > question.nodeCount + VIOLATION_MIN
    ? { groupIndex: question.groupIndex, weights }
    : undefined;
}

function coverProgram(
  classIndexes: readonly number[],
  patterns: readonly Pattern[],
  question: PackingQuestion,
): MipModel {
  const builder = new ModelBuilder();
  patterns.forEach(() => builder.column({ cost: 1, upper: question.nodeCount, integer: true }));
  for (const [position, index] of classIndexes.entries()) {
    const entries = patterns.map((pattern, column) => [column, pattern[position] ?? 0] as const);
    builder.row({ lower: question.containers.get(index) ?? 0, entries });
  }
  return builder.build();
}

function readCover(
  classIndexes: readonly number[],
  patterns: readonly Pattern[],
  question: PackingQuestion,
  cover: Float64Array,
): PackingAnswer {
  const nodes: PatternNodes[] = [];
  const left = new Map(question.containers);
  let nodeCount = 0;
  for (const [column, pattern] of patterns.entries()) {
    for (let node = 0; node < Math.round(cover[column] ?? 0); node += 1) {
      const containers = new Map<number, number>();
      for (const [position, index] of classIndexes.entries()) {
        const held = Math.min(pattern[position] ?? 0, left.get(index) ?? 0);
        left.set(index, (left.get(index) ?? 0) - held);
        if (held > 0) containers.set(index, held);
      }
      nodes.push({ nodeCount: 1, containers });
      nodeCount += 1;
    }
  }
  return nodeCount <= question.nodeCount ? { kind: "packed", nodes } : { kind: "unknown" };
}
