/**
 * Commits: chunks are stored first, then the index of the next version, and at last the version
 * itself, in one transaction of the record store. So whatever process dies on the way, a volume
 * has all of a commit or nothing of it; chunks that belong to none are collected.
 */
import { PlatformError, type Clock } from "../../core/index.ts";
import {
  LeaseEndedError,
  piecesOf,
  storeChunks,
  VersionStore,
  type StoreLease,
} from "../../sandbox/index.ts";
import type { CommitReport, VolumeCommit } from "../../sdk/protocol/index.ts";
import { createTurns } from "../apps/turns.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { StoredVolume, StoredVolumeVersion } from "../store/volume-store.ts";
import type { OpenUpload, VolumeUploads } from "./volume-uploads.ts";

export interface VolumeCommitsOptions {
  readonly store: Pick<RecordStore, "volumes" | "volumeVersions">;
  readonly versions: VersionStore;
  readonly uploads: VolumeUploads;
  readonly lease: () => StoreLease;
  readonly onGarbage: () => void;
  readonly clock: Clock;
}

/** Versions that are kept however old they are. */
const KEPT_COUNT = 20;
/** A version that was followed by another stays so long: somebody may be about to read it. */
const KEPT_MS = 3_600_000;
const TRIES_MAX = 10;
const OVERWRITTEN_MAX = 1_000;

export class VolumeCommits {
  readonly #options: VolumeCommitsOptions;
  readonly #inTurn = createTurns();

  constructor(options: VolumeCommitsOptions) {
    this.#options = options;
  }

  /**
   * Which chunks must be sent for a commit. What is in the store already counts only where this
   * volume has it, or was sent it lately: what others have is nobody's business.
   */
  async missingChunks(
    volume: StoredVolume,
    upload: OpenUpload,
    chunkIds: readonly string[],
  ): Promise<readonly string[]> {
    const { versions, uploads } = this.#options;
    const own = piecesOf((await versions.read(volume.contentId)).values());
    const known = new Map([...own, ...uploads.sizesOf(volume.volumeId)]);
    const there = await upload.lease.store.has(chunkIds.filter((id) => known.has(id)));
    for (const id of there) upload.sizes.set(id, known.get(id) ?? 0);
    return [...new Set(chunkIds)].filter((id) => !there.has(id));
  }

  /** Stores chunks for a later commit. @throws PlatformError as the store does */
  async storeChunks({ lease, sizes }: OpenUpload, bodies: readonly Uint8Array[]): Promise<void> {
    for (const [id, byteCount] of await storeChunks(lease.store, bodies)) sizes.set(id, byteCount);
  }

  /**
   * Makes the next version.
   *
   * @param by Who commits: a token's id or a container's.
   * @throws PlatformError `invalid_request`, `payload_too_large`, `conflict`, `not_found`
   */
  async commit(volume: StoredVolume, commit: VolumeCommit, by: string): Promise<CommitReport> {
    const { uploads, lease } = this.#options;
    const { volumeId } = volume;
    const upload = commit.uploadId === undefined ? undefined : await this.#uploadOf(volume, commit);
    if (upload === "made") return this.#madeBefore(volume, commit);
    const own = upload === undefined ? lease() : undefined;
    const held = upload ?? { lease: own ?? lease(), sizes: new Map<string, number>() };
    try {
      const report = await this.#inTurn(volumeId, () =>
        this.#commit(volume, commit, { ...held, by }),
      ).catch((error: unknown) => {
        // Nothing can come of it any more.
        if (upload !== undefined && error instanceof LeaseEndedError) uploads.end(upload);
        throw error;
      });
      if (upload !== undefined) uploads.end(upload);
      return report;
    } finally {
      await own?.close();
    }
  }

  /** The upload of a commit; `made` when that was sent before and its upload has ended by it. */
  async #uploadOf(
    { volumeId }: StoredVolume,
    { commitId, uploadId = "" }: VolumeCommit,
  ): Promise<OpenUpload | "made"> {
    const { store, uploads } = this.#options;
    const before = await store.volumeVersions.findCommit(volumeId, commitId);
    return before === undefined ? uploads.find(volumeId, uploadId) : "made";
  }

  async #madeBefore({ volumeId }: StoredVolume, { commitId }: VolumeCommit): Promise<CommitReport> {
    const before = await this.#options.store.volumeVersions.findCommit(volumeId, commitId);
    const { version = 0, changedCount = 0, removedCount = 0 } = before ?? {};
    return { version, changedCount, removedCount, overwritten: [] };
  }

  async #commit(
    { workspaceId, name, volumeId }: StoredVolume,
    commit: VolumeCommit,
    held: {
      readonly lease: StoreLease;
      readonly sizes: Map<string, number>;
      readonly by: string;
    },
  ): Promise<CommitReport> {
    const { store, versions } = this.#options;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const head = await store.volumes.find(workspaceId, name);
      if (head?.volumeId !== volumeId) throw gone(name);
      const before = await store.volumeVersions.findCommit(volumeId, commit.commitId);
      if (before !== undefined) return this.#madeBefore(head, commit);
      const tree = await versions.read(head.contentId);
      // What the newest version has was held to its length when it came.
      versions.checkPieces(commit.changes, new Map([...piecesOf(tree.values()), ...held.sizes]));
      const merge = versions.merge(tree, commit);
      if (merge.kind === "refused") throw refused(name, merge);
      const { changedCount, removedCount } = merge;
      const overwritten = merge.overwritten.slice(0, OVERWRITTEN_MAX);
      if (changedCount + removedCount === 0) {
        return { version: head.version, changedCount, removedCount, overwritten };
      }
      const contentId = await versions.write(merge.tree, held.lease.store);
      const version = head.version + 1;
      const leaseId = await held.lease.held();
      const isAdded = await this.#add(leaseId, {
        ...{ volumeId, version, commitId: commit.commitId, by: held.by },
        ...(contentId === undefined ? {} : { contentId }),
        ...{ changedCount, removedCount },
        ...versions.figuresOf(merge.tree),
      });
      if (isAdded) return { version, changedCount, removedCount, overwritten };
    }
    throw new PlatformError(`volume ${name} is committed to all the time; try again`, {
      code: "conflict",
      retryable: true,
      details: { volume: name },
    });
  }

  async #add(
    leaseId: string,
    version: Omit<StoredVolumeVersion, "committedAtMs">,
  ): Promise<boolean> {
    const { store, clock } = this.#options;
    const nowMs = clock.nowMs();
    const added = { ...version, committedAtMs: nowMs };
    if (!(await store.volumeVersions.add(added, leaseId))) return false;
    const { volumeId, version: newest } = version;
    const upTo = newest - KEPT_COUNT;
    const forgotten = await store.volumeVersions.forget(volumeId, upTo, nowMs - KEPT_MS);
    if (forgotten > 0) this.#options.onGarbage();
    return true;
  }
}

function refused(
  name: string,
  { reason, isTooLarge }: { readonly reason: string; readonly isTooLarge: boolean },
): PlatformError {
  return new PlatformError(`volume ${name} cannot take this commit: ${reason}`, {
    code: isTooLarge ? "payload_too_large" : "invalid_request",
    retryable: false,
    details: { volume: name },
  });
}

function gone(name: string): PlatformError {
  return new PlatformError(`volume ${name} was deleted`, {
    code: "not_found",
    retryable: false,
    details: { volume: name },
  });
}
