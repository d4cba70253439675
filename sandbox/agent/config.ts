/** Settings of a node agent: a JSON file written by whoever starts it. */
import { readFile } from "node:fs/promises";
import { messageOf, PlatformError, type Isolation, type Resources } from "../../core/index.ts";

export interface AgentConfig {
  readonly serverUrl: string;
  readonly token: string;
  readonly nodeId: string;
  /** Folder of all that the agent keeps; `/var/lib/flotilla` when absent. */
  readonly dataDir: string;
  readonly isolation: Isolation;
  /** What the machine has; found out when absent. */
  readonly resources?: Resources;
  /** With `resources`, or with GPUs that are pretended. */
  readonly gpuType?: string;
  readonly emulatedGpus?: boolean;
  /** End when the process that started this one is gone. */
  readonly endsWithParent?: boolean;
}

const DEFAULT_DATA_DIR = "/var/lib/flotilla";

/** Reads an agent's settings. @throws PlatformError `invalid_request` naming what is wrong */
export async function readAgentConfig(path: string): Promise<AgentConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw invalid(`cannot read the agent's settings in ${path}: ${messageOf(error)}`);
  }
  if (typeof value !== "object" || value === null) throw invalid(`${path} holds no settings`);
  const given = { dataDir: DEFAULT_DATA_DIR, isolation: "gvisor", ...value };
  const wrong = faultOf(given);
  if (wrong !== undefined) throw invalid(`${path}: ${wrong}`);
  return given as AgentConfig;
}

const TEXTS = ["serverUrl", "token", "nodeId", "dataDir"] as const;
const FLAGS = ["emulatedGpus", "endsWithParent"] as const;
const AMOUNTS = ["gpuCount", "cpuMilli", "memoryMiB"] as const;
const ISOLATIONS: readonly unknown[] = ["gvisor", "process"] satisfies readonly Isolation[];

/** What is wrong with settings; undefined when nothing is. */
function faultOf(settings: Readonly<Record<string, unknown>>): string | undefined {
  const text = TEXTS.find((field) => typeof settings[field] !== "string" || settings[field] === "");
  if (text !== undefined) return `"${text}" must be a text`;
  if (!ISOLATIONS.includes(settings["isolation"])) {
    return '"isolation" must be "gvisor" or "process"';
  }
  const flag = FLAGS.find((field) => !["undefined", "boolean"].includes(typeof settings[field]));
  if (flag !== undefined) return `"${flag}" must be true or false`;
  const { gpuType, resources } = settings;
  if (gpuType !== undefined && typeof gpuType !== "string") return '"gpuType" must be a text';
  return resources === undefined ? undefined : resourceFaultOf(resources);
}

function resourceFaultOf(resources: unknown): string | undefined {
  if (typeof resources !== "object" || resources === null) return '"resources" must be an object';
  const amounts: Readonly<Record<string, unknown>> = { ...resources };
  const wrong = AMOUNTS.find((field) => !isAmount(amounts[field]));
  return wrong === undefined ? undefined : `"resources.${wrong}" must be a number of at least 0`;
}

function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
