/**
 * Snapshots that nodes share through their server: what one has made others can restore.
 *
 * A node offers what it made; the server says which chunks it lacks, and has all of them before
 * it tells others. Whoever fetches verifies each chunk by its hash, whoever sent it.
 */
import { messageOf, PlatformError } from "../../core/index.ts";
import type { RemoteChunks } from "../store/chunk-source.ts";
import { CHUNK_BYTES_MAX, ENCODING_HEADER_BYTES, type ChunkId } from "../store/chunk.ts";
import { inLanes } from "./image-files.ts";
import { manifestOf, readManifest, type SnapshotRecord } from "./manifest.ts";

/** Where snapshots are shared. */
export interface SharedSnapshots {
  /** What another node made; undefined when there is none. @throws PlatformError `unavailable` */
  find(key: string, snapshotId: string): Promise<SnapshotRecord | undefined>;
  /**
   * Offers a snapshot, and sends what is missing of it; false when nobody else could use it now.
   *
   * @throws PlatformError when it could not be sent
   */
  offer(record: SnapshotRecord, read: (id: ChunkId) => Promise<Uint8Array>): Promise<boolean>;
  /** Says that one is bad, so that nobody restores it any more. @throws PlatformError */
  reject(record: SnapshotRecord): Promise<void>;
  /** The chunks of those that are shared. */
  readonly chunks: RemoteChunks;
}

/** What the server answers to an offer. */
export interface OfferAnswer {
  /** Whether another node could use it. */
  readonly wanted: boolean;
  /** Chunks to be sent, after which it is offered again; none when it is shared now. */
  readonly missing: readonly ChunkId[];
}

export interface HttpSnapshotsOptions {
  readonly serverUrl: string;
  /** The bearer token of now; it may change. */
  readonly token: () => string;
}

/** A container that starts waits for the server's answer at most this long. */
const FIND_MS_MAX = 3_000;
const SEND_MS_MAX = 30_000;
const MANIFEST_BYTES_MAX = 16 * 1_024 * 1_024;
/** What is collected while it is sent is missing again. */
const OFFERS_MAX = 3;
const MEDIA_TYPE = "application/octet-stream";

/** Snapshots of the server at `serverUrl`. */
export function createHttpSnapshots(options: HttpSnapshotsOptions): SharedSnapshots {
  const pathOf = ({ key, snapshotId }: Pick<SnapshotRecord, "key" | "snapshotId">): string =>
    `/v1/snapshots/${snapshotId}/${key}`;
  const offerOnce = async (record: SnapshotRecord): Promise<OfferAnswer> => {
    const body = manifestOf(record);
    const answer = await ask(options, { method: "PUT", path: pathOf(record), body });
    return readAnswer(answer ?? new Uint8Array(0));
  };
  return {
    find: async (key, snapshotId) => {
      const path = pathOf({ key, snapshotId });
      const bytes = await ask(options, { method: "GET", path, withinMs: FIND_MS_MAX });
      const record = bytes && readManifest(bytes);
      return record?.key === key && record.snapshotId === snapshotId ? record : undefined;
    },
    offer: async (record, read) => {
      for (let offers = 0; offers < OFFERS_MAX; offers += 1) {
        const { wanted, missing } = await offerOnce(record);
        if (!wanted) return false;
        if (missing.length === 0) return true;
        await inLanes(missing.length, async (position) => {
          const id = missing[position] ?? "";
          const path = `/v1/snapshots/chunks/${id}`;
          await ask(options, { method: "PUT", path, body: await read(id) });
        });
      }
      throw failed("the server lacks chunks of it although they were sent");
    },
    reject: async (record) => {
      await ask(options, { method: "DELETE", path: pathOf(record) });
    },
    chunks: { get: (id) => ask(options, { method: "GET", path: `/v1/snapshots/chunks/${id}` }) },
  };
}

interface Asked {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: Uint8Array;
  readonly withinMs?: number;
}

/** The answer's body; undefined when there is no such thing. */
async function ask(
  { serverUrl, token }: HttpSnapshotsOptions,
  { method, path, body, withinMs = SEND_MS_MAX }: Asked,
): Promise<Uint8Array | undefined> {
  try {
    const authorization = `Bearer ${token()}`;
    const response = await fetch(`${serverUrl}${path}`, {
      method,
      headers: { authorization, ...(body === undefined ? {} : { "content-type": MEDIA_TYPE }) },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
      signal: AbortSignal.timeout(withinMs),
    });
    if (response.status === 404) return undefined;
    if (!response.ok) throw failed(`${method} ${path} gave HTTP ${response.status}`);
    return await bytesOf(response, path);
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw failed(`${method} ${path} at ${serverUrl} failed: ${messageOf(error)}`, error);
  }
}

/** A server that says too much is cut short. */
async function bytesOf(response: Response, path: string): Promise<Uint8Array> {
  const byteCountMax = path.startsWith("/v1/snapshots/chunks/")
    ? CHUNK_BYTES_MAX + ENCODING_HEADER_BYTES
    : MANIFEST_BYTES_MAX;
  const parts: Uint8Array[] = [];
  let byteCount = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const part of body ?? []) {
    byteCount += part.byteLength;
    if (byteCount > byteCountMax) throw failed(`the answer to ${path} is too long`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function readAnswer(bytes: Uint8Array): OfferAnswer {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString());
  if (typeof value === "object" && value !== null && "wanted" in value && "missing" in value) {
    const { wanted, missing } = value;
    if (typeof wanted === "boolean" && Array.isArray(missing)) {
      return { wanted, missing: missing.map(String) };
    }
  }
  throw failed("the server's answer to an offered snapshot is none");
}

function failed(message: string, cause?: unknown): PlatformError {
  return new PlatformError(message, { code: "unavailable", retryable: true, cause });
}
