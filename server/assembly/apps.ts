/** Apps of a platform: what happens in its other parts when one is deployed, changed or stopped. */
import { createAppService, type ManagedApps } from "../apps/app-service.ts";
import { specInForce } from "../apps/find-function.ts";
import type { CallDesk } from "../calls/call-desk.ts";
import { rebuildQueues } from "../calls/rebuild.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { SecretVault } from "../secrets/secret-vault.ts";
import type { RecordStore, StoredDeployment, StoredFunction } from "../store/record-store.ts";
import type { VolumeKeeper } from "../volumes/volume-keeper.ts";
import type { Foundations } from "./foundations.ts";

/** Parts of the platform that are made before its apps. */
export interface Parts {
  readonly calls: CallDesk;
  readonly fleet: Fleet;
  readonly secrets: SecretVault;
  readonly volumes: VolumeKeeper;
}

/** The life of apps, told to those whom it concerns. */
export async function createApps(
  foundations: Foundations,
  { calls, fleet, secrets, volumes }: Parts,
): Promise<ManagedApps> {
  const { onError, store } = foundations;
  return createAppService({
    ...foundations,
    fleet: fleet.service,
    secrets,
    volumes,
    workspaceIds: await workspaceIdsIn(store),
    onDeployed: (deployment) => {
      keepWarm(deployment, calls, fleet).catch((error: unknown) => {
        onError(error, `warming app ${deployment.appId}`);
      });
    },
    onStopped: (appId, why, workspaceId) => {
      calls.functions.retire(appId);
      if (why === "replaced") {
        // It finishes what it has.
        fleet.kick();
        return;
      }
      endApp(appId, { calls, fleet }).catch((error: unknown) => {
        onError(error, `ending app ${appId}`);
      });
      secrets
        .forgetOwn(workspaceId, (id) => id !== appId)
        .catch((error: unknown) => {
          onError(error, `removing the secrets of app ${appId}`);
        });
    },
  });
}

/** Removes the secrets of ephemeral apps which a killed platform had. To be called at the start. */
export async function forgetOwnSecrets(
  { store }: Foundations,
  secrets: SecretVault,
): Promise<void> {
  for (const workspaceId of await workspaceIdsIn(store)) {
    const apps = await store.registry.list(workspaceId);
    const running = apps.filter(({ state }) => state === "running").map(({ appId }) => appId);
    await secrets.forgetOwn(workspaceId, (appId) => running.includes(appId));
  }
}

/** All workspaces that there are. */
export async function workspaceIdsIn({ workspaces }: RecordStore): Promise<readonly string[]> {
  return (await workspaces.list()).map(({ workspaceId }) => workspaceId);
}

/** Functions with a floor of containers get them without waiting for a call. */
async function keepWarm(
  deployment: StoredDeployment,
  calls: CallDesk,
  fleet: Fleet,
): Promise<void> {
  for (const stored of deployment.functions) {
    if (specInForce(stored).minContainers > 0) await calls.functions.get(stored.functionId);
  }
  fleet.kick();
}

/** A function's scaling was updated: it holds from now on, a floor without waiting for a call. */
export async function rescale(
  stored: StoredFunction,
  calls: CallDesk,
  fleet: Fleet,
): Promise<void> {
  calls.functions.rescale(stored);
  if (specInForce(stored).minContainers > 0) await calls.functions.get(stored.functionId);
  fleet.kick();
}

/** An app that was stopped is cut off: its calls are cancelled and its containers end. */
async function endApp(
  appId: string,
  { calls, fleet }: { readonly calls: CallDesk; readonly fleet: Fleet },
): Promise<void> {
  const own = calls.functions.all().filter((live) => live.appId === appId);
  for (const live of own) {
    const who = { workspaceId: live.workspaceId, tokenId: "platform" };
    for (const callId of live.open.callIds()) await calls.service.cancel(who, callId);
  }
  fleet.stopApp(appId, "its app was stopped");
}

/**
 * Takes up what an earlier run of the platform left: unfinished inputs, floors of containers,
 * functions whose next call is expected.
 */
export async function resume({ store }: Foundations, calls: CallDesk, fleet: Fleet): Promise<void> {
  await rebuildQueues(store, calls.functions, () => true);
  for (const workspaceId of await workspaceIdsIn(store)) {
    const deployments = await store.registry.list(workspaceId);
    for (const deployment of deployments.filter(({ state }) => state === "running")) {
      await keepWarm(deployment, calls, fleet);
      for (const each of deployment.functions) {
        const isExpected = await calls.arrivals.isExpected({ ...each, deployment });
        if (isExpected) await calls.functions.get(each.functionId);
      }
    }
  }
}
