/**
 * Meters containers from their placement to their end, and keeps workspaces within their quotas.
 *
 * A container's span is opened in the record store before its agent hears of it, which is where
 * quotas are decided: a refused one is never started. Ends that cannot be written are kept and
 * tried again; a server that dies before has its spans ended at its last beat, or finds the
 * containers running and goes on with them.
 */
import type { Clock, Node } from "../../core/index.ts";
import type { UsageRates } from "../../sdk/protocol/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { ContainerExtraUse, OpenSpan, SpanOutcome, UsageSpan } from "../store/usage-store.ts";
import { largerOf, type ExtraUse } from "./cost.ts";
import type { WorkspaceQuotas } from "../../sdk/protocol/index.ts";
import { impossibility, quotaRefusal, spendingRefusal, type WorkspaceUse } from "./quotas.ts";
import { unitRatesOf } from "./rates.ts";

export interface UsageMeterOptions {
  readonly store: Pick<RecordStore, "usage" | "workspaces">;
  readonly clock: Pick<Clock, "nowMs">;
  /** The same after a restart. */
  readonly serverId: string;
  readonly rates: UsageRates;
  readonly onError: (error: unknown, doing: string) => void;
  /** A workspace has used four fifths of its month, or all of it. */
  readonly onNear: (workspaceId: string, warning: string) => void;
}

/** A container as the meter sees it. */
interface Metered {
  readonly containerId: string;
  readonly live: LiveFunction;
  readonly nodeId: string | undefined;
  readonly startedAtMs: number | undefined;
}

interface Account {
  readonly quotas: WorkspaceQuotas;
  readonly use: WorkspaceUse;
}

/** A lost span whose container nobody reports is ended after this long. */
const LOST_MS_MAX = 10 * 60_000;

export class UsageMeter {
  readonly #options: UsageMeterOptions;
  /** What was used beyond what is reserved and is not written yet; the largest that was told. */
  readonly #uses = new Map<string, ExtraUse>();
  /** Ends that are not written yet. */
  readonly #ends = new Map<string, number>();
  /** Spans of containers that were found running, while that is not written. */
  readonly #resuming = new Set<Promise<void>>();
  #accounts: ReadonlyMap<string, Account> = new Map();
  /** Warnings that were given this month, by workspace. */
  readonly #told = new Set<string>();

