/** The part of the record store that workspaces live in. */

export interface StoredWorkspace {
  readonly workspaceId: string;
  /** No two workspaces that are there have the same. */
  readonly name: string;
  readonly createdAtMs: number;
  /** What was in it may still be on its way out. */
  readonly deletedAtMs?: number;
}

export interface WorkspaceStore {
  /** Adds a workspace; false when one that is there has the name. */
  add(workspace: StoredWorkspace): Promise<boolean>;
  /** One that is there, by name. */
  find(name: string): Promise<StoredWorkspace | undefined>;
  /** Those that are there, by name in ascending order. */
  list(): Promise<readonly StoredWorkspace[]>;
  /**
   * Marks a workspace as deleted and revokes all its users' tokens, in one step; false when it is
   * not there. Nothing can be deployed to it from then on.
   */
  remove(workspaceId: string, nowMs: number): Promise<boolean>;
  /** Deleted workspaces that `purge` has not emptied yet. */
  listRemoved(): Promise<readonly StoredWorkspace[]>;
  /** Empties a deleted workspace: its secrets, its images' records and its rights to blobs. */
  purge(workspaceId: string, nowMs: number): Promise<void>;
}

/**
 * Which workspace has sent or been given which bytes. Blobs are stored once for all, by their
 * hash; whether they are there is told only to those who have them.
 */
export interface BlobOwners {
  add(workspaceId: string, sha256: string): Promise<void>;
  has(workspaceId: string, sha256: string): Promise<boolean>;
}
