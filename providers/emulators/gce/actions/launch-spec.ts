/** Reads and checks what an insert asks for. */
import { z } from "zod";
import { GceError, invalidField } from "../gce-error.ts";
import type { LaunchSpec } from "../instance.ts";
import { regionOfZone, shapeOf } from "../market.ts";
import type { World } from "../world.ts";

/** Source of the limits: Compute Engine documentation, labels and metadata (read 2026-11). */
const LABEL_COUNT_MAX = 64;
const METADATA_VALUE_LENGTH_MAX = 262_144;
const NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_KEY = /^[a-z][a-z0-9_-]{0,62}$/;
const LABEL_VALUE = /^[a-z0-9_-]{0,63}$/;

const text = z.string();
const texts = z.record(text, text);

/** What an instance and the properties of a bulk insert have in common; the rest is not read. */
const properties = z.object({
  machineType: text.optional(),
  labels: texts.optional(),
  metadata: z
    .object({ items: z.array(z.object({ key: text, value: text.optional() })).optional() })
    .optional(),
  scheduling: z
    .object({
      provisioningModel: z.enum(["STANDARD", "SPOT"]).optional(),
      preemptible: z.boolean().optional(),
      onHostMaintenance: text.optional(),
      automaticRestart: z.boolean().optional(),
      instanceTerminationAction: z.enum(["DELETE", "STOP"]).optional(),
    })
    .optional(),
  guestAccelerators: z
    .array(z.object({ acceleratorType: text, acceleratorCount: z.number().int().positive() }))
    .max(1)
    .optional(),
  disks: z
    .array(
      z.object({
        boot: z.boolean().optional(),
        initializeParams: z.object({ sourceImage: text.optional() }).optional(),
      }),
    )
    .optional(),
  networkInterfaces: z.array(z.object({})).optional(),
});

type Properties = z.infer<typeof properties>;

const instance = properties.extend({ name: text.optional() });

const whole = z.string().regex(/^\d+$/).transform(Number);

const bulk = z.object({
  count: whole.optional(),
  minCount: whole.optional(),
  namePattern: text.optional(),
  perInstanceProperties: z.record(text, z.object({ name: text.optional() })).optional(),
  instanceProperties: properties.optional(),
});

/** A checked bulk insert. */
export interface WantedBulk {
  /** One for each machine, in the order of their names. */
  readonly specs: readonly LaunchSpec[];
  readonly countMin: number;
}

/** @throws GceError `invalid` or `required`. */
export function readInstance(world: World, zone: string, body: unknown): LaunchSpec {
  const { name, ...rest } = parsed(instance, body);
  const machineType = rest.machineType ?? "";
  const prefix = new RegExp(`^(.*/)?zones/${zone}/machineTypes/`);
  if (!prefix.test(machineType)) {
    throw invalidField("resource.machineType", machineType, "The URL is malformed.");
  }
  const short = { ...rest, machineType: machineType.replace(prefix, "") };
  return specOf(world, zone, { name: name ?? "", properties: short, prefix: "resource" });
}

/** @throws GceError `invalid` or `required`. */
export function readBulk(world: World, zone: string, body: unknown): WantedBulk {
  const wanted = parsed(bulk, body);
  const names = namesOf(world, zone, wanted);
  const count = wanted.count ?? 0;
  if (count === 0 || count !== names.length) {
    const why = `It must be the number of instances named, ${names.length}.`;
    throw invalidField("resource.count", String(count), why);
  }
  const prefix = "resource.instanceProperties";
  const shared = wanted.instanceProperties ?? {};
  return {
    specs: names.map((name) => specOf(world, zone, { name, properties: shared, prefix })),
    countMin: wanted.minCount ?? count,
  };
}

/** Checks labels as a write of them is checked. @throws GceError `invalid`. */
export function checkLabels(labels: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(labels);
  if (entries.length > LABEL_COUNT_MAX) {
    throw invalidField(field, String(entries.length), `At most ${LABEL_COUNT_MAX} labels.`);
  }
  for (const [key, value] of entries) {
    if (!LABEL_KEY.test(key)) throw invalidField(`${field}.key`, key, "Not a valid label key.");
    if (!LABEL_VALUE.test(value)) {
      throw invalidField(`${field}.${key}`, value, "Not a valid label value.");
    }
  }
}

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.join(".") ?? "";
  throw new GceError(400, "invalid", `Invalid JSON payload: '${where}': ${issue?.message ?? ""}`);
}

