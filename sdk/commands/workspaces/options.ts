/** What the command line may say to `token` and `workspace`. */

export interface TokenOptions {
  /** Such as `12h` or `30d`. */
  readonly expires?: string;
  /** Of which workspace. */
  readonly workspace?: string;
  readonly json?: boolean;
}

export interface WorkspaceOptions {
  /** Also when apps run there. */
  readonly yes?: boolean;
  readonly json?: boolean;
}
