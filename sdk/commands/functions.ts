/** `flotilla function`: what is deployed, how it scales, and changing that while it runs. */
import { Client } from "../client/client.ts";
import { UsageError } from "../errors.ts";
import type { FunctionInfo, ScalingUpdate } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

interface JsonOption {
  readonly json?: boolean;
}

/** The options of `function update` as they were typed. */
export type TypedScaling = { readonly [Field in keyof ScalingUpdate]?: string };

const FLAGS: Readonly<Record<keyof ScalingUpdate, string>> = {
  minContainers: "--min-containers",
  maxContainers: "--max-containers",
  bufferContainers: "--buffer-containers",
  scaledownWindowMs: "--scaledown-window-ms",
};

/** Functions of one app, or of all. */
export async function listFunctions(app: string | undefined, options: JsonOption): Promise<void> {
  const functions = await new AdminClient(new Client()).functions(app);
  if (options.json === true) printJson({ functions });
  else if (functions.length === 0) {
    printProgress("No functions are deployed. Deploy some: flotilla deploy FILE");
  } else printData(functionTable(functions));
}

export async function showFunction(app: string, name: string, options: JsonOption): Promise<void> {
  const info = await new Client().lookupFunction(app, name);
  if (options.json === true) printJson(info);
  else printData(functionLines(info));
}

/** Changes what is given and leaves the rest; it holds until the app is deployed again. */
export async function updateFunction(
  app: string,
  name: string,
  options: TypedScaling & JsonOption,
): Promise<void> {
  const update = scalingUpdateOf(options);
  const info = await new AdminClient(new Client()).scaleFunction(app, name, update);
  if (options.json === true) {
    printJson(info);
    return;
  }
  printProgress(`Updated ${app}/${name}, until the app is deployed again`);
  printData(functionLines(info));
}

/** @throws UsageError when nothing is given, or something that is no whole number */
export function scalingUpdateOf(typed: TypedScaling): ScalingUpdate {
  const fields = (Object.keys(FLAGS) as (keyof ScalingUpdate)[]).flatMap((field) => {
    const text = typed[field];
    return text === undefined ? [] : [[field, wholeNumberOf(FLAGS[field], text)] as const];
  });
  if (fields.length > 0) return Object.fromEntries(fields);
  throw new UsageError(
    "nothing to update",
    `give at least one of ${Object.values(FLAGS).join(", ")}`,
  );
}

/** The functions as a table, in the order given; updated values are marked. */
export function functionTable(functions: readonly FunctionInfo[]): string {
  return tableOf(
    ["APP", "FUNCTION", "GPU", "MIN", "MAX", "BUFFER", "WINDOW", "BACKLOG", "CONTAINERS"],
    functions.map((info) => [
      info.app,
      info.name,
      gpuOf(info),
      marked(info, "minContainers"),
      marked(info, "maxContainers"),
      marked(info, "bufferContainers"),
      marked(info, "scaledownWindowMs"),
      String(info.backlog),
      String(info.containers),
    ]),
  );
}

/** One function, a fact a line. */
export function functionLines(info: FunctionInfo): string {
  const { batched, maxConcurrentInputs = batched?.maxBatchSize ?? 1 } = info.spec;
  const { targetConcurrentInputs = maxConcurrentInputs } = info.spec;
  const facts: readonly (readonly [string, string])[] = [
    ["function", `${info.app}/${info.name}`],
    ["id", info.functionId],
    ["version", String(info.version)],
    ["gpu", gpuOf(info)],
    ["min containers", marked(info, "minContainers")],
    ["max containers", marked(info, "maxContainers")],
    ["buffer containers", marked(info, "bufferContainers")],
    ["scaledown window", marked(info, "scaledownWindowMs")],
    ["concurrent inputs", `${maxConcurrentInputs} at most, ${targetConcurrentInputs} aimed at`],
    ...(batched === undefined
      ? []
      : [["batches", `${batched.maxBatchSize} inputs, after ${batched.waitMs} ms`] as const]),
    ["priority", String(info.spec.priority ?? 0)],
    ["backlog", String(info.backlog)],
    ["containers", String(info.containers)],
  ];
  const lines = facts.map(([what, value]) => `${what.padEnd(18)} ${value}`);
  const hint = info.scaling.updated.length === 0 ? [] : ["* updated since it was deployed"];
  return [...lines, ...hint].join("\n");
}

function gpuOf({ spec: { gpu } }: FunctionInfo): string {
  if (gpu === undefined) return "-";
  return typeof gpu === "string" ? gpu : gpu.join(", ");
}

function marked({ scaling }: FunctionInfo, field: keyof ScalingUpdate): string {
  const unit = field === "scaledownWindowMs" ? " ms" : "";
  return `${scaling[field]}${unit}${scaling.updated.includes(field) ? " *" : ""}`;
}

function wholeNumberOf(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} must be a whole number, got "${text}"`);
}
