/** `flotilla container`: what runs now. */
import { Client } from "../client/client.ts";
import { NotFoundError } from "../errors.ts";
import type { ContainerSummary } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { printLogs, type LogsOptions } from "./logs.ts";
import { ageOf, tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

const CONTAINER_ID = /^co_[0-9a-z]{26}$/;

export async function listContainers(options: { json?: boolean }): Promise<void> {
  const containers = await new AdminClient(new Client()).containers();
  if (options.json === true) printJson({ containers });
  else if (containers.length === 0) printProgress("No containers run; idle functions have none.");
  else printData(containerTable(containers, Date.now()));
}

export async function stopContainer(id: string, options: { json?: boolean }): Promise<void> {
  checkId(id);
  await new AdminClient(new Client()).stopContainer(id).catch((error: unknown) => {
    throw error instanceof NotFoundError ? noContainer(id) : error;
  });
  if (options.json === true) printJson({ containerId: id, state: "stopping" });
  else printProgress(`Stopping ${id}; its inputs go to other containers`);
}

export async function printContainerLogs(id: string, options: LogsOptions): Promise<void> {
  checkId(id);
  await printLogs({ container: id }, options);
}

/** @throws NotFoundError for what cannot be the id of a container */
function checkId(id: string): void {
  if (!CONTAINER_ID.test(id)) throw noContainer(id);
}

function noContainer(id: string): NotFoundError {
  const nextStep = "see those that run with `flotilla container list`";
  return new NotFoundError(`there is no container "${id}"`, nextStep);
}

/** The containers as a table; emulated GPUs and missing isolation are named. */
export function containerTable(containers: readonly ContainerSummary[], nowMs: number): string {
  return tableOf(
    ["CONTAINER", "APP", "FUNCTION", "STATE", "GPU", "ISOLATION", "NODE", "INPUTS", "AGE"],
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
