/** Demand files: classes of containers, and scenarios of how many of each will be wanted. */
import { z } from "zod";
import { CLOUD_NAMES, GPU_TYPES, microUsdFromUsd, type DemandClass } from "../../../core/index.ts";
import type { PlanInput } from "../../../optimizer/index.ts";
import {
  nearestWord,
  mistakesError,
  readDocument,
  printableName,
} from "../../../documents/index.ts";
import { msOfHours } from "../../policy/parse-policy.ts";

/** A demand class whose price of being left unserved may be the policy's. */
export type FileClass = Omit<DemandClass, "unmetMicroUsdPerHour"> &
  Partial<Pick<DemandClass, "unmetMicroUsdPerHour">>;

/** What a demand file says. */
export interface Demand {
  readonly classes: readonly FileClass[];
  readonly scenarios: PlanInput["scenarios"];
  /** Absent where the policy's horizon holds. */
  readonly horizonMs?: number;
}

const GPU_COUNT_MAX = 8;
const CPU_MAX = 10_000;
const MEMORY_MIB_MAX = 1e9;
const USD_MAX = 1e9;
const YEAR_HOURS = 8_760;
/** Probabilities may miss 1 by rounding, no more. */
const PROBABILITY_TOLERANCE = 1e-6;

const demandClass = z.strictObject({
  id: printableName,
  gpu: z.array(z.enum(GPU_TYPES)).optional(),
  gpuCount: z.number().gt(0).max(GPU_COUNT_MAX).optional(),
  cpu: z.number().min(0).max(CPU_MAX),
  memoryMiB: z.number().min(0).max(MEMORY_MIB_MAX),
  regions: z.array(printableName).min(1).optional(),
  clouds: z.array(z.enum(CLOUD_NAMES)).min(1).optional(),
  preemptible: z.boolean().default(false),
  unmetUsdPerHour: z.number().min(0).max(USD_MAX).optional(),
  home: z
    .strictObject({
      regions: z.array(printableName).min(1),
      gibPerHour: z.number().min(0).max(MEMORY_MIB_MAX),
    })
    .optional(),
});

const scenario = z.strictObject({
  id: printableName,
  probability: z.number().gt(0).max(1),
  quantity: z.record(printableName, z.int().min(0)),
});

const demandFile = z
  .strictObject({
    horizonHours: z.number().min(0.001).max(YEAR_HOURS).optional(),
    classes: z.array(demandClass),
    scenarios: z.array(scenario).min(1),
  })
  .superRefine((file, context) => {
    for (const { path, message } of [...classFaults(file.classes), ...scenarioFaults(file)]) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  });

type DemandFile = z.infer<typeof demandFile>;

/**
 * The demand of a text in JSON (YAML is read too).
 *
 * @throws PlatformError `invalid_request` that lists each mistake with its place and path.
 */
export function readDemand(text: string, name: string): Demand {
  const reading = readDocument(text, demandFile);
  if (reading.kind === "mistakes") throw mistakesError(name, reading.mistakes);
  const { classes, scenarios, horizonHours } = reading.value;
  return {
    classes: classes.map(classOf),
    scenarios: scenarios.map(({ id, probability, quantity }) => ({
      scenarioId: id,
      probability,
      quantity,
    })),
    ...(horizonHours === undefined ? {} : { horizonMs: msOfHours(horizonHours) }),
  };
}

function classOf(one: DemandFile["classes"][number]): FileClass {
  const { id, gpu = [], gpuCount = 1, regions, clouds, home, unmetUsdPerHour } = one;
  return {
    classId: id,
    needs: {
      ...(gpu.length === 0 ? {} : { gpu: { types: gpu, count: gpuCount } }),
      cpuMilli: Math.round(one.cpu * 1_000),
      memoryMiB: one.memoryMiB,
      ...(regions === undefined ? {} : { regions }),
      ...(clouds === undefined ? {} : { clouds }),
      preemptible: one.preemptible,
    },
    ...(unmetUsdPerHour === undefined
      ? {}
      : { unmetMicroUsdPerHour: microUsdFromUsd(unmetUsdPerHour) }),
    ...(home === undefined ? {} : { home }),
  };
}

interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

function classFaults(classes: DemandFile["classes"]): readonly Fault[] {
  return classes.flatMap((one, index): readonly Fault[] => {
    const first = classes.findIndex((other) => other.id === one.id);
    const faults =
      first === index
        ? [...gpuFaults(one), ...sizeFaults(one)]
        : [{ path: ["id"], message: `classes[${first}] has the id ${one.id} already` }];
    return faults.map(({ path, message }) => ({ path: ["classes", index, ...path], message }));
  });
}

const GPU_COUNT = `takes a fraction below 1 or a whole number to ${GPU_COUNT_MAX}`;

function gpuFaults({ gpu = [], gpuCount }: DemandFile["classes"][number]): readonly Fault[] {
  if (new Set(gpu).size < gpu.length) return [{ path: ["gpu"], message: "names a type twice" }];
  const at = (message: string): readonly Fault[] => [{ path: ["gpuCount"], message }];
  if (gpuCount === undefined) return gpu.length === 0 ? [] : at(`is missing; ${GPU_COUNT}`);
  if (gpu.length === 0) return at("needs gpu, the list of GPU types that will do");
  const isWhole = gpuCount < 1 || Number.isInteger(gpuCount);
  return isWhole ? [] : at(`${GPU_COUNT}, not ${gpuCount}`);
}

function sizeFaults(one: DemandFile["classes"][number]): readonly Fault[] {
  const isEmpty = (one.gpu ?? []).length === 0 && one.cpu === 0 && one.memoryMiB === 0;
  const message = "the class needs nothing: no GPU, no cpu, no memory";
  return isEmpty ? [{ path: ["cpu"], message }] : [];
}

function scenarioFaults({ classes, scenarios }: DemandFile): readonly Fault[] {
  const ids = classes.map(({ id }) => id);
  const known = new Set(ids);
  const faults = scenarios.flatMap(({ id, quantity }, index): readonly Fault[] => {
    const first = scenarios.findIndex((other) => other.id === id);
    const twice: readonly Fault[] =
      first === index
        ? []
        : [
            {
              path: ["scenarios", index, "id"],
              message: `scenarios[${first}] has this id already`,
            },
          ];
    const strangers = Object.keys(quantity).filter((classId) => !known.has(classId));
    return [
      ...twice,
      ...strangers.map((classId) => ({
        path: ["scenarios", index, "quantity", classId],
        message: `no class has this id${hintOf(classId, ids)}`,
      })),
    ];
  });
  const sum = scenarios.reduce((total, { probability }) => total + probability, 0);
  if (Math.abs(sum - 1) <= PROBABILITY_TOLERANCE) return faults;
  const message = `the probabilities add up to ${Number(sum.toFixed(6))}, not 1`;
  return [...faults, { path: ["scenarios"], message }];
}

function hintOf(wrong: string, words: readonly string[]): string {
  const near = nearestWord(wrong, words);
  if (near !== undefined) return ` (did you mean ${near}?)`;
  return words.length === 0 ? "" : `; there are ${words.slice(0, 10).join(", ")}`;
}
