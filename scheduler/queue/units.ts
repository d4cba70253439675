/**
 * Units of work: what is placed together, in the order in which it is.
 *
 * A unit is one request, or a gang. Those for which others were ended, and those that have waited
 * longer than the policy's patience, come first, the oldest first, whoever they belong to: with a node kept free for each
 * (reservations.ts) that bounds the wait of everything that can ever fit. The others are taken
 * workspace by workspace in the order of their standing (shares.ts), and within a workspace by
 * priority, then age, then id.
 */
import type { ContainerRequest, GangRule } from "../../core/index.ts";
import { NO_WORKSPACE, type WorkspaceShares } from "./shares.ts";

/** Requests that are placed together: one, or the members of a gang. */
export interface Unit {
  /** At least one; those of a gang by container id. */
  readonly members: readonly ContainerRequest[];
  readonly gang?: GangRule;
  readonly workspaceId: string;
  readonly priority: number;
  /** When its last member was requested. */
  readonly requestedAtMs: number;
  /** Whether it has waited longer than the policy's patience. */
  readonly isOverdue: boolean;
  /** Whether it comes before all others: it is overdue, or others were ended for it. */
  readonly goesFirst: boolean;
}

/** The units of `requests`, in no order. */
export function unitsOf(
  requests: readonly ContainerRequest[],
  options: { readonly nowMs: number; readonly patienceMs: number },
): readonly Unit[] {
  const gangs = Map.groupBy(requests, gangKey);
  const singles = gangs.get(undefined) ?? [];
  gangs.delete(undefined);
  return [
    ...singles.map((request) => unitOf([request], options)),
    ...[...gangs.values()].map((members) => unitOf(members, options)),
  ];
}

function gangKey({ gang, workspaceId }: ContainerRequest): string | undefined {
  return gang && `${workspaceId ?? NO_WORKSPACE}/${gang.gangId}`;
}

function unitOf(
  requests: readonly ContainerRequest[],
  { nowMs, patienceMs }: { readonly nowMs: number; readonly patienceMs: number },
): Unit {
  const members =
    requests.length === 1
      ? requests
      : requests.toSorted((a, b) => (a.containerId < b.containerId ? -1 : 1));
  const [first] = members;
  const requestedAtMs = Math.max(...members.map((one) => one.requestedAtMs));
  const isOverdue = nowMs - requestedAtMs > patienceMs;
  return {
    members,
    ...(first?.gang === undefined ? {} : { gang: first.gang }),
    workspaceId: first?.workspaceId ?? NO_WORKSPACE,
    priority: Math.max(...members.map((one) => one.priority ?? 0)),
    requestedAtMs,
    isOverdue,
    goesFirst: isOverdue || members.some((one) => one.isOwed === true),
  };
}

/** One workspace that has units left. */
interface Waiting {
  readonly name: string;
  readonly units: readonly Unit[];
  taken: number;
  standing: number;
}

/**
 * Gives units in the order they are placed in. Between two calls only the share of the
 * workspace that was served last may change, so one look-up finds its new place.
 */
export class UnitQueue {
  readonly #first: readonly Unit[];
  readonly #shares: WorkspaceShares;
  /** The next to be served is the last; made once those that go first are through. */
  #order: Waiting[] | undefined;
  #served: Waiting | undefined;
  readonly #others: readonly Unit[];
  #firstTaken = 0;

  constructor(units: readonly Unit[], shares: WorkspaceShares) {
    this.#shares = shares;
    this.#first = units.filter(({ goesFirst }) => goesFirst).sort(byAge);
    this.#others = units.filter(({ goesFirst }) => !goesFirst);
  }

  /** The next unit. O(log workspaces), and moving them up in the list. */
  take(): Unit | undefined {
    const first = this.#first[this.#firstTaken];
    if (first !== undefined) {
      this.#firstTaken += 1;
      return first;
    }
    const order = (this.#order ??= this.#ordered());
    if (this.#served !== undefined) this.#putBack(order, this.#served);
    const next = order.pop();
    this.#served = next;
    if (next === undefined) return undefined;
    next.taken += 1;
    return next.units[next.taken - 1];
  }

  #ordered(): Waiting[] {
    const waiting = [...Map.groupBy(this.#others, (unit) => unit.workspaceId)];
    return waiting
      .map(([name, units]) => ({
        name,
        units: units.sort((a, b) => b.priority - a.priority || byAge(a, b)),
        taken: 0,
        standing: this.#shares.standing(name),
      }))
      .sort((a, b) => (isServedBefore(a, b) ? 1 : -1));
  }

  #putBack(order: Waiting[], served: Waiting): void {
    if (served.taken >= served.units.length) return;
    served.standing = this.#shares.standing(served.name);
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = order[middle];
      if (other !== undefined && isServedBefore(served, other)) low = middle + 1;
      else high = middle;
    }
    order.splice(low, 0, served);
  }
}

function isServedBefore(one: Waiting, other: Waiting): boolean {
  return one.standing !== other.standing ? one.standing < other.standing : one.name < other.name;
}

function byAge(one: Unit, other: Unit): number {
  if (one.requestedAtMs !== other.requestedAtMs) return one.requestedAtMs - other.requestedAtMs;
  const [id = "", otherId = ""] = [one, other].map(({ members }) => members[0]?.containerId);
  return id < otherId ? -1 : 1;
}
