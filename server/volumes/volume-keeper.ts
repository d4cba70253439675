/** The volumes of workspaces: named, listed, read, committed to, and given to containers. */
import { PlatformError, type Clock, type IdSource } from "../../core/index.ts";
import {
  VersionStore,
  type ChunkStore,
  type StoreLease,
  type VolumeStart,
} from "../../sandbox/index.ts";
import type {
  ChunkAnswer,
  CommitReport,
  DeployRequest,
  NewVolume,
  VolumeCommit,
  VolumeEntry,
  VolumeMount,
  VolumeSummary,
  VolumeUpload,
  VolumeVersion,
} from "../../sdk/protocol/index.ts";
import { nearestWord } from "../../documents/index.ts";
import type { Principal, UploadKey, VolumeFile, VolumeService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { StoredVolume } from "../store/volume-store.ts";
import { grantOf, openGrant, type VolumeGrant } from "./grants.ts";
import { entriesOf, fileOf } from "./read-tree.ts";
import { VolumeCommits } from "./volume-commits.ts";
import { UPLOAD_IDLE_MS, VolumeUploads, type OpenUpload } from "./volume-uploads.ts";

export interface VolumeKeeperOptions {
  readonly store: Pick<RecordStore, "volumes" | "volumeVersions" | "volumeHolds" | "tokens">;
  readonly chunks: ChunkStore;
  /** Lets somebody store chunks. */
  readonly lease: () => StoreLease;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Known to this platform alone. */
  readonly key: Uint8Array;
  /** There are versions that nobody can reach any more. */
  readonly onGarbage: () => void;
  /** Whether the server knows a container of this id. */
  readonly isAlive: (containerId: string) => boolean;
}

/** A container that the server does not know may be one whose agent is away. */
const HOLD_MS = 3_600_000;
const VOLUMES_PER_WORKSPACE_MAX = 1_000;

export class VolumeKeeper implements VolumeService {
  readonly #options: VolumeKeeperOptions;
  readonly #versions: VersionStore;
  readonly #uploads: VolumeUploads;
  readonly #commits: VolumeCommits;
  readonly #startedAtMs: number;

  constructor(options: VolumeKeeperOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.nowMs();
    this.#versions = new VersionStore(options.chunks);
    this.#uploads = new VolumeUploads(options);
    const { uploads, versions } = { uploads: this.#uploads, versions: this.#versions };
    this.#commits = new VolumeCommits({ ...options, uploads, versions });
  }

  async create({ workspaceId }: Principal, { name }: NewVolume): Promise<VolumeSummary> {
    if (await this.#create(workspaceId, name)) return summaryOf(await this.#get(workspaceId, name));
    throw new PlatformError(`there is a volume ${name} already`, {
      code: "conflict",
      retryable: false,
      details: { volume: name },
    });
  }

  async list({ workspaceId }: Principal): Promise<readonly VolumeSummary[]> {
    return (await this.#options.store.volumes.list(workspaceId)).map(summaryOf);
  }

  async get(who: Principal, name: string): Promise<VolumeSummary> {
    return summaryOf(await this.#find(who, name));
  }

  async remove({ workspaceId }: Principal, name: string): Promise<void> {
    if (!(await this.#options.store.volumes.remove(workspaceId, name))) {
      throw await this.#noVolume(workspaceId, name);
    }
    this.#options.onGarbage();
  }

  async history(who: Principal, name: string): Promise<readonly VolumeVersion[]> {
    const { volumeVersions, tokens } = this.#options.store;
    const { volumeId } = await this.#find(who, name);
    const names = new Map(
      (await tokens.list(who.workspaceId)).map((token) => [token.tokenId, token.name]),
    );
    return (await volumeVersions.list(volumeId)).map((version) => ({
      version: version.version,
      committedAtMs: version.committedAtMs,
      ...byOf(version.by, names),
      changedCount: version.changedCount,
      removedCount: version.removedCount,
      entryCount: version.entryCount,
      bytes: version.bytes,
    }));
  }

  async entries(
    who: Principal,
    name: string,
    query: { readonly path: string; readonly recursive: boolean; readonly version?: number },
  ): Promise<{ readonly version: number; readonly entries: readonly VolumeEntry[] }> {
    const { version, contentId } = await this.#versionOf(who, name, query.version);
    const tree = await this.#versions.read(contentId);
    return { version, entries: entriesOf(tree, { ...query, volume: name }) };
  }

  async file(
    who: Principal,
    name: string,
    query: { readonly path: string; readonly offset: number; readonly version?: number },
  ): Promise<VolumeFile> {
    const { version, contentId } = await this.#versionOf(who, name, query.version);
    const file = fileOf(await this.#versions.read(contentId), { ...query, volume: name });
    const { offset } = query;
    const content = (): AsyncIterable<Uint8Array> => this.#versions.bytesOf(file, offset);
    return { version, bytes: file.bytes, content };
  }

  async beginUpload(who: Principal, name: string): Promise<VolumeUpload> {
    const { volumeId } = await this.#find(who, name);
    return { uploadId: this.#uploads.begin(volumeId).uploadId, idleMs: UPLOAD_IDLE_MS };
  }

  async missingChunks(
    who: Principal,
    upload: UploadKey,
    chunkIds: readonly string[],
  ): Promise<ChunkAnswer> {
    const volume = await this.#find(who, upload.volume);
    const open = this.#uploads.find(volume.volumeId, upload.uploadId);
    return { missing: await this.#commits.missingChunks(volume, open, chunkIds) };
  }

  async storeChunks(
    who: Principal,
    upload: UploadKey,
    chunks: readonly Uint8Array[],
  ): Promise<void> {
    await this.#commits.storeChunks(await this.#upload(who, upload), chunks);
  }

  async commit(who: Principal, name: string, commit: VolumeCommit): Promise<CommitReport> {
    const volume = await this.#find(who, name);
    return this.#commits.commit(volume, commit, who.containerId ?? who.tokenId);
  }

  openGrant(text: string): VolumeGrant | undefined {
    return openGrant(text, this.#options.key);
  }

  /**
   * Makes the volumes that a deployment wants made, and refuses functions that name others which
   * are not there.
   *
   * @throws PlatformError `invalid_request` with the function, the volume and the next step
   */
  async checkDeployment(workspaceId: string, request: DeployRequest): Promise<void> {
    for (const { name: functionName, spec } of request.functions) {
      for (const { name, createIfMissing = false } of spec.volumes ?? []) {
        if ((await this.#options.store.volumes.find(workspaceId, name)) !== undefined) continue;
        if (!createIfMissing) throw await this.#notDeployable(workspaceId, functionName, name);
        await this.#create(workspaceId, name);
      }
    }
  }

  /**
   * What a container needs to have its volumes, each as it is now.
   *
   * @throws PlatformError `not_found` when one has gone since the deployment
   */
  async startsOf(
    { workspaceId }: { readonly workspaceId: string },
    containerId: string,
    mounts: readonly VolumeMount[],
  ): Promise<readonly VolumeStart[]> {
    const { key, clock, store } = this.#options;
    const volumes = await Promise.all(mounts.map(({ name }) => this.#get(workspaceId, name)));
    const heldAtMs = clock.nowMs();
    await store.volumeHolds.add(
      volumes.flatMap(({ contentId }) =>
        contentId === undefined ? [] : [{ containerId, contentId, heldAtMs }],
      ),
    );
    return volumes.map(({ name, volumeId, version, contentId }, position) => ({
      path: mounts[position]?.path ?? "",
      ...{ name, volumeId, version },
      ...(contentId === undefined ? {} : { contentId }),
      grant: grantOf({ workspaceId, volumeId, containerId }, key),
    }));
  }

  /** The contents that must stay: of all versions that are kept, and what containers read. */
  async contentIdsInUse(): Promise<readonly string[]> {
    const { store, clock, isAlive } = this.#options;
    const holds = await store.volumeHolds.list();
    const nowMs = clock.nowMs();
    const gone = holds.filter(({ containerId, heldAtMs }) => {
      const knownAtMs = Math.max(heldAtMs, this.#startedAtMs);
      return !isAlive(containerId) && nowMs - knownAtMs > HOLD_MS;
    });
    await store.volumeHolds.remove([...new Set(gone.map(({ containerId }) => containerId))]);
    const read = holds.filter((hold) => !gone.includes(hold)).map(({ contentId }) => contentId);
    return [...(await store.volumeVersions.contentIds()), ...read];
  }

  async #create(workspaceId: string, name: string): Promise<boolean> {
    const { store, clock, ids } = this.#options;
    const count = (await store.volumes.list(workspaceId)).length;
    if (count >= VOLUMES_PER_WORKSPACE_MAX) {
      throw new PlatformError(
        `a workspace has at most ${VOLUMES_PER_WORKSPACE_MAX} volumes; delete one first`,
        { code: "quota_exceeded", retryable: false },
      );
    }
    const volumeId = ids.next("vo");
    return store.volumes.create({ workspaceId, name, volumeId, createdAtMs: clock.nowMs() });
  }

  async #upload(who: Principal, { volume, uploadId }: UploadKey): Promise<OpenUpload> {
    const { volumeId } = await this.#find(who, volume);
    return this.#uploads.find(volumeId, uploadId);
  }

  /** One version, the newest unless another is asked for. */
  async #versionOf(
    who: Principal,
    name: string,
    version: number | undefined,
  ): Promise<{ readonly version: number; readonly contentId?: string }> {
    const head = await this.#find(who, name);
    if (version === undefined || version === head.version) return head;
    const versions = await this.#options.store.volumeVersions.list(head.volumeId);
    const found = versions.find((each) => each.version === version);
    if (found !== undefined) return found;
    throw new PlatformError(
      `volume ${name} has no version ${version} any more, or not yet; ` +
        `see \`flotilla volume history ${name}\``,
      { code: "not_found", retryable: false, details: { volume: name, version } },
    );
  }

  /** The volume of a name; for an agent only the one that its grant is for. */
  async #find({ workspaceId, volumeId }: Principal, name: string): Promise<StoredVolume> {
    const volume = await this.#get(workspaceId, name);
    if (volumeId === undefined || volumeId === volume.volumeId) return volume;
    throw new PlatformError(`volume ${name} was deleted and made anew`, {
      code: "not_found",
      retryable: false,
      details: { volume: name },
    });
  }

  async #get(workspaceId: string, name: string): Promise<StoredVolume> {
    const volume = await this.#options.store.volumes.find(workspaceId, name);
    if (volume !== undefined) return volume;
    throw await this.#noVolume(workspaceId, name);
  }

  async #noVolume(workspaceId: string, name: string): Promise<PlatformError> {
    const near = await this.#nearest(workspaceId, name);
    return new PlatformError(
      `there is no volume ${name}${near}; create it: flotilla volume create ${name}`,
      { code: "not_found", retryable: false, details: { volume: name } },
    );
  }

  async #notDeployable(
    workspaceId: string,
    functionName: string,
    name: string,
  ): Promise<PlatformError> {
    const near = await this.#nearest(workspaceId, name);
    return new PlatformError(
      `function ${functionName} needs volume ${name}, which is not there${near}; create it ` +
        `(flotilla volume create ${name}), or let the deployment do it: ` +
        `Volume.fromName("${name}", { createIfMissing: true })`,
      {
        code: "invalid_request",
        retryable: false,
        details: { function: functionName, volume: name },
      },
    );
  }

  async #nearest(workspaceId: string, name: string): Promise<string> {
    const names = (await this.#options.store.volumes.list(workspaceId)).map((each) => each.name);
    const near = nearestWord(name, names);
    return near === undefined ? "" : ` (did you mean ${near}?)`;
  }
}

function summaryOf(volume: StoredVolume): VolumeSummary {
  const { name, volumeId, version, entryCount, bytes, contentId } = volume;
  const { createdAtMs, committedAtMs } = volume;
  return {
    ...{ name, volumeId, version, entryCount, bytes, createdAtMs, committedAtMs },
    ...(contentId === undefined ? {} : { contentId }),
  };
}

/** A container by its id, a token by its name while there is such. */
function byOf(by: string, names: ReadonlyMap<string, string>): { readonly by?: string } {
  if (by.startsWith("co_")) return { by };
  const name = names.get(by);
  return name === undefined ? {} : { by: name };
}
