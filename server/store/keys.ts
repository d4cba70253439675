/** What records of several kinds are named and guarded by. */

/** A function by name, whatever its version. */
export interface FunctionKey {
  readonly workspaceId: string;
  readonly app: string;
  readonly name: string;
}

/** The right of one process to change something alone: a later holder has a higher token. */
export interface Fence {
  readonly name: string;
  readonly token: number;
}
