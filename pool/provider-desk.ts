/**
 * The providers as the controller uses them: listings at a bounded rate, a limit on every call,
 * and failures as values.
 */
import { assert, PlatformError, type Clock, type CloudName } from "../core/index.ts";
import {
  isSurveying,
  type AccountView,
  type Provider,
  type ProviderNode,
  type RentOutcome,
  type RentRequest,
  type UnseenPlace,
} from "../providers/index.ts";

/** A listing, or why there is none. */
export type Listing =
  | {
      readonly kind: "listed";
      /** Complete, but for the places that are unseen. */
      readonly machines: readonly ProviderNode[];
      readonly unseen: readonly UnseenPlace[];
      /** Deadlines of the machines that will be taken back, by provider id. */
      readonly reclaimedAtMs: ReadonlyMap<string, number>;
    }
  /** It is not yet time to ask again. */
  | { readonly kind: "not-due" }
  | { readonly kind: "failed"; readonly reason: string };

/** A call that worked, or the platform error it ended in. */
export type Attempt<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "failed"; readonly error: PlatformError };

export interface ProviderDeskOptions {
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly clock: Clock;
  /** Least time between two listings of one provider. */
  readonly listEveryMs: number;
}

/** Longest wait for an answer that reads. */
export const READ_TIMEOUT_MS = 30_000;

/** Longest wait for an answer that rents or releases. */
export const WRITE_TIMEOUT_MS = 60_000;

/** Why a limit is no longer waited for; made once, since each call ends its limit with it. */
const ANSWERED = new Error("the call has ended");

/** Longest wait for a survey, which no tick waits for. */
const SURVEY_TIMEOUT_MS = 120_000;

/** Asks providers; a call never rejects with a `PlatformError`. */
export class ProviderDesk {
  readonly #options: ProviderDeskOptions;
  readonly #listedAtMs = new Map<CloudName, number>();

  constructor(options: ProviderDeskOptions) {
    this.#options = options;
  }

  /** Lists every provider whose turn it is, all at once. */
  async listAll(): Promise<ReadonlyMap<CloudName, Listing>> {
    const clouds = [...this.#options.providers.keys()];
    const listings = await Promise.all(clouds.map((cloud) => this.#list(cloud)));
    return new Map(clouds.map((cloud, index) => [cloud, listings[index] ?? { kind: "not-due" }]));
  }

  rent(request: RentRequest): Promise<Attempt<RentOutcome>> {
    const [offer] = request.offers;
    assert(offer !== undefined, "a rent names an offer");
    return this.#attempt(offer.cloud, WRITE_TIMEOUT_MS, (one) => one.rent(request));
  }

  release(cloud: CloudName, providerNodeIds: readonly string[]): Promise<Attempt<void>> {
    return this.#attempt(cloud, WRITE_TIMEOUT_MS, (one) => one.release(providerNodeIds));
  }

  /** Clouds whose accounts can be looked over beyond this cluster's tag. */
  surveyable(): readonly CloudName[] {
    return [...this.#options.providers].flatMap(([cloud, one]) => (isSurveying(one) ? cloud : []));
  }

  /** Looks over the account of a cloud that can be. */
  survey(cloud: CloudName): Promise<Attempt<AccountView>> {
    return this.#attempt(cloud, SURVEY_TIMEOUT_MS, (one) => {
      assert(isSurveying(one), `the provider of ${cloud} can survey its account`);
      return one.survey();
    });
  }

  async #list(cloud: CloudName): Promise<Listing> {
    const { clock, listEveryMs } = this.#options;
    const listedAtMs = this.#listedAtMs.get(cloud);
    const nowMs = clock.nowMs();
    const sinceMs = listedAtMs === undefined ? Infinity : nowMs - listedAtMs;
    if (sinceMs >= 0 && sinceMs < listEveryMs) return { kind: "not-due" };
    this.#listedAtMs.set(cloud, nowMs);
    // Side by side: a region that hangs is waited for once, and not twice.
    const [machines, notices] = await Promise.all([
      this.#attempt(cloud, READ_TIMEOUT_MS, (one) => one.listNodes()),
      this.#attempt(cloud, READ_TIMEOUT_MS, (one) => one.interruptions()),
    ]);
    if (machines.kind === "failed") return { kind: "failed", reason: machines.error.message };
    if (notices.kind === "failed") return { kind: "failed", reason: notices.error.message };
    const reclaimedAtMs = new Map(
      notices.value.map(({ providerNodeId, deadlineMs }) => [providerNodeId, deadlineMs]),
    );
    const { nodes, unseen } = machines.value;
    return { kind: "listed", machines: nodes, unseen, reclaimedAtMs };
  }

  async #attempt<T>(
    cloud: CloudName,
    timeoutMs: number,
    call: (provider: Provider) => Promise<T>,
  ): Promise<Attempt<T>> {
    const provider = this.#options.providers.get(cloud);
    try {
      if (provider === undefined) throw noProvider(cloud);
      return { kind: "done", value: await this.#within(timeoutMs, cloud, call(provider)) };
    } catch (error) {
      if (error instanceof PlatformError) return { kind: "failed", error };
      throw error;
    }
  }

  async #within<T>(timeoutMs: number, cloud: CloudName, answer: Promise<T>): Promise<T> {
    const settled = new AbortController();
    const late = new Promise<never>((_, reject) => {
      const sleep = this.#options.clock.sleep(timeoutMs, settled.signal);
      sleep.then(() => {
        if (!settled.signal.aborted) reject(timedOut(cloud, timeoutMs));
      }, reject);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      late.catch(() => undefined);
      settled.abort(ANSWERED);
    }
  }
}

function noProvider(cloud: CloudName): PlatformError {
  return new PlatformError(`no provider is configured for ${cloud}; add its credentials`, {
    code: "unavailable",
    retryable: true,
    details: { cloud },
  });
}

function timedOut(cloud: CloudName, timeoutMs: number): PlatformError {
  return new PlatformError(`${cloud} did not answer within ${timeoutMs} ms; it is asked again`, {
    code: "timed_out",
    retryable: true,
    details: { cloud, timeoutMs },
  });
}
