/** Releasing machines, whatever of them still exists. */
import { PlatformError } from "../../core/index.ts";
import { incomplete, type GcpCalls, type GcpInstance } from "./calls.ts";
import { CLUSTER_TAG } from "./launch.ts";
import { machineRefOf } from "./listing.ts";
import { parseProviderNodeId, providerNodeIdOf, tagFilter, type MachineRef } from "./names.ts";
import { meaningOf, platformErrorOf } from "./translate.ts";

/**
 * Deletes machines of the cluster; those that do not exist are left out.
 *
 * A machine whose name another one has by now is gone, and the other is not touched. An instance
 * that is said not to be found is taken for gone only when a complete list agrees.
 *
 * @throws PlatformError `unavailable` for machines in zones that cannot be seen, and
 *   `invalid_request` for ids of another form, after the rest is released.
 */
export async function releaseMachines(
  calls: GcpCalls,
  clusterId: string,
  providerNodeIds: readonly string[],
): Promise<void> {
  const ids = [...new Set(providerNodeIds)];
  if (ids.length === 0) return;
  const wanted = ids.flatMap((id) => parseProviderNodeId(id) ?? []);
  const { refs, unseenZones } = await listRefs(calls, clusterId);
  const listed = new Map(refs.map((ref) => [`${ref.zone}/${ref.name}`, ref]));
  const present = wanted.filter(({ zone, name, instanceId }) => {
    const namesake = listed.get(`${zone}/${name}`);
    if (unseenZones.includes(zone)) return false;
    return namesake === undefined || namesake.instanceId === instanceId;
  });
  const notFound = (await Promise.all(present.map((ref) => remove(calls, ref)))).flat();
  if (notFound.length > 0) await confirmGone(calls, clusterId, notFound);
  const hidden = wanted.find(({ zone }) => unseenZones.includes(zone));
  if (hidden !== undefined) {
    throw incomplete(`release ${providerNodeIdOf(hidden)}`, `zones/${hidden.zone}`);
  }
  const [strange] = ids.filter((id) => parseProviderNodeId(id) === undefined);
  if (strange === undefined) return;
  throw new PlatformError(
    `could not release ${strange}: it is no machine of Compute Engine; ` +
      "ask the provider that rented it",
    { code: "invalid_request", retryable: false, details: { providerNodeId: strange } },
  );
}

/**
 * Deletes machines that have stopped: they do no work, nobody starts them again, and their disks
 * stay on the bill. What cannot be deleted now is deleted after a later listing.
 */
export async function deleteStopped(
  calls: GcpCalls,
  instances: readonly GcpInstance[],
): Promise<void> {
  const stopped = instances.filter(({ status }) => status === "TERMINATED").map(machineRefOf);
  await Promise.all(
    stopped.map(async (ref) => {
      try {
        await remove(calls, ref);
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
      }
    }),
  );
}

/** Asks for one deletion; gives the machine back when it is said not to be found. */
async function remove(calls: GcpCalls, ref: MachineRef): Promise<readonly MachineRef[]> {
  try {
    await calls.deleteInstance(ref.zone, ref.name);
    return [];
  } catch (error) {
    const meaning = meaningOf(error);
    if (meaning?.kind === "failed" && meaning.code === "not_found") return [ref];
    throw platformErrorOf(error, `release ${providerNodeIdOf(ref)}`, { zone: ref.zone });
  }
}

async function confirmGone(
  calls: GcpCalls,
  clusterId: string,
  notFound: readonly MachineRef[],
): Promise<void> {
  const { refs, unseenZones } = await listRefs(calls, clusterId);
  const listed = new Set(refs.map(providerNodeIdOf));
  const hidden = notFound.find(({ zone }) => unseenZones.includes(zone));
  if (hidden !== undefined) {
    throw incomplete(`release ${providerNodeIdOf(hidden)}`, `zones/${hidden.zone}`);
  }
  const left = notFound.map(providerNodeIdOf).filter((id) => listed.has(id));
  if (left.length === 0) return;
  throw new PlatformError(
    `could not release ${left.join(", ")}: Compute Engine lists them and says that they do not ` +
      "exist; repeat it",
    { code: "unavailable", retryable: true, details: { providerNodeId: left[0] } },
  );
}

async function listRefs(
  calls: GcpCalls,
  clusterId: string,
): Promise<{ readonly refs: readonly MachineRef[]; readonly unseenZones: readonly string[] }> {
  const list = await calls.aggregateInstances(tagFilter(CLUSTER_TAG, clusterId));
  return { refs: list.items.map(machineRefOf), unseenZones: list.unseenZones };
}
