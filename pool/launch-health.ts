/**
 * Whether launches on a cloud lead to nodes: two failures among the last four degrade it.
 *
 * A launch fails when its machine never registers, or dies before it does. It is then not a
 * matter of one offer: the boot script, the network or the account is broken, and every machine
 * costs its boot for nothing. A degraded cloud is left alone for 5 to 30 minutes (kept with the
 * refusals, doubling) and then tried with one machine at a time, until one registers.
 *
 * Source: the last 4 launches and one half of them are Karpenter's node pool health (read
 * 2026-11); 5 to 30 min is cluster-autoscaler's backoff.
 *
 * Pure: memories are values.
 */
import { MS_PER_MINUTE, type CloudName } from "../core/index.ts";

/** By cloud: whether the last launches succeeded, oldest first. */
export type LaunchMemory = ReadonlyMap<CloudName, readonly boolean[]>;

/** Launches that are looked at, and failures among them that degrade a cloud. */
export const LAUNCH_COUNT = 4;
export const LAUNCH_FAILURE_COUNT = 2;

/** How long a degraded cloud is left alone at first. */
export const DEGRADED_MS_MIN = 5 * MS_PER_MINUTE;

/** The memory after one more launch has succeeded or failed. A success ends a bad row. */
export function noteLaunch(
  memory: LaunchMemory,
  cloud: CloudName,
  succeeded: boolean,
): LaunchMemory {
  const wasDegraded = isDegraded(memory, cloud);
  const before = succeeded && wasDegraded ? [] : (memory.get(cloud) ?? []);
  return new Map(memory).set(cloud, [...before, succeeded].slice(-LAUNCH_COUNT));
}

/** Whether launches on a cloud mostly fail. */
export function isDegraded(memory: LaunchMemory, cloud: CloudName): boolean {
  const failures = (memory.get(cloud) ?? []).filter((succeeded) => !succeeded);
  return failures.length >= LAUNCH_FAILURE_COUNT;
}

/** All clouds on which launches mostly fail. */
export function degradedClouds(memory: LaunchMemory): ReadonlySet<CloudName> {
  return new Set([...memory.keys()].filter((cloud) => isDegraded(memory, cloud)));
}
