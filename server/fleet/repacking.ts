/**
 * Carries out plans of moves, one container after the other.
 *
 * A container moves by being replaced: one of its function starts on the new node, then the old
 * one gets no more inputs, finishes what it has and ends. So nobody waits for a move and no input
 * runs twice for it. The node that is being emptied takes nothing new meanwhile; the one for whom
 * room is made goes first when the last container has left.
 *
 * A plan is given up as soon as the fleet does not go along: the new node has no room any more or
 * refuses, the replacement ends, or the old container does not finish in time and stays.
 */
import type { Clock, IdSource, Node, SchedulerPolicy } from "../../core/index.ts";
import type { RepackMove } from "../../scheduler/index.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import { chooseRepack, type Repack } from "./repack-goal.ts";
import { requestOf, type Placement } from "./placement.ts";

export interface RepackingOptions {
  readonly containers: ContainerTable;
  /** Nodes that containers can be placed on. */
  readonly nodes: () => readonly Node[];
  /** Nodes in use of which the plan wants fewer. */
  readonly surplusNodeIds: () => ReadonlySet<string>;
  /** Containers that wait though inputs wait for them, oldest first. */
  readonly waiting: (nowMs: number) => readonly ContainerRecord[];
  readonly placement: Pick<Placement, "startOn">;
  readonly stop: (container: ContainerRecord, reason: string) => void;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: SchedulerPolicy;
}

interface Step {
  readonly move: RepackMove;
  readonly replacementId: string;
  /** Since when the old container has got no more inputs; undefined while the new one starts. */
  drainsSinceMs: number | undefined;
}

interface Running extends Repack {
  readonly sourceNodeIds: ReadonlySet<string>;
  next: number;
  step: Step | undefined;
}

export class Repacking {
  readonly #options: RepackingOptions;
  #plannedAtMs: number;
  #running: Running | undefined;

  constructor(options: RepackingOptions) {
    this.#options = options;
    this.#plannedAtMs = options.clock.nowMs();
  }

  /** Nodes that are being emptied and take nothing new. */
  get heldNodeIds(): ReadonlySet<string> {
    return this.#running?.sourceNodeIds ?? NONE;
  }

  /** The container for which room is being made; it need not ask for a machine. */
  get forContainerId(): string | undefined {
    return this.#running?.forContainerId;
  }

  /** Goes on with the plan that is under way, or makes one when it is time. */
  tick(): void {
    const { policy, clock } = this.#options;
    if (!policy.repack.allowed) return;
    const nowMs = clock.nowMs();
    if (this.#running !== undefined) this.#goOn(this.#running, nowMs);
    else if (nowMs - this.#plannedAtMs >= policy.repack.everyMs) this.#plan(nowMs);
  }

  #plan(nowMs: number): void {
    const { containers, nodes, surplusNodeIds, waiting, policy } = this.#options;
    this.#plannedAtMs = nowMs;
    const movable = containers.all().filter((one) => this.#canMove(one));
    const chosen = chooseRepack(
      {
        nodes: nodes(),
        containers: containers.placed(),
        movableIds: new Set(movable.map(({ containerId }) => containerId)),
        waiting: waiting(nowMs).map((one) => requestOf(one, nowMs)),
        surplusNodeIds: surplusNodeIds(),
      },
      policy,
    );
    if (chosen === undefined) return;
    const sourceNodeIds = new Set(chosen.moves.map(({ fromNodeId }) => fromNodeId));
    this.#running = { ...chosen, sourceNodeIds, next: 0, step: undefined };
    this.#goOn(this.#running, nowMs);
  }

  #goOn(running: Running, nowMs: number): void {
    if (running.step !== undefined && !this.#isDone(running.step, nowMs)) return;
    if (this.#running !== running) return;
    const move = running.moves[running.next];
    if (move === undefined) {
      this.#finish(running);
      return;
    }
    running.next += 1;
    running.step = this.#begin(move, nowMs);
    if (running.step === undefined) this.#running = undefined;
  }

  /** Starts the replacement; `undefined` when that is not possible any more. */
  #begin(move: RepackMove, nowMs: number): Step | undefined {
    const { containers, ids, placement } = this.#options;
    const old = containers.get(move.containerId);
    if (old === undefined || !this.#canMove(old)) return undefined;
    const replacement = containers.addPending(ids.next("co"), old.live, nowMs);
    const reason = `moves ${old.containerId} here from ${move.fromNodeId}: ${move.reason}`;
    if (!placement.startOn(replacement, move.toNodeId, reason)) {
      containers.remove(replacement.containerId);
      return undefined;
    }
    old.replacedBy = replacement.containerId;
    return { move, replacementId: replacement.containerId, drainsSinceMs: undefined };
  }

  /** Whether the next move may begin: the old container is gone. */
  #isDone(step: Step, nowMs: number): boolean {
    const { containers, stop, policy } = this.#options;
    const { move, replacementId } = step;
    const old = containers.get(move.containerId);
    if (old === undefined) return true;
    if (old.state === "stopping") return false;
    const { dispatcher } = old.live;
    const replacement = containers.get(replacementId);
    if (replacement === undefined || replacement.nodeId !== move.toNodeId) {
      this.#giveUp(old, replacement, "the other node did not take it");
    } else if (replacement.state !== "ready") {
      return false;
    } else if (step.drainsSinceMs === undefined) {
      step.drainsSinceMs = nowMs;
      dispatcher.containerDrains(old.containerId);
    } else if (dispatcher.inflightCount(old.containerId) === 0) {
      stop(old, `moved to ${move.toNodeId} as ${replacementId}: ${move.reason}`);
    } else if (nowMs - step.drainsSinceMs >= policy.repack.drainTimeoutMs) {
      const { drainTimeoutMs } = policy.repack;
      this.#giveUp(old, replacement, `its inputs did not end within ${drainTimeoutMs} ms`);
    }
    return false;
  }

  /** The old container stays; the new one goes, unless it works already. */
  #giveUp(old: ContainerRecord, replacement: ContainerRecord | undefined, why: string): void {
    const { containers, stop } = this.#options;
    this.#running = undefined;
    old.replacedBy = undefined;
    if (!old.isLeaving) old.live.dispatcher.containerStays(old.containerId);
    if (replacement === undefined) return;
    const { containerId, live, nodeId } = replacement;
    if (nodeId === undefined) containers.remove(containerId);
    else if (live.dispatcher.inflightCount(containerId) === 0) {
      stop(replacement, `the move of ${old.containerId} was given up: ${why}`);
    }
  }

  #finish({ forContainerId }: Running): void {
    this.#running = undefined;
    const waiting = this.#options.containers.get(forContainerId ?? "");
    if (waiting?.state === "pending") waiting.isOwed = true;
  }

  /**
   * Whether it can finish what it has within the time for that. For a moment it is there twice,
   * which a workspace with a hard limit may not be able to afford.
   */
  #canMove(container: ContainerRecord): boolean {
    const { state, live, replacedBy, idleSinceMs } = container;
    if (container.isLeaving) return false;
    const { repack, quotas } = this.#options.policy;
    const { gpuCountMax, maxFraction } = quotas[live.workspaceId] ?? {};
    const isLimited = gpuCountMax !== undefined || maxFraction !== undefined;
    if (state !== "ready" || live.retired || replacedBy !== undefined || isLimited) return false;
    const { serviceMs } = live.dispatcher;
    return idleSinceMs !== undefined || (serviceMs ?? Infinity) <= repack.drainTimeoutMs;
  }
}

const NONE: ReadonlySet<string> = new Set();