  constructor(options: UsageMeterOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier run of this server left open. Before any agent connects. */
  async recover(isNodeOpen: (nodeId: string) => boolean): Promise<void> {
    const { usage } = this.#options.store;
    await usage.loseOf(this.#options.serverId);
    for (const span of await this.#lost()) {
      if (!isNodeOpen(span.nodeId)) await usage.end(span.containerId, span.untilMs);
    }
    await this.beat(isNodeOpen);
  }

  /** Opens the span of a container that is about to start. @throws PlatformError `unavailable` */
  async open(container: Metered, node: Node): Promise<SpanOutcome> {
    return this.#options.store.usage.open(this.#spanOf(container, node));
  }

  /** A container was found running: its span goes on, or begins now. */
  resume(container: Metered, node: Node): void {
    const resuming = this.#options.store.usage
      .resume(this.#spanOf(container, node))
      .catch((error: unknown) =>
        this.#options.onError(error, `metering container ${container.containerId}`),
      )
      .finally(() => this.#resuming.delete(resuming));
    this.#resuming.add(resuming);
  }

  /** Containers have used so much beyond what is reserved since their starts; may be said again. */
  used(uses: readonly ContainerExtraUse[]): void {
    for (const { containerId, cpuMs, memoryMiBSeconds } of uses) {
      const use = { cpuMs, memoryMiBSeconds };
      if (!Object.values(use).every((sum) => Number.isSafeInteger(sum) && sum >= 0)) continue;
      this.#uses.set(containerId, largerOf(use, this.#uses.get(containerId) ?? use));
    }
    void this.#writeUses();
  }

  /** A container is gone. */
  ended(containerId: string): void {
    this.#ends.set(containerId, this.#options.clock.nowMs());
    void this.#flush(containerId);
  }

  /** Its agent would not take it: it never ran. */
  cancelled(containerId: string): void {
    this.#options.store.usage
      .cancel(containerId)
      .catch((error: unknown) => this.#options.onError(error, `forgetting ${containerId}`));
  }

  /** All that its agent holds of a node is known: what else was lost there has ended. */
  async settleNode(nodeId: string): Promise<void> {
    // What was found a moment ago is still lost until that is written.
    await Promise.all(this.#resuming);
    for (const span of await this.#lost()) {
      if (span.nodeId === nodeId)
        await this.#options.store.usage.end(span.containerId, span.untilMs);
    }
  }

  /** To be called once a second. */
  async beat(isNodeOpen: (nodeId: string) => boolean): Promise<void> {
    const { store, clock, serverId } = this.#options;
    const nowMs = clock.nowMs();
    await store.usage.beat(serverId, nowMs);
    await this.#writeUses();
    await Promise.all([...this.#ends.keys()].map((containerId) => this.#flush(containerId)));
    const spans = await store.usage.listOpen();
    for (const { isLost, nodeId, untilMs, containerId } of spans) {
      const isGone = nowMs - untilMs > LOST_MS_MAX || (isLost && !isNodeOpen(nodeId));
      if (isGone) await store.usage.end(containerId, untilMs);
    }
    await this.readAccounts();
  }

  /** Why a function of a workspace gets no container now, by what was read a second ago. */
  refusalOf(
    { workspaceId, gpuCount }: LiveFunction,
    more: Pick<WorkspaceUse, "containers" | "gpuMilli">,
  ): string | undefined {
    const account = this.#accounts.get(workspaceId);
    if (account === undefined) return undefined;
    const { monthMicroUsd } = account.use;
    return quotaRefusal(account.quotas, { ...more, monthMicroUsd }, gpuCount * 1_000);
  }

  /** Why a workspace runs nothing new this month; undefined when it may. */
  spendingRefusal(workspaceId: string): string | undefined {
    const account = this.#accounts.get(workspaceId);
    return account === undefined ? undefined : spendingRefusal(account.quotas, account.use);
  }

  /** Why a call of a function is not taken, by what was read a second ago. */
  callRefusal({ workspaceId, gpuCount }: LiveFunction): string | undefined {
    const account = this.#accounts.get(workspaceId);
    if (account === undefined) return undefined;
    const { quotas, use } = account;
    return spendingRefusal(quotas, use) ?? impossibility(quotas, gpuCount * 1_000);
  }

  async #lost(): Promise<readonly OpenSpan[]> {
    return (await this.#options.store.usage.listOpen()).filter(({ isLost }) => isLost);
  }

  async #flush(containerId: string): Promise<void> {
    const endedAtMs = this.#ends.get(containerId);
    if (endedAtMs === undefined) return;
    // What it used is counted while its span is open.
    await this.#writeUses();
    if (this.#uses.has(containerId)) return;
    try {
      await this.#options.store.usage.end(containerId, endedAtMs);
      this.#ends.delete(containerId);
    } catch (error) {
      this.#options.onError(error, `counting the use of container ${containerId}`);
    }
  }

  async #writeUses(): Promise<void> {
    const uses = [...this.#uses];
    if (uses.length === 0) return;
    const { store, clock, onError } = this.#options;
    try {
      await store.usage.used(
        uses.map(([containerId, use]) => ({ containerId, ...use })),
        clock.nowMs(),
      );
    } catch (error) {
      onError(error, `counting the use of ${uses.length} containers`);
      return;
    }
    for (const [containerId, use] of uses) {
      if (this.#uses.get(containerId) === use) this.#uses.delete(containerId);
    }
  }

  /** Looks at the workspaces that have quotas anew. */
  async readAccounts(): Promise<void> {
    const { store, onNear, clock } = this.#options;
    const nowMs = clock.nowMs();
    const accounts = new Map<string, Account>();
    for (const { workspaceId } of await store.workspaces.list()) {
      const quotas = await store.usage.quotas(workspaceId);
      if (Object.keys(quotas).length === 0) continue;
      const use = await store.usage.useOf(workspaceId, nowMs);
      accounts.set(workspaceId, { quotas, use });
      for (const warning of monthWarnings(quotas, use)) {
        const month = new Date(nowMs).toISOString().slice(0, 7);
        const key = `${workspaceId} ${month} ${warning}`;
        if (!this.#told.has(key)) onNear(workspaceId, warning);
        this.#told.add(key);
      }
    }
    this.#accounts = accounts;
  }

  #spanOf({ containerId, live, startedAtMs }: Metered, node: Node): UsageSpan {
    const { clock, serverId, rates } = this.#options;
    const gpuMilli = Math.round(live.gpuCount * 1_000);
    const gpuType = gpuMilli === 0 ? undefined : node.gpuType;
    return {
      containerId,
      workspaceId: live.workspaceId,
      app: live.app,
      functionName: live.codeName,
      tags: live.spec.tags,
      nodeId: node.nodeId,
      serverId,
      startedAtMs: Math.round(startedAtMs ?? clock.nowMs()),
      cpuMilli: live.needs.cpuMilli,
      memoryMiB: live.needs.memoryMiB,
      gpuMilli,
      rates: unitRatesOf(rates, gpuType),
      ...(gpuType === undefined ? {} : { gpuType }),
    };
  }
}

function monthWarnings(quotas: WorkspaceQuotas, use: WorkspaceUse): readonly string[] {
  if (spendingRefusal(quotas, use) !== undefined) return ["its month's limit is used up"];
  const isNear = spendingRefusal(quotas, { monthMicroUsd: use.monthMicroUsd / 0.8 });
  return isNear === undefined ? [] : ["four fifths of its month's limit are used"];
}
