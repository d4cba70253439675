/**
 * Shares: what each workspace holds of the fleet, and who goes next.
 *
 *     dominant share = max over resources of held / fleet total
 *
 * Dominant resource fairness: the workspace with the smallest dominant share over its weight
 * goes first; one below its guarantee goes before all that borrow. No workspace can gain by
 * asking for more than it needs, and none is worse off than with its weight's part of the fleet.
 * Source: A. Ghodsi et al., "Dominant Resource Fairness", NSDI 2011.
 */
import {
  resourcesOf,
  type Node,
  type PlacedContainer,
  type Resources,
  type WorkspaceQuota,
} from "../../core/index.ts";

/** Containers without a workspace are counted together under this name. */
export const NO_WORKSPACE = "";

interface Held {
  gpuCount: number;
  cpuMilli: number;
  memoryMiB: number;
}

export class WorkspaceShares {
  readonly #total: Held = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
  readonly #held = new Map<string, Held>();
  readonly #quotas: Readonly<Record<string, WorkspaceQuota>>;

  constructor(
    nodes: readonly Node[],
    containers: readonly PlacedContainer[],
    quotas: Readonly<Record<string, WorkspaceQuota>>,
  ) {
    this.#quotas = quotas;
    for (const { resources } of nodes) add(this.#total, resources, 1);
    for (const one of containers) this.change(one.workspaceId, one.resources, 1);
  }

  /** A workspace takes (+1) or gives back (-1) resources. */
  change(workspaceId: string | undefined, resources: Resources, sign: 1 | -1): void {
    const name = workspaceId ?? NO_WORKSPACE;
    const held = this.#held.get(name) ?? { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
    this.#held.set(name, held);
    add(held, resources, sign);
  }

  /** The largest part it holds of any one resource, 0..1. */
  dominantShare(workspaceId: string | undefined): number {
    return this.#shareOf(this.#held.get(workspaceId ?? NO_WORKSPACE));
  }

  /** The order in which workspaces are served: smaller goes first. */
  standing(workspaceId: string | undefined): number {
    const quota = this.#quotaOf(workspaceId);
    const share = this.dominantShare(workspaceId);
    const borrows = share >= (quota.guaranteedFraction ?? 0) ? BORROWERS_BEHIND : 0;
    return borrows + share / Math.max(quota.weight ?? 1, Number.EPSILON);
  }

  /** Whether it holds more than it is guaranteed. */
  isBorrowing(workspaceId: string | undefined): boolean {
    const { guaranteedFraction = 0 } = this.#quotaOf(workspaceId);
    return this.dominantShare(workspaceId) > guaranteedFraction;
  }

  /** Whether it stays within its guarantee with `more`, and may thus have it back. */
  isGuaranteed(workspaceId: string | undefined, more: Resources): boolean {
    const { guaranteedFraction = 0 } = this.#quotaOf(workspaceId);
    return this.#shareWith(workspaceId, more) <= guaranteedFraction;
  }

  /** The limit that `more` would break, in words; absent when it breaks none. */
  brokenLimit(workspaceId: string | undefined, more: Resources): string | undefined {
    const { maxFraction = 1, gpuCountMax } = this.#quotaOf(workspaceId);
    const gpus = (this.#held.get(workspaceId ?? NO_WORKSPACE)?.gpuCount ?? 0) + more.gpuCount;
    const name = workspaceId ?? "without a name";
    if (gpuCountMax !== undefined && gpus > gpuCountMax + TOLERANCE) {
      return `workspace ${name} may hold ${gpuCountMax} GPUs`;
    }
    if (maxFraction < 1 && this.#shareWith(workspaceId, more) > maxFraction + TOLERANCE) {
      return `workspace ${name} may hold ${maxFraction} of the fleet`;
    }
    return undefined;
  }

  #quotaOf(workspaceId: string | undefined): WorkspaceQuota {
    return this.#quotas[workspaceId ?? NO_WORKSPACE] ?? {};
  }

  #shareWith(workspaceId: string | undefined, more: Resources): number {
    const held = { ...(this.#held.get(workspaceId ?? NO_WORKSPACE) ?? NOTHING) };
    add(held, more, 1);
    return this.#shareOf(held);
  }

  #shareOf(held: Held = NOTHING): number {
    return Math.max(
      part(held.gpuCount, this.#total.gpuCount),
      part(held.cpuMilli, this.#total.cpuMilli),
      part(held.memoryMiB, this.#total.memoryMiB),
    );
  }
}

const NOTHING: Held = resourcesOf({ cpuMilli: 0, memoryMiB: 0, preemptible: true });
/** More than any share over any sensible weight. */
const BORROWERS_BEHIND = 1e12;
/** Dust of adding fractions up. */
const TOLERANCE = 1e-9;

function add(held: Held, resources: Resources, sign: 1 | -1): void {
  held.gpuCount += sign * resources.gpuCount;
  held.cpuMilli += sign * resources.cpuMilli;
  held.memoryMiB += sign * resources.memoryMiB;
}

function part(held: number, total: number): number {
  return total > 0 ? held / total : held > 0 ? 1 : 0;
}
