/** The API's shapes (`sdk/protocol/api.ts`) as schemas: they check requests and make the docs. */
import { z } from "zod";
import {
  INPUTS_PER_REQUEST_MAX,
  VARIANT_PARAMS_BYTES_MAX,
  WAIT_MS_MAX,
  type AppendInputsHeader,
  type AppList,
  type AppSummary,
  type BuildEvent,
  type CallStatus,
  type ContainerSummary,
  type CreateCallHeader,
  type Deployment,
  type FunctionInfo,
  type FunctionList,
  type FunctionVariant,
  type FunctionScaling,
  type ImageList,
  type JsonCallRequest,
  type JsonCallResponse,
  type NodeSummary,
  type PlanSummary,
  type PlatformEvent,
  type PlatformStatus,
  type Problem,
  type PruneReport,
  type ResultsHeader,
  type ValuesHeader,
  type SecretList,
  type SecretSummary,
  type VariantHeader,
  type WireError,
} from "../../sdk/protocol/index.ts";
import { deployRequestSchema, rollbackRequestSchema } from "../apps/deploy-schema.ts";
import { imageDefinitionSchema } from "../images/definition-schema.ts";
import {
  functionSpecFields,
  functionSpecSchema,
  scalingUpdateSchema,
} from "../apps/spec-schema.ts";
import { appHistorySchema, deployedNameSchema, webPathSchema } from "./app-schemas.ts";
import { nextCursorSchema } from "./paging.ts";

/** As long as results are kept. */
const DEADLINE_MS_MAX = 7 * 24 * 3_600_000;
const count = z.int().min(0);
const mode = z.enum(["deployed", "ephemeral"]);
const isolation = z.enum(["gvisor", "process"]);
const sizes = z.array(count).max(INPUTS_PER_REQUEST_MAX);
const deadlineInMs = z.int().min(1).max(DEADLINE_MS_MAX);
const idempotencyKey = z.string().min(1).max(255);
const waitMs = z.int().min(0).max(WAIT_MS_MAX);

