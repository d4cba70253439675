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
  for (const field of ["serverUrl", "token", "nodeId"] as const) {
    if (typeof Reflect.get(value, field) !== "string") {
      throw invalid(`${path}: "${field}" must be a text`);
    }
  }
  const given = value as Partial<AgentConfig> & Pick<AgentConfig, "serverUrl" | "token" | "nodeId">;
  return { dataDir: DEFAULT_DATA_DIR, isolation: "gvisor", ...given };
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
