/** The API's volumes, typed. */
import type { Client } from "../client/client.ts";
import { allPages } from "../client/pages.ts";
import type { ApiRequest } from "../client/transport.ts";
import { FRAME_MEDIA_TYPE } from "../protocol/api.ts";
import { encodeFrame } from "../protocol/frames.ts";
import type {
  ChunkAnswer,
  CommitReport,
  VolumeCommit,
  VolumeEntry,
  VolumeEntryList,
  VolumeHistory,
  VolumeList,
  VolumeSummary,
  VolumeUpload,
  VolumeVersion,
} from "../protocol/volume.ts";

const JSON_MEDIA_TYPE = "application/json";
const PAGE_ITEMS = 1_000;

/** What a listing asks for. */
export interface EntryQuery {
  readonly path: string;
  readonly recursive: boolean;
  readonly version: number | undefined;
}

export class VolumeApi {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async list(): Promise<readonly VolumeSummary[]> {
    const pages = await allPages<VolumeList>(this.#client.transport, "/v1/volumes");
    return pages.flatMap(({ volumes }) => volumes);
  }

  create(name: string): Promise<VolumeSummary> {
    return this.#json({ method: "POST", path: "/v1/volumes", ...jsonBody({ name }) });
  }

  get(name: string): Promise<VolumeSummary> {
    return this.#json({ method: "GET", path: pathOf(name) });
  }

  async remove(name: string): Promise<void> {
    await this.#client.transport.send({ method: "DELETE", path: pathOf(name) });
  }

  async history(name: string): Promise<readonly VolumeVersion[]> {
    const pages = await allPages<VolumeHistory>(this.#client.transport, `${pathOf(name)}/versions`);
    return pages.flatMap(({ versions }) => versions);
  }

  /** All of one version, the newest unless another is asked for. */
  async entries(
    name: string,
    { path, recursive, version }: EntryQuery,
  ): Promise<{ readonly version: number; readonly entries: readonly VolumeEntry[] }> {
    const entries: VolumeEntry[] = [];
    let cursor: string | undefined;
    let of = version;
    do {
      const query = { path, recursive: String(recursive), limit: String(PAGE_ITEMS) };
      const page: VolumeEntryList = await this.#json({
        method: "GET",
        path: `${pathOf(name)}/entries?${queryOf({ ...query, cursor, version: of })}`,
      });
      entries.push(...page.entries);
      of = page.version;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return { version: of, entries };
  }

  /** The bytes of a file from `offset` on, as they come. */
  async read(
    name: string,
    file: { readonly path: string; readonly offset: number; readonly version: number | undefined },
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { path, offset, version } = file;
    const query = queryOf({ path, offset: String(offset), version });
    const answer = await this.#client.transport.open({
      method: "GET",
      path: `${pathOf(name)}/file?${query}`,
      waitMs: Infinity,
      signal,
    });
    return answer.stream();
  }

  beginUpload(name: string): Promise<VolumeUpload> {
    return this.#json({ method: "POST", path: `${pathOf(name)}/uploads` });
  }

  missingChunks(name: string, uploadId: string, chunkIds: readonly string[]): Promise<ChunkAnswer> {
    const path = `${pathOf(name)}/uploads/${uploadId}/missing`;
    return this.#json({ method: "POST", path, ...jsonBody({ chunkIds }) });
  }

  async storeChunks(name: string, uploadId: string, bodies: readonly Uint8Array[]): Promise<void> {
    const sizes = bodies.map((bytes) => bytes.byteLength);
    await this.#client.transport.send({
      method: "POST",
      path: `${pathOf(name)}/uploads/${uploadId}/chunks`,
      body: encodeFrame({ sizes }, bodies),
      contentType: FRAME_MEDIA_TYPE,
    });
  }

  commit(name: string, commit: VolumeCommit): Promise<CommitReport> {
    return this.#json({ method: "POST", path: `${pathOf(name)}/commits`, ...jsonBody(commit) });
  }

  #json<T>(request: ApiRequest): Promise<T> {
    return this.#client.transport.json<T>(request);
  }
}

function pathOf(name: string): string {
  return `/v1/volumes/${encodeURIComponent(name)}`;
}

function jsonBody(value: unknown): Pick<ApiRequest, "body" | "contentType"> & { body: string } {
  return { body: JSON.stringify(value), contentType: JSON_MEDIA_TYPE };
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.toString();
}
