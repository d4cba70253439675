/** What operators ask of the pool: reports, events, orders for nodes, and checks of clouds. */
import {
  messageOf,
  PlatformError,
  usdFromMicroUsd,
  type Clock,
  type CloudName,
  type Offer,
  type Policy,
} from "../../core/index.ts";
import {
  forecastOf,
  spendPeriodsOf,
  type Order,
  type OrderOutcome,
  type PoolTick,
} from "../../pool/index.ts";
import { isProbing, type Provider } from "../../providers/index.ts";
import type { NewOrder, PoolService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { ContainerTable } from "./container-table.ts";
import type { Leadership } from "./leadership.ts";
import type { NodeTable } from "./node-table.ts";
import type {
  CloudCheck,
  CloudReport,
  OrderReport,
  PoolStatus,
  SpendReport,
} from "./pool-report.ts";

export interface PoolServiceOptions {
  readonly store: Pick<RecordStore, "nodes" | "poolEvents">;
  readonly nodes: NodeTable;
  readonly containers: ContainerTable;
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly clock: Clock;
  readonly policy: Policy;
  readonly leadership: Pick<Leadership, "fence" | "leader">;
  /** The last tick of the pool; undefined before the first. */
  readonly latestTick: () => PoolTick | undefined;
  readonly wantedNodeCount: () => number;
  readonly offers: () => Promise<readonly Offer[]>;
  readonly order: (order: Order) => Promise<OrderOutcome>;
  /** Has the pool look at once. */
  readonly kick: () => void;
}

/** An order is carried out by the next tick, which a slow cloud may hold up. */
const ORDER_MS_MAX = 60_000;

export function createPoolService(options: PoolServiceOptions): PoolService {
  return {
    status: () => statusOf(options),
    events: (query) => options.store.poolEvents.list(query),
    order: (nodeId, order) => orderOf(options, nodeId, order),
    clouds: () => cloudsOf(options),
    checkCloud: (cloud) => checkCloud(options.providers, cloud),
  };
}

async function statusOf(options: PoolServiceOptions): Promise<PoolStatus> {
  const { clock, leadership, latestTick, wantedNodeCount } = options;
  const nowMs = clock.nowMs();
  const tick = latestTick();
  const { leader } = leadership;
  const states = Map.groupBy(rentedNodes(options), ({ state }) => state);
  return {
    atMs: nowMs,
    leads: leadership.fence !== undefined,
    ...(leader === undefined ? {} : { leader }),
    nodes: Object.fromEntries([...states].map(([state, nodes]) => [state, nodes.length])),
    wantedNodes: wantedNodeCount(),
    spend: await spendOf(options, nowMs),
    ...(tick === undefined ? NOTHING_SEEN : seenIn(tick)),
  };
}

type Seen = Pick<
  PoolStatus,
  "unreachableClouds" | "unseen" | "refusals" | "strays" | "unclaimed" | "unfit" | "isRepairHalted"
>;

/** Before the first tick, and on a server that does not keep the pool. */
const NOTHING_SEEN: Seen = {
  unreachableClouds: [],
  unseen: [],
  refusals: [],
  strays: [],
  unclaimed: [],
  unfit: [],
  isRepairHalted: false,
};

function seenIn(tick: PoolTick): Seen {
  const { unreachableClouds, unseen, refusals, strays, unclaimed, fitness } = tick;
  return {
    unreachableClouds,
    unseen,
    refusals: refusals.map(({ key, reason, untilMs, count }) => ({ key, reason, untilMs, count })),
    strays,
    unclaimed,
    unfit: [...fitness.faults].map(([nodeId, fault]) => ({ nodeId, fault })),
    isRepairHalted: fitness.isRepairHalted,
  };
}

async function spendOf(options: PoolServiceOptions, nowMs: number): Promise<SpendReport> {
  const { policy, store } = options;
  const { dayFromMs, monthFromMs, lastDayFromMs } = spendPeriodsOf(nowMs);
  const [todayMicroUsd, monthMicroUsd, lastDayMicroUsd, sinceMs] = await Promise.all([
    store.nodes.spend(dayFromMs, nowMs),
    store.nodes.spend(monthFromMs, nowMs),
    store.nodes.spend(lastDayFromMs, nowMs),
    store.nodes.firstLaunchedAtMs(),
  ]);
  const known = sinceMs === undefined ? {} : { sinceMs };
  const { budgetMicroUsdPerHourMax: hourly } = policy.optimizer;
  const { budgetMicroUsdPerMonth: monthly } = policy.pool;
  const billed = options.nodes
    .all()
    .map(({ stored }) => stored.node)
    .filter(({ providerNodeId }) => providerNodeId !== undefined);
  return {
    usdPerHour: usdFromMicroUsd(billed.reduce((sum, node) => sum + node.priceMicroUsdPerHour, 0)),
    ...(hourly === undefined ? {} : { budgetUsdPerHour: usdFromMicroUsd(hourly) }),
    todayUsd: usdFromMicroUsd(todayMicroUsd),
    monthUsd: usdFromMicroUsd(monthMicroUsd),
    forecastUsd: usdFromMicroUsd(forecastOf({ monthMicroUsd, lastDayMicroUsd, ...known }, nowMs)),
    ...(monthly === undefined ? {} : { budgetUsdPerMonth: usdFromMicroUsd(monthly) }),
  };
}

function rentedNodes({ nodes }: PoolServiceOptions) {
  return nodes
    .all()
    .map(({ stored }) => stored.node)
    .filter(({ offerId, cloud }) => offerId !== undefined && cloud !== "local");
}

async function orderOf(
  options: PoolServiceOptions,
  nodeId: string,
  { kind, deadlineMs, evenIfBusy = false, reason }: NewOrder,
): Promise<OrderReport> {
  const { clock, containers, leadership, kick } = options;
  if (leadership.fence === undefined) throw notLeading(leadership.leader);
  const busy = containers.ofNode(nodeId).filter(({ isLeaving }) => !isLeaving).length;
  if (kind === "release" && busy > 0 && !evenIfBusy) throw stillBusy(nodeId, busy);
  const drainByMs = deadlineMs === undefined ? {} : { drainByMs: clock.nowMs() + deadlineMs };
  const why = reason === undefined ? "" : `: ${reason}`;
  const ordered = options.order({
    nodeId,
    kind,
    reason: `${kind} by an operator${why}`,
    ...drainByMs,
  });
  kick();
  const outcome = await within(ordered, options, `${kind} of ${nodeId}`);
  // The next look does what follows from it.
  kick();
  return reportOf(outcome, nodeId, containers);
}

function reportOf(outcome: OrderOutcome, nodeId: string, containers: ContainerTable): OrderReport {
  switch (outcome.kind) {
    case "done":
    case "unchanged": {
      const isChanged = outcome.kind === "done";
      const { length } = containers.ofNode(nodeId);
      return { nodeId, state: outcome.node.state, isChanged, containers: length };
    }
    case "not_found":
      throw new PlatformError(`there is no node ${nodeId}; see \`flotilla node list\``, {
        code: "not_found",
        retryable: false,
      });
    case "refused":
      throw new PlatformError(outcome.reason, { code: "conflict", retryable: false });
  }
}

async function within<T>(
  ordered: Promise<T>,
  { clock }: PoolServiceOptions,
  what: string,
): Promise<T> {
  const done = new AbortController();
  const late = clock.sleep(ORDER_MS_MAX, done.signal).then(() => {
    throw new PlatformError(`the ${what} waits for a cloud that does not answer; ask again`, {
      code: "unavailable",
      retryable: true,
    });
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([ordered, late]);
  } finally {
    done.abort();
  }
}

function notLeading(leader: string | undefined): PlatformError {
  const who =
    leader === undefined ? "no replica leads the pool now" : `the pool is led by ${leader}`;
  return new PlatformError(`${who}; ask there, or again in a few seconds`, {
    code: "unavailable",
    retryable: true,
  });
}

function stillBusy(nodeId: string, count: number): PlatformError {
  const noun = count === 1 ? "container" : "containers";
  return new PlatformError(
    `node ${nodeId} runs ${count} ${noun}, which a release would cut off; drain it, or say that ` +
      "it may be released even if busy",
    { code: "conflict", retryable: false, details: { nodeId, containers: count } },
  );
}

async function cloudsOf(options: PoolServiceOptions): Promise<readonly CloudReport[]> {
  const { providers, latestTick } = options;
  const offers = Map.groupBy(await options.offers(), ({ cloud }) => cloud);
  const nodes = Map.groupBy(rentedNodes(options), ({ cloud }) => cloud);
  const unreachable = latestTick()?.unreachableClouds ?? [];
  return [...providers.keys()].sort().map((cloud) => {
    const own = nodes.get(cloud) ?? [];
    return {
      cloud,
      isReachable: !unreachable.includes(cloud),
      offers: offers.get(cloud)?.length ?? 0,
      nodes: own.length,
      usdPerHour: usdFromMicroUsd(own.reduce((sum, node) => sum + node.priceMicroUsdPerHour, 0)),
    };
  });
}

/** Reads the cloud's offers and machines, and tries a rent dry where the cloud lets us. */
async function checkCloud(
  providers: ReadonlyMap<CloudName, Provider>,
  cloud: string,
): Promise<CloudCheck> {
  const provider = [...providers.values()].find((one) => one.cloud === cloud);
  if (provider === undefined) {
    const names = [...providers.keys()].sort().join(", ") || "none";
    throw new PlatformError(`no cloud ${cloud} is set up here; set up: ${names}`, {
      code: "not_found",
      retryable: false,
    });
  }
  const steps = [
    await stepOf("list offers", async () => `${(await provider.listOffers()).length} offers`),
    await stepOf("list machines", () => listingIn(provider)),
    await stepOf("read interruptions", async () => {
      return `${(await provider.interruptions()).length} notices`;
    }),
    ...(isProbing(provider) ? await provider.probe() : []),
  ];
  return { cloud, isGood: steps.every(({ isGood }) => isGood), steps };
}

/** @throws PlatformError also for a region that cannot be seen: a check is to find it. */
async function listingIn(provider: Provider): Promise<string> {
  const { nodes, unseen } = await provider.listNodes();
  const [first] = unseen;
  if (first === undefined) return `${nodes.length} machines`;
  const places = unseen.map(({ region, zone }) => zone ?? region).join(", ");
  throw new PlatformError(`${nodes.length} machines, and none seen in ${places}: ${first.reason}`, {
    code: "unavailable",
    retryable: true,
  });
}

async function stepOf(
  step: string,
  run: () => Promise<string>,
): Promise<CloudCheck["steps"][number]> {
  try {
    return { step, isGood: true, detail: await run() };
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return { step, isGood: false, detail: messageOf(error) };
  }
}
