/** What a function's spec may say: the ranges of `sdk/protocol/spec.ts`, checked. */
import { z } from "zod";
import { GPU_TYPES } from "../../core/index.ts";
import type { FunctionSpec, GpuChoice, ScalingUpdate } from "../../sdk/protocol/index.ts";
import { nearestWord } from "../../documents/index.ts";
import { secretRefsSchema } from "../secrets/secret-schema.ts";
import { volumeMountsSchema } from "../volumes/volume-schema.ts";
import { scheduleSchema } from "../schedules/schedule-schema.ts";
import { networkPolicySchema } from "./network-schema.ts";
import { webSpecSchema } from "./web-schema.ts";
import { DEFAULT_SPEC, parseGpuChoice } from "./normalise-spec.ts";

const MS_PER_DAY = 86_400_000;
const MS_PER_MINUTE = 60_000;
const CONTAINERS_MAX = 4_000;
const CONCURRENT_INPUTS_MAX = 1_000;
const PRIORITY_MAX = 100;
const ENV_ENTRIES_MAX = 256;
const TAGS_MAX = 16;
const ENV_BYTES_MAX = 64 * 1024;

/** Names of functions: what an export may be called, dots for methods; at most 64 characters. */
export const FUNCTION_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

const gpuChoice = z
  .custom<GpuChoice>((value) => typeof value === "string" && parseGpuChoice(value) !== undefined, {
    error: ({ input }) => explainGpu(input),
  })
  .meta({
    type: "string",
    pattern: `^(${GPU_TYPES.join("|")})(:[1-8])?$`,
    description: "A GPU type, or a type and how many on one machine, such as `H100:8`.",
  });

const gpuList = z
  .array(gpuChoice)
  .min(1)
  .max(GPU_TYPES.length)
  .refine((list) => new Set(list.map(countOf)).size <= 1, {
    error: "all choices of a list must have the same count",
  })
  .refine((list) => new Set(list.map(typeOf)).size === list.length, {
    error: "a GPU type is named twice",
  });

const durationMs = (min: number, max: number) => z.int().min(min).max(max);
const containerCount = (min: number) => z.int().min(min).max(CONTAINERS_MAX);
const concurrentInputs = z.int().min(1).max(CONCURRENT_INPUTS_MAX);
const scaledownWindowMs = durationMs(2_000, 20 * MS_PER_MINUTE);

/** One amount, or what is reserved and what may be used of it; `range` says what it may be. */
const amount = (one: z.ZodNumber, range: string) =>
  z.union(
    [
      one,
      z
        .strictObject({ request: one, limit: one })
        .refine(({ request, limit }) => request <= limit, { error: "limit is below request" }),
    ],
    { error: `this is no amount: give ${range}, or { request, limit } of two such` },
  );

/** A character of a tag: no control, and none that orders text anew. */
const TAG = /^[^\p{C}\p{Z}]([^\p{C}\p{Zl}\p{Zp}]{0,62}[^\p{C}\p{Z}])?$/u;
const tag = z.string().regex(TAG, { error: "a tag has 1 to 64 characters, blanks inside only" });
const tagsSchema = z
  .record(tag, tag)
  .refine((tags) => Object.keys(tags).length <= TAGS_MAX, { error: `at most ${TAGS_MAX} tags` })
  .meta({ description: `For telling costs apart; at most ${TAGS_MAX}.` });

const env = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string())
  .refine((entries) => Object.keys(entries).length <= ENV_ENTRIES_MAX, {
    error: `at most ${ENV_ENTRIES_MAX} variables`,
  })
  .refine((entries) => envBytes(entries) <= ENV_BYTES_MAX, {
    error: `at most ${ENV_BYTES_MAX} bytes in all`,
  })
  .refine((entries) => !Object.values(entries).some((value) => value.includes("\0")), {
    error: "a value holds a NUL character",
  })
  .meta({ description: `Environment variables; at most ${ENV_ENTRIES_MAX}, 64 KiB in all.` });

