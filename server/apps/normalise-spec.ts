/** A function's options with every default filled in. */
import {
  assert,
  GPU_TYPES,
  type CloudName,
  type ContainerNeeds,
  type GpuRequest,
  type GpuType,
  type ResourceLimits,
} from "../../core/index.ts";
import type {
  Batching,
  FunctionSpec,
  NetworkPolicy,
  PythonCode,
  RequestAndLimit,
  RetryPolicy,
  SecretRef,
  VolumeMount,
  WebSpec,
} from "../../sdk/protocol/index.ts";

/** A `FunctionSpec` as the platform works with it; nothing is left to default. */
export interface NormalSpec {
  /** Absent: no GPU. */
  readonly gpu?: GpuRequest;
  /** Thousandths of a virtual core. */
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  /** Absent: no other than what is reserved. */
  readonly limits?: ResourceLimits;
  /** Most that a container writes to its root; absent: the root is read-only. */
  readonly diskMiB?: number;
  readonly timeoutMs: number;
  readonly startupTimeoutMs: number;
  readonly retries: Required<RetryPolicy>;
  readonly scaledownWindowMs: number;
  readonly minContainers: number;
  readonly maxContainers: number;
  readonly bufferContainers: number;
  /** Inputs that one container runs at once: at most, and what scaling aims at. */
  readonly maxConcurrentInputs: number;
  readonly targetConcurrentInputs: number;
  /** Present: those inputs run together, as one list. */
  readonly batched?: Batching;
  /** A container ends after its first input. */
  readonly singleUse: boolean;
  /** Absent: any. */
  readonly regions?: readonly string[];
  /** Absent: any. */
  readonly clouds?: readonly CloudName[];
  readonly preemptible: boolean;
  /** Larger is more important. */
  readonly priority: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly enableMemorySnapshot: boolean;
  readonly network: NetworkPolicy;
  /** Id of the image; absent: Node and nothing else. */
  readonly image?: string;
  /** In the order in which they apply. */
  readonly secrets: readonly SecretRef[];
  readonly volumes: readonly VolumeMount[];
  readonly env: Readonly<Record<string, string>>;
  /** Present: it is asked by HTTP requests to a URL. */
  readonly web?: WebSpec;
  /** Present: the code is Python, and this is where it is. */
  readonly python?: PythonCode;
}

const MILLI = 1_000;

/** What a function gets when its spec does not say; the two left out follow another one. */
export const DEFAULT_SPEC = {
  cpuMilli: 125,
  memoryMiB: 256,
  timeoutMs: 300_000,
  retries: { count: 0, initialDelayMs: 1_000, backoff: 2, maxDelayMs: 60_000 },
  scaledownWindowMs: 60_000,
  minContainers: 0,
  maxContainers: 100,
  bufferContainers: 0,
  maxConcurrentInputs: 1,
  singleUse: false,
  preemptible: true,
  priority: 0,
  tags: {},
  enableMemorySnapshot: false,
  network: { egress: "none" },
  secrets: [],
  volumes: [],
  env: {},
} as const satisfies Omit<NormalSpec, "startupTimeoutMs" | "targetConcurrentInputs">;

/**
 * Fills in the defaults of a checked spec.
 *
 * @throws AssertionError when a GPU choice was not checked before (`spec-schema.ts`).
 */
export function normaliseSpec(spec: FunctionSpec): NormalSpec {
  const timeoutMs = spec.timeoutMs ?? DEFAULT_SPEC.timeoutMs;
  return {
    ...(spec.gpu === undefined ? {} : { gpu: gpuRequestOf(spec.gpu) }),
    ...amountsOf(spec),
    ...(spec.diskMiB === undefined ? {} : { diskMiB: spec.diskMiB }),
    timeoutMs,
    startupTimeoutMs: spec.startupTimeoutMs ?? timeoutMs,
    retries: retriesOf(spec.retries),
    ...scalingOf(spec),
    ...concurrencyOf(spec),
    ...placesOf(spec),
    ...standingOf(spec),
    singleUse: spec.singleUse ?? DEFAULT_SPEC.singleUse,
    preemptible: spec.preemptible ?? DEFAULT_SPEC.preemptible,
    enableMemorySnapshot: spec.enableMemorySnapshot ?? DEFAULT_SPEC.enableMemorySnapshot,
    network: networkOf(spec.network),
    ...surroundingsOf(spec),
    ...codeOf(spec),
  };
}

/** What its code is and how it is asked, where the spec says so. */
function codeOf({
  image,
  web,
  python,
}: FunctionSpec): Pick<NormalSpec, "image" | "web" | "python"> {
  return {
    ...(image === undefined ? {} : { image }),
    ...(web === undefined ? {} : { web }),
    ...(python === undefined ? {} : { python }),
  };
}

