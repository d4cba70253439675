/**
 * The shape of a policy file, in the units of people: dollars, hours, seconds, fractions 0..1.
 *
 * Names are those of the core policy with the unit at the end changed; every default is taken
 * from there. `docs/policy.schema.json` is made from this schema and held equal to it by a test.
 */
import { z } from "zod";
import {
  CLOUD_NAMES,
  DEFAULT_BUFFER_POLICY,
  DEFAULT_CONSOLIDATION_POLICY,
  DEFAULT_OPTIMIZER_POLICY,
  DEFAULT_POOL_POLICY,
  DEFAULT_SCHEDULER_POLICY,
  GPU_TYPES,
  MS_PER_HOUR,
  MS_PER_SECOND,
  OBJECTIVE_TERMS,
  STRATEGY_NAMES,
  usdFromMicroUsd,
  type OptionalTerm,
} from "../../core/index.ts";
import { contradictions, quotaContradictions } from "./contradictions.ts";
import { printableName } from "../../documents/index.ts";

const SOLVERS = ["highs", "glpk", "javascript-lp"] as const;
const ALWAYS_ON = ["rent", "committed", "unmet"];
const OPTIONAL_TERMS = OBJECTIVE_TERMS.filter(
  (term): term is OptionalTerm => !ALWAYS_ON.includes(term),
);

const { optimizer, pool, scheduler, buffers, consolidation } = {
  optimizer: DEFAULT_OPTIMIZER_POLICY,
  pool: DEFAULT_POOL_POLICY,
  scheduler: DEFAULT_SCHEDULER_POLICY,
  buffers: DEFAULT_BUFFER_POLICY,
  consolidation: DEFAULT_CONSOLIDATION_POLICY,
};

/** Amounts stay far below where micro-dollars would cease to be exact. */
const USD_MAX = 1e9;
const COUNT_MAX = 1e9;
const DAYS_30_S = 30 * 86_400;
const YEAR_HOURS = 8_760;

const usd = (about: string): z.ZodNumber => z.number().min(0).max(USD_MAX).describe(about);
const fraction = (about: string): z.ZodNumber => z.number().min(0).max(1).describe(about);
const count = (about: string): z.ZodInt => z.int().min(0).max(COUNT_MAX).describe(about);
const seconds = (defaultMs: number, about: string): z.ZodDefault<z.ZodNumber> =>
  z
    .number()
    .min(0)
    .max(DAYS_30_S)
    .describe(about)
    .default(defaultMs / MS_PER_SECOND);

const shareRule = z
  .strictObject({
    of: z.enum(["cloud", "region", "purchase"]).describe("What the share is counted by."),
    name: printableName.describe("Such as aws, eu-west-1 or spot."),
    minFraction: fraction("At least this share of all rented GPUs.").optional(),
    maxFraction: fraction("At most this share of all rented GPUs.").optional(),
  })
  .describe("A hard rule: how much of all rented GPUs may, or must, be in one part of the market.");

const concentrationRule = z
  .strictObject({
    of: z.enum(["cloud", "region", "zone"]).describe("What counts as one basket."),
    freeFraction: fraction("Share of all rented GPUs that one basket may hold without a price."),
    usdPerGpuHour: usd("Price of each GPU beyond that share, USD per hour."),
  })
  .describe("A soft rule: what it costs to put many eggs in one basket.");

const bufferBounds = z.strictObject({
  gpuCountMin: count("Idle GPUs held at least.").optional(),
  gpuCountMax: count("Idle GPUs held at most.").optional(),
});

const bufferSection = z
  .strictObject({
    waitUsdPerGpuHour: usd(
      "What it is worth that work which needs one GPU does not wait, USD per GPU and hour; " +
        "0 holds no buffer.",
    ).default(usdFromMicroUsd(buffers.waitMicroUsdPerGpuHour)),
    quantileMin: fraction("Lower bound of the quantile of demand that is held.").default(
      buffers.quantileMin,
    ),
    quantileMax: fraction("Upper bound of the quantile of demand that is held.").default(
      buffers.quantileMax,
    ),
    missFractionTarget: z
      .number()
      .min(0.000_1)
      .max(0.5)
      .describe(
        "Share of inputs that may wait over 2 s for a slot: margins are corrected until it is met.",
      )
      .default(buffers.missFractionTarget),
    byGpuType: z
      .partialRecord(z.enum(GPU_TYPES), bufferBounds)
      .describe("Bounds of the idle GPUs by GPU type.")
      .default({}),
  })
  .describe("How much healthy, idle capacity to hold ready.");