function namesOf(world: World, zone: string, wanted: z.infer<typeof bulk>): readonly string[] {
  const { namePattern, perInstanceProperties = {}, count = 0 } = wanted;
  const named = Object.keys(perInstanceProperties).sort();
  if (namePattern === undefined || named.length > 0) return named;
  const [, head = "", hashes = "", tail = ""] = /^([^#]*)(#{1,18})([^#]*)$/.exec(namePattern) ?? [];
  if (hashes === "") throw invalidField("resource.namePattern", namePattern, "No placeholder.");
  const numbers = world.fleet
    .all()
    .filter(({ spec }) => spec.zone === zone && spec.name.startsWith(head))
    .map(({ spec }) => Number(spec.name.slice(head.length, spec.name.length - tail.length)))
    .filter((number) => Number.isSafeInteger(number));
  const first = Math.max(0, ...numbers) + 1;
  return Array.from(
    { length: count },
    (_, index) => `${head}${String(first + index).padStart(hashes.length, "0")}${tail}`,
  );
}

function specOf(
  world: World,
  zone: string,
  given: { readonly name: string; readonly properties: Properties; readonly prefix: string },
): LaunchSpec {
  const { name, properties: asked, prefix } = given;
  if (!NAME.test(name)) throw invalidField(`${prefix}.name`, name, `Must match ${NAME.source}.`);
  const labels = asked.labels ?? {};
  checkLabels(labels, `${prefix}.labels`);
  if (asked.networkInterfaces === undefined || asked.networkInterfaces.length === 0) {
    throw new GceError(400, "required", `Required field '${prefix}.networkInterfaces' not found`);
  }
  const market = marketOf(asked, prefix);
  return {
    name,
    region: regionOfZone(zone),
    zone,
    ...machineOf(world, { zone, market, properties: asked, prefix }),
    market,
    isLegacyPreemptible: isLegacy(asked),
    terminationAction: asked.scheduling?.instanceTerminationAction ?? "STOP",
    sourceImage: imageOf(asked, prefix),
    labels,
    metadata: metadataOf(asked, prefix),
  };
}

/** Source: Compute Engine, "Preemptible VM instances": `preemptible` without the model SPOT. */
function isLegacy({ scheduling = {} }: Properties): boolean {
  return scheduling.preemptible === true && scheduling.provisioningModel !== "SPOT";
}

function marketOf({ scheduling = {} }: Properties, prefix: string): LaunchSpec["market"] {
  const isSpot = scheduling.provisioningModel === "SPOT" || scheduling.preemptible === true;
  if (!isSpot) return "on-demand";
  if (scheduling.automaticRestart !== false && scheduling.automaticRestart !== undefined) {
    const field = `${prefix}.scheduling.automaticRestart`;
    throw invalidField(field, "true", "Spot instances cannot restart automatically.");
  }
  return "spot";
}

function machineOf(
  world: World,
  asked: {
    readonly zone: string;
    readonly market: LaunchSpec["market"];
    readonly properties: Properties;
    readonly prefix: string;
  },
): Pick<LaunchSpec, "shape" | "machineType" | "accelerator"> {
  const { zone, market, prefix, properties: wanted } = asked;
  const { machineType = "", guestAccelerators = [], scheduling } = wanted;
  const [attached] = guestAccelerators;
  const accelerator = attached && {
    type: attached.acceleratorType.replace(/^.*\//, ""),
    count: attached.acceleratorCount,
  };
  const shape = shapeOf(machineType, accelerator);
  if (shape === undefined || !world.market.isSold(zone, shape.instanceType, market)) {
    const why = `Machine type with name '${machineType}' does not exist in zone '${zone}'.`;
    throw invalidField(`${prefix}.machineType`, machineType, why);
  }
  if (shape.gpuType !== undefined && scheduling?.onHostMaintenance !== "TERMINATE") {
    const field = `${prefix}.scheduling.onHostMaintenance`;
    const why = "Instances with guest accelerators do not support live migration.";
    throw invalidField(field, scheduling?.onHostMaintenance ?? "", why);
  }
  return { shape, machineType, ...(accelerator === undefined ? {} : { accelerator }) };
}

function imageOf({ disks = [] }: Properties, prefix: string): string {
  const image = disks.find(({ boot }) => boot === true)?.initializeParams?.sourceImage;
  if (image !== undefined && /^(.*\/)?images\/.+$/.test(image)) return image;
  throw invalidField(`${prefix}.disks`, image ?? "", "No boot disk with a source image.");
}

function metadataOf({ metadata }: Properties, prefix: string): LaunchSpec["metadata"] {
  const items = (metadata?.items ?? []).map(({ key, value = "" }) => [key, value] as const);
  for (const [key, value] of items) {
    if (value.length <= METADATA_VALUE_LENGTH_MAX) continue;
    const why = `Value for '${key}' is longer than ${METADATA_VALUE_LENGTH_MAX} characters.`;
    throw invalidField(`${prefix}.metadata`, key, why);
  }
  return Object.fromEntries(items);
}
