import type { StoredDeployment } from "../store/record-store.ts";

/**
 * The deployments worth showing: everything that runs, and of each deployed app with nothing
 * running its newest version. Order as given.
 *
 * @param deployments All of one workspace, newest first.
 */
export function listedApps(deployments: readonly StoredDeployment[]): readonly StoredDeployment[] {
  const shown = new Set(
    deployments.filter((each) => isRunning(each) && isDeployed(each)).map(({ app }) => app),
  );
  return deployments.filter((each) => {
    if (isRunning(each)) return true;
    if (!isDeployed(each) || shown.has(each.app)) return false;
    shown.add(each.app);
    return true;
  });
}

/**
 * The deployment that a name or an id means: an id exactly that one; a name the running
 * deployed version, else a running ephemeral one, else the newest.
 *
 * @param deployments All of one workspace, newest first.
 */
export function findApp(
  deployments: readonly StoredDeployment[],
  nameOrId: string,
): StoredDeployment | undefined {
  const named = deployments.filter(({ app }) => app === nameOrId);
  return (
    deployments.find(({ appId }) => appId === nameOrId) ??
    named.find((each) => isRunning(each) && isDeployed(each)) ??
    named.find(isRunning) ??
    named[0]
  );
}

function isRunning(deployment: StoredDeployment): boolean {
  return deployment.state === "running";
}

function isDeployed(deployment: StoredDeployment): boolean {
  return deployment.mode === "deployed";
}