const optimizerSection = z
  .strictObject({
    solver: z.enum(SOLVERS).describe("Which solver is asked first.").default(optimizer.solver),
    solveTimeLimitSeconds: z
      .number()
      .min(0.01)
      .max(86_400)
      .describe("How long one plan may take, seconds.")
      .default(optimizer.solveTimeLimitMs / MS_PER_SECOND),
    gapFraction: fraction(
      "A plan is good enough when no other can be cheaper by more than this fraction.",
    ).default(optimizer.gapFraction),
    budgetUsdPerHourMax: usd(
      "Most that all machines may cost an hour, committed ones included; absent: no limit.",
    ).optional(),
    clouds: z
      .array(z.enum(CLOUD_NAMES))
      .min(1)
      .describe("Clouds that may be rented from; absent: all.")
      .optional(),
    regions: z
      .array(printableName)
      .min(1)
      .describe("Regions that may be rented in; absent: all.")
      .optional(),
    spotAllowed: z
      .boolean()
      .describe("Whether spot machines may be rented.")
      .default(optimizer.spotAllowed),
    shares: z.array(shareRule).default([...optimizer.shares]),
    concentration: z.array(concentrationRule).default([]),
    ignoredTerms: z
      .array(z.enum(OPTIONAL_TERMS))
      .describe("Terms left out of the objective.")
      .default([...optimizer.ignoredTerms]),
    interruptionUsd: usd("What one reclaim of one machine costs in lost work, USD.").default(
      usdFromMicroUsd(optimizer.interruptionMicroUsd),
    ),
    churnUsd: usd("What one launch or one release costs, USD.").default(
      usdFromMicroUsd(optimizer.churnMicroUsd),
    ),
    horizonHours: z
      .number()
      .min(0.001)
      .max(YEAR_HOURS)
      .describe("How far ahead a plan looks: one-time costs are spread over it, hours.")
      .default(optimizer.horizonMs / MS_PER_HOUR),
    egressUsdPerGib: z
      .partialRecord(z.enum(CLOUD_NAMES), usd("USD per GiB."))
      .describe("Price by cloud of a GiB that leaves its region for a container's home.")
      .default({}),
    regionUsdPerContainerHour: z
      .record(printableName, usd("USD per container and hour."))
      .describe("Price by region of each container there.")
      .default({}),
    gpuPreferencePenaltyFraction: z
      .number()
      .min(0)
      .max(100)
      .describe("Added per step down a list of GPU types, as a fraction of rent.")
      .default(optimizer.gpuPreferencePenaltyFraction),
    hysteresisFraction: fraction(
      "Savings below this fraction of the present cost do not move machines.",
    ).default(optimizer.hysteresisFraction),
    unmetUsdPerHour: usd(
      "Price of one container left unserved, USD per hour, where its class states none.",
    ).default(usdFromMicroUsd(optimizer.unmetMicroUsdPerHour)),
    buffers: bufferSection.prefault({}),
  })
  .describe("Which machines there should be.");

const consolidationSection = z
  .strictObject({
    disruptionFractionMax: fraction(
      "Most of the machines out of service at once, rounded up; 0 moves nothing.",
    ).default(consolidation.disruptionFractionMax),
    savingRatioMin: z
      .number()
      .min(0)
      .max(1_000)
      .describe("A move must save at least so many times what it disrupts.")
      .default(consolidation.savingRatioMin),
    horizonHours: z
      .number()
      .min(0.001)
      .max(YEAR_HOURS)
      .describe("The time over which a saving counts, hours.")
      .default(consolidation.horizonMs / MS_PER_HOUR),
    restartUsd: usd("What it costs to end one container and start it elsewhere, USD.").default(
      usdFromMicroUsd(consolidation.restartMicroUsd),
    ),
    validateSeconds: seconds(
      consolidation.validateMs,
      "A move must have been worth it for so long, seconds.",
    ),
    periodSeconds: seconds(
      consolidation.periodMs,
      "A machine that has just come or taken in moved containers is left alone so long, seconds.",
    ),
  })
  .describe("When machines in use are given up because the plan wants fewer or others.");

