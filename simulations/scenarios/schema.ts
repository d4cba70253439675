/** The shape of a scenario file, in the units of people: hours, seconds, dollars, fractions 0..1. */
import { z } from "zod";
import { CLOUD_NAMES, GPU_TYPES } from "../../core/index.ts";
import { printableName } from "../../documents/index.ts";

const COUNT_MAX = 1e6;
const AMOUNT_MAX = 1e9;
const SECONDS_MAX = 86_400;
const HOURS_MAX = 24 * 366;

const count = (about: string): z.ZodInt => z.int().min(0).max(COUNT_MAX).describe(about);
const fraction = (about: string): z.ZodNumber => z.number().min(0).max(1).describe(about);
const factor = (about: string): z.ZodNumber => z.number().min(0).max(1_000).describe(about);
const positive = (max: number, about: string): z.ZodNumber =>
  z.number().positive().max(max).describe(about);
const hour = (about: string): z.ZodNumber => z.number().min(0).max(HOURS_MAX).describe(about);
const seconds = (about: string): z.ZodNumber => z.number().min(0).max(SECONDS_MAX).describe(about);

const surge = {
  perDay: z.number().min(0).max(1_440).describe("How many begin in a day, on average."),
  meanMinutes: positive(1_440, "How long one lasts, on average."),
  factor: factor("What the rate is multiplied by."),
};

const demand = z
  .strictObject({
    meanPerSecond: z.number().min(0).max(COUNT_MAX).describe("Inputs per second, on average."),
    day: z
      .strictObject({
        amplitude: fraction("How far the day goes up and down."),
        peakHour: z.number().min(0).max(24).describe("When it is highest."),
      })
      .optional(),
    weekendFactor: factor("On the sixth and seventh day.").optional(),
    level: z
      .array(z.strictObject({ hour: hour("When."), factor: factor("What the mean is times.") }))
      .describe("Straight lines between these, held beyond them; ascending by hour.")
      .optional(),
    noise: z
      .strictObject({
        sigma: z.number().min(0).max(3).describe("Standard deviation of the logarithm."),
        correlationMinutes: positive(100_000, "How long a deviation lasts."),
      })
      .optional(),
    bursts: z.strictObject(surge).optional(),
  })
  .describe("What is asked of the function.");

/** A function and what is asked of it. */
export const scenarioFunction = z.strictObject({
  id: printableName.describe("Its name; copies get a number."),
  copies: z
    .int()
    .min(1)
    .max(10_000)
    .describe("Functions among which the demand is shared out.")
    .default(1),
  zipfExponent: z
    .number()
    .min(0)
    .max(5)
    .describe("The k-th copy has a share in proportion to k^-exponent.")
    .default(1),
  gpu: z.array(z.enum(GPU_TYPES)).min(1).describe("GPU types that will do."),
  gpuCount: positive(8, "GPUs of one container; a fraction below 1 shares one.").default(1),
  vcpus: positive(1_000, "Cores of one container.").default(4),
  memoryGib: positive(10_000, "Memory of one container.").default(16),
  preemptible: z.boolean().describe("Whether it may run on spot machines.").default(true),
  clouds: z.array(z.enum(CLOUD_NAMES)).min(1).optional(),
  regions: z.array(printableName).min(1).optional(),
  serviceSeconds: positive(SECONDS_MAX, "Mean time that an input runs."),
  serviceSigma: z
    .number()
    .min(0)
    .max(3)
    .describe("Standard deviation of its logarithm; 0 makes all inputs equally long.")
    .default(1),
  coldSeconds: seconds("From a slot to the first line of user code."),
  snapshotSeconds: seconds("The same from a memory snapshot; absent: none is taken.").optional(),
  minContainers: count("Containers kept whatever comes.").default(0),
  maxContainers: count("Most containers.").default(10_000),
  bufferContainers: count("Idle containers kept while it is called.").default(0),
  scaledownSeconds: seconds("How long an idle container is kept.").default(60),
  concurrency: z.int().min(1).max(1_000).describe("Inputs that one container runs.").default(1),
  demand,
});

const machine = z.strictObject({
  cloud: z.enum(CLOUD_NAMES),
  region: printableName,
  zone: printableName.optional(),
  instanceType: printableName,
  purchase: z.enum(["on-demand", "spot"]),
  gpu: z.enum(GPU_TYPES),
  gpuCount: z.int().min(1).max(16).describe("GPUs of one machine.").default(1),
  vcpusPerGpu: positive(1_000, "Cores for each GPU.").default(16),
  memoryGibPerGpu: positive(10_000, "Memory for each GPU.").default(128),
  usdPerGpuHour: positive(AMOUNT_MAX, "Price of a GPU, an hour."),
  reclaimFractionPerHour: fraction("Share of spot machines taken back in an hour.").default(0),
  bootSeconds: seconds("From a rent to a node that takes work.").default(150),
  nodeCountMax: count("Machines that can be had.").default(10_000),
});

