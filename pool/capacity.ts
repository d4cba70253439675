/**
 * From the work of functions to the input of a plan: what is wanted now, what is expected, and
 * how much idle capacity that calls for. The server and the simulator both plan by this.
 *
 *     wanted   containers that are there or wait for a node, by demand class; those that wait only
 *              because inputs do count as far as the work needs them
 *     offered  arrivals × time of an input: what forecasts learn
 *     backlog  what works off the inputs that wait, beside that
 *     gain     corrects the margin over the forecast until no more inputs wait than policy says;
 *              waits after a loss of many spot nodes do not count
 *     buffer   quantile of the forecast, less what is wanted (`optimizer/buffer/plan-buffers.ts`)
 *     spot     in one zone no more than may go at once (`optimizer/buffer/spot-limits.ts`)
 *
 * Idle containers count as wanted, since their functions keep them for a while; they fill the
 * buffer's place, because a buffer is only what the forecast asks for beyond what is wanted.
 *
 * Pure: states are values.
 */
import {
  demandClassKey,
  MS_PER_MINUTE,
  type ContainerNeeds,
  type DemandClass,
  type Offer,
  type OptimizerPolicy,
} from "../core/index.ts";
import {
  backlogLoad,
  limitedSpot,
  nextGain,
  NO_HISTORY,
  observeDemand,
  offeredLoad,
  planBuffers,
  type BufferPlan,
  type DemandHistory,
  type PlanInput,
  type PlannedBuffer,
} from "../optimizer/index.ts";

/** The work of one function at one moment. */
export interface FunctionWork {
  readonly needs: ContainerNeeds;
  /** Containers on rented nodes, and those that wait for one. */
  readonly containers: number;
  /** Those of them that wait for a node; absent means none. */
  readonly waiting?: number;
  /** Absent where its arrivals are not known: then what is wanted is what forecasts learn. */
  readonly load?: {
    readonly inputsPerSecond: number;
    /** Mean time that a container works on an input. */
    readonly serviceMs: number;
    /** Inputs that wait. */
    readonly backlog: number;
    /** Inputs that one container runs at once. */
    readonly concurrency: number;
    /** Containers kept whatever comes, and the most there may be. */
    readonly floor: number;
    readonly maxContainers: number;
  };
}

/** What was seen so far, as far as plans need it. Plain data. */
export interface SeenWork {
  readonly history: DemandHistory;
  /** Multiplies the margin over forecasts. */
  readonly gain: number;
  /** For how long the gain has been corrected. */
  readonly learntMs: number;
  /** Inputs since the gain was last corrected: given a slot, and those that waited for it. */
  readonly since?: { readonly atMs: number; readonly started: number; readonly missed: number };
  /** GPUs of spot nodes at the last look. */
  readonly spotGpuCount?: number;
  /** Until when waits say nothing of forecasts, since many spot nodes went at once. */
  readonly lossUntilMs?: number;
}

export const NO_WORK_SEEN: SeenWork = { history: NO_HISTORY, gain: 1, learntMs: 0 };

/** What is wanted: classes, and containers by class. */
export interface Demand {
  readonly classes: readonly DemandClass[];
  readonly quantity: Readonly<Record<string, number>>;
  readonly offered: Readonly<Record<string, number>>;
  readonly backlog: Readonly<Record<string, number>>;
}

const GAIN_EVERY_MS = 10 * MS_PER_MINUTE;
/** Spot GPUs that are gone between two looks are a loss when they are more than this share. */
const LOSS_FRACTION = 0.03;
/** Machines boot in a few minutes, and what has gathered meanwhile is worked off in another. */
const LOSS_MS = 5 * MS_PER_MINUTE;

/** The demand of all functions. O(functions). */
export function demandOf(work: readonly FunctionWork[], policy: OptimizerPolicy): Demand {
  const classes = new Map<string, DemandClass>();
  const quantity: Record<string, number> = {};
  const offered: Record<string, number> = {};
  const backlog: Record<string, number> = {};
  for (const one of work) {
    const load = offeredBy(one);
    const waiting = workedOffBy(one, load);
    if (one.containers === 0 && load + waiting === 0) continue;
    const classId = demandClassKey(one.needs);
    const { unmetMicroUsdPerHour } = policy;
    classes.set(classId, { classId, needs: one.needs, unmetMicroUsdPerHour });
    quantity[classId] = (quantity[classId] ?? 0) + wantedBy(one, load + waiting);
    offered[classId] = (offered[classId] ?? 0) + load;
    backlog[classId] = (backlog[classId] ?? 0) + waiting;
  }
  return { classes: [...classes.values()], quantity, offered, backlog };
}

/** What is known after one more look. Inputs since the last one: given a slot, and too late. */
export function observeWork(
  seen: SeenWork,
  look: {
    readonly demand: Demand;
    readonly started: number;
    readonly missed: number;
    /** GPUs of spot nodes that are there and not about to go. */
    readonly spotGpuCount: number;
    readonly nowMs: number;
  },
  policy: OptimizerPolicy,
): SeenWork {
  const { demand, nowMs: atMs, spotGpuCount } = look;
  const history = observeDemand(seen.history, { ...demand, atMs });
  const before = seen.since ?? { atMs, started: 0, missed: 0 };
  const lossUntilMs = lossAfter(seen, look);
  const isTold = lossUntilMs === undefined;
  const started = before.started + (isTold ? look.started : 0);
  const missed = before.missed + (isTold ? look.missed : 0);
  const elapsedMs = atMs - before.atMs;
  const spot = { spotGpuCount, ...(isTold ? {} : { lossUntilMs }) };
  if (elapsedMs < GAIN_EVERY_MS) {
    const { gain, learntMs } = seen;
    return { history, gain, learntMs, since: { atMs: before.atMs, started, missed }, ...spot };
  }
  const { missFractionTarget: targetFraction } = policy.buffers;
  const missFraction = started === 0 ? targetFraction : missed / started;
  const { learntMs } = seen;
  const gain = nextGain(seen.gain, { missFraction, elapsedMs, learntMs, targetFraction });
  const since = { atMs, started: 0, missed: 0 };
  return { history, gain, learntMs: learntMs + elapsedMs, since, ...spot };
}