/** An id such as `fn_…` with this prefix. */
export const idSchema = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[a-z0-9]{26}$`), {
    error: `must be ${prefix}_ and 26 characters of a-z and 0-9`,
  });

export const createCallHeaderSchema = z
  .object({
    callId: idSchema("ca"),
    kind: z.enum(["single", "map"]),
    sizes,
    final: z.boolean(),
    waitMs,
    deadlineInMs: deadlineInMs.exactOptional(),
    parentCallId: idSchema("ca").exactOptional(),
    idempotencyKey: idempotencyKey.exactOptional(),
    stream: z.boolean().exactOptional(),
  })
  .refine((header) => header.kind === "single" || header.stream !== true, {
    path: ["stream"],
    error: "a map cannot be streamed",
  })
  .refine((header) => header.kind === "single" || header.idempotencyKey === undefined, {
    path: ["idempotencyKey"],
    error: "a map takes no key",
  })
  .refine((header) => header.kind === "map" || (header.final && header.sizes.length === 1), {
    error: "a single call has exactly one input and is final",
  }) satisfies z.ZodType<CreateCallHeader>;

export const variantHeaderSchema = z.object({
  options: functionSpecFields
    .omit({ name: true, image: true, secrets: true, volumes: true, schedule: true, batched: true })
    .strict(),
  paramsBytes: count.max(VARIANT_PARAMS_BYTES_MAX),
}) satisfies z.ZodType<VariantHeader>;

export const functionVariantSchema = z.object({
  functionId: z.string(),
  name: z.string(),
}) satisfies z.ZodType<FunctionVariant>;

export const appendInputsHeaderSchema = z.object({
  startIndex: count,
  sizes,
  final: z.boolean(),
}) satisfies z.ZodType<AppendInputsHeader>;

export const jsonCallRequestSchema = z.strictObject({
  args: z.array(z.unknown()).max(1_000),
  waitMs: waitMs.exactOptional(),
  deadlineInMs: deadlineInMs.exactOptional(),
  idempotencyKey: idempotencyKey.exactOptional(),
}) satisfies z.ZodType<JsonCallRequest>;

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string(),
  retryable: z.boolean(),
  details: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.undefined()]))
    .exactOptional(),
}) satisfies z.ZodType<Problem>;

/** Why the platform ended an input, on the wire. */
export const callErrorCode = z.enum([
  "container_exited",
  "out_of_memory",
  "timed_out",
  "cancelled",
  "not_serializable",
  "startup_failed",
  "payload_too_large",
  "attempts_exhausted",
  "deadline_exceeded",
]);

export const wireErrorSchema: z.ZodType<WireError> = z.object({
  name: z.string(),
  message: z.string(),
  stack: z.string().exactOptional(),
  get cause() {
    return wireErrorSchema.exactOptional();
  },
  code: callErrorCode.exactOptional(),
});

export const callStatusSchema = z.object({
  callId: z.string(),
  functionId: z.string(),
  kind: z.enum(["single", "map"]),
  state: z.enum(["running", "finished", "cancelled"]),
  inputCount: count,
  finishedCount: count,
  failedCount: count,
  final: z.boolean(),
  createdAtMs: z.number(),
  pendingReason: z.string().exactOptional(),
}) satisfies z.ZodType<CallStatus>;

export const resultsHeaderSchema = z.object({
  callId: z.string(),
  results: z.array(
    z.object({
      index: count,
      outcome: z.enum(["succeeded", "failed", "cancelled"]),
      bytes: count,
      error: wireErrorSchema.exactOptional(),
      attempts: count,
      runMs: z.number(),
    }),
  ),
  nextCursor: count,
  status: callStatusSchema,
}) satisfies z.ZodType<ResultsHeader>;

export const valuesHeaderSchema = z.object({
  callId: z.string(),
  sizes,
  nextCursor: count,
  status: callStatusSchema,
}) satisfies z.ZodType<ValuesHeader>;

export const jsonCallResponseSchema = z.object({
  callId: z.string(),
  state: callStatusSchema.shape.state,
  result: z.unknown().optional(),
  error: wireErrorSchema.exactOptional(),
}) satisfies z.ZodType<JsonCallResponse>;

export const deploymentSchema = z.object({
  appId: z.string(),
  app: z.string(),
  mode,
  version: count,
  functions: z.array(deployedNameSchema),
  leaseMs: count,
}) satisfies z.ZodType<Deployment>;

export const appSummarySchema = z.object({
  appId: z.string(),
  app: z.string(),
  mode,
  state: z.enum(["running", "stopped"]),
  version: count,
  functions: z.array(z.string()),
  webPaths: z.array(webPathSchema).exactOptional(),
  containers: count,
  createdAtMs: z.number(),
}) satisfies z.ZodType<AppSummary>;

export const appListSchema = z.object({
  apps: z.array(appSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<AppList>;

const functionScalingSchema = z.object({
  minContainers: count,
  maxContainers: count,
  bufferContainers: count,
  scaledownWindowMs: count,
  updated: z
    .array(z.enum(["minContainers", "maxContainers", "bufferContainers", "scaledownWindowMs"]))
    .meta({ description: "Fields that were updated since the deployment." }),
}) satisfies z.ZodType<FunctionScaling>;

export const functionInfoSchema = z.object({
  functionId: z.string(),
  app: z.string(),
  appId: z.string(),
  name: z.string(),
  version: count,
  spec: functionSpecSchema,
  scaling: functionScalingSchema,
  webPath: webPathSchema.exactOptional(),
  backlog: count,
  containers: count,
}) satisfies z.ZodType<FunctionInfo>;

export const functionListSchema = z.object({
  functions: z.array(functionInfoSchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<FunctionList>;

export const containerSummarySchema = z.object({
  containerId: z.string(),
  app: z.string(),
  function: z.string(),
  functionId: z.string(),
  nodeId: z.string(),
  state: z.enum(["starting", "idle", "busy", "stopping"]),
  gpu: z.string().exactOptional(),
  emulated: z.boolean(),
  isolation,
  startedAtMs: z.number(),
  inputsDone: count,
}) satisfies z.ZodType<ContainerSummary>;

export const nodeSummarySchema = z.object({
  nodeId: z.string(),
  state: z.string(),
  cloud: z.string(),
  region: z.string(),
  instanceType: z.string(),
  purchase: z.string(),
  gpu: z.string().exactOptional(),
  gpuCount: z.number(),
  gpuUsed: z.number(),
  cpuMilli: z.number(),
  memoryMiB: z.number(),
  containers: count,
  usdPerHour: z.number(),
  emulated: z.boolean(),
  isolation,
  sinceMs: z.number(),
  faults: z.array(z.string()),
}) satisfies z.ZodType<NodeSummary>;

export const planSummarySchema = z.object({
  planId: z.string(),
  atMs: z.number(),
  status: z.string(),
  solver: z.string(),
  solveMs: z.number(),
  offersConsidered: count,
  objectiveUsdPerHour: z.number(),
  boundUsdPerHour: z.number(),
  gapFraction: z.number(),
  terms: z.record(z.string(), z.number()),
  lines: z.array(
    z.object({
      offerId: z.string(),
      cloud: z.string(),
      region: z.string(),
      zone: z.string().exactOptional(),
      instanceType: z.string(),
      purchase: z.string(),
      count,
      delta: z.int(),
      usdPerHour: z.number(),
      reason: z.string(),
    }),
  ),
  unmet: z.array(z.object({ classId: z.string(), quantity: z.number(), reason: z.string() })),
}) satisfies z.ZodType<PlanSummary>;

export const platformStatusSchema = z.object({
  version: z.string(),
  startedAtMs: z.number(),
  nodes: count,
  containers: count,
  callsRunning: count,
  gpuMsPaid: z.number(),
  gpuMsUsed: z.number(),
  costMicroUsd: z.number(),
}) satisfies z.ZodType<PlatformStatus>;

const EVENT_KINDS = [
  "call.queued",
  "call.pending",
  "call.finished",
  "plan.made",
  "node.requested",
  "node.booting",
  "node.refused",
  "node.registered",
  "node.draining",
  "node.terminated",
  "container.placed",
  "container.starting",
  "container.ready",
  "container.exited",
  "schedule.started",
  "schedule.missed",
  "log",
] as const satisfies readonly PlatformEvent["kind"][];

/** What all events share; the fields of each kind are in `sdk/protocol/events.ts`. */
export const platformEventSchema = z.looseObject({
  eventId: z.string(),
  atMs: z.number(),
  kind: z.enum(EVENT_KINDS),
  appId: z.string().exactOptional(),
  functionId: z.string().exactOptional(),
  callId: z.string().exactOptional(),
  containerId: z.string().exactOptional(),
  nodeId: z.string().exactOptional(),
});

export const imageListSchema = z.object({
  images: z.array(
    z.object({
      imageId: z.string(),
      steps: z.array(z.string()),
      byteCount: count,
      createdAtMs: count,
      usedAtMs: count,
      usedBy: z.array(z.string()),
    }),
  ),
  nextCursor: nextCursorSchema,
  layerCount: count,
  diskByteCount: count,
}) satisfies z.ZodType<ImageList>;

export const secretSummarySchema = z.object({
  name: z.string(),
  keys: z.array(z.string()),
  version: count,
  createdAtMs: count,
  updatedAtMs: count,
}) satisfies z.ZodType<SecretSummary>;

export const secretListSchema = z.object({
  secrets: z.array(secretSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<SecretList>;

export const pruneReportSchema = z.object({
  images: z.array(z.string()),
  layerCount: count,
  freedByteCount: count,
}) satisfies z.ZodType<PruneReport>;

/** One line of a build's answer. */
const buildEventSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("step"), index: count, count, step: z.string() }),
  z.object({ kind: z.literal("cached"), index: count }),
  z.object({ kind: z.literal("log"), index: count, text: z.string() }),
  z.object({ kind: z.literal("done"), index: count, durationMs: z.number() }),
  z.object({
    kind: z.literal("built"),
    image: z.object({ imageId: z.string(), byteCount: count, wasCached: z.boolean() }),
  }),
  z.object({
    kind: z.literal("failed"),
    code: z.string(),
    message: z.string(),
    lastLines: z.array(z.string()),
  }),
]) satisfies z.ZodType<BuildEvent>;

/** The shapes under the names that they have in the OpenAPI document. */
const NAMED: Readonly<Record<string, z.ZodType>> = {
  RollbackRequest: rollbackRequestSchema,
  AppendInputsHeader: appendInputsHeaderSchema,
  AppHistory: appHistorySchema,
  AppList: appListSchema,
  AppSummary: appSummarySchema,
  CallStatus: callStatusSchema,
  ContainerSummary: containerSummarySchema,
  CreateCallHeader: createCallHeaderSchema,
  Deployment: deploymentSchema,
  DeployRequest: deployRequestSchema,
  FunctionInfo: functionInfoSchema,
  FunctionList: functionListSchema,
  FunctionSpec: functionSpecSchema,
  FunctionVariant: functionVariantSchema,
  JsonCallRequest: jsonCallRequestSchema,
  JsonCallResponse: jsonCallResponseSchema,
  BuildEvent: buildEventSchema,
  ImageDefinition: imageDefinitionSchema,
  ImageList: imageListSchema,
  NodeSummary: nodeSummarySchema,
  PlanSummary: planSummarySchema,
  PlatformEvent: platformEventSchema,
  PlatformStatus: platformStatusSchema,
  PruneReport: pruneReportSchema,
  Problem: problemSchema,
  ResultsHeader: resultsHeaderSchema,
  ScalingUpdate: scalingUpdateSchema,
  ValuesHeader: valuesHeaderSchema,
  SecretList: secretListSchema,
  SecretSummary: secretSummarySchema,
  VariantHeader: variantHeaderSchema,
  WireError: wireErrorSchema,
};
for (const [id, schema] of Object.entries(NAMED)) z.globalRegistry.add(schema, { id });
