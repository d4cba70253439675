/**
 * The calls of one subscription and resource group, over the Azure SDKs.
 *
 * Every call goes through the account's rate limiter: in its turn, with a deadline, and repeated
 * after a throttle when Azure says so. The SDK itself repeats a call twice after a 5xx or a
 * broken connection; a machine is created by name, so that a repeat creates nothing more.
 */
import type {
  ComputeManagementClient,
  ResourceSku,
  Usage,
  VirtualMachine,
} from "@azure/arm-compute";
import type { NetworkManagementClient } from "@azure/arm-network";
import { messageOf, type Clock, type Rng } from "../../core/index.ts";
import {
  CHANGE_DEADLINE_MS,
  RateLimiter,
  READ_DEADLINE_MS,
  type RateLimit,
  type Urgency,
} from "../rate-limit.ts";
import { adaptPipeline, isPlainHttp, OperationErrors, type AzureCredential } from "./pipeline.ts";
import { failureOfDocument, foreignAnswer, throttleOf, type AzureFailure } from "./translate.ts";

/** How long one call may take, in ms. */
export interface AzureTimeouts {
  /** For calls that only read. */
  readonly readMs: number;
  /** For calls that create or delete. */
  readonly changeMs: number;
  /** Before the SDK repeats a call that Azure or the network failed; longer the second time. */
  readonly retryPauseMs: number;
}

export const DEFAULT_AZURE_TIMEOUTS: AzureTimeouts = {
  readMs: READ_DEADLINE_MS,
  changeMs: CHANGE_DEADLINE_MS,
  retryPauseMs: 100,
};

/**
 * Requests that one service principal may make of a subscription: reads, writes and deletes.
 *
 * Source: "Understand how Azure Resource Manager throttles requests", Microsoft Learn (read
 * 2026-11).
 */
export function azureLimitOf(api: string): RateLimit {
  return api === "read" ? { perSecond: 25, burst: 250 } : { perSecond: 10, burst: 200 };
}

const RETRY_COUNT_MAX = 2;
const RETRY_PAUSE_MS_MAX = 2_000;

export interface AzureCallsOptions {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** Absent means Azure itself. */
  readonly endpoint?: string;
  /** Absent means the SDK's own search: environment, workload and managed identity, `az`. */
  readonly credential?: AzureCredential;
  readonly timeouts: AzureTimeouts;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Of `read`, `write` and `delete`. */
  readonly limitOf: (api: string) => RateLimit;
}

/** A create or delete that Azure has accepted. */
export interface Operation {
  /** Asks once how it stands. Rejects when the question fails, not when the operation did. */
  poll(): Promise<OperationStand>;
}

export type OperationStand =
  | { readonly kind: "running" }
  | { readonly kind: "succeeded" }
  | { readonly kind: "failed"; readonly failure: AzureFailure };

/** What a resource has that is left over when its machine is not there. */
export interface AzureResource {
  readonly location?: string;
  readonly tags?: Record<string, string>;
}

/** The calls that the provider makes; they reject with the SDK's own errors. */
export interface AzureCalls {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** Rejects with status 412 when there is a machine of that name. */
  createMachine(name: string, body: VirtualMachine): Promise<Operation>;
  /** With its instance view. */
  getMachine(name: string): Promise<VirtualMachine>;
  /** Resolves when it is accepted. */
  deleteMachine(name: string): Promise<void>;
  listMachines(): Promise<readonly VirtualMachine[]>;
  /** Those of the whole subscription in one region, which that region answers for by itself. */
  listMachinesIn(region: string): Promise<readonly VirtualMachine[]>;
  /** Machines of the subscription with power states and without tags. */
  listMachineStates(): Promise<readonly VirtualMachine[]>;
  deleteInterface(name: string): Promise<Operation>;
  deleteAddress(name: string): Promise<Operation>;
  deleteDisk(name: string): Promise<Operation>;
  listInterfaces(): Promise<readonly AzureResource[]>;
  listAddresses(): Promise<readonly AzureResource[]>;
  listDisks(): Promise<readonly AzureResource[]>;
  listSkus(region: string): Promise<readonly ResourceSku[]>;
  listUsages(region: string): Promise<readonly Usage[]>;
}

/** Loads the SDKs, which takes some tenths of a second the first time, and makes the clients. */
export async function openAzureCalls(options: AzureCallsOptions): Promise<AzureCalls> {
  const isPlain = isPlainHttp(options.endpoint);
  const [compute, network] = await Promise.all([
    import("@azure/arm-compute"),
    import("@azure/arm-network"),
  ]);
  const credential = options.credential ?? (await defaultCredential());
  const { endpoint, subscriptionId } = options;
  const clientOptions = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(isPlain ? { allowInsecureConnection: true } : {}),
    retryOptions: {
      maxRetries: RETRY_COUNT_MAX,
      retryDelayInMs: options.timeouts.retryPauseMs,
      maxRetryDelayInMs: RETRY_PAUSE_MS_MAX,
    },
  };
  const computeClient = new compute.ComputeManagementClient(
    credential,
    subscriptionId,
    clientOptions,
  );
  const networkClient = new network.NetworkManagementClient(
    credential,
    subscriptionId,
    clientOptions,
  );
  const errors = new OperationErrors();
  for (const { pipeline } of [computeClient, networkClient]) {
    adaptPipeline(pipeline, { credential, errors, isPlain });
  }
  return callsOf(computeClient, networkClient, { options, errors });
}

