/** Whether every machine has an owner, is paid for as long as it is ours, and holds what it can. */
import {
  MS_PER_HOUR,
  MS_PER_MINUTE,
  resourcesOf,
  type Offer,
  type Policy,
} from "../../core/index.ts";
import type { FleetPlan, PlanInput } from "../../optimizer/index.ts";
import type { ProviderNode, RentRequest } from "../../providers/index.ts";
import { roomFor } from "../../sandbox/index.ts";
import type { RecordStore } from "../../server/store/record-store.ts";
import type { AgentModel } from "./agent-model.ts";
import type { RunRecord } from "./record.ts";
import type { ServerLife } from "./server-life.ts";

export interface FleetChecksOptions {
  readonly record: RunRecord;
  readonly store: RecordStore;
  readonly policy: Policy;
  readonly offers: readonly Offer[];
  readonly nowMs: () => number;
}

/** A machine may be nobody's for as long as a sweep takes, with a server down meanwhile. */
const ORPHAN_MS_MAX = 5 * MS_PER_MINUTE;
/** Beyond the heartbeat timeout: a round each of the hub and of the fleet. */
const DEAD_SLACK_MS = 10_000;
/** A bill may go on until a listing shows the machine gone, with a server down meanwhile. */
const BILL_SLACK_MS = 2 * MS_PER_MINUTE;
const MONEY_SLACK_MICRO_USD = 2;

export class FleetChecks {
  readonly #options: FleetChecksOptions;
  readonly #orphanSinceMs = new Map<string, number>();
  #deadSinceMs = new Map<string, number>();
  readonly #nodeIds = new Set<string>();

  constructor(options: FleetChecksOptions) {
    this.#options = options;
  }

  /** Before a rent takes effect its nodes are in the ledger, whatever happens next. */
  async noteRent({ nodeIds }: RentRequest): Promise<void> {
    const { store, record } = this.#options;
    const stored = await Promise.all(nodeIds.map((nodeId) => store.nodes.get(nodeId)));
    for (const [position, one] of stored.entries()) {
      const nodeId = nodeIds[position] ?? "";
      if (one === undefined) record.broken("an intent is written before the rent", nodeId);
    }
  }

  /** Machines: one for each node, each with an owner. */
  async look(machines: readonly ProviderNode[]): Promise<void> {
    const { record, store, nowMs } = this.#options;
    const living = machines.filter(({ state }) => state !== "terminated");
    for (const [nodeId = "", own] of Map.groupBy(living, (machine) => machine.nodeId)) {
      this.#nodeIds.add(nodeId);
      if (own.length > 1) record.broken("one machine for a node", `${own.length} of ${nodeId}`);
    }
    const open = await store.nodes.listOpen();
    const owned = new Set(open.map(({ node }) => node.nodeId));
    for (const { providerNodeId, nodeId = "" } of living) {
      if (owned.has(nodeId)) {
        this.#orphanSinceMs.delete(providerNodeId);
        continue;
      }
      const sinceMs = this.#orphanSinceMs.get(providerNodeId) ?? nowMs();
      this.#orphanSinceMs.set(providerNodeId, sinceMs);
      if (nowMs() - sinceMs > ORPHAN_MS_MAX) {
        record.broken("no machine without an owner", providerNodeId);
      }
    }
  }

  /** What a server believes to be on a node that is about to get one more container. */
  noteStart({ containers, nodes }: ServerLife, nodeId: string): void {
    const total = nodes.get(nodeId)?.stored.node.resources;
    if (total === undefined) return;
    const used = containers.ofNode(nodeId).map(({ live }) => resourcesOf(live.needs));
    for (const resource of ["gpuCount", "cpuMilli", "memoryMiB"] as const) {
      const sum = used.reduce((amount, one) => amount + one[resource], 0);
      if (sum <= total[resource] + 1e-6) continue;
      const subject = `${nodeId}: ${sum} of ${total[resource]} ${resource}`;
      this.#options.record.broken("a node never holds more than it has", subject);
    }
  }

  /** What agents hold: never more than their machines have, by the rule of the agent itself. */
  lookAtAgents(agents: Iterable<AgentModel>): void {
    const nothing = { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 };
    for (const { nodeId, held, resources } of agents) {
      if (roomFor({ resources: nothing }, held, resources).kind === "fits") continue;
      this.#options.record.broken("a node never holds more than it has", `agent of ${nodeId}`);
    }
  }

