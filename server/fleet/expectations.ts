/** Tells nodes which containers may be started on them soon, so that sandboxes are ready there. */
import type { Node } from "../../core/index.ts";
import type { ExpectedStart } from "../../sandbox/index.ts";
import type { NodeLink, NodeLinks } from "../agents/hub.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { expectedStartOf } from "./start-message.ts";

/** So many kinds are told to one node: it keeps few sandboxes ready. */
const KINDS_MAX = 8;
/** More of one function than this is kept ready by no node. */
const COUNT_MAX = 16;
/** Load changes many times a second, and what is likely does not. */
const TELL_EVERY_MS = 250;
const NOTHING: Said = { text: "[]", starts: [] };

interface Said {
  readonly text: string;
  readonly starts: readonly ExpectedStart[];
}

export class Expectations {
  readonly #hub: NodeLinks;
  /** What was said last over each link: an agent that comes back has a new one. */
  readonly #said = new WeakMap<NodeLink, Said>();
  #toldAtMs = -Infinity;

  constructor({ hub }: { readonly hub: NodeLinks }) {
    this.#hub = hub;
  }

  /**
   * Says what has changed since it was last said, four times a second at most.
   * O(containers expected x nodes).
   */
  tell(soon: ReadonlyMap<LiveFunction, number>, nodes: readonly Node[], nowMs: number): void {
    if (Math.abs(nowMs - this.#toldAtMs) < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    const expected = expectedOn(soon, nodes);
    for (const { nodeId } of nodes) {
      const link = this.#hub.link(nodeId);
      if (link === undefined) continue;
      const starts = expected.get(nodeId) ?? [];
      const text = JSON.stringify(starts);
      if (text === (this.#said.get(link) ?? NOTHING).text) continue;
      this.#said.set(link, { text, starts });
      link.send({ type: "expect", starts });
    }
  }

  /** What a node was told last. */
  of(nodeId: string): readonly ExpectedStart[] {
    const link = this.#hub.link(nodeId);
    return (link === undefined ? undefined : this.#said.get(link))?.starts ?? [];
  }
}

/**
 * Which node should expect what: the containers of a function go one by one to the node that has
 * most of what they read, and among those to the one that expects the least. The order of
 * functions and nodes decides ties.
 */
export function expectedOn(
  soon: ReadonlyMap<LiveFunction, number>,
  nodes: readonly Node[],
): ReadonlyMap<string, readonly ExpectedStart[]> {
  const open = nodes.filter(({ state }) => state === "healthy");
  const expected = new Map<string, ExpectedStart[]>();
  const countOn = ({ nodeId }: Node): number =>
    (expected.get(nodeId) ?? []).reduce((sum, { count }) => sum + count, 0);
  for (const [live, count] of soon) {
    // Cards and volumes are a container's own: nothing is kept ready with them.
    if (live.gpuCount > 0 || live.spec.volumes.length > 0) continue;
    const start = expectedStartOf(live, 0);
    const rankOf = (node: Node): number => countOn(node) - COUNT_MAX * heldOf(start, node);
    for (let left = Math.min(count, COUNT_MAX); left > 0; left -= 1) {
      const best = open.toSorted((one, other) => rankOf(one) - rankOf(other))[0];
      if (best !== undefined) addOne(expected, best.nodeId, start);
    }
  }
  return expected;
}

/** How much of what a start reads the node has: 2 for its memory, 1 for its code. */
function heldOf({ snapshotId, codeSha256 }: ExpectedStart, { cachedArtifacts = [] }: Node): number {
  const has = (hash: string | undefined): number =>
    hash !== undefined && cachedArtifacts.includes(hash) ? 1 : 0;
  return 2 * has(snapshotId) + has(codeSha256);
}

function addOne(
  expected: Map<string, ExpectedStart[]>,
  nodeId: string,
  start: ExpectedStart,
): void {
  const starts = expected.get(nodeId) ?? [];
  // Two workspaces may have functions of one name and code, which share nothing.
  const text = JSON.stringify(start);
  const position = starts.findIndex((one) => JSON.stringify({ ...one, count: 0 }) === text);
  const known = starts[position];
  if (known !== undefined) starts[position] = { ...known, count: known.count + 1 };
  else if (starts.length < KINDS_MAX) starts.push({ ...start, count: 1 });
  expected.set(nodeId, starts);
}
