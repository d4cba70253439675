/**
 * Consolidation: which nodes that hold containers are given up because the plan wants fewer or
 * others, and when.
 *
 * A node is a candidate when the plan wants fewer of its offer than there are. Its containers are
 * laid out on the free room of the nodes that stay and, where that does not do, on machines that
 * the plan wants and that are not there yet. Candidates that share such a machine are judged
 * together:
 *
 *     saving     = (sum of the candidates' prices - price of the new machines) * horizon
 *     disruption = containers moved * price of a restart + price of the new machines * boot time
 *
 * and a move is worth it when saving >= savingRatioMin * disruption. The new machines are then
 * rented, and a candidate is drained once its containers fit on nodes that are healthy. What is
 * not worth it stays, and the machines that would replace it are held back, so that one demand is
 * never paid for twice.
 *
 * Guarantees, held by tests: a move has been worth it for `validateMs` without a break; at most
 * `ceil(disruptionFractionMax * nodes)` nodes are out of service at once, others' drains counted,
 * and none where the fraction is 0 or no fraction; a node younger than `periodMs`, or one that
 * took in containers of another move less than that ago, is left alone, so no container is moved
 * twice in a period. Reclaims and failures do not ask here: they bind no budget, but use it up.
 *
 * Source: budgets in nodes out of service, rounded up, and the second look after 15 s are
 * Karpenter's (concepts/disruption, read 2026-11).
 *
 * Pure: equal views give equal answers. O(nodes + containers), and beyond that
 * O(containers of `CANDIDATE_COUNT_MAX` candidates * nodes) when there are candidates.
 */
import {
  MS_PER_HOUR,
  usdFromMicroUsd,
  type ConsolidationPolicy,
  type MicroUsd,
  type Node,
  type Offer,
  type PlacedContainer,
} from "../core/index.ts";
import type { DesiredLine } from "./ports.ts";
import { roomOf, takeRoom, type FittingContainer, type Room } from "./room.ts";

/** What must be remembered between two looks. */
export interface ConsolidationMemory {
  /** Since when each node has been worth moving, without a break; losing it only delays. */
  readonly worthSinceMs: ReadonlyMap<string, number>;
  /** When each node was last counted on to take in what another one held; outlives the process. */
  readonly receivedAtMs: ReadonlyMap<string, number>;
}

/** Nothing was looked at yet. */
export const NO_CONSOLIDATION: ConsolidationMemory = {
  worthSinceMs: new Map(),
  receivedAtMs: new Map(),
};

/** A rented node as it matters here. */
export interface MovableNode {
  readonly node: Node;
  readonly launchedAtMs: number;
  /** False for one that is lost, failing or being taken back. */
  readonly isSound: boolean;
}

export interface ConsolidationView {
  /** Absent while there is no plan: then nothing moves. */
  readonly desired: readonly DesiredLine[] | undefined;
  readonly offers: readonly Offer[];
  /** All rented nodes that are not terminated. */
  readonly nodes: readonly MovableNode[];
  readonly containers: readonly PlacedContainer[];
  /** Containers without a node: the machines they wait for are never held back. */
  readonly waiting: readonly FittingContainer[];
  readonly policy: ConsolidationPolicy;
  readonly memory: ConsolidationMemory;
}

export interface Consolidation {
  /** Nodes to drain now. */
  readonly moves: readonly { readonly nodeId: string; readonly reason: string }[];
  /** By offer: machines the plan wants that are not to be rented, since others serve still. */
  readonly heldCountOf: ReadonlyMap<string, number>;
  readonly memory: ConsolidationMemory;
}

/** Nodes looked at at once; the others follow when these are gone. */
export const CANDIDATE_COUNT_MAX = 20;

