/**
 * Versions of deployed apps on the wire.
 *
 *     GET    /v1/apps/{app}/versions?before&limit   -> AppHistory
 *     POST   /v1/apps/{app}/rollback                RollbackRequest -> Deployment
 */

/**
 * How a new version follows the one that runs. `rolling`: it takes new calls at once, while the
 * old one finishes what it has. `recreate`: its containers start when the old one has finished
 * and has no container left; new calls wait for them.
 */
export type DeployStrategy = "rolling" | "recreate";

/** Most versions in one answer. */
export const VERSIONS_PER_PAGE_MAX = 200;

export interface RollbackRequest {
  /** The version whose code and specs run again; absent: the one before the newest. */
  readonly version?: number;
  /** `rolling` unless given. */
  readonly strategy?: DeployStrategy;
}

/** What a version differs in from the one before it, by names of functions in order. */
export interface VersionChanges {
  /** The code of the app is another, whatever functions it is of. */
  readonly code: boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Functions whose specs differ. */
  readonly changed: readonly string[];
}

export interface AppVersion {
  readonly version: number;
  readonly appId: string;
  /** `finishing`: replaced, and not yet done with its calls or its containers. */
  readonly state: "running" | "finishing" | "stopped";
  readonly createdAtMs: number;
  readonly codeSha256: string;
  /** The token it was deployed with; absent for versions from before this was kept. */
  readonly deployedBy?: {
    readonly tokenId: string;
    /** Absent when the token is no more. */
    readonly name?: string;
  };
  readonly strategy: DeployStrategy;
  /** The version that a rollback took its code and specs from. */
  readonly rollbackOf?: number;
  readonly functions: readonly string[];
  /** Absent for the first version. */
  readonly changes?: VersionChanges;
}

export interface AppHistory {
  readonly app: string;
  /** Newest first. */
  readonly versions: readonly AppVersion[];
  /** There are older ones: ask again with `before` set to this. */
  readonly nextBefore?: number;
}