/** How important it is, and to whom it is counted. */
function standingOf({ priority, tags }: FunctionSpec): Pick<NormalSpec, "priority" | "tags"> {
  return { priority: priority ?? DEFAULT_SPEC.priority, tags: tags ?? DEFAULT_SPEC.tags };
}

/** What one container of the function needs of the node under it. */
export function needsOf(spec: NormalSpec): ContainerNeeds {
  return {
    ...(spec.gpu === undefined ? {} : { gpu: spec.gpu }),
    cpuMilli: spec.cpuMilli,
    memoryMiB: spec.memoryMiB,
    ...placesOf(spec),
    preemptible: spec.preemptible,
  };
}

/** One spelling for what blocks everything. */
export function networkOf(network: NetworkPolicy = DEFAULT_SPEC.network): NetworkPolicy {
  return "allowHosts" in network ? network : DEFAULT_SPEC.network;
}

/** A GPU choice such as `H100:8` in its two parts; undefined when it is not one. */
export function parseGpuChoice(
  choice: string,
): { readonly type: GpuType; readonly count: number } | undefined {
  const [name, count = "1", ...rest] = choice.split(":");
  const type = GPU_TYPES.find((known) => known === name);
  if (type === undefined || rest.length > 0 || !/^[1-8]$/.test(count)) return undefined;
  return { type, count: Number(count) };
}

function retriesOf(retries: FunctionSpec["retries"] = 0): NormalSpec["retries"] {
  const given = typeof retries === "number" ? { count: retries } : retries;
  return { ...DEFAULT_SPEC.retries, ...given };
}

/** What its containers have around them. */
function surroundingsOf(spec: FunctionSpec): Pick<NormalSpec, "secrets" | "volumes" | "env"> {
  return {
    secrets: spec.secrets ?? DEFAULT_SPEC.secrets,
    volumes: spec.volumes ?? DEFAULT_SPEC.volumes,
    env: spec.env ?? DEFAULT_SPEC.env,
  };
}

type Scaling = Pick<
  NormalSpec,
  "scaledownWindowMs" | "minContainers" | "maxContainers" | "bufferContainers"
>;

/** A default maximum never lies below the minimum asked for. */
function scalingOf(spec: FunctionSpec): Scaling {
  const minContainers = spec.minContainers ?? DEFAULT_SPEC.minContainers;
  return {
    scaledownWindowMs: spec.scaledownWindowMs ?? DEFAULT_SPEC.scaledownWindowMs,
    minContainers,
    maxContainers: spec.maxContainers ?? Math.max(DEFAULT_SPEC.maxContainers, minContainers),
    bufferContainers: spec.bufferContainers ?? DEFAULT_SPEC.bufferContainers,
  };
}

function concurrencyOf(
  spec: FunctionSpec,
): Pick<NormalSpec, "maxConcurrentInputs" | "targetConcurrentInputs" | "batched"> {
  const { batched } = spec;
  if (batched !== undefined) {
    const { maxBatchSize: size } = batched;
    return { maxConcurrentInputs: size, targetConcurrentInputs: size, batched };
  }
  const maxConcurrentInputs = spec.maxConcurrentInputs ?? DEFAULT_SPEC.maxConcurrentInputs;
  const targetConcurrentInputs = spec.targetConcurrentInputs ?? maxConcurrentInputs;
  return { maxConcurrentInputs, targetConcurrentInputs };
}

function placesOf(
  spec: Pick<NormalSpec, "regions" | "clouds">,
): Pick<NormalSpec, "regions" | "clouds"> {
  return {
    ...(spec.regions === undefined ? {} : { regions: spec.regions }),
    ...(spec.clouds === undefined ? {} : { clouds: spec.clouds }),
  };
}

function gpuRequestOf(gpu: string | readonly string[]): GpuRequest {
  const choices = (typeof gpu === "string" ? [gpu] : gpu).map((choice) => {
    const parsed = parseGpuChoice(choice);
    assert(parsed !== undefined, `GPU choice ${choice} was not checked`);
    return parsed;
  });
  return { types: choices.map(({ type }) => type), count: choices[0]?.count ?? 1 };
}

/** What is reserved, and the limits that are said. */
function amountsOf({
  cpu = DEFAULT_SPEC.cpuMilli / MILLI,
  memoryMiB = DEFAULT_SPEC.memoryMiB,
}: FunctionSpec): Pick<NormalSpec, "cpuMilli" | "memoryMiB" | "limits"> {
  const limits = {
    ...(isNumber(cpu) ? {} : { cpuMilli: Math.round(cpu.limit * MILLI) }),
    ...(isNumber(memoryMiB) ? {} : { memoryMiB: memoryMiB.limit }),
  };
  return {
    cpuMilli: Math.round(requestOf(cpu) * MILLI),
    memoryMiB: requestOf(memoryMiB),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function requestOf(amount: number | RequestAndLimit): number {
  return isNumber(amount) ? amount : amount.request;
}

function isNumber(amount: number | RequestAndLimit): amount is number {
  return typeof amount === "number";
}