/** What to move now. */
export function consolidate(view: ConsolidationView, nowMs: number): Consolidation {
  const memory = recent(view, nowMs);
  const candidates = candidatesOf(view);
  if (candidates.length === 0) {
    return {
      moves: [],
      heldCountOf: new Map(),
      memory: { ...memory, worthSinceMs: new Map() },
    };
  }
  const layout = layOut(candidates, view);
  const worth = new Set(layout.groups.filter((group) => isWorthIt(group, view)));
  const worthSinceMs = new Map(
    [...worth]
      .flatMap(({ moved }) => [...moved])
      .filter((node) => isRested(node, memory, { view, nowMs }))
      .map(({ node: { nodeId } }) => [nodeId, memory.worthSinceMs.get(nodeId) ?? nowMs]),
  );
  const isDue = ({ node }: MovableNode): boolean => {
    const sinceMs = worthSinceMs.get(node.nodeId) ?? Infinity;
    return nowMs - sinceMs >= view.policy.validateMs;
  };
  const budget = disruptionBudget(view);
  const mayReplace = (group: Group): boolean =>
    budget > 0 && worth.has(group) && [...group.moved].every(isDue);
  const moves = movesOf([...worth], { isDue, layout, budget });
  const receivers = moves.flatMap(({ nodeId }) => [...(layout.receiversOf.get(nodeId) ?? [])]);
  const receivedAtMs =
    receivers.length === 0
      ? memory.receivedAtMs
      : new Map([...memory.receivedAtMs, ...receivers.map((nodeId) => [nodeId, nowMs] as const)]);
  return {
    moves,
    heldCountOf: countByOffer(layout.groups.filter((group) => !mayReplace(group))),
    memory: { worthSinceMs, receivedAtMs },
  };
}

/**
 * Whether there can be any candidate: an offer of which more nodes hold containers than are
 * wanted. Mostly there is none, and the rest need not be looked at.
 */
export function mayConsolidate(
  desired: readonly DesiredLine[] | undefined,
  nodes: Iterable<Node>,
  containers: readonly PlacedContainer[],
): boolean {
  if (desired === undefined) return false;
  const left = new Map(desired.map(({ offerId, count }) => [offerId, count]));
  const occupied = new Set<string>();
  for (const { nodeId } of containers) occupied.add(nodeId);
  for (const { nodeId, offerId = "" } of nodes) {
    if (!occupied.has(nodeId)) continue;
    const count = (left.get(offerId) ?? 0) - 1;
    if (count < 0) return true;
    left.set(offerId, count);
  }
  return false;
}

/**
 * How many nodes more may be taken out of service by choice: the fraction of all, rounded up,
 * less those that are out already. 0 for a fraction that is none.
 */
export function disruptionBudget({
  nodes,
  policy,
}: Pick<ConsolidationView, "nodes" | "policy">): number {
  const { disruptionFractionMax: fraction } = policy;
  if (!(fraction > 0 && fraction <= 1)) return 0;
  const serving = nodes.filter(({ node, isSound }) => isSound && isReady(node)).length;
  const starting = nodes.filter(({ node }) => isComing(node)).length;
  const out = nodes.length - serving - starting;
  return Math.max(0, Math.ceil(fraction * nodes.length) - out);
}

interface Candidate extends MovableNode {
  readonly containers: readonly PlacedContainer[];
}

/** A machine that the plan wants and that is not there yet. */
interface WantedMachine extends Room {
  readonly offer: Offer;
  /** Containers wait for it, so it is rented whatever moves. */
  isAwaited: boolean;
}

/** Candidates that are judged together, and the machines they need. */
interface Group {
  readonly moved: Set<Candidate>;
  readonly wanted: Set<WantedMachine>;
}

