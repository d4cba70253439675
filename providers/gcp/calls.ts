/**
 * The Compute Engine calls of one project, over Google's client (REST transport).
 *
 * The client's own retries are off: after them its errors no longer say what went wrong. Instead
 * a read that fails below the API is made once more at once, since a connection that lay idle is
 * the usual cause; anything more is the caller's loop. Every try has a deadline on our clock.
 */
import type {
  GlobalOperationsClient,
  InstancesClient,
  protos,
  RegionsClient,
  ZoneOperationsClient,
} from "@google-cloud/compute";
import {
  CHANGE_DEADLINE_MS,
  READ_DEADLINE_MS,
  RateLimiter,
  type LimitedCall,
  type RateLimit,
  type Urgency,
} from "../rate-limit.ts";
import type { GoogleAuth } from "google-auth-library";
import { messageOf, PlatformError, type Clock, type Rng } from "../../core/index.ts";
import { foreignAnswer, meaningOf, platformErrorOf } from "./translate.ts";

/** An instance as the client gives it. */
export type GcpInstance = protos.google.cloud.compute.v1.IInstance;
/** A request for many instances. */
export type GcpBulk = protos.google.cloud.compute.v1.IBulkInsertInstanceResource;
/** A quota as the client gives it. */
export type GcpQuota = protos.google.cloud.compute.v1.IQuota;
/** An operation as the client gives it. */
export type GcpOperation = protos.google.cloud.compute.v1.IOperation;

/** How long one try of a call may take, in ms. */
export interface GcpTimeouts {
  /** For calls that only read. */
  readonly readMs: number;
  /** For calls that rent or release. */
  readonly changeMs: number;
}

/** Who asks: a key file, nobody (an emulator), or whom the client finds by itself. */
export type GcpCredentials =
  { readonly kind: "anonymous" } | { readonly kind: "key-file"; readonly path: string };

export interface GcpCallsOptions {
  readonly projectId: string;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Buckets `changes`, `reads` and `operations`; absent means `rateOf`. */
  readonly limitOf?: (api: string) => RateLimit;
  /** Such as `http://127.0.0.1:40123`; absent means Google Cloud itself. */
  readonly endpoint?: string;
  /** Absent means the client's own search: environment, gcloud's file, machine account. */
  readonly credentials?: GcpCredentials;
  readonly timeouts?: Partial<GcpTimeouts>;
}

