/** The parts of the API that only the command line uses. */
import type { Client } from "../client/client.ts";
import { NotFoundError } from "../errors.ts";
import { parseBuildEvents } from "./images/build-events.ts";
import type {
  BuildEvent,
  AppHistory,
  AppList,
  AppSummary,
  ContainerSummary,
  Deployment,
  DeployRequest,
  FunctionInfo,
  FunctionList,
  ImageDefinition,
  ImageList,
  PruneReport,
  RollbackRequest,
  ScalingUpdate,
} from "../protocol/index.ts";

const JSON_MEDIA_TYPE = "application/json";
/** Stopping is tried a little only: the platform ends abandoned apps by itself. */
const STOP_RETRY_FOR_MS = 5_000;

export class AdminClient {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Uploads `bytes` unless the server has them. @returns whether they had to be sent. */
  async uploadBlob(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const path = `/v1/blobs/${sha256}`;
    try {
      await this.#client.transport.send({ method: "HEAD", path });
      return false;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    const contentType = "application/octet-stream";
    await this.#client.transport.send({ method: "PUT", path, body: bytes, contentType });
    return true;
  }

  deploy(app: string, request: DeployRequest): Promise<Deployment> {
    return this.#client.transport.json<Deployment>({
      method: "POST",
      path: `/v1/apps/${encodeURIComponent(app)}/deployments`,
      body: JSON.stringify(request),
      contentType: JSON_MEDIA_TYPE,
    });
  }

  /** A page of an app's versions, newest first. */
  history(
    app: string,
    page: { readonly before: number | undefined; readonly limit: number | undefined },
  ): Promise<AppHistory> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(page)) {
      if (value !== undefined) query.set(name, String(value));
    }
    const path = `/v1/apps/${encodeURIComponent(app)}/versions?${query.toString()}`;
    return this.#client.transport.json<AppHistory>({ method: "GET", path });
  }

  rollback(app: string, request: RollbackRequest): Promise<Deployment> {
    return this.#client.transport.json<Deployment>({
      method: "POST",
      path: `/v1/apps/${encodeURIComponent(app)}/rollback`,
      body: JSON.stringify(request),
      contentType: JSON_MEDIA_TYPE,
    });
  }

  async heartbeat(appId: string): Promise<void> {
    const path = `/v1/deployments/${encodeURIComponent(appId)}/heartbeat`;
    await this.#client.transport.send({ method: "POST", path });
  }

  async apps(): Promise<readonly AppSummary[]> {
    const list = await this.#client.transport.json<AppList>({ method: "GET", path: "/v1/apps" });
    return list.apps;
  }

  /** @param app Its name or its id. */
  stopApp(app: string): Promise<AppSummary> {
    return this.#client.transport.json<AppSummary>({
      method: "POST",
      path: `/v1/apps/${encodeURIComponent(app)}/stop`,
      retryForMs: STOP_RETRY_FOR_MS,
    });
  }

  /** Functions of the deployed apps, or of one. */
  async functions(app: string | undefined): Promise<readonly FunctionInfo[]> {
    const query = app === undefined ? "" : `?app=${encodeURIComponent(app)}`;
    const path = `/v1/functions${query}`;
    const list = await this.#client.transport.json<FunctionList>({ method: "GET", path });
    return list.functions;
  }

  scaleFunction(app: string, name: string, update: ScalingUpdate): Promise<FunctionInfo> {
    const named = `/v1/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}`;
    return this.#client.transport.json<FunctionInfo>({
      method: "PATCH",
      path: `${named}/scaling`,
      body: JSON.stringify(update),
      contentType: JSON_MEDIA_TYPE,
    });
  }

  /** Progress of a build as it is made; leaving the loop, or the signal, cancels it. */
  async *buildImage(
    definition: ImageDefinition,
    signal?: AbortSignal,
  ): AsyncGenerator<BuildEvent, void, void> {
    const answer = await this.#client.transport.open({
      method: "POST",
      path: "/v1/images/builds",
      body: JSON.stringify(definition),
      contentType: JSON_MEDIA_TYPE,
      waitMs: Infinity,
      signal,
    });
    yield* parseBuildEvents(answer.stream());
  }

  images(): Promise<ImageList> {
    return this.#client.transport.json<ImageList>({ method: "GET", path: "/v1/images" });
  }

  pruneImages(): Promise<PruneReport> {
    const path = "/v1/images/prune";
    return this.#client.transport.json<PruneReport>({ method: "POST", path });
  }

  async containers(): Promise<readonly ContainerSummary[]> {
    const path = "/v1/containers";
    const list = await this.#client.transport.json<{
      readonly containers: readonly ContainerSummary[];
    }>({ method: "GET", path });
    return list.containers;
  }

  async stopContainer(containerId: string): Promise<void> {
    const path = `/v1/containers/${encodeURIComponent(containerId)}/stop`;
    await this.#client.transport.send({ method: "POST", path });
  }
}