const retryCount = z.int().min(0).max(10);
const retryPolicy = z.strictObject({
  count: retryCount,
  initialDelayMs: durationMs(0, MS_PER_MINUTE).exactOptional(),
  backoff: z.number().min(1).max(10).exactOptional(),
  maxDelayMs: durationMs(1_000, MS_PER_MINUTE).exactOptional(),
});

const python = z.strictObject({
  codeSha256: z.string().regex(/^[0-9a-f]{64}$/),
  module: z
    .string()
    .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/)
    .max(256),
  handler: z
    .string()
    .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$/)
    .max(256),
  workers: z.enum(["threads", "processes"]).exactOptional(),
});

const batching = z.strictObject({
  maxBatchSize: concurrentInputs,
  waitMs: durationMs(0, 10 * MS_PER_MINUTE),
});

/** The fields of a `FunctionSpec`, each for itself. */
export const functionSpecFields = z.strictObject({
  name: z.string().regex(FUNCTION_NAME).exactOptional(),
  gpu: z.union([gpuChoice, gpuList], { error: ({ input }) => explainGpu(input) }).exactOptional(),
  cpu: amount(z.number().min(0.1).max(64), "0.1 to 64 cores").exactOptional(),
  memoryMiB: amount(z.int().min(64).max(524_288), "64 to 524,288 MiB").exactOptional(),
  diskMiB: z.int().min(16).max(1_048_576).exactOptional(),
  timeoutMs: durationMs(1_000, MS_PER_DAY).exactOptional(),
  retries: z.union([retryCount, retryPolicy]).exactOptional(),
  startupTimeoutMs: durationMs(1_000, MS_PER_DAY).exactOptional(),
  scaledownWindowMs: scaledownWindowMs.exactOptional(),
  minContainers: containerCount(0).exactOptional(),
  maxContainers: containerCount(1).exactOptional(),
  bufferContainers: containerCount(0).exactOptional(),
  maxConcurrentInputs: concurrentInputs.exactOptional(),
  targetConcurrentInputs: concurrentInputs.exactOptional(),
  batched: batching.exactOptional(),
  singleUse: z.boolean().exactOptional(),
  regions: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/))
    .min(1)
    .max(100)
    .exactOptional(),
  clouds: z
    .array(z.enum(["aws", "gcp", "azure", "local"]))
    .min(1)
    .max(4)
    .exactOptional(),
  preemptible: z.boolean().exactOptional(),
  enableMemorySnapshot: z.boolean().exactOptional(),
  tags: tagsSchema.exactOptional(),
  priority: z.int().min(-PRIORITY_MAX).max(PRIORITY_MAX).exactOptional(),
  network: networkPolicySchema.exactOptional(),
  image: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: "an image is named by the 64 digits of its id" })
    .exactOptional(),
  secrets: secretRefsSchema.exactOptional(),
  volumes: volumeMountsSchema.exactOptional(),
  env: env.exactOptional(),
  schedule: scheduleSchema.exactOptional(),
  web: webSpecSchema.exactOptional(),
  python: python.exactOptional(),
});