interface Layout {
  readonly groups: readonly Group[];
  /** By candidate whose containers fit on healthy nodes as they are: those nodes. */
  readonly receiversOf: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Memory without what no longer matters. */
function recent({ memory, policy, nodes }: ConsolidationView, nowMs: number): ConsolidationMemory {
  if (memory.receivedAtMs.size === 0) return memory;
  const known = new Set(nodes.map(({ node }) => node.nodeId));
  const received = [...memory.receivedAtMs].filter(
    ([nodeId, atMs]) => known.has(nodeId) && nowMs - atMs < policy.periodMs,
  );
  if (received.length === memory.receivedAtMs.size) return memory;
  return { ...memory, receivedAtMs: new Map(received) };
}

/** Nodes with containers beyond what the plan wants of their offer; fewest containers first. */
function candidatesOf(view: ConsolidationView): readonly Candidate[] {
  if (view.desired === undefined) return [];
  const wanted = new Map(view.desired.map(({ offerId, count }) => [offerId, count]));
  const occupied = new Set<string>();
  for (const { nodeId } of view.containers) occupied.add(nodeId);
  const used = view.nodes.filter(
    ({ node, isSound }) => isSound && isReady(node) && occupied.has(node.nodeId),
  );
  const excess = [...Map.groupBy(used, ({ node }) => node.offerId ?? "")]
    .map(([offerId, own]) => ({ own, count: own.length - (wanted.get(offerId) ?? 0) }))
    .filter(({ count }) => count > 0);
  if (excess.length === 0) return [];
  const byNode = Map.groupBy(view.containers, ({ nodeId }) => nodeId);
  return excess
    .flatMap(({ own, count }) =>
      own
        .map((one) => ({ ...one, containers: byNode.get(one.node.nodeId) ?? [] }))
        .toSorted(byDisruption)
        .slice(0, count),
    )
    .toSorted(byDisruption)
    .slice(0, CANDIDATE_COUNT_MAX);
}

/** Those that are due and whose containers have a healthy place now, as many as may go. */
function movesOf(
  groups: readonly Group[],
  {
    isDue,
    layout,
    budget,
  }: {
    readonly isDue: (node: MovableNode) => boolean;
    readonly layout: Layout;
    readonly budget: number;
  },
): Consolidation["moves"] {
  return groups
    .flatMap((group) => [...group.moved].map((moved) => ({ group, moved })))
    .filter(({ moved }) => layout.receiversOf.has(moved.node.nodeId) && isDue(moved))
    .slice(0, budget)
    .map(({ group, moved }) => ({ nodeId: moved.node.nodeId, reason: reasonOf(group) }));
}

function countByOffer(groups: readonly Group[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { offer } of groups.flatMap(({ wanted }) => [...wanted])) {
    counts.set(offer.offerId, (counts.get(offer.offerId) ?? 0) + 1);
  }
  return counts;
}

/** Room on the nodes that stay, on those that come, and on those that the plan wants. */
interface Rooms {
  readonly here: readonly (Room & { readonly nodeId: string })[];
  readonly coming: readonly Room[];
  readonly wanted: readonly WantedMachine[];
}

/** What is free when all that has to move anyway, or waits already, has got its place. */
function roomsOf(candidates: readonly Candidate[], view: ConsolidationView): Rooms {
  const leaving = new Set(candidates.map(({ node }) => node.nodeId));
  const byNode = Map.groupBy(view.containers, ({ nodeId }) => nodeId);
  const here = view.nodes
    .filter(({ node, isSound }) => isSound && isReady(node) && !leaving.has(node.nodeId))
    .map(({ node }) => ({
      ...roomOf(node, byNode.get(node.nodeId) ?? []),
      nodeId: node.nodeId,
    }));
  const coming = view.nodes
    .filter(({ node }) => isComing(node))
    .map(({ node }) => roomOf(node, []));
  for (const { node } of view.nodes) {
    if (node.state === "draining") takeRoom(byNode.get(node.nodeId) ?? [], here);
  }
  const wanted = wantedMachines(view);
  for (const container of view.waiting) {
    const rooms = takeRoom([container], [...here, ...coming, ...wanted]);
    for (const machine of wanted) if (rooms?.has(machine) === true) machine.isAwaited = true;
  }
  return { here, coming, wanted };
}

/** Lays the candidates' containers out, one candidate after the other. */
function layOut(candidates: readonly Candidate[], view: ConsolidationView): Layout {
  const { here, coming, wanted } = roomsOf(candidates, view);
  const groups = new Groups();
  const receiversOf = new Map<string, ReadonlySet<string>>();
  for (const candidate of candidates) {
    const receivers = takeRoom(candidate.containers, here);
    if (receivers !== undefined) {
      const ids = [...receivers].map(({ nodeId }) => nodeId);
      receiversOf.set(candidate.node.nodeId, new Set(ids));
      groups.add(candidate, []);
      continue;
    }
    const taken = takeRoom(candidate.containers, [...here, ...coming, ...wanted]);
    if (taken === undefined) continue;
    const machines = wanted.filter((one) => taken.has(one) && !one.isAwaited);
    groups.add(candidate, machines);
  }
  return { groups: groups.all(), receiversOf };
}

/** Candidates that need a machine in common are one group. */
class Groups {
  readonly #groups = new Set<Group>();
  readonly #groupOf = new Map<WantedMachine, Group>();