/**
 * Until when waits come of a loss of spot nodes; undefined while they do not. The margin over
 * forecasts is not there for losses, and one of them would raise it for a day: what a zone may
 * hold is bound instead (`optimizer/buffer/spot-limits.ts`).
 */
function lossAfter(
  { spotGpuCount: before = 0, lossUntilMs = 0 }: SeenWork,
  look: Pick<Parameters<typeof observeWork>[1], "demand" | "spotGpuCount" | "nowMs">,
): number | undefined {
  const { demand, spotGpuCount, nowMs } = look;
  const wanted = demand.classes.reduce(
    (sum, { classId, needs }) => sum + (demand.quantity[classId] ?? 0) * (needs.gpu?.count ?? 0),
    0,
  );
  const isLoss = before - spotGpuCount > LOSS_FRACTION * wanted;
  const untilMs = isLoss ? nowMs + LOSS_MS : lossUntilMs;
  return untilMs > nowMs ? untilMs : undefined;
}

/** What to plan with, and the buffers in it. */
export interface PlannedInput {
  readonly input: PlanInput;
  readonly buffers: readonly PlannedBuffer[];
}

/** The input of a plan: demand and buffers against offers and the present fleet. */
export function planInputOf(
  { history, gain }: SeenWork,
  demand: Demand,
  market: {
    readonly offers: readonly Offer[];
    readonly fleet: PlanInput["fleet"];
    readonly policy: OptimizerPolicy;
  },
): PlannedInput {
  const { offers, fleet, policy } = market;
  const { waitMicroUsdPerGpuHour, byGpuType } = policy.buffers;
  const holdsNone = waitMicroUsdPerGpuHour === 0 && Object.keys(byGpuType).length === 0;
  const { buffers, pools } = holdsNone
    ? NO_BUFFERS
    : planBuffers({ history, gain, offers, policy });
  const wanted = demand.classes.filter(({ classId }) => (demand.quantity[classId] ?? 0) > 0);
  const quantity = Object.fromEntries([
    ...wanted.map(({ classId }) => [classId, demand.quantity[classId] ?? 0] as const),
    ...buffers.map(({ demandClass, quantity }) => [demandClass.classId, quantity] as const),
  ]);
  const input = {
    ...(waitMicroUsdPerGpuHour === 0 ? { offers, fleet } : withinRisk(pools, demand, market)),
    classes: [...wanted, ...buffers.map(({ demandClass }) => demandClass)],
    scenarios: [{ scenarioId: "now", probability: 1, quantity }],
    policy,
  };
  return { input, buffers };
}

const NO_BUFFERS: BufferPlan = { buffers: [], pools: [] };

/** The market as far as its zones may hold spot machines with so much idle capacity. */
function withinRisk(
  pools: BufferPlan["pools"],
  { classes, quantity }: Demand,
  { offers, fleet, policy }: Parameters<typeof planInputOf>[2],
): Pick<PlanInput, "offers" | "fleet"> {
  return limitedSpot({
    offers,
    fleet,
    wanted: classes.map(({ classId, needs }) => {
      return { needs, gpuCount: (quantity[classId] ?? 0) * (needs.gpu?.count ?? 0) };
    }),
    idleGpuCount: pools.reduce((sum, { marginGpuCount }) => sum + marginGpuCount, 0),
    leadMs: Math.max(0, ...pools.map(({ leadMs = 0 }) => leadMs)),
    policy,
  });
}

/**
 * Containers that a function is to have. Each input that waits asks for a container at once, and
 * most of them are served by those that are there long before a machine that is rented for them
 * has booted: what waits for a node counts only as far as the work needs it.
 */
function wantedBy({ containers, waiting = 0, load: known }: FunctionWork, load: number): number {
  if (known === undefined || waiting === 0) return containers;
  const placed = containers - waiting;
  const forBacklog = Math.min(waiting, Math.ceil(known.backlog / known.concurrency));
  return Math.max(containers - forBacklog, placed, Math.min(containers, Math.ceil(load)));
}

/** Containers that a function's work keeps busy. */
function offeredBy({ containers, load }: FunctionWork): number {
  if (load === undefined) return containers;
  return keptFor(load, offeredLoad(load.inputsPerSecond, load.serviceMs));
}

/** Containers that work off what waits, beside those that arrivals keep `busy`. */
function workedOffBy({ load }: FunctionWork, busy: number): number {
  if (load === undefined) return 0;
  const { inputsPerSecond, serviceMs, backlog } = load;
  const inputs = offeredLoad(inputsPerSecond, serviceMs) + backlogLoad(backlog, serviceMs);
  return keptFor(load, inputs) - busy;
}

/** Containers for so many inputs at once, as many as there must and may be. */
function keptFor(load: NonNullable<FunctionWork["load"]>, inputs: number): number {
  return Math.min(load.maxContainers, Math.max(load.floor, inputs / load.concurrency));
}