const poolSection = z
  .strictObject({
    launchTimeoutSeconds: seconds(
      pool.launchTimeoutMs,
      "How long a rented machine may take to start, seconds.",
    ),
    registrationTimeoutSeconds: seconds(
      pool.registrationTimeoutMs,
      "How long a started machine may take until its agent reports, seconds.",
    ),
    heartbeatTimeoutSeconds: seconds(
      pool.heartbeatTimeoutMs,
      "A node whose agent is silent this long is lost, seconds.",
    ),
    idleReleaseSeconds: seconds(
      pool.idleReleaseMs,
      "A node is released when it is empty and has been beyond every plan for so long; seconds.",
    ),
    drainTimeoutSeconds: seconds(
      pool.drainTimeoutMs,
      "How long a draining node may finish its work, seconds.",
    ),
    refusalTtlSeconds: seconds(
      pool.refusalTtlMs,
      "How long a refused offer is left out of plans, seconds.",
    ),
    actionCountMaxPerTick: count("Most machines rented or released in one step.")
      .min(1)
      .default(pool.actionCountMaxPerTick),
    nodeCountMax: count("Most rented nodes, a guard against runaway launches.").default(
      pool.nodeCountMax,
    ),
    atRisk: z
      .enum(["replace", "keep"])
      .describe("What becomes of a machine that its cloud says it may take back before long.")
      .default(pool.atRisk),
    standInPriceFactorMax: z
      .number()
      .min(1)
      .max(100)
      .describe("Highest price of a machine rented instead of a refused one, as a multiple of its.")
      .default(pool.standInPriceFactorMax),
    launchesPerSecondMax: z
      .number()
      .positive()
      .max(10_000)
      .describe("Machines asked of one cloud account per second in the long run.")
      .default(pool.launchesPerSecondMax),
    launchBurstMax: count("Machines that may be asked of one cloud account at once.")
      .min(1)
      .default(pool.launchBurstMax),
    unhealthyFractionMax: fraction(
      "When more of the machines are unfit at once, none is repaired automatically.",
    ).default(pool.unhealthyFractionMax),
    budgetUsdPerMonth: usd(
      "What a month may cost; the forecast is compared with it. Absent: no budget.",
    ).optional(),
    consolidation: consolidationSection.prefault({}),
  })
  .describe("How the rented machines are kept equal to the plan.");

const quota = z
  .strictObject({
    guaranteedFraction: fraction(
      "Share of the fleet that it gets back from borrowers when it needs it.",
    ).optional(),
    maxFraction: fraction("Most of the fleet that it may hold; absent: all.").optional(),
    gpuCountMax: z
      .number()
      .min(0)
      .max(COUNT_MAX)
      .describe("Most GPUs that it may hold, shares counted as such; absent: any number.")
      .optional(),
    weight: z
      .number()
      .min(0.001)
      .max(1_000)
      .describe("What it counts against others when all want more; absent: 1.")
      .optional(),
  })
  .describe("What one workspace may hold.");

const repackSection = z
  .strictObject({
    allowed: z
      .boolean()
      .describe("Whether running containers are moved.")
      .default(scheduler.repack.allowed),
    everySeconds: seconds(scheduler.repack.everyMs, "Time between two plans of moves, seconds."),
    moveCountMax: count("Most containers that one plan moves.").default(
      scheduler.repack.moveCountMax,
    ),
    gpuCountMax: count("Most GPUs that the containers of one plan hold.").default(
      scheduler.repack.gpuCountMax,
    ),
    drainTimeoutSeconds: seconds(
      scheduler.repack.drainTimeoutMs,
      "A container that has not finished its inputs by then stays where it is, seconds.",
    ),
  })
  .describe("Moving running containers, so that a large one fits or a node can be given back.");

const schedulerSection = z
  .strictObject({
    strategy: z
      .enum(STRATEGY_NAMES)
      .describe("How the node of a container is chosen among those that fit.")
      .default(scheduler.strategy),
    quotas: z
      .record(printableName, quota)
      .describe("By workspace; one without an entry has no guarantee and no limit.")
      .default({ ...scheduler.quotas }),
    patienceSeconds: seconds(
      scheduler.patienceMs,
      "A container that waits longer goes first and gets a node kept free, seconds.",
    ),
    reservedFractionMax: fraction(
      "Most of the nodes that are kept free for containers that have waited too long.",
    ).default(scheduler.reservedFractionMax),
    evictionCountMaxPerRound: count(
      "Most containers ended in one round for more important ones; 0: none ever.",
    ).default(scheduler.evictionCountMaxPerRound),
    repack: repackSection.prefault({}),
  })
  .describe("Which node takes which container.");

/** A policy file; everything may be left out. */
export const policyFile = z
  .strictObject({
    optimizer: optimizerSection.prefault({}),
    pool: poolSection.prefault({}),
    scheduler: schedulerSection.prefault({}),
  })
  .superRefine((file, context) => {
    for (const { path, message } of contradictions(file.optimizer)) {
      context.addIssue({ code: "custom", path: ["optimizer", ...path], message });
    }
    for (const { path, message } of quotaContradictions(file.scheduler.quotas)) {
      context.addIssue({ code: "custom", path: ["scheduler", "quotas", ...path], message });
    }
  })
  .meta({
    title: "Flotilla policy",
    description:
      "Everything an operator may tune about capacity and placement. Every field is optional.",
  });

/** A policy file that was checked, with defaults filled in. */
export type PolicyFile = z.infer<typeof policyFile>;

/** The JSON schema that is published as `docs/policy.schema.json`. */
export function policyJsonSchema(): unknown {
  return z.toJSONSchema(policyFile, { io: "input" });
}
