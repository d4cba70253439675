/** A registry in memory, for tests. */
import type {
  NewVariant,
  Registry,
  StoredDeployment,
  VariantOutcome,
} from "../store/record-store.ts";

/** Behaves as `Registry` promises; keeps nothing. */
export function createFakeRegistry(): Registry {
  let rows: readonly StoredDeployment[] = [];
  const isLive = (row: StoredDeployment): boolean => row.state === "running";
  const change = (appId: string, changed: Partial<StoredDeployment>): boolean => {
    const hit = rows.some((row) => row.appId === appId && isLive(row));
    rows = rows.map((row) => (row.appId === appId && isLive(row) ? { ...row, ...changed } : row));
    return hit;
  };
  return {
    deploy: async (deployment) => {
      await Promise.resolve();
      const { workspaceId, app, mode } = deployment;
      const versions = rows.filter(
        (row) => row.workspaceId === workspaceId && row.app === app && row.mode === "deployed",
      );
      if (mode === "deployed") for (const row of versions) change(row.appId, { state: "stopped" });
      const stored: StoredDeployment = {
        ...deployment,
        version: mode === "deployed" ? versions.length + 1 : 0,
        state: "running",
        leaseRenewedAtMs: deployment.createdAtMs,
      };
      rows = [stored, ...rows];
      return stored;
    },
    findFunction: (workspaceId, app, name) => {
      const row = rows.find(
        (each) =>
          each.workspaceId === workspaceId &&
          each.app === app &&
          each.mode === "deployed" &&
          isLive(each),
      );
      const found = row?.functions.find((each) => each.name === name);
      return Promise.resolve(row && found ? { ...found, deployment: row } : undefined);
    },
    getFunction: (functionId) => {
      for (const row of rows) {
        const found = row.functions.find((each) => each.functionId === functionId);
        if (found) return Promise.resolve({ ...found, deployment: row });
      }
      return Promise.resolve(undefined);
    },
    setScaling: (functionId, scaling) => {
      const row = rows.find(
        (each) => isLive(each) && each.functions.some((one) => one.functionId === functionId),
      );
      if (row === undefined) return Promise.resolve(false);
      const functions = row.functions.map((one) =>
        one.functionId === functionId ? { ...one, scaling } : one,
      );
      return Promise.resolve(change(row.appId, { functions }));
    },
    addVariant: (variant) => Promise.resolve(addTo(rows.filter(isLive), variant, change)),
    list: (workspaceId) => Promise.resolve(rows.filter((row) => row.workspaceId === workspaceId)),
    startAtOnce: async (appId) => {
      await Promise.resolve();
      change(appId, { strategy: "rolling" });
    },
    stop: (appId) => Promise.resolve(change(appId, { state: "stopped" })),
    renewLease: (appId, nowMs) => Promise.resolve(change(appId, { leaseRenewedAtMs: nowMs })),
  };
}

function addTo(
  running: readonly StoredDeployment[],
  { baseFunctionId, functionId, name, spec, params }: NewVariant,
  change: (appId: string, changed: Partial<StoredDeployment>) => boolean,
): VariantOutcome {
  for (const { appId, functions } of running) {
    const base = functions.find((one) => one.functionId === baseFunctionId);
    if (base === undefined) continue;
    const known = functions.find((one) => one.name === name);
    if (known !== undefined) return { kind: "found", functionId: known.functionId };
    const fresh = { functionId, name, spec, variant: { base: base.name, params } };
    change(appId, { functions: [...functions, fresh] });
    return { kind: "found", functionId };
  }
  return { kind: "not_found" };
}
