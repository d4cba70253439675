/**
 * Puts the containers of a solution on whole nodes, group by group, and says where the
 * aggregate lied: by heuristics first, exactly only where they leave something over.
 */
import type { Draft } from "./candidate.ts";
import { packExactly, type Ask, type PackingQuestion, type PatternNodes } from "./cuts.ts";
import type { Assignment, PackingCut } from "./formulate.ts";
import { packGroup, toOffers, type PackedNodes } from "./pack-group.ts";
import { roomAfter, roomOf, type NodeStack } from "./packing.ts";
import type { OfferGroup, Problem } from "./problem.ts";

/** A draft of what fits, and the cuts that forbid what does not. */
export interface Layout {
  readonly draft: Draft;
  readonly cuts: readonly PackingCut[];
}

/** Lays out every scenario. Asks the solver only about groups that heuristics could not pack. */
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

interface LaidOutGroup {
  readonly stacks: readonly NodeStack[];
  readonly cut?: PackingCut;
}

async function layOutGroup(
  problem: Problem,
  { counts }: Assignment,
  content: Pick<PackingQuestion, "groupIndex" | "containers">,
  ask: Ask,
): Promise<LaidOutGroup> {
  const group = problem.groups[content.groupIndex];
  if (!group || content.containers.size === 0) return { stacks: [] };
  const nodeCount = group.offerIndexes.reduce((sum, index) => sum + (counts[index] ?? 0), 0);
  const items = [...content.containers].flatMap(([classIndex, quantity]) => {
    const needs = problem.classes[classIndex]?.needs;
    return needs ? [{ classIndex, needs, quantity }] : [];
  });
  const packed = packGroup(group.resources, nodeCount, items);
  const stacks = toOffers(group.offerIndexes, counts, packed.nodes);
  if (packed.leftover === 0) return { stacks };
  const answer = await packExactly(problem, { ...content, nodeCount }, ask);
  if (answer.kind === "impossible") return { stacks, cut: answer.cut };
  if (answer.kind === "unknown") return { stacks };
  const nodes = answer.nodes.map((pattern) => withRoom(problem, group, pattern));
  return { stacks: toOffers(group.offerIndexes, counts, nodes) };
}

function withRoom(
  problem: Problem,
  { resources }: OfferGroup,
  { nodeCount, containers }: PatternNodes,
): PackedNodes {
  let room = roomOf(resources);
  for (const [classIndex, quantity] of containers) {
    const needs = problem.classes[classIndex]?.needs;
    if (needs) room = roomAfter(room, needs, quantity);
  }
  return { nodeCount, room, containers };
}