/** The calls that the provider makes; they throw `PlatformError` or the client's own errors. */
export interface GcpCalls {
  readonly projectId: string;
  readonly insert: (at: ChangeAt, instance: GcpInstance) => Promise<GcpOperation>;
  readonly bulkInsert: (at: ChangeAt, bulk: GcpBulk) => Promise<GcpOperation>;
  /** The operation when it is done, or as it is when the server will not wait longer. */
  readonly waitOperation: (zone: string, name: string) => Promise<GcpOperation>;
  /** Complete, or it throws. */
  readonly listOperations: (zone: string, filter: string) => Promise<readonly GcpOperation[]>;
  /** Of all zones that can be reached. */
  readonly aggregateOperations: (filter: string) => Promise<ZonedList<GcpOperation>>;
  /** Of all zones that can be reached. */
  readonly aggregateInstances: (filter: string) => Promise<ZonedList<GcpInstance>>;
  readonly regionQuotas: (region: string) => Promise<readonly GcpQuota[]>;
  /** Those of the permissions that the caller has in the project, as Resource Manager says. */
  readonly grantedPermissions: (permissions: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly deleteInstance: (zone: string, name: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** A list over all zones. */
export interface ZonedList<T> {
  /** Complete, but for the zones that are unseen. */
  readonly items: readonly T[];
  /** Names of zones that Compute Engine itself cannot reach now. */
  readonly unseenZones: readonly string[];
}

/** Where a change is made, and the id that makes its repetition harmless. */
export interface ChangeAt {
  readonly zone: string;
  readonly requestId: string;
}

/**
 * Half of what a new project has per minute and region, so that people and other tools can use
 * it too. Source: Compute Engine documentation, API rate quotas: 1,500 reads, 1,500 reads of
 * operations and 750 heavy changes a minute (read 2026-11).
 */
function rateOf(api: string): RateLimit {
  return { perSecond: api === "changes" ? 6 : 12, burst: 60 };
}

/** A wait for an operation is cut here and begun again: proxies cut idle connections too. */
const WAIT_DEADLINE_MS = 30_000;
/** Only against a clock that stands still: the deadlines proper are on ours. */
const SDK_TIMEOUT_MS = 600_000;
const PAGE_SIZE = 500;
/** Guards against a server that pages for ever: half a million instances. */
const PAGE_COUNT_MAX = 1_000;

/**
 * Loads the clients, which takes some tenths of a second the first time. They are loaded one by
 * one: the whole package is 136 clients, four times slower and 120 MB heavier.
 */
export async function openGcpCalls(options: GcpCallsOptions): Promise<GcpCalls> {
  const { GoogleAuth } = await import("google-auth-library");
  const [instances, zoneOperations, globalOperations, regions, settings] = await Promise.all([
    import("@google-cloud/compute/build/src/v1/instances_client.js"),
    import("@google-cloud/compute/build/src/v1/zone_operations_client.js"),
    import("@google-cloud/compute/build/src/v1/global_operations_client.js"),
    import("@google-cloud/compute/build/src/v1/regions_client.js"),
    clientSettings(options),
  ]);
  return new SdkCalls(options, {
    instances: new instances.InstancesClient(settings),
    zoneOperations: new zoneOperations.ZoneOperationsClient(settings),
    globalOperations: new globalOperations.GlobalOperationsClient(settings),
    regions: new regions.RegionsClient(settings),
    auth: new GoogleAuth({
      scopes: CLOUD_SCOPE,
      ...(settings.authClient === undefined ? {} : { authClient: settings.authClient }),
      ...(settings.keyFilename === undefined ? {} : { keyFilename: settings.keyFilename }),
    }),
  });
}

const CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform";
const RESOURCE_MANAGER = "https://cloudresourcemanager.googleapis.com";

async function clientSettings({ projectId, endpoint, credentials }: GcpCallsOptions) {
  const url = endpoint === undefined ? undefined : new URL(endpoint);
  const isAnonymous = credentials?.kind === "anonymous";
  const { PassThroughClient } = await import("google-auth-library");
  return {
    projectId,
    fallback: true,
    ...(url === undefined
      ? {}
      : {
          apiEndpoint: url.hostname,
          port: Number(url.port) || (url.protocol === "http:" ? 80 : 443),
          protocol: url.protocol.replace(":", ""),
        }),
    ...(isAnonymous ? { authClient: new PassThroughClient() } : {}),
    ...(credentials?.kind === "key-file" ? { keyFilename: credentials.path } : {}),
  };
}

interface Clients {
  readonly instances: InstancesClient;
  readonly zoneOperations: ZoneOperationsClient;
  readonly globalOperations: GlobalOperationsClient;
  readonly regions: RegionsClient;
  readonly auth: GoogleAuth;
}

/** A page as the client's inner calls give it. */
interface Page<T> {
  readonly kind?: string | null;
  readonly items?: T | null;
  readonly nextPageToken?: string | null;
  readonly unreachables?: readonly string[] | null;
}

/** What one zone adds to a page. */
interface Scope {
  readonly instances?: readonly GcpInstance[] | null;
  readonly operations?: readonly GcpOperation[] | null;
  readonly warning?: { readonly code?: string | null } | null;
}

type InnerCall = (
  request: object,
  options: object,
) => Promise<readonly [unknown, unknown, Page<unknown>]>;

class SdkCalls implements GcpCalls {
  readonly projectId: string;
  readonly #clients: Clients;
  readonly #limiter: RateLimiter;
  readonly #timeouts: GcpTimeouts;
  readonly #resourceManager: string;

  constructor(options: GcpCallsOptions, clients: Clients) {
    const { projectId, clock, rng, timeouts, limitOf = rateOf } = options;
    this.projectId = projectId;
    this.#resourceManager = options.endpoint ?? RESOURCE_MANAGER;
    this.#clients = clients;
    this.#limiter = new RateLimiter({ clock, rng, limitOf });
    this.#timeouts = { readMs: READ_DEADLINE_MS, changeMs: CHANGE_DEADLINE_MS, ...timeouts };
  }

  insert({ zone, requestId }: ChangeAt, instance: GcpInstance): Promise<GcpOperation> {
    const request = { project: this.projectId, zone, requestId, instanceResource: instance };
    return this.#change("rent", async (options) => {
      const [operation] = await this.#clients.instances.insert(request, options);
      return operation.latestResponse as GcpOperation;
    });
  }

  bulkInsert({ zone, requestId }: ChangeAt, bulk: GcpBulk): Promise<GcpOperation> {
    const request = {
      project: this.projectId,
      zone,
      requestId,
      bulkInsertInstanceResourceResource: bulk,
    };
    return this.#change("rent", async (options) => {
      const [operation] = await this.#clients.instances.bulkInsert(request, options);
      return operation.latestResponse as GcpOperation;
    });
  }

  deleteInstance(zone: string, name: string): Promise<unknown> {
    const request = { project: this.projectId, zone, instance: name };
    return this.#change("release", (options) => this.#clients.instances.delete(request, options));
  }

  waitOperation(zone: string, name: string): Promise<GcpOperation> {
    const request = { project: this.projectId, zone, operation: name };
    return this.#limited({
      api: "operations",
      urgency: "rent",
      deadlineMs: WAIT_DEADLINE_MS,
      run: async (signal) => {
        const [operation] = await this.#clients.zoneOperations.wait(request, onlyOnce(signal));
        return operation;
      },
    });
  }

  async listOperations(zone: string, filter: string): Promise<readonly GcpOperation[]> {
    const client = this.#clients.zoneOperations;
    await client.initialize();
    const attempted = `list operations in ${zone}`;
    const { pages, unreachables } = await this.#pages<readonly GcpOperation[]>({
      inner: client.innerApiCalls["list"] as InnerCall,
      request: { zone, filter },
      kind: "compute#operationList",
      attempted,
    });
    const [unreachable] = unreachables;
    if (unreachable !== undefined) throw incomplete(attempted, unreachable);
    return pages.flat();
  }

  async aggregateOperations(filter: string): Promise<ZonedList<GcpOperation>> {
    const client = this.#clients.globalOperations;
    await client.initialize();
    const { scopes, unseenZones } = await this.#scopes({
      inner: client.innerApiCalls["aggregatedList"] as InnerCall,
      request: { filter, returnPartialSuccess: true },
      kind: "compute#operationAggregatedList",
      attempted: "list operations",
    });
    return { items: scopes.flatMap(({ operations }) => operations ?? []), unseenZones };
  }

  async aggregateInstances(filter: string): Promise<ZonedList<GcpInstance>> {
    const client = this.#clients.instances;
    await client.initialize();
    const { scopes, unseenZones } = await this.#scopes({
      inner: client.innerApiCalls["aggregatedList"] as InnerCall,
      request: { filter, returnPartialSuccess: true },
      kind: "compute#instanceAggregatedList",
      attempted: "list instances",
    });
    return { items: scopes.flatMap(({ instances }) => instances ?? []), unseenZones };
  }

  regionQuotas(region: string): Promise<readonly GcpQuota[]> {
    const details = { projectId: this.projectId, region };
    const attempted = `read the quotas of ${region}`;
    return this.#read(attempted, async (signal) => {
      const request = { project: this.projectId, region };
      const [found] = await this.#clients.regions.get(request, onlyOnce(signal));
      if (found.kind !== "compute#region") throw foreignAnswer(attempted, details);
      return found.quotas ?? [];
    });
  }

  async grantedPermissions(permissions: readonly string[]): Promise<ReadonlySet<string>> {
    const url = `${this.#resourceManager}/v1/projects/${this.projectId}:testIamPermissions`;
    try {
      const { data } = await this.#limited({
        api: "reads",
        urgency: "read",
        deadlineMs: this.#timeouts.readMs,
        run: (signal) =>
          this.#clients.auth.request<{ permissions?: readonly string[] }>({
            url,
            method: "POST",
            data: { permissions },
            signal,
            retry: false,
          }),
      });
      return new Set(data.permissions);
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      throw new PlatformError(
        `could not ask which permissions there are in ${this.projectId}: ${messageOf(error)}; ` +
          "check the credentials, and that the Cloud Resource Manager API is enabled",
        { code: "unavailable", retryable: true, cause: error },
      );
    }
  }

  async close(): Promise<void> {
    const { instances, zoneOperations, globalOperations, regions } = this.#clients;
    const clients = [instances, zoneOperations, globalOperations, regions];
    await Promise.all(clients.map((client: { close(): unknown }) => client.close()));
  }

  #change<T>(urgency: Urgency, run: (options: object) => Promise<T>): Promise<T> {
    const deadlineMs = this.#timeouts.changeMs;
    return this.#limited({
      api: "changes",
      urgency,
      deadlineMs,
      run: (signal) => run(onlyOnce(signal)),
    });
  }

  #limited<T>(call: Omit<LimitedCall<T>, "throttleOf">): Promise<T> {
    return this.#limiter.call({ ...call, throttleOf });
  }

  /**
   * What each zone adds to a listing of all, and the zones that cannot be reached: these are
   * told among the `unreachables` of a page or by a warning in their own place.
   */
  async #scopes(listing: Listing): Promise<{
    readonly scopes: readonly Scope[];
    readonly unseenZones: readonly string[];
  }> {
    const { pages, unreachables } = await this.#pages<Readonly<Record<string, Scope>>>(listing);
    const scopes = pages.flatMap((page) => Object.entries(page));
    const warned = scopes.filter(([, { warning }]) => {
      const code = warning?.code ?? "NO_RESULTS_ON_PAGE";
      return code !== "NO_RESULTS_ON_PAGE";
    });
    const places = [...unreachables, ...warned.map(([place]) => place)];
    const strange = places.find((place) => zoneIn(place) === undefined);
    if (strange !== undefined) throw incomplete(listing.attempted, strange);
    const unseenZones = [...new Set(places.flatMap((place) => zoneIn(place) ?? []))].sort();
    return { scopes: scopes.map(([, scope]) => scope), unseenZones };
  }

  /**
   * The items of all pages, and the places that these call unreachable.
   *
   * @throws PlatformError also when a page is of another kind: a foreign 200 decodes to an empty
   *   answer, and must never look like an empty project.
   */
  async #pages<T>(listing: Listing): Promise<Pages<T>> {
    const { kind, attempted, request } = listing;
    const details = { projectId: this.projectId };
    const pages: T[] = [];
    const unreachables: string[] = [];
    let pageToken: string | undefined;
    for (let count = 0; count < PAGE_COUNT_MAX; count += 1) {
      const asked = {
        ...request,
        project: this.projectId,
        maxResults: PAGE_SIZE,
        ...(pageToken === undefined ? {} : { pageToken }),
      };
      const page = await this.#read(attempted, async (signal) => {
        const options = { ...onlyOnce(signal), autoPaginate: false };
        const [, , whole] = await listing.inner(asked, options);
        return whole as Page<T>;
      });
      if (page.kind !== kind) throw foreignAnswer(attempted, details);
      unreachables.push(...(page.unreachables ?? []));
      if (page.items !== undefined && page.items !== null) pages.push(page.items);
      pageToken = page.nextPageToken ?? "";
      if (pageToken === "") return { pages, unreachables };
    }
    throw new PlatformError(
      `could not ${attempted}: more than ${PAGE_COUNT_MAX} pages; check the endpoint`,
      { code: "unavailable", retryable: true, details },
    );
  }

  /** A read, made once more when it fails below the API. */
  async #read<T>(attempted: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadlineMs = this.#timeouts.readMs;
    const once = (): Promise<T> =>
      this.#limited({ api: "reads", urgency: "read", deadlineMs, run });
    try {
      return await once().catch((error: unknown) => {
        const meaning = meaningOf(error);
        if (meaning?.kind === "failed" && meaning.code === "unavailable") return once();
        throw error;
      });
    } catch (error) {
      throw platformErrorOf(error, attempted, { projectId: this.projectId });
    }
  }
}

