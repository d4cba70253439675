/** Volumes as they are kept: names, versions, and which contents containers still read. */

/** A volume with its newest version. */
export interface StoredVolume {
  readonly workspaceId: string;
  readonly name: string;
  readonly volumeId: string;
  readonly createdAtMs: number;
  /** 0: nothing was committed yet. */
  readonly version: number;
  /** Of the newest version; absent while that is empty. */
  readonly contentId?: string;
  readonly entryCount: number;
  readonly bytes: number;
  readonly committedAtMs: number;
}

/** One version; its content is an index among the chunks. */
export interface StoredVolumeVersion {
  readonly volumeId: string;
  /** Counts up from 1. */
  readonly version: number;
  /** Absent: it is empty. */
  readonly contentId?: string;
  /** The writer's own name for its commit. */
  readonly commitId: string;
  readonly committedAtMs: number;
  /** A token's id or a container's. */
  readonly by: string;
  readonly changedCount: number;
  readonly removedCount: number;
  readonly entryCount: number;
  readonly bytes: number;
}

/** A content that a container reads as long as it lives. */
export interface VolumeHold {
  readonly containerId: string;
  readonly contentId: string;
  readonly heldAtMs: number;
}

export interface VolumeStore {
  /** False when the workspace has one of this name. */
  create(
    volume: Pick<StoredVolume, "workspaceId" | "name" | "volumeId" | "createdAtMs">,
  ): Promise<boolean>;
  find(workspaceId: string, name: string): Promise<StoredVolume | undefined>;
  /** By name. */
  list(workspaceId: string): Promise<readonly StoredVolume[]>;
  /** Removes it with its versions; false when there was none. */
  remove(workspaceId: string, name: string): Promise<boolean>;
}

export interface VolumeVersionStore {
  /**
   * Adds the version after the newest one; false when another was faster, or it is gone.
   *
   * @param leaseId The lease under which what it has anew was stored, which must be held.
   * @throws LeaseEndedError, with nothing added, when it has ended
   */
  add(version: StoredVolumeVersion, leaseId?: string): Promise<boolean>;
  /** Newest first. */
  list(volumeId: string): Promise<readonly StoredVolumeVersion[]>;
  findCommit(volumeId: string, commitId: string): Promise<StoredVolumeVersion | undefined>;
  /** Forgets versions up to `version` that were followed by another before `beforeMs`. */
  forget(volumeId: string, version: number, beforeMs: number): Promise<number>;
  /** The contents of all versions of all volumes. */
  contentIds(): Promise<readonly string[]>;
}

export interface VolumeHoldStore {
  add(holds: readonly VolumeHold[]): Promise<void>;
  list(): Promise<readonly VolumeHold[]>;
  remove(containerIds: readonly string[]): Promise<void>;
}
