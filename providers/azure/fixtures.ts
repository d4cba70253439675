/**
 * Answers of Azure in the form the vendor's documents and clients' tests have them, written
 * apart from the emulator so that both are held to the same wire. Ids are made up.
 */

/** An error document. */
export function errorJson(code: string, message: string): string {
  return JSON.stringify({ error: { code, message, details: [] } });
}

const DETAILS =
  "Additional details - Deployment Model: Resource Manager, Location: westus2, " +
  "Current Limit: 100, Current Usage: 96, Additional Required: 32, " +
  "(Minimum) New Limit Required: 128. Submit a request for Quota increase at https://aka.ms/quota";

/** Messages of quotas that a create would exceed. */
export const QUOTA_MESSAGES = {
  spot:
    "Operation could not be completed as it results in exceeding approved LowPriorityCores " +
    `quota. ${DETAILS}`,
  family:
    "Operation could not be completed as it results in exceeding approved " +
    `standardNDSH100v5Family Cores quota. ${DETAILS}`,
  region:
    "Operation could not be completed as it results in exceeding approved Total Regional Cores " +
    `quota. ${DETAILS}`,
} as const;

/** The document of an operation that failed with an inner error. */
export const FAILED_OPERATION = {
  startTime: "2026-11-20T10:00:00.1234567+00:00",
  endTime: "2026-11-20T10:00:31.7654321+00:00",
  status: "Failed",
  error: {
    code: "OverconstrainedAllocationRequest",
    message: "Allocation failed. VM(s) with the following constraints cannot be allocated.",
    innererror: { code: "NarrowerCode", message: "No cluster has the size." },
  },
  name: "0f0f0f0f-1111-2222-3333-444444444444",
};

const VM = "/subscriptions/sub-1/resourceGroups/GROUP-1/providers/Microsoft.Compute";

/** Two machines: one that is being created, and one whose create failed and lost its tags. */
export const MACHINES_JSON = JSON.stringify({
  value: [
    {
      name: "no-1-0a1b2c3d",
      id: `${VM}/virtualMachines/no-1-0a1b2c3d`,
      type: "Microsoft.Compute/virtualMachines",
      location: "eastus",
      tags: { "flotilla:cluster": "c", "flotilla:node": "no_1", "flotilla:batch": "t-1" },
      zones: ["2"],
      properties: {
        vmId: "aaaaaaaa-0000-0000-0000-000000000001",
        hardwareProfile: { vmSize: "Standard_ND96isr_H100_v5" },
        priority: "Spot",
        evictionPolicy: "Delete",
        provisioningState: "Creating",
        timeCreated: "2026-11-20T10:00:00.5+00:00",
      },
    },
    {
      name: "no-2-0a1b2c3e",
      id: `${VM}/virtualMachines/no-2-0a1b2c3e`,
      type: "Microsoft.Compute/virtualMachines",
      location: "eastus",
      tags: { "flotilla:cluster": "c" },
      properties: { vmId: "aaaaaaaa-0000-0000-0000-000000000002", provisioningState: "Failed" },
    },
    {
      name: "somebody-elses",
      id: `${VM}/virtualMachines/somebody-elses`,
      type: "Microsoft.Compute/virtualMachines",
      location: "eastus",
      properties: { provisioningState: "Succeeded" },
    },
  ],
});

/** The same machines with `statusOnly=true`: ids in another case, and no tags. */
export const STATES_JSON = JSON.stringify({
  value: [
    {
      name: "no-1-0a1b2c3d",
      id: `${VM.replace("GROUP-1", "group-1")}/virtualMachines/no-1-0a1b2c3d`,
      location: "eastus",
      properties: {
        provisioningState: "Creating",
        instanceView: {
          statuses: [
            {
              code: "ProvisioningState/creating/OSProvisioningInProgress",
              level: "Info",
              displayStatus: "OS Provisioning In progress",
            },
            { code: "PowerState/running", level: "Info", displayStatus: "VM running" },
          ],
        },
      },
    },
  ],
});
