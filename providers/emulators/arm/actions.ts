/** The actions of this Azure by name. */
import type { ActionHandler } from "./call.ts";
import {
  getGroup,
  getOperation,
  getOperationResult,
  listSkus,
  listUsages,
  putGroup,
} from "./resources/account.ts";
import {
  deallocateMachine,
  deleteMachine,
  getInstanceView,
  getMachine,
  listAllMachines,
  listMachines,
  listMachinesIn,
  patchMachine,
  putMachine,
  simulateEviction,
} from "./resources/machines.ts";
import { storedActions } from "./resources/stored.ts";

export const ACTIONS: ReadonlyMap<string, ActionHandler> = new Map([
  ["VirtualMachines.CreateOrUpdate", putMachine],
  ["VirtualMachines.Get", getMachine],
  ["VirtualMachines.InstanceView", getInstanceView],
  ["VirtualMachines.Update", patchMachine],
  ["VirtualMachines.Delete", deleteMachine],
  ["VirtualMachines.List", listMachines],
  ["VirtualMachines.ListAll", listAllMachines],
  ["VirtualMachines.ListByLocation", listMachinesIn],
  ["VirtualMachines.SimulateEviction", simulateEviction],
  ["VirtualMachines.Deallocate", deallocateMachine],
  ["ResourceGroups.CreateOrUpdate", putGroup],
  ["ResourceGroups.Get", getGroup],
  ["Usage.List", listUsages],
  ["ResourceSkus.List", listSkus],
  ["Operations.Get", getOperation],
  ["Operations.Result", getOperationResult],
  ...actionsOf("NetworkInterfaces", storedActions("networkInterfaces")),
  ...actionsOf("PublicIPAddresses", storedActions("publicIPAddresses")),
  ...actionsOf("Disks", storedActions("disks")),
]);

function actionsOf(
  group: string,
  handlers: Readonly<Record<string, ActionHandler>>,
): readonly (readonly [string, ActionHandler])[] {
  return Object.entries(handlers).map(([name, handler]) => [`${group}.${name}`, handler]);
}
