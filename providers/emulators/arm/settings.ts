/** Delays and the like that can be changed while the emulator runs; those without a unit are in ms. */
export interface EmulatorSettings {
  /** From an accepted create to the verdict of the allocator: room on a host, or none. */
  readonly createMs: number;
  /** From the allocation to a provisioned machine, which is when the launcher is called. */
  readonly bootMs: number;
  /** From an accepted delete of a machine to its absence. */
  readonly deleteMs: number;
  /** Every change of an interface or address takes this long. */
  readonly networkMs: number;
  /** A new resource is in no list for this long; a read by its name finds it at once. */
  readonly listLagMs: number;
  /** After that it is missing from a list by chance, for this long. */
  readonly flickerMs: number;
  /** Chance of it, 0..1. */
  readonly flickerFraction: number;
  /** A deleted resource is still listed for this long. */
  readonly deletedListedMs: number;
  /** An interface cannot be deleted for this long after the create of its machine failed. */
  readonly nicReservedMs: number;
  /** From the notice of an eviction to the end of the machine; the real one is 30 s. */
  readonly evictionNoticeMs: number;
  /** Added to every answer. */
  readonly latencyMs: number;
  /** Most resources of one page of a list. */
  readonly pageSize: number;
  /**
   * Regions that do not answer: every call that speaks of one gets a 503, and so does a list of
   * machines that would have to ask it.
   */
  readonly downRegions: readonly string[];
  /** What `Retry-After` says of a running operation, in whole seconds. */
  readonly retryAfterS: number;
  /** What `Retry-After` says to a call beyond a request rate, in whole seconds. */
  readonly throttleRetryAfterS: number;
}

/** No delays, and the eviction notice of the real Azure. */
export const DEFAULT_SETTINGS: EmulatorSettings = {
  createMs: 0,
  bootMs: 0,
  deleteMs: 0,
  networkMs: 0,
  listLagMs: 0,
  flickerMs: 0,
  flickerFraction: 0,
  deletedListedMs: 0,
  nicReservedMs: 0,
  evictionNoticeMs: 30_000,
  latencyMs: 0,
  pageSize: 200,
  downRegions: [],
  retryAfterS: 0,
  throttleRetryAfterS: 1,
};
