/** Clients of a running emulator for its tests: Google's own, and plain REST. */
import { InstancesClient } from "@google-cloud/compute/build/src/v1/instances_client.js";
import { PassThroughClient } from "google-auth-library";
import type { GceEmulator } from "./index.ts";

/** A zone that sells everything the tests ask for. */
export const ZONE = "us-central1-a";

/** The properties that a machine of a type needs. */
export function propertiesOf(machineType: string, more: object = {}): object {
  return {
    machineType,
    scheduling: { onHostMaintenance: "TERMINATE", automaticRestart: false },
    networkInterfaces: [{ network: "global/networks/default" }],
    disks: [{ boot: true, initializeParams: { sourceImage: "global/images/x" } }],
    ...more,
  };
}

/** An instance as an insert takes it. */
export function instanceNamed(name: string, more: object = {}): object {
  return { name, ...propertiesOf(`zones/${ZONE}/machineTypes/a3-highgpu-8g`, more) };
}

/** The scheduling of a Spot machine. */
export const SPOT = {
  scheduling: {
    provisioningModel: "SPOT",
    instanceTerminationAction: "DELETE",
    onHostMaintenance: "TERMINATE",
    automaticRestart: false,
  },
};

/** What an answer holds. */
export interface RestAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Plain calls below the emulator's project. */
export function restClient({ endpoint, projectId }: GceEmulator) {
  const call = async (method: string, path: string, body?: unknown): Promise<RestAnswer> => {
    const response = await fetch(`${endpoint}/compute/v1/projects/${projectId}/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as RestAnswer["body"] };
  };
  return {
    call,
    insert: (name: string, more: object = {}, query = "") =>
      call("POST", `zones/${ZONE}/instances${query}`, instanceNamed(name, more)),
    bulkInsert: (body: object, query = "") =>
      call("POST", `zones/${ZONE}/instances/bulkInsert${query}`, body),
    /** The operation that an answer names, as it is now. */
    operation: async ({ body }: RestAnswer) =>
      (await call("GET", `zones/${ZONE}/operations/${String(body["name"])}`)).body,
  };
}

/** Google's client, unmodified, with its own retries off so that each call is one call. */
export function sdkClient({ endpoint, projectId }: GceEmulator): InstancesClient {
  const { hostname, port } = new URL(endpoint);
  return new InstancesClient({
    projectId,
    fallback: true,
    protocol: "http",
    apiEndpoint: hostname,
    port: Number(port),
    authClient: new PassThroughClient(),
  });
}

/** The reason of an error document. */
export function reasonOf({ body }: RestAnswer): string | undefined {
  return firstError(body)?.reason;
}

/** The code of the error of an operation. */
export function codeOf(operation: RestAnswer["body"]): string | undefined {
  return firstError(operation)?.code;
}

function firstError({ error }: RestAnswer["body"]) {
  const { errors } = (error ?? {}) as {
    readonly errors?: readonly { readonly reason?: string; readonly code?: string }[];
  };
  return errors?.[0];
}
