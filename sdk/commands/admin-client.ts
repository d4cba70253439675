/** The parts of the API that only the command line uses. */
import type { Client } from "../client/client.ts";
import { allPages } from "../client/pages.ts";
import { NotFoundError } from "../errors.ts";
import { parseBuildEvents } from "./images/build-events.ts";
import type {
  BuildEvent,
  AppHistory,
  AppList,
  AppSummary,
  ContainerList,
  ContainerSummary,
  Deployment,
  DeployRequest,
  FunctionInfo,
  FunctionList,
  ImageDefinition,
  ImageList,
  NewSecret,
  PruneReport,
  RollbackRequest,
  ScalingUpdate,
  SecretList,
  SecretSummary,
  SecretUpdate,
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
    const pages = await allPages<AppList>(this.#client.transport, "/v1/apps");
    return pages.flatMap(({ apps }) => apps);
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
    const query: Readonly<Record<string, string>> = app === undefined ? {} : { app };
    const pages = await allPages<FunctionList>(this.#client.transport, "/v1/functions", query);
    return pages.flatMap(({ functions }) => functions);
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

  /** Makes an image of what a sandbox has written; progress as of a build. */
  async *imageOfSandbox(sandboxId: string): AsyncGenerator<BuildEvent, void, void> {
    const answer = await this.#client.transport.open({
      method: "POST",
      path: `/v1/apps/${sandboxId}/images`,
      waitMs: Infinity,
    });
    yield* parseBuildEvents(answer.stream());
  }

  async deleteImage(imageId: string): Promise<void> {
    await this.#client.transport.send({ method: "DELETE", path: `/v1/images/${imageId}` });
  }

  /** The images of the workspace, those used last first, and what they take. */
  async images(): Promise<ImageList> {
    const pages = await allPages<ImageList>(this.#client.transport, "/v1/images");
    const [first] = pages;
    const images = pages
      .flatMap((page) => page.images)
      .sort((one, other) => other.usedAtMs - one.usedAtMs);
    return { images, layerCount: first?.layerCount ?? 0, diskByteCount: first?.diskByteCount ?? 0 };
  }

  /** Removes what nothing runs on; a dry run only says what. */
  pruneImages(isDryRun = false): Promise<PruneReport> {
    const path = `/v1/images/prune${isDryRun ? "?dryRun=true" : ""}`;
    return this.#client.transport.json<PruneReport>({ method: "POST", path });
  }

  createSecret(secret: NewSecret): Promise<SecretSummary> {
    return this.#client.transport.json<SecretSummary>({
      method: "POST",
      path: "/v1/secrets",
      body: JSON.stringify(secret),
      contentType: JSON_MEDIA_TYPE,
    });
  }

  updateSecret(name: string, update: SecretUpdate): Promise<SecretSummary> {
    return this.#client.transport.json<SecretSummary>({
      method: "PATCH",
      path: `/v1/secrets/${encodeURIComponent(name)}`,
      body: JSON.stringify(update),
      contentType: JSON_MEDIA_TYPE,
    });
  }

  async secrets(): Promise<readonly SecretSummary[]> {
    const pages = await allPages<SecretList>(this.#client.transport, "/v1/secrets");
    return pages.flatMap(({ secrets }) => secrets);
  }

  async deleteSecret(name: string): Promise<void> {
    const path = `/v1/secrets/${encodeURIComponent(name)}`;
    await this.#client.transport.send({ method: "DELETE", path });
  }

  async containers(): Promise<readonly ContainerSummary[]> {
    const pages = await allPages<ContainerList>(this.#client.transport, "/v1/containers");
    return pages.flatMap(({ containers }) => containers);
  }

  async stopContainer(containerId: string): Promise<void> {
    const path = `/v1/containers/${encodeURIComponent(containerId)}/stop`;
    await this.#client.transport.send({ method: "POST", path });
  }
}