/** Checks a `FunctionSpec`; a field it does not know is an error that names the field. */
export const functionSpecSchema = functionSpecFields
  .refine((spec) => (spec.minContainers ?? 0) <= (spec.maxContainers ?? CONTAINERS_MAX), {
    path: ["minContainers"],
    error: "minContainers is above maxContainers",
  })
  .refine((spec) => (spec.targetConcurrentInputs ?? 1) <= (spec.maxConcurrentInputs ?? 1), {
    path: ["targetConcurrentInputs"],
    error: "targetConcurrentInputs is above maxConcurrentInputs",
  })
  .refine(({ web, schedule, python }) => web === undefined || (schedule ?? python) === undefined, {
    path: ["web"],
    error: "a function with a URL has no schedule and is not Python",
  })
  .refine((spec) => spec.singleUse !== true || runsOneAtATime(spec), {
    path: ["singleUse"],
    error:
      "a container of single use runs one input: no batched, no maxConcurrentInputs, no web server",
  })
  .refine((spec) => spec.diskMiB === undefined || spec.enableMemorySnapshot !== true, {
    path: ["diskMiB"],
    error: "does not go with enableMemorySnapshot: a memory snapshot has no files of the root",
  })
  .refine((spec) => spec.batched === undefined || batchingObstacle(spec) === undefined, {
    path: ["batched"],
    error: ({ input }) => batchingObstacle(input as FunctionSpec) ?? "cannot be",
  }) satisfies z.ZodType<FunctionSpec>;

/** Checks a `ScalingUpdate`; whether its bounds agree with what it leaves is checked later. */
export const scalingUpdateSchema = z
  .strictObject({
    minContainers: containerCount(0).exactOptional(),
    maxContainers: containerCount(1).exactOptional(),
    bufferContainers: containerCount(0).exactOptional(),
    scaledownWindowMs: scaledownWindowMs.exactOptional(),
  })
  .refine((update) => Object.keys(update).length > 0, {
    error:
      "nothing to change: give minContainers, maxContainers, bufferContainers or scaledownWindowMs",
  }) satisfies z.ZodType<ScalingUpdate>;

/** Whether a container of the function never has two inputs at once. */
function runsOneAtATime({ batched, maxConcurrentInputs = 1, web }: FunctionSpec): boolean {
  return batched === undefined && maxConcurrentInputs === 1 && web?.port === undefined;
}

/** Why a function with these options cannot be batched; undefined when it can. */
function batchingObstacle(spec: FunctionSpec): string | undefined {
  const { batched, python, web, schedule, timeoutMs = DEFAULT_SPEC.timeoutMs } = spec;
  if (python !== undefined) return "a Python function cannot be batched";
  if ((web ?? schedule) !== undefined) return "a batched function has no URL and no schedule";
  if ((spec.maxConcurrentInputs ?? spec.targetConcurrentInputs) !== undefined) {
    return "does not go with maxConcurrentInputs and targetConcurrentInputs: maxBatchSize stands for both";
  }
  const waitMs = batched?.waitMs ?? 0;
  return waitMs < timeoutMs
    ? undefined
    : `waitMs (${waitMs}) is not below timeoutMs (${timeoutMs})`;
}

/** Why `input` is no GPU choice, with the nearest one when there is one. */
function explainGpu(input: unknown): string {
  const wrong = (Array.isArray(input) ? (input as readonly unknown[]) : [input]).find(
    (choice) => typeof choice !== "string" || parseGpuChoice(choice) === undefined,
  );
  if (wrong === undefined) return explainGpuList(input);
  if (typeof wrong !== "string") return 'a GPU choice is a string such as "H100" or "H100:8"';
  const [name = "", count] = wrong.slice(0, 80).split(":");
  const known = GPU_TYPES.find((type) => type === name);
  if (known !== undefined) {
    return `"${known}:${count ?? ""}" is no GPU choice: the count must be 1 to 8`;
  }
  const near = nearestWord(name, GPU_TYPES);
  const hint = near === undefined ? "" : ` Did you mean "${near}"?`;
  return `there is no GPU type "${name}".${hint} Types: ${GPU_TYPES.join(", ")}`;
}

/** What is wrong with a list whose choices are each right. */
function explainGpuList(input: unknown): string {
  const result = gpuList.safeParse(input);
  return result.error?.issues[0]?.message ?? "this is no GPU choice";
}

function countOf(choice: string): number {
  return parseGpuChoice(choice)?.count ?? 0;
}

function typeOf(choice: string): string | undefined {
  return parseGpuChoice(choice)?.type;
}

function envBytes(entries: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(entries)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes;
}
