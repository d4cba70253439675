/**
 * Puts the containers of a solution on whole nodes, group by group, and says where the
 * aggregate lied: first-fit first, the exact packing only where first-fit leaves something over.
 */
import { assert } from "../core/index.ts";
import { emptyStack, type Draft } from "./candidate.ts";
import { packExactly, type Ask, type PackingQuestion, type PatternNodes } from "./cuts.ts";
import type { Assignment, PackingCut } from "./formulate.ts";
import { placeFirstFit, roomAfter, type NodeStack } from "./packing.ts";
import type { Problem } from "./presolve.ts";

/** A draft of what fits, and the cuts that forbid what does not. */
export interface Layout {
  readonly draft: Draft;
  readonly cuts: readonly PackingCut[];
}

/** Lays out every scenario. Asks the solver only about groups that first-fit could not pack. */
export async function layOut(problem: Problem, assignment: Assignment, ask: Ask): Promise<Layout> {
  const cuts: PackingCut[] = [];
  const stacks: (readonly NodeStack[])[] = [];
  for (const byGroup of assignment.containers) {
    const scenarioStacks: NodeStack[] = [];
    for (const [groupIndex, containers] of byGroup.entries()) {
      const packed = await layOutGroup(problem, assignment, { groupIndex, containers }, ask);
      scenarioStacks.push(...packed.stacks);
      if (packed.cut) cuts.push(packed.cut);
    }
    stacks.push(scenarioStacks);
  }
  return { draft: { counts: assignment.counts, stacks }, cuts };
}

interface GroupPacking {
  readonly stacks: readonly NodeStack[];
  readonly cut?: PackingCut;
}

async function layOutGroup(
  problem: Problem,
  { counts }: Assignment,
  content: Pick<PackingQuestion, "groupIndex" | "containers">,
  ask: Ask,
): Promise<GroupPacking> {
  const offerIndexes = problem.groups[content.groupIndex]?.offerIndexes ?? [];
  const empty = offerIndexes.flatMap((offerIndex) => {
    const count = counts[offerIndex] ?? 0;
    return count > 0 ? [emptyStack(problem, offerIndex, count)] : [];
  });
  if (content.containers.size === 0) return { stacks: [] };
  const firstFit = packFirstFit(problem, empty, content.containers);
  if (firstFit.leftover === 0) return { stacks: firstFit.stacks };
  const nodeCount = empty.reduce((sum, stack) => sum + stack.nodeCount, 0);
  const answer = await packExactly(problem, { ...content, nodeCount }, ask);
  if (answer.kind === "packed") return { stacks: applyPatterns(problem, empty, answer.nodes) };
  if (answer.kind === "impossible") return { stacks: firstFit.stacks, cut: answer.cut };
  return { stacks: firstFit.stacks };
}

/** First-fit by decreasing size: the class that takes most of a node goes first. */
function packFirstFit(
  problem: Problem,
  empty: readonly NodeStack[],
  containers: ReadonlyMap<number, number>,
): { readonly stacks: readonly NodeStack[]; readonly leftover: number } {
  const node = empty[0]?.room;
  const share = (need: number, has: number): number => (has > 0 ? need / has : 0);
  const size = (classIndex: number): number => {
    const needs = problem.classes[classIndex]?.needs;
    if (!needs || !node) return 0;
    return Math.max(
      share(needs.gpuCount, node.gpuShares.length),
      share(needs.cpuMilli, node.cpuMilli),
      share(needs.memoryMiB, node.memoryMiB),
    );
  };
  let stacks = empty;
  let leftover = 0;
  for (const [classIndex, quantity] of [...containers].sort(
    ([a], [b]) => size(b) - size(a) || a - b,
  )) {
    const needs = problem.classes[classIndex]?.needs;
    assert(needs !== undefined, `no class ${classIndex}`);
    const placed = placeFirstFit(stacks, { classIndex, needs, quantity });
    stacks = placed.stacks;
    leftover += placed.leftover;
  }
  return { stacks, leftover };
}

/** Gives each pattern's nodes to the empty stacks in order. */
function applyPatterns(
  problem: Problem,
  empty: readonly NodeStack[],
  nodes: readonly PatternNodes[],
): readonly NodeStack[] {
  const filled: NodeStack[] = [];
  const queue = empty.map((stack) => ({ stack, left: stack.nodeCount }));
  for (const { nodeCount, containers } of nodes) {
    let open = nodeCount;
    for (const entry of queue) {
      const taken = Math.min(open, entry.left);
      if (taken === 0) continue;
      filled.push(filledStack(problem, { ...entry.stack, nodeCount: taken }, containers));
      entry.left -= taken;
      open -= taken;
    }
  }
  return filled;
}

function filledStack(
  problem: Problem,
  stack: NodeStack,
  containers: ReadonlyMap<number, number>,
): NodeStack {
  let { room } = stack;
  for (const [classIndex, quantity] of containers) {
    const needs = problem.classes[classIndex]?.needs;
    if (needs) room = roomAfter(room, needs, quantity);
  }
  return { ...stack, room, containers };
}
