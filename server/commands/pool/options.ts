/** What the command line may say to `pool` and `cloud`. */

export interface ListingOptions {
  readonly json?: boolean;
}

export interface EventOptions extends ListingOptions {
  /** Only those of one node. */
  readonly node?: string;
  readonly limit?: string;
}

export interface OrderOptions extends ListingOptions {
  readonly reason?: string;
  /** Of a drain, such as `90s`, `10m` or `2h`. */
  readonly deadline?: string;
  /** Of a release: do not ask. */
  readonly yes?: boolean;
}

export type OrderKind = "cordon" | "uncordon" | "drain" | "release";
