/**
 * The capacity loop: what is wanted becomes demand, demand becomes a plan, the pool makes the
 * fleet equal to it.
 *
 * A plan is made when demand changes and every `REPLAN_MS`; the pool acts every tick. Where policy
 * gives waiting a price, what was wanted so far becomes a forecast, and the forecast a buffer of
 * idle nodes in the plan.
 */
import {
  demandClassKey,
  type Clock,
  type CloudName,
  type IdSource,
  type Node,
  type Offer,
  type Policy,
} from "../../core/index.ts";
import type { FleetPlan, PlanInput } from "../../optimizer/index.ts";
import {
  demandOf,
  desiredLinesOf,
  NO_WORK_SEEN,
  observeWork,
  planInputOf,
  type DesiredLine,
} from "../../pool/index.ts";
import type { PlanSummary } from "../../sdk/protocol/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import type { EventBus } from "../services.ts";
import type { PlanLog } from "../store/record-store.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import type { NodeTable } from "./node-table.ts";
import type { Planner, TimedPlan } from "./planner.ts";
import { planSummaryOf } from "./plan-summary.ts";
import { WorkMeter } from "./work-meter.ts";

export interface CapacityOptions {
  readonly containers: ContainerTable;
  readonly nodes: NodeTable;
  readonly planner: Pick<Planner, "plan">;
  /** The configured clouds. */
  readonly providers: ReadonlyMap<CloudName, unknown>;
  /** Their offers, without those refused a moment ago. */
  readonly offers: () => Promise<readonly Offer[]>;
  readonly plans: PlanLog;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: Policy;
}

const REPLAN_MS = 30_000;
const LOCAL: CloudName = "local";
const NO_CLOUD =
  "none can be rented: no cloud is set up (FLOTILLA_AWS_REGIONS=us-east-1,… for AWS, " +
  "FLOTILLA_AZURE_REGIONS=eastus,… for Azure, FLOTILLA_GCP_REGIONS=us-central1,… for Google " +
  "Cloud, each with this machine's credentials; `flotilla up --emulated-clouds` to try things out)";

export class Capacity {
  readonly #options: CapacityOptions;
  #desired: readonly DesiredLine[] | undefined;
  #seen = NO_WORK_SEEN;
  readonly #work = new WorkMeter();
  /** Every offer seen since the start: an offer that is refused for a while is not listed. */
  readonly #knownOffers = new Map<string, Offer>();
  #summary: PlanSummary | undefined;
  #plannedFor = "";
  #plannedAtMs = 0;

  constructor(options: CapacityOptions) {
    this.#options = options;
  }

  /** What the fleet should be by the latest plan; undefined until there is one. */
  get desired(): readonly DesiredLine[] | undefined {
    return this.#desired;
  }

  /** The plan in force; undefined while nothing is wanted and nothing is there. */
  get latest(): PlanSummary | undefined {
    return this.#summary;
  }

  /** Forgets what the last plan was made for: the market has changed. */
  replan(): void {
    this.#plannedFor = "";
  }

  /** Plans when demand has changed or the plan is old. */
  async tick(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const wanted = this.#wantedContainers();
    const { optimizer } = this.#options.policy;
    const { work, started, missed } = this.#work.read(wanted, nowMs);
    const demand = demandOf(work, optimizer);
    const look = { demand, started, missed, spotGpuCount: this.#spotGpuCount(), nowMs };
    this.#seen = observeWork(this.#seen, look, optimizer);
    const key = keyOf(wanted);
    if (key === this.#plannedFor && nowMs - this.#plannedAtMs < REPLAN_MS) return;
    const offers = await this.#options.offers();
    for (const offer of offers) this.#knownOffers.set(offer.offerId, offer);
    this.#plannedFor = key;
    this.#plannedAtMs = nowMs;
    const fleet = this.#presentFleet(offers);
    const { input } = planInputOf(this.#seen, demand, { offers, fleet, policy: optimizer });
    if (input.classes.length === 0 && fleet.length === 0) {
      this.#desired = [];
      this.#summary = undefined;
      return;
    }
    const timed = await this.#options.planner.plan(input);
    const planId = this.#options.ids.next("pl");
    const lines = desiredLinesOf(timed.plan.lines, input.classes, optimizer);
    this.#desired = lines.map((line) => ({ ...line, planId }));
    this.#explainPending(wanted, timed.plan);
    await this.#publish(planId, timed, { input, wanted });
  }

  /** Containers that need rented nodes: those on them, and those that no node here can take. */
  #wantedContainers(): readonly ContainerRecord[] {
    return this.#options.containers.all().filter((container) => {
      // One that moves or leaves its node is wanted once: as the one that takes its place.
      const { state, isLeaving, replacedBy } = container;
      if (state === "stopping" || isLeaving || replacedBy !== undefined) return false;
      if (container.nodeId === undefined) {
        return container.pendingReason !== undefined && container.wantsRoom;
      }
      return this.#options.nodes.get(container.nodeId)?.stored.node.cloud !== LOCAL;
    });
  }