const match = z
  .strictObject({
    cloud: printableName.optional(),
    region: printableName.optional(),
    zone: printableName.optional(),
    gpuType: printableName.optional(),
    purchase: printableName.optional(),
  })
  .describe("Offers that agree with all that is given here.");

const event = z
  .strictObject({
    kind: z.enum(["capacity", "price", "reclaim", "outage"]),
    atHours: hour("When it happens."),
    untilHours: hour("When an outage ends.").optional(),
    match: match.default({}),
    nodeCountMax: count(
      "Machines of each offer that can be had; absent: as many as ever.",
    ).optional(),
    factor: factor("What the price at the start is multiplied by.").optional(),
    fraction: fraction("Share of the machines that is taken back.").optional(),
  })
  .superRefine((one, context) => {
    const needed = EVENT_FIELDS[one.kind];
    for (const field of ["untilHours", "nodeCountMax", "factor", "fraction"] as const) {
      const isGiven = one[field] !== undefined;
      if (isGiven && field !== needed) {
        const message = `a ${one.kind} event has no ${field}: remove it`;
        context.addIssue({ code: "custom", path: [field], message });
      }
      if (!isGiven && field === needed && field !== "nodeCountMax") {
        const message = `a ${one.kind} event needs ${field}`;
        context.addIssue({ code: "custom", path: [], message });
      }
    }
    if ((one.untilHours ?? Infinity) <= one.atHours) {
      const message = `must be after atHours (${one.atHours})`;
      context.addIssue({ code: "custom", path: ["untilHours"], message });
    }
    if (one.kind !== "outage") return;
    const strange = Object.keys(one.match).find((field) => field !== "cloud");
    if (strange === undefined) return;
    const message = `an outage is of a whole cloud: it has no ${strange}`;
    context.addIssue({ code: "custom", path: ["match", strange], message });
  });

/** The one field that each kind of event has besides time and match. */
const EVENT_FIELDS = {
  capacity: "nodeCountMax",
  price: "factor",
  reclaim: "fraction",
  outage: "untilHours",
} as const;

const market = z
  .strictObject({
    machines: z.array(machine).describe("What can be rented.").default([]),
    catalog: z
      .strictObject({
        clouds: z.array(z.enum(CLOUD_NAMES)).min(1),
        regions: z.array(printableName).min(1).optional(),
        gpu: z.array(z.enum(GPU_TYPES)).min(1).optional(),
      })
      .describe("Offers of the built-in catalog, besides the machines.")
      .optional(),
    bootSpreadFraction: fraction("Standard deviation of boots, over their mean.").default(0.2),
    launchFailureFraction: fraction("Share of launches that never become nodes.").default(0),
    reclaimNoticeSeconds: seconds("Between a reclaim's notice and its end.").default(0),
    events: z.array(event).default([]),
    zoneLosses: z
      .strictObject({
        zones: z.array(printableName).min(1),
        everyHours: positive(HOURS_MAX, "Mean time between two losses of one zone."),
        fraction: fraction("Share of its spot machines that go."),
      })
      .optional(),
  })
  .describe("What can be rented, and how that turns out.");

/** A scenario file. */
export const scenarioFile = z.strictObject({
  name: printableName,
  description: z.string().min(1).max(2_000),
  hours: positive(HOURS_MAX, "How long it is."),
  seed: count("Fixes the demand and the market's chance.").default(1),
  stepSeconds: positive(3_600, "How finely demand moves.").default(10),
  windowSeconds: positive(SECONDS_MAX, "What bad windows are counted by.").default(600),
  controlSeconds: positive(3_600, "Between two looks at the fleet.").default(10),
  arrivalCv: z
    .number()
    .min(0)
    .max(10)
    .describe("Coefficient of variation of the gaps between inputs; 1 is Poisson.")
    .default(1),
  evictsIdle: z
    .boolean()
    .describe("Whether idle containers above their floors give their slots to whoever waits.")
    .default(true),
  functions: z.array(scenarioFunction).min(1),
  spikes: z
    .strictObject({ ...surge, shareFraction: fraction("Chance of each function to take part.") })
    .describe("Times of higher demand that functions share.")
    .optional(),
  market,
});

export type ScenarioFile = z.infer<typeof scenarioFile>;
export type ScenarioFunction = ScenarioFile["functions"][number];
export type ScenarioMachine = ScenarioFile["market"]["machines"][number];
export type ScenarioEvent = ScenarioFile["market"]["events"][number];
