/** `flotilla container`: what runs now. */
import { Client } from "../client/client.ts";
import type { ContainerSummary } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { printLogs, type LogsOptions } from "./logs.ts";
import { ageOf, tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

export async function listContainers(options: { json?: boolean }): Promise<void> {
  const containers = await new AdminClient(new Client()).containers();
  if (options.json === true) printJson({ containers });
  else if (containers.length === 0) printProgress("No containers run; idle functions have none.");
  else printData(containerTable(containers, Date.now()));
}

export async function stopContainer(id: string, options: { json?: boolean }): Promise<void> {
  await new AdminClient(new Client()).stopContainer(id);
  if (options.json === true) printJson({ containerId: id, state: "stopping" });
  else printProgress(`Stopping ${id}; its inputs go to other containers`);
}

export async function printContainerLogs(id: string, options: LogsOptions): Promise<void> {
  await printLogs({ container: id }, options);
}

/** The containers as a table; emulated GPUs and missing isolation are named. */
export function containerTable(containers: readonly ContainerSummary[], nowMs: number): string {
  return tableOf(
    ["container", "app", "function", "state", "gpu", "isolation", "node", "inputs", "age"],
    containers.map((each) => [
      each.containerId,
      each.app,
      each.function,
      each.state,
      gpuOf(each),
      each.isolation === "process" ? "NONE (process)" : each.isolation,
      each.nodeId,
      String(each.inputsDone),
      ageOf(each.startedAtMs, nowMs),
    ]),
  );
}

function gpuOf({ gpu, emulated }: ContainerSummary): string {
  if (gpu === undefined) return "-";
  return emulated ? `${gpu} (emulated)` : gpu;
}