  /** Nothing is on a node that is dead for longer than it takes to notice. */
  lookAtPlacements(server: ServerLife, isAlive: (nodeId: string) => boolean): void {
    const { nowMs, policy, record } = this.#options;
    const sinceMs = new Map<string, number>();
    for (const { nodeId } of server.containers.placed()) {
      if (isAlive(nodeId)) continue;
      const before = this.#deadSinceMs.get(nodeId) ?? nowMs();
      sinceMs.set(nodeId, before);
      if (nowMs() - before > policy.pool.heartbeatTimeoutMs + DEAD_SLACK_MS) {
        record.broken("nothing stays placed on a dead node", nodeId);
      }
    }
    this.#deadSinceMs = sinceMs;
  }

  /** Another process begins: it has the time to notice anew. */
  newServer(): void {
    this.#deadSinceMs = new Map();
  }

  /** A plan keeps to what it was given, and empties no fleet that is needed. */
  notePlan(input: PlanInput, plan: FleetPlan): void {
    const { record, offers } = this.#options;
    const known = new Map([...offers, ...input.offers].map((offer) => [offer.offerId, offer]));
    const present = new Map(input.fleet.map(({ offerId, count }) => [offerId, count]));
    for (const line of plan.lines) this.#noteLine(line, input, present.get(line.offerId) ?? 0);
    const priceOf = (lines: PlanInput["fleet"]): number =>
      lines.reduce((sum, { offerId, count }) => {
        return sum + count * (known.get(offerId)?.priceMicroUsdPerHour ?? 0);
      }, 0);
    const priceMicroUsd = priceOf(plan.lines);
    // What is there already may cost more: nothing that works is given up for a budget.
    const { budgetMicroUsdPerHourMax = Infinity } = input.policy;
    if (priceMicroUsd > Math.max(budgetMicroUsdPerHourMax, priceOf(input.fleet))) {
      record.broken("a plan keeps to its budget", `${priceMicroUsd} micro-dollars an hour`);
    }
    const total = plan.lines.reduce((sum, { count }) => sum + count, 0);
    const before = input.fleet.reduce((sum, { count }) => sum + count, 0);
    if (before > 0 && total === 0 && input.classes.length > 0) {
      record.broken("a working fleet is never emptied", `${before} nodes planned away`);
    }
  }

  #noteLine(
    { offerId, count }: FleetPlan["lines"][number],
    { offers, policy }: PlanInput,
    here: number,
  ): void {
    if (count <= here) return;
    const { record } = this.#options;
    const offer = offers.find((one) => one.offerId === offerId);
    if (count > (offer?.nodeCountMax ?? 0)) {
      record.broken("a plan keeps to what can be had", `${count} of ${offerId}`);
    }
    const isAllowed = policy.regions?.includes(offer?.region ?? "") ?? true;
    if (!isAllowed) record.broken("a plan keeps to its regions", offerId);
  }

  /** At the end: bills end with their machines, and spend is the sum of the leases. */
  async lookAtBills(
    machines: readonly ProviderNode[],
    endOf: (machine: ProviderNode) => number | undefined,
    nowMs: number,
  ): Promise<void> {
    const { store, record } = this.#options;
    for (const machine of machines) {
      const stored = await store.nodes.get(machine.nodeId ?? "");
      const endedAtMs = endOf(machine);
      if (stored?.launchedAtMs === undefined || endedAtMs === undefined) continue;
      if ((stored.terminatedAtMs ?? nowMs) - endedAtMs <= BILL_SLACK_MS) continue;
      record.broken("nothing is billed after its release", stored.node.nodeId);
    }
    const { costMicroUsd } = await store.nodes.totals(nowMs);
    const leases = await this.#sumOfLeases(nowMs);
    if (Math.abs(costMicroUsd - leases) <= MONEY_SLACK_MICRO_USD * this.#nodeIds.size) return;
    record.broken("spend is the sum of the leases", `${costMicroUsd} and ${leases}`);
  }

  async #sumOfLeases(nowMs: number): Promise<number> {
    let sum = 0;
    for (const nodeId of this.#nodeIds) {
      const stored = await this.#options.store.nodes.get(nodeId);
      if (stored?.launchedAtMs === undefined) continue;
      const paidMs = Math.max(0, (stored.terminatedAtMs ?? nowMs) - stored.launchedAtMs);
      sum += (stored.node.priceMicroUsdPerHour * paidMs) / MS_PER_HOUR;
    }
    return sum;
  }
}
