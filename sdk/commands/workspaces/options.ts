/** What the command line may say to `token`, `workspace` and `usage`. */

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

/** Each a number, or `none`. */
export interface QuotaOptions {
  readonly containers?: string;
  readonly gpus?: string;
  readonly usdPerMonth?: string;
  readonly freeUsdPerMonth?: string;
  readonly json?: boolean;
}

export interface UsageOptions {
  readonly since?: string;
  readonly until?: string;
  readonly by: string;
  readonly csv?: boolean;
  readonly workspace?: string;
  readonly json?: boolean;
}