/**
 * The vendor's own search for credentials: it knows service principals, certificates, workload
 * and managed identities and the command line, renews tokens, and is what Azure's users know.
 */
async function defaultCredential(): Promise<AzureCredential> {
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new DefaultAzureCredential();
}

interface CallParts {
  readonly options: AzureCallsOptions;
  readonly errors: OperationErrors;
}

function callsOf(
  { virtualMachines, disks, resourceSkus, usage }: ComputeManagementClient,
  { networkInterfaces, publicIPAddresses }: NetworkManagementClient,
  parts: CallParts,
): AzureCalls {
  const { subscriptionId, resourceGroup: group } = parts.options;
  const { read, list, start } = limitedBy(parts);
  return {
    subscriptionId,
    resourceGroup: group,
    createMachine: (name, body) =>
      start("write", (abortSignal) =>
        virtualMachines.createOrUpdate(group, name, body, { abortSignal, ifNoneMatch: "*" }),
      ),
    getMachine: (name) =>
      read("rent", (abortSignal) =>
        virtualMachines.get(group, name, { abortSignal, expand: "instanceView" }),
      ),
    deleteMachine: async (name) => {
      await start("delete", (abortSignal) =>
        virtualMachines.delete(group, name, { abortSignal, forceDeletion: true }),
      );
    },
    listMachines: () => list(() => virtualMachines.list(group)),
    listMachinesIn: (region) => list(() => virtualMachines.listByLocation(region)),
    listMachineStates: () => list(() => virtualMachines.listAll({ statusOnly: "true" })),
    deleteInterface: (name) =>
      start("delete", (abortSignal) => networkInterfaces.delete(group, name, { abortSignal })),
    deleteAddress: (name) =>
      start("delete", (abortSignal) => publicIPAddresses.delete(group, name, { abortSignal })),
    deleteDisk: (name) =>
      start("delete", (abortSignal) => disks.delete(group, name, { abortSignal })),
    listInterfaces: () => list(() => networkInterfaces.list(group)),
    listAddresses: () => list(() => publicIPAddresses.list(group)),
    listDisks: () => list(() => disks.listByResourceGroup(group)),
    listUsages: (region) => list(() => usage.list(region)),
    listSkus: (region) => list(() => resourceSkus.list({ filter: `location eq '${region}'` })),
  };
}

/** A poller of the SDK, as far as it is used. */
interface Poller {
  readonly isDone: boolean;
  submitted(): Promise<void>;
  poll(options?: { abortSignal?: AbortSignal }): Promise<unknown>;
  serialize(): Promise<string>;
}

/** A paged list of the SDK, as far as it is used. */
interface PagedList<T> {
  byPage(): AsyncIterator<readonly T[]>;
}

/** Guards against a server that pages for ever. */
const PAGE_COUNT_MAX = 10_000;

function limitedBy({ options, errors }: CallParts) {
  const { clock, rng, timeouts } = options;
  const limiter = new RateLimiter({
    clock,
    rng,
    limitOf: options.limitOf,
  });
  const read = <T>(urgency: Urgency, run: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    limiter.call({ api: "read", urgency, deadlineMs: timeouts.readMs, run, throttleOf });
  const list = async <T>(open: () => PagedList<T>): Promise<readonly T[]> => {
    const items: T[] = [];
    // A failed page ends the SDK's iterator for good, so a throttled list begins again.
    let pages = open().byPage();
    for (let count = 0; count < PAGE_COUNT_MAX; count += 1) {
      const page = await read("read", () =>
        pages.next().catch((error: unknown) => {
          pages = open().byPage();
          items.length = 0;
          throw asForeign(error);
        }),
      );
      if (page.done === true) return items;
      items.push(...page.value);
    }
    throw new Error(`a list of Azure has more than ${PAGE_COUNT_MAX} pages`);
  };
  const start = async (
    api: "write" | "delete",
    open: (signal: AbortSignal) => Poller,
  ): Promise<Operation> => {
    const urgency = api === "write" ? "rent" : "release";
    const { poller } = await limiter.call({
      api,
      urgency,
      deadlineMs: timeouts.changeMs,
      run: async (signal) => {
        const opened = open(signal);
        await opened.submitted();
        // In an object, for a poller is awaited like a promise: to its operation's end.
        return { poller: opened };
      },
      throttleOf,
    });
    return { poll: () => read(urgency, (signal) => standOf(poller, signal, errors)) };
  };
  return { read, list, start };
}

/** The SDK reads an answer that has no list in it by a `TypeError`. */
function asForeign(error: unknown): unknown {
  return error instanceof TypeError ? foreignAnswer("list resources", {}) : error;
}

async function standOf(
  poller: Poller,
  abortSignal: AbortSignal,
  errors: OperationErrors,
): Promise<OperationStand> {
  if (isDone(poller)) return { kind: "succeeded" };
  try {
    await poller.poll({ abortSignal });
    return { kind: isDone(poller) ? "succeeded" : "running" };
  } catch (error) {
    const document = errors.take(operationUrlOf(await poller.serialize()));
    if (document === undefined) throw error;
    return { kind: "failed", failure: failureOfDocument(document, messageOf(error)) };
  }
}

/** A call, because polling changes it. */
function isDone(poller: Poller): boolean {
  return poller.isDone;
}

/** The address that a serialized poller asks. */
function operationUrlOf(serialized: string): string {
  const parsed = JSON.parse(serialized) as {
    readonly state?: { readonly config?: { readonly operationLocation?: string } };
  };
  return parsed.state?.config?.operationLocation ?? "";
}