/** What the pages of a listing hold, and which places they do not speak of. */
interface Pages<T> {
  readonly pages: readonly T[];
  readonly unreachables: readonly string[];
}

/** A listing that is read page by page. */
interface Listing {
  readonly inner: InnerCall;
  readonly request: object;
  /** Of a genuine page. */
  readonly kind: string;
  readonly attempted: string;
}

/** The client's own retries off, its own deadline out of the way. */
function onlyOnce(signal: AbortSignal): object {
  return { retry: null, signal, timeout: SDK_TIMEOUT_MS };
}

function throttleOf(error: unknown): object | undefined {
  const meaning = meaningOf(error);
  return meaning?.kind === "failed" && meaning.code === "rate_limited" ? {} : undefined;
}

/** The zone in `projects/P/zones/Z` or `zones/Z`; undefined for another kind of place. */
function zoneIn(place: string): string | undefined {
  return /(?:^|\/)zones\/([a-z0-9-]+)$/.exec(place)?.[1];
}

/** The error for a list that lacks a place which whoever asked has to know about. */
export function incomplete(attempted: string, missing: string): PlatformError {
  return new PlatformError(
    `could not ${attempted}: Compute Engine cannot reach ${missing} now, and a part is not a ` +
      "list; repeat it",
    { code: "unavailable", retryable: true, details: { missing } },
  );
}
