/** Checks a function's options where they are written, before anything is sent. */
import { checkBatched } from "./batched.ts";
import { checkAmount } from "./check-amount.ts";
import { didYouMean, hintFor } from "./did-you-mean.ts";
import { UsageError } from "./errors.ts";
import { isImage } from "./image.ts";
import type { GpuType, RetryPolicy } from "./protocol/spec.ts";
import { SECRETS_PER_FUNCTION_MAX } from "./protocol/secret.ts";
import { isSecret } from "./secret.ts";
import { checkVolumes } from "./volumes/check-volumes.ts";
import { checkSchedule } from "./schedule.ts";
import type { WrittenSpec } from "./written-spec.ts";

const GPU_TYPES = Object.keys({
  T4: 0,
  L4: 0,
  A10: 0,
  V100: 0,
  L40S: 0,
  "A100-40GB": 0,
  "A100-80GB": 0,
  "RTX-PRO-6000": 0,
  H100: 0,
  H200: 0,
  B200: 0,
  B300: 0,
} satisfies Record<GpuType, 0>);

const GPUS_PER_CONTAINER_MAX = 8;
const DAY_MS = 24 * 60 * 60 * 1_000;
const CLOUDS = ["aws", "gcp", "azure", "local"];
const REGION = /^[a-z0-9][a-z0-9-]{0,62}$/;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Names of apps. */
const APP_NAME = /^(?!ap_[a-z0-9]{26}$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Names of functions: what an export may be called. */
const FUNCTION_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

type Check = (value: unknown) => string | undefined;

const FIELD_CHECKS: Readonly<Record<keyof WrittenSpec, Check>> = {
  name: checkFunctionName,
  gpu: checkGpu,
  cpu: checkAmount(range({ min: 0.1, max: 64, unit: "cores" })),
  memoryMiB: checkAmount(wholeRange({ min: 64, max: 524_288, unit: "MiB" })),
  diskMiB: wholeRange({ min: 16, max: 1_048_576, unit: "MiB" }),
  timeoutMs: wholeRange({ min: 1_000, max: DAY_MS, unit: "ms (1 s to 24 h)" }),
  retries: checkRetries,
  startupTimeoutMs: wholeRange({ min: 1_000, max: DAY_MS, unit: "ms (1 s to 24 h)" }),
  scaledownWindowMs: wholeRange({ min: 2_000, max: 1_200_000, unit: "ms (2 s to 20 min)" }),
  minContainers: wholeRange({ min: 0, max: 4_000, unit: "containers" }),
  maxContainers: wholeRange({ min: 1, max: 4_000, unit: "containers" }),
  bufferContainers: wholeRange({ min: 0, max: 4_000, unit: "containers" }),
  maxConcurrentInputs: wholeRange({ min: 1, max: 1_000, unit: "inputs" }),
  targetConcurrentInputs: wholeRange({ min: 1, max: 1_000, unit: "inputs" }),
  batched: checkBatching,
  singleUse: checkFlag,
  regions: listOf(checkRegion),
  clouds: listOf(checkCloud),
  preemptible: checkFlag,
  priority: wholeRange({ min: -100, max: 100, unit: "(larger is more important)" }),
  tags: checkTags,
  enableMemorySnapshot: checkFlag,
  network: checkNetwork,
  image: checkImage,
  secrets: checkSecrets,
  volumes: checkVolumes,
  env: checkEnv,
  schedule: checkSchedule,
  web: () => "is filled in by app.webEndpoint and app.webServer; use one of these",
  python: () => 'is filled in by `runtime: "python"`, `source` and `handler`; give those instead',
};

const TAGS_MAX = 16;
const TAG_CHARACTERS_MAX = 64;

function checkTags(value: unknown): string | undefined {
  if (!isRecord(value)) return 'must be an object of texts, such as { team: "search" }';
  const entries = Object.entries(value);
  if (entries.length > TAGS_MAX) return `has ${entries.length} tags; at most ${TAGS_MAX}`;
  const isText = (each: unknown): boolean =>
    typeof each === "string" && each.length >= 1 && each.length <= TAG_CHARACTERS_MAX;
  const wrong = entries.find(([name, tag]) => !isText(name) || !isText(tag));
  if (wrong === undefined) return undefined;
  return `has the tag ${show(wrong[0])}: names and values are texts of 1 to ${TAG_CHARACTERS_MAX}`;
}

/** Roughly a host with or without a port; the server checks the rest. */
const HOST_PATTERN = /^(\*|(\*\.)?[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?$/;

/**
 * Refuses a spec the server would refuse.
 *
 * @throws UsageError naming the field, what it was and what it may be.
 */
export function validateSpec(spec: WrittenSpec): void {
  if (!isRecord(spec)) {
    throw new UsageError('the spec must be an object, such as { gpu: "H100" }');
  }
  for (const [field, value] of Object.entries(spec)) {
    if (value === undefined) continue;
    const check: Check | undefined = Object.hasOwn(FIELD_CHECKS, field)
      ? FIELD_CHECKS[field as keyof WrittenSpec]
      : undefined;
    if (check === undefined) {
      throw new UsageError(
        `a function has no option "${field}"${hintFor(field, Object.keys(FIELD_CHECKS))}`,
      );
    }
    const problem = check(value);
    if (problem !== undefined) throw new UsageError(`${field} ${problem}`);
  }
  checkContainerBounds(spec);
  checkConcurrency(spec);
  checkBatched(spec);
  checkSingleUse(spec);
  checkDisk(spec);
}

/** @throws UsageError unless `name` can be an app's. */
export function validateAppName(name: unknown): void {
  if (typeof name === "string" && APP_NAME.test(name)) return;
  throw new UsageError(
    `${show(name)} is no name for an app: use 1 to 64 letters, digits, ".", "_" or "-", ` +
      "the first a letter or digit",
  );
}

/** @throws UsageError unless `name` can be a function's. */
export function validateFunctionName(name: string): void {
  const problem = checkFunctionName(name);
  if (problem !== undefined) throw new UsageError(`the function's name ${problem}`);
}

function checkContainerBounds(spec: WrittenSpec): void {
  const { minContainers = 0, maxContainers = Infinity } = spec;
  if (minContainers > maxContainers) {
    throw new UsageError(
      `minContainers (${minContainers}) must not be above maxContainers (${maxContainers})`,
    );
  }
}

function checkConcurrency({ maxConcurrentInputs = 1, targetConcurrentInputs }: WrittenSpec): void {
  if (targetConcurrentInputs === undefined || targetConcurrentInputs <= maxConcurrentInputs) return;
  throw new UsageError(
    `targetConcurrentInputs (${targetConcurrentInputs}) must not be above ` +
      `maxConcurrentInputs (${maxConcurrentInputs})`,
  );
}

function checkSingleUse({ singleUse, ...spec }: WrittenSpec): void {
  if (singleUse !== true) return;
  const others = ["batched", "maxConcurrentInputs", "targetConcurrentInputs"] as const;
  const other = others.find((field) => spec[field] !== undefined && spec[field] !== 1);
  if (other === undefined) return;
  throw new UsageError(
    `singleUse does not go with ${other}: a container of single use runs one input and ends`,
  );
}

function checkDisk({ diskMiB, enableMemorySnapshot }: WrittenSpec): void {
  if (diskMiB === undefined || enableMemorySnapshot !== true) return;
  throw new UsageError(
    "diskMiB does not go with enableMemorySnapshot: a memory snapshot has no files of the root",
  );
}

const BATCHING_CHECKS: Readonly<Record<string, Check>> = {
  maxBatchSize: wholeRange({ min: 1, max: 1_000, unit: "inputs" }),
  waitMs: wholeRange({ min: 0, max: 600_000, unit: "ms (up to 10 min)" }),
};

function checkBatching(value: unknown): string | undefined {
  if (!isRecord(value)) return "must be an object, such as { maxBatchSize: 8, waitMs: 50 }";
  const other = Object.keys(value).find((key) => !Object.hasOwn(BATCHING_CHECKS, key));
  if (other !== undefined) return `has no "${other}"; there are maxBatchSize and waitMs`;
  for (const [key, check] of Object.entries(BATCHING_CHECKS)) {
    const problem = check(value[key]);
    if (problem !== undefined) return `.${key} ${problem}`;
  }
  return undefined;
}

function checkFunctionName(value: unknown): string | undefined {
  if (typeof value === "string" && FUNCTION_NAME.test(value) && value !== "__proto__") return;
  return (
    `must be 1 to 64 letters, digits, "_", "." or "-", the first a letter or "_", ` +
    `got ${show(value)}`
  );
}

function checkFlag(value: unknown): string | undefined {
  return typeof value === "boolean" ? undefined : "must be true or false";
}

function checkGpu(value: unknown): string | undefined {
  if (!Array.isArray(value)) return checkGpuChoice(value);
  if (value.length === 0) return "must name at least one GPU type, or be left out";
  const problem = firstProblem(value, checkGpuChoice);
  if (problem !== undefined) return problem;
  const choices = (value as readonly string[]).map(splitGpuChoice);
  if (new Set(choices.map(({ count }) => count)).size > 1) {
    return `${show(value)} must ask for the same number of GPUs in every choice`;
  }
  if (new Set(choices.map(({ type }) => type)).size < choices.length) {
    return `${show(value)} names one GPU type twice`;
  }
  return undefined;
}

function checkGpuChoice(value: unknown): string | undefined {
  if (typeof value !== "string") {
    return `must be a GPU type such as "H100", or "H100:8" for eight, got ${show(value)}`;
  }
  const { type, count } = splitGpuChoice(value);
  if (!GPU_TYPES.includes(type)) return unknownGpu(type);
  if (/^[1-9]\d*$/.test(count) && Number(count) <= GPUS_PER_CONTAINER_MAX) return undefined;
  return `"${value}" must ask for 1 to ${GPUS_PER_CONTAINER_MAX} GPUs, such as "${type}:8"`;
}

function unknownGpu(type: string): string {
  const near = didYouMean(type, GPU_TYPES);
  const hint = near === undefined ? `; there are ${GPU_TYPES.join(", ")}` : hintFor(type, [near]);
  return `is wrong: no GPU type "${type}"${hint}`;
}

function splitGpuChoice(choice: string): { readonly type: string; readonly count: string } {
  const colon = choice.indexOf(":");
  if (colon < 0) return { type: choice, count: "1" };
  return { type: choice.slice(0, colon), count: choice.slice(colon + 1) };
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

function range({ min, max, unit }: Range): Check {
  return (value) =>
    typeof value === "number" && value >= min && value <= max
      ? undefined
      : `must be ${min} to ${max} ${unit}, got ${show(value)}`;
}

function wholeRange({ min, max, unit }: Range): Check {
  return (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : `must be a whole number from ${min} to ${max} ${unit}, got ${show(value)}`;
}

function listOf(check: Check): Check {
  return (value) => {
    if (!Array.isArray(value) || value.length === 0) {
      return `must be a list with at least one entry, or be left out, got ${show(value)}`;
    }
    return firstProblem(value, check);
  };
}

function checkRegion(value: unknown): string | undefined {
  if (typeof value === "string" && REGION.test(value)) return undefined;
  return `has ${show(value)}, which is no region: write them as "us-east-1"`;
}

function checkCloud(value: unknown): string | undefined {
  if (typeof value === "string" && CLOUDS.includes(value)) return undefined;
  const hint = typeof value === "string" ? hintFor(value, CLOUDS) : "";
  return `has ${show(value)}, which is no cloud (${CLOUDS.join(", ")})${hint}`;
}

const RETRY_CHECKS: Readonly<Record<keyof RetryPolicy, Check>> = {
  count: wholeRange({ min: 0, max: 10, unit: "tries" }),
  initialDelayMs: wholeRange({ min: 0, max: 60_000, unit: "ms (0 to 60 s)" }),
  backoff: range({ min: 1, max: 10, unit: "times" }),
  maxDelayMs: wholeRange({ min: 1_000, max: 60_000, unit: "ms (1 to 60 s)" }),
};

function checkRetries(value: unknown): string | undefined {
  if (!isRecord(value)) return RETRY_CHECKS.count(value);
  if (!("count" in value)) return "must have a count, such as { count: 3 }";
  for (const [field, given] of Object.entries(value)) {
    if (!Object.hasOwn(RETRY_CHECKS, field)) return `has no "${field}"`;
    const problem = RETRY_CHECKS[field as keyof RetryPolicy](given);
    if (problem !== undefined) return `.${field} ${problem}`;
  }
  return undefined;
}

function checkNetwork(value: unknown): string | undefined {
  const isOne = isRecord(value) && Object.keys(value).length === 1;
  if (isOne && (value.egress === "none" || value.block === true)) return undefined;
  if (!isOne || !Array.isArray(value.allowHosts)) {
    return `must be { block: true } or { allowHosts: ["api.example.com"] }, got ${show(value)}`;
  }
  const hosts: readonly unknown[] = value.allowHosts;
  const wrong = hosts.find((host) => typeof host !== "string" || !HOST_PATTERN.test(host));
  if (wrong === undefined) return undefined;
  return (
    `has ${show(wrong)} in allowHosts, which is no host: write "api.example.com", ` +
    '"*.example.com", "db.example.com:5432" or "*"'
  );
}

function checkImage(value: unknown): string | undefined {
  if (isImage(value)) return undefined;
  return `must be an Image, such as Image.debianSlim(), got ${show(value)}`;
}

function checkSecrets(value: unknown): string | undefined {
  const isList = Array.isArray(value) && value.length > 0 && value.every(isSecret);
  if (isList && value.length <= SECRETS_PER_FUNCTION_MAX) return undefined;
  // What else was given may hold values: it is not shown.
  return `must be a list of 1 to ${SECRETS_PER_FUNCTION_MAX} Secrets, such as [Secret.fromName("name")]`;
}

function checkEnv(value: unknown): string | undefined {
  if (!isRecord(value) || Array.isArray(value)) {
    return `must be an object of names and texts, got ${show(value)}`;
  }
  for (const [name, text] of Object.entries(value)) {
    if (!VARIABLE_NAME.test(name)) return `has "${name}", which is no name of a variable`;
    if (typeof text !== "string") return `.${name} must be a text, got a ${typeof text}`;
    if (text.includes("\0")) return `.${name} must not have a NUL character`;
  }
  return undefined;
}

function firstProblem(items: readonly unknown[], check: Check): string | undefined {
  for (const item of items) {
    const problem = check(item);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

const SHOWN_CHARACTERS_MAX = 80;

function show(value: unknown): string {
  const text = typeof value === "object" ? JSON.stringify(value) : undefined;
  const shown = text ?? (typeof value === "string" ? JSON.stringify(value) : String(value));
  return shown.slice(0, SHOWN_CHARACTERS_MAX);
}