  /** GPUs of spot nodes that are there and not about to go. */
  #spotGpuCount(): number {
    return this.#options.nodes.all().reduce((sum, { stored: { node } }) => {
      const isThere = node.state !== "draining" && node.state !== "terminated";
      return node.purchase === "spot" && isThere ? sum + node.resources.gpuCount : sum;
    }, 0);
  }

  /** Rented nodes by offer, each with the offer as it was rented should it not be open now. */
  #presentFleet(offers: readonly Offer[]): PlanInput["fleet"] {
    const listed = new Set(offers.map((offer) => offer.offerId));
    const present = this.#options.nodes
      .all()
      .map(({ stored }) => stored.node)
      .filter(({ state }) => state !== "draining" && state !== "terminated");
    const groups = Map.groupBy(present, ({ offerId }) => offerId);
    return [...groups].flatMap(([offerId, own]) => {
      const [node] = own;
      if (offerId === undefined || node === undefined) return [];
      const count = own.length;
      if (listed.has(offerId)) return [{ offerId, count }];
      // A process that has just begun knows no offer that is refused now, but has the nodes.
      const offer = this.#knownOffers.get(offerId) ?? offerOfNode(node, { offerId, count });
      return [{ offerId, count, offer }];
    });
  }

  /** Tells each waiting function what it waits for: a machine, or the constraint that binds. */
  #explainPending(wanted: readonly ContainerRecord[], plan: FleetPlan): void {
    const unmet = new Map(plan.unmet.map(({ classId, reason }) => [classId, reason]));
    for (const container of wanted) {
      const { live, nodeId, pendingReason } = container;
      if (nodeId !== undefined) continue;
      const reason = `${pendingReason ?? "no node fits"}; ${this.#rentingText(live, unmet)}`;
      if (live.pendingReason === reason) continue;
      live.pendingReason = reason;
      this.#options.events.publish(
        { appId: live.appId, functionId: live.functionId },
        { kind: "call.pending", reason },
      );
    }
  }

  #rentingText({ needs }: LiveFunction, unmet: ReadonlyMap<string, string>): string {
    if (this.#options.providers.size === 0) return NO_CLOUD;
    const why = unmet.get(demandClassKey(needs));
    return why === undefined ? "a machine is being rented" : `none can be rented: ${why}`;
  }

  async #publish(
    planId: string,
    timed: TimedPlan,
    by: { readonly input: PlanInput; readonly wanted: readonly ContainerRecord[] },
  ): Promise<void> {
    const { plan } = timed;
    const { input, wanted } = by;
    const { clock, plans, events } = this.#options;
    const atMs = clock.nowMs();
    const summary = planSummaryOf(timed, input.offers, planId, atMs);
    const changes = plan.lines.some((line) => line.delta !== 0) || plan.unmet.length > 0;
    this.#summary = summary;
    await plans.append({ planId, atMs, plan: summary });
    if (!changes) return;
    for (const [appId, functionId] of new Map(
      wanted.map(({ live }) => [live.appId, live.functionId] as const),
    )) {
      events.publish({ appId, functionId }, { kind: "plan.made", plan: summary });
    }
  }
}

/** The offer of nodes that are there, as far as their records tell: enough to count them in. */
export function offerOfNode(
  node: Node,
  { offerId, count }: { readonly offerId: string; readonly count: number },
): Offer {
  const { cloud, region, zone, instanceType, purchase, gpuType, resources, emulated } = node;
  return {
    offerId,
    cloud,
    region,
    ...(zone === undefined ? {} : { zone }),
    instanceType,
    purchase,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources,
    priceMicroUsdPerHour: node.priceMicroUsdPerHour,
    reclaimFractionPerHour: 0,
    bootMs: 0,
    nodeCountMax: count,
    quotaGroups: [],
    emulated,
  };
}

function keyOf(wanted: readonly ContainerRecord[]): string {
  return wanted
    .map(({ containerId, live }) => `${containerId}=${demandClassKey(live.needs)}`)
    .sort()
    .join(";");
}
