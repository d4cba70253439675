/**
 * Answers of Compute Engine in the form the vendor's documents and clients have them, written
 * apart from the emulator so that both are held to the same wire. Ids are made up.
 */

/** An error document. */
export function errorJson(status: number, reason: string, message: string): string {
  const domain = /quota|rate/i.test(reason) ? "usageLimits" : "global";
  return JSON.stringify({
    error: { code: status, message, errors: [{ message, domain, reason }] },
  });
}

/** A bulk insert that made two of three. */
export const BULK_DONE_JSON = JSON.stringify({
  kind: "compute#operation",
  id: "7000000000000000001",
  name: "operation-1795465863770-2a51e7f0a996",
  zone: "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a",
  operationType: "bulkInsert",
  operationGroupId: "0b4ae1f4-6a6f-4b0c-9a0d-example",
  status: "DONE",
  progress: 100,
  insertTime: "2026-11-23T12:28:05.396-08:00",
  instancesBulkInsertOperationMetadata: {
    perLocationStatus: {
      "zones/us-central1-a": {
        status: "DONE",
        targetVmCount: 3,
        createdVmCount: 2,
        failedToCreateVmCount: 1,
      },
    },
  },
});

/** An insert that found its zone short. */
export const STOCKOUT_JSON = JSON.stringify({
  kind: "compute#operation",
  id: "7000000000000000002",
  name: "operation-1795465863771-2a51e7f0a997",
  zone: "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a",
  operationType: "insert",
  targetId: "7000000000000000003",
  targetLink: "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a/instances/no-1",
  status: "DONE",
  progress: 100,
  error: {
    errors: [
      {
        code: "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        message:
          "The zone 'projects/p/zones/us-central1-a' does not have enough resources available " +
          "to fulfill the request.  '(resource type:compute)'.",
        errorDetails: [
          {
            errorInfo: {
              reason: "resource_availability",
              domain: "compute.googleapis.com",
              metadatas: { vmType: "a3-highgpu-8g", zone: "us-central1-a", zonesAvailable: "" },
            },
          },
        ],
      },
    ],
  },
  httpErrorStatusCode: 503,
  httpErrorMessage: "SERVICE UNAVAILABLE",
});

/** An aggregated list: one running instance, one that is stopped, and a zone with none. */
export const LISTING_JSON = JSON.stringify({
  kind: "compute#instanceAggregatedList",
  id: "projects/p/aggregated/instances",
  items: {
    "zones/us-central1-a": {
      instances: [
        {
          kind: "compute#instance",
          id: "4567890123456789012",
          creationTimestamp: "2026-11-23T12:28:05.396-08:00",
          name: "no-1",
          zone: "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a",
          machineType:
            "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a/machineTypes/a3-highgpu-8g",
          status: "RUNNING",
          labels: { flotilla_3abatch: "token-1", flotilla_3acluster: "c1", empty: "" },
          labelFingerprint: "42WmSpB8rSM=",
          scheduling: { provisioningModel: "SPOT", preemptible: true },
        },
        {
          kind: "compute#instance",
          id: "4567890123456789013",
          creationTimestamp: "2026-11-23T12:28:06.000-08:00",
          name: "web--1",
          zone: "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a",
          status: "TERMINATED",
        },
      ],
    },
    "zones/us-central1-b": {
      warning: {
        code: "NO_RESULTS_ON_PAGE",
        message: "There are no results for scope 'zones/us-central1-b' on this page.",
        data: [{ key: "scope", value: "zones/us-central1-b" }],
      },
    },
  },
});
