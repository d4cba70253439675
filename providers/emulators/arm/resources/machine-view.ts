/** Machines as documents. */
import type { JsonObject, Machine } from "../machine.ts";

/** A machine as a read or a list shows it; `expand` adds what is not shown by default. */
export function machineDocument(machine: Machine, expand = ""): JsonObject {
  const { spec, vmId, tags, provisioningState, createdAtMs } = machine;
  const wanted = expand.toLowerCase();
  return {
    name: spec.name,
    id: spec.id,
    type: "Microsoft.Compute/virtualMachines",
    location: spec.region,
    tags,
    ...(spec.zone === undefined ? {} : { zones: [spec.zone] }),
    properties: {
      ...spec.shown,
      vmId,
      provisioningState,
      timeCreated: new Date(createdAtMs).toISOString(),
      ...(wanted === "instanceview" ? { instanceView: instanceView(machine) } : {}),
      ...(wanted === "userdata" && spec.userData !== undefined ? { userData: spec.userData } : {}),
    },
  };
}

/** A machine in a list with `statusOnly=true`: what runs, without the model. */
export function statusDocument(machine: Machine): JsonObject {
  const { spec, provisioningState } = machine;
  return {
    name: spec.name,
    id: spec.id,
    type: "Microsoft.Compute/virtualMachines",
    location: spec.region,
    properties: { provisioningState, instanceView: instanceView(machine) },
  };
}

/**
 * Provisioning and power state as codes. Source: "States and billing status of Azure Virtual
 * Machines" (Microsoft Learn, read 2026-11).
 */
export function instanceView({ provisioningState, powerState, failure }: Machine): JsonObject {
  const state = provisioningState.toLowerCase();
  const isInstalling = provisioningState === "Creating" && powerState !== undefined;
  const provisioning =
    failure === undefined
      ? {
          code: `ProvisioningState/${state}${isInstalling ? "/OSProvisioningInProgress" : ""}`,
          level: "Info",
          displayStatus: isInstalling ? "OS Provisioning In progress" : `Provisioning ${state}`,
        }
      : {
          code: `ProvisioningState/failed/${failure.code}`,
          level: "Error",
          displayStatus: "Provisioning failed",
          message: failure.message,
        };
  const power = {
    code: `PowerState/${powerState ?? ""}`,
    level: "Info",
    displayStatus: `VM ${powerState ?? ""}`,
  };
  return { statuses: powerState === undefined ? [provisioning] : [provisioning, power] };
}
