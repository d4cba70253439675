/** Releasing instances in batches, whatever of them still exists. */
import { PlatformError } from "../../core/index.ts";
import type { Ec2Calls } from "./calls.ts";
import { listInstances, ofCluster, parseProviderNodeId } from "./listing.ts";
import { meaningOf, platformErrorOf } from "./translate.ts";

/** At most this many values fit into one filter (EC2 API reference, Filter, read 2026-11). */
const BATCH_SIZE = 200;
/** Instances may vanish between the look and the call, but not for ever. */
const ROUND_COUNT_MAX = 3;

/** Ids by the region that can release them, and those that none of ours can. */
export interface RegionalIds {
  readonly byRegion: ReadonlyMap<Ec2Calls, readonly string[]>;
  readonly unreachable: readonly string[];
}

/** Sorts ids by region; each once. */
export function splitByRegion(
  providerNodeIds: readonly string[],
  regions: ReadonlyMap<string, Ec2Calls>,
): RegionalIds {
  const byRegion = new Map<Ec2Calls, string[]>();
  const unreachable: string[] = [];
  for (const providerNodeId of new Set(providerNodeIds)) {
    const parsed = parseProviderNodeId(providerNodeId);
    const calls = parsed === undefined ? undefined : regions.get(parsed.region);
    if (parsed === undefined || calls === undefined) unreachable.push(providerNodeId);
    else byRegion.set(calls, [...(byRegion.get(calls) ?? []), parsed.instanceId]);
  }
  return { byRegion, unreachable };
}

/**
 * Terminates instances of one region; those that do not exist are left out.
 *
 * For some seconds after its launch an instance may be unknown to EC2's own listings, and so
 * be left out here: a release is done when the listing shows it, not when this returns.
 */
export async function releaseInRegion(
  calls: Ec2Calls,
  clusterId: string,
  instanceIds: readonly string[],
): Promise<void> {
  for (let start = 0; start < instanceIds.length; start += BATCH_SIZE) {
    await releaseBatch(calls, clusterId, instanceIds.slice(start, start + BATCH_SIZE));
  }
}

async function releaseBatch(
  calls: Ec2Calls,
  clusterId: string,
  batch: readonly string[],
): Promise<void> {
  let existing = batch;
  let failure: unknown;
  for (let round = 0; round < ROUND_COUNT_MAX && existing.length > 0; round += 1) {
    try {
      await calls.terminateInstances(existing);
      return;
    } catch (error) {
      const meaning = meaningOf(error);
      if (meaning?.kind !== "failed" || meaning.code !== "not_found") {
        throw platformErrorOf(error, `release ${batch.length} instances in ${calls.region}`, {
          region: calls.region,
        });
      }
      failure = error;
    }
    // One unknown id fails the whole call, so ask which of them exist. A filter does not mind
    // unknown ids.
    const found = await listInstances(calls, [
      ofCluster(clusterId),
      { name: "instance-id", values: existing },
    ]);
    existing = found.flatMap(({ InstanceId }) => InstanceId ?? []);
  }
  if (existing.length === 0) return;
  throw new PlatformError(
    `could not release ${existing.join(", ")} in ${calls.region}: EC2 lists them and says that ` +
      "they do not exist; repeat it",
    { code: "unavailable", retryable: true, details: { region: calls.region }, cause: failure },
  );
}