  all(): readonly Group[] {
    return [...this.#groups];
  }

  add(candidate: Candidate, machines: readonly WantedMachine[]): void {
    const group: Group = { moved: new Set([candidate]), wanted: new Set(machines) };
    for (const machine of machines) {
      const other = this.#groupOf.get(machine);
      if (other === undefined || !this.#groups.delete(other)) continue;
      for (const joined of other.moved) group.moved.add(joined);
      for (const shared of other.wanted) group.wanted.add(shared);
    }
    for (const machine of group.wanted) this.#groupOf.set(machine, group);
    this.#groups.add(group);
  }
}

/** Machines that lines lack, in the order of the plan. */
function wantedMachines({ desired = [], nodes, offers }: ConsolidationView): WantedMachine[] {
  const offersById = new Map(offers.map((offer) => [offer.offerId, offer]));
  const counts = new Map<string, number>();
  for (const { node, isSound } of nodes) {
    if (!isComing(node) && !(isSound && isReady(node))) continue;
    const { offerId = "" } = node;
    counts.set(offerId, (counts.get(offerId) ?? 0) + 1);
  }
  return desired.flatMap(({ offerId, count }) => {
    const offer = offersById.get(offerId);
    const lackingCount = count - (counts.get(offerId) ?? 0);
    if (offer === undefined || lackingCount <= 0) return [];
    return Array.from({ length: lackingCount }, () => ({
      ...roomOf(offer, []),
      offer,
      isAwaited: false,
    }));
  });
}

function isWorthIt(group: Group, { policy }: ConsolidationView): boolean {
  const { horizonMs, restartMicroUsd, savingRatioMin } = policy;
  const bootMicroUsd = [...group.wanted].reduce(
    (sum, { offer }) => sum + (offer.priceMicroUsdPerHour * offer.bootMs) / MS_PER_HOUR,
    0,
  );
  const disruption = containerCountOf(group) * restartMicroUsd + bootMicroUsd;
  const saving = (savingOf(group) * horizonMs) / MS_PER_HOUR;
  return saving > 0 && saving >= savingRatioMin * disruption;
}

/** What the fleet costs less an hour after the move. */
function savingOf({ moved, wanted }: Group): MicroUsd {
  const now = [...moved].reduce((sum, { node }) => sum + node.priceMicroUsdPerHour, 0);
  const then = [...wanted].reduce((sum, { offer }) => sum + offer.priceMicroUsdPerHour, 0);
  return now - then;
}

function isRested(
  { node, launchedAtMs }: MovableNode,
  memory: ConsolidationMemory,
  { view, nowMs }: { readonly view: ConsolidationView; readonly nowMs: number },
): boolean {
  const receivedAtMs = memory.receivedAtMs.get(node.nodeId) ?? launchedAtMs;
  return nowMs - Math.max(receivedAtMs, launchedAtMs) >= view.policy.periodMs;
}

function reasonOf(group: Group): string {
  const containerCount = containerCountOf(group);
  const usdPerHour = usdFromMicroUsd(savingOf(group)).toFixed(2);
  const noun = containerCount === 1 ? "container" : "containers";
  return `the plan does without it: moving ${containerCount} ${noun} saves $${usdPerHour} an hour`;
}

function containerCountOf({ moved }: Group): number {
  return [...moved].reduce((sum, { containers }) => sum + containers.length, 0);
}

function isReady({ state }: Node): boolean {
  return state === "registered" || state === "healthy";
}

function isComing({ state }: Node): boolean {
  return state === "requested" || state === "booting";
}

function byDisruption(one: Candidate, other: Candidate): number {
  const fewer = one.containers.length - other.containers.length;
  return fewer || (one.node.nodeId < other.node.nodeId ? -1 : 1);
}
