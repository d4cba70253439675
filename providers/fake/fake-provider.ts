/**
 * A cloud in memory: the provider port on a `Clock` and an `Rng`, for tests and simulations.
 *
 * Nothing happens in the background: when a machine is rented, the instants of its boot and of
 * its reclaim are drawn, and every answer is computed from them and from `clock.nowMs()`.
 * So a run is fixed by the seed, the clock and the order of the calls. Each chance has its own
 * stream, forked by the machine's number.
 *
 * Reclaims follow a constant hazard: with a fraction f per hour the time to a reclaim is
 * exponential with rate -ln(1 - f) per hour.
 */
import {
  assert,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  PlatformError,
  type Clock,
  type Offer,
  type Rng,
} from "../../core/index.ts";
import {
  BATCH_TAG,
  type Interruption,
  type NodeListing,
  type Provider,
  type ProviderNode,
  type RentOutcome,
  type RentRefusal,
  type RentRequest,
  type RentedMachine,
} from "../provider.ts";
import { attemptOf, detailsOf, placeOfRent, tokenConflict } from "../rent-request.ts";

/** The port's methods that can be made to fail. */
export type FakeOperation = "listOffers" | "rent" | "release" | "listNodes" | "interruptions";

/** How a fake cloud behaves; all chances are fractions 0..1. */
export interface FakeProviderOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  /** What it sells, in any order; each id once. */
  readonly offers: readonly Offer[];
  /** Machines are listed only this long after they were rented, as real clouds do. */
  readonly visibilityMs?: number;
  /** From a reclaim notice to the end of the machine. */
  readonly noticeMs?: number;
  /** Chance that a rent is refused although there is room. */
  readonly refusalFraction?: number;
  /** Chance that a machine takes `slowBootFactor` times its offer's boot time. */
  readonly slowBootFraction?: number;
  readonly slowBootFactor?: number;
  /** Most machines per quota group; groups that are absent have no limit. */
  readonly quotaLimits?: Readonly<Record<string, number>>;
}

/** A failure that is waiting for its call. */
export interface FakeFailure {
  readonly operation: FakeOperation;
  readonly error: PlatformError;
  /** `after`: the call takes effect and its answer is lost. */
  readonly when: "before" | "after";
}

/** The fake, with the handles a test needs. */
export interface FakeProvider extends Provider {
  /** What a listing would show if no region were out of reach; it never fails. */
  machines(): readonly ProviderNode[];
  /**
   * Takes a region out of reach, or back: its machines live on, are not listed and cannot be
   * released, and a rent there fails.
   */
  setRegionDown(region: string, isDown: boolean): void;
  /** Sets how many machines of an offer can be had at once; 0 is a shortage. */
  setCapacity(offerId: string, nodeCountMax: number): void;
  /** The next call of that operation fails; failures of one operation queue up. */
  failNext(failure: FakeFailure): void;
  /** Gives a reclaim notice for a machine now. */
  reclaim(providerNodeId: string): void;
}

const DEFAULT_NOTICE_MS = 2 * MS_PER_MINUTE;
const DEFAULT_SLOW_BOOT_FACTOR = 5;
/** Terminated machines stay listed this long, as on EC2. */
const TERMINATED_LISTED_MS = MS_PER_HOUR;

interface Machine {
  readonly providerNodeId: string;
  readonly nodeId: string;
  readonly offer: Offer;
  readonly request: RentRequest;
  readonly launchedAtMs: number;
  readonly runningAtMs: number;
  /** When the notice of its reclaim is given; infinite for steady machines. */
  reclaimNoticeAtMs: number;
  releasedAtMs: number;
}

/** A request that rented something, which is answered the same when it is repeated. */
interface Answered {
  readonly request: RentRequest;
  readonly outcome: RentOutcome;
}

/** A fake cloud with no machines. */
export function createFakeProvider(options: FakeProviderOptions): FakeProvider {
  return new InMemoryProvider(options);
}

class InMemoryProvider implements FakeProvider {
  readonly cloud = "fake";
  readonly #options: FakeProviderOptions;
  readonly #offers: ReadonlyMap<string, Offer>;
  readonly #capacity = new Map<string, number>();
  readonly #machines = new Map<string, Machine>();
  readonly #byToken = new Map<string, Answered>();
  readonly #failures: FakeFailure[] = [];
  readonly #down = new Set<string>();
  readonly #noticeMs: number;
  #rentCount = 0;

  constructor(options: FakeProviderOptions) {
    this.#options = options;
    this.#noticeMs = options.noticeMs ?? DEFAULT_NOTICE_MS;
    this.#offers = new Map(options.offers.map((offer) => [offer.offerId, offer]));
    assert(this.#offers.size === options.offers.length, "offers of a fake cloud repeat an id");
  }

  listOffers(): Promise<readonly Offer[]> {
    return this.#call("listOffers", () =>
      [...this.#offers.values()]
        .map((offer) => ({ ...offer, nodeCountMax: this.#capacityOf(offer) }))
        .sort((a, b) => (a.offerId < b.offerId ? -1 : 1)),
    );
  }

  rent(request: RentRequest): Promise<RentOutcome> {
    return this.#call("rent", () => this.#rent(request));
  }

  release(providerNodeIds: readonly string[]): Promise<void> {
    return this.#call("release", () => {
      const nowMs = this.#now();
      const out = providerNodeIds.filter((id) =>
        this.#down.has(this.#machines.get(id)?.offer.region ?? ""),
      );
      for (const id of providerNodeIds) {
        const machine = this.#machines.get(id);
        if (out.includes(id)) continue;
        if (machine !== undefined) machine.releasedAtMs = Math.min(machine.releasedAtMs, nowMs);
      }
      if (out.length > 0) throw outOfReach(`release ${out.join(", ")}`);
    });
  }

  listNodes(): Promise<NodeListing> {
    return this.#call("listNodes", () => ({
      nodes: this.#listed(({ offer }) => !this.#down.has(offer.region)),
      unseen: [...this.#down].map((region) => ({ region, reason: `${region} is down` })),
    }));
  }

  interruptions(): Promise<readonly Interruption[]> {
    return this.#call("interruptions", () =>
      [...this.#machines.values()]
        .filter((machine) => machine.reclaimNoticeAtMs <= this.#now() && this.#isLive(machine))
        .map(({ providerNodeId, reclaimNoticeAtMs }) => ({
          providerNodeId,
          noticedAtMs: reclaimNoticeAtMs,
          deadlineMs: reclaimNoticeAtMs + this.#noticeMs,
        })),
    );
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  machines(): readonly ProviderNode[] {
    return this.#listed(() => true);
  }

  #listed(isSeen: (machine: Machine) => boolean): readonly ProviderNode[] {
    const visibleFromMs = this.#options.visibilityMs ?? 0;
    return [...this.#machines.values()]
      .filter(isSeen)
      .filter((machine) => this.#now() - machine.launchedAtMs >= visibleFromMs)
      .filter((machine) => this.#now() - this.#endOf(machine) < TERMINATED_LISTED_MS)
      .map((machine) => this.#nodeOf(machine));
  }

  setRegionDown(region: string, isDown: boolean): void {
    if (isDown) this.#down.add(region);
    else this.#down.delete(region);
  }

  setCapacity(offerId: string, nodeCountMax: number): void {
    this.#capacity.set(offerId, nodeCountMax);
  }

  failNext(failure: FakeFailure): void {
    this.#failures.push(failure);
  }

  reclaim(providerNodeId: string): void {
    const machine = this.#machines.get(providerNodeId);
    assert(machine !== undefined, `no machine ${providerNodeId} to reclaim`);
    machine.reclaimNoticeAtMs = Math.min(machine.reclaimNoticeAtMs, this.#now());
  }

  /** One call of the port, with the failure that waits for it, if any. */
  #call<T>(operation: FakeOperation, apply: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      const index = this.#failures.findIndex((failure) => failure.operation === operation);
      const failure = index < 0 ? undefined : this.#failures.splice(index, 1)[0];
      if (failure?.when === "before") throw failure.error;
      const answer = apply();
      if (failure !== undefined) throw failure.error;
      return answer;
    });
  }

  #rent(request: RentRequest): RentOutcome {
    const [first] = request.offers;
    const { region } = placeOfRent(request, { cloud: first?.cloud ?? this.cloud });
    if (this.#down.has(region)) throw outOfReach(attemptOf(request));
    const offers = request.offers.map(({ offerId }) => this.#sold(offerId, request));
    const earlier = this.#byToken.get(request.clientToken);
    if (earlier !== undefined) return replay(earlier, request);
    const refusals = new Map<string, RentRefusal>();
    const rented: RentedMachine[] = [];
    for (const nodeId of request.nodeIds) {
      const machine = this.#rentOne(request, nodeId, { offers, refusals });
      if (machine === undefined) break;
      const { providerNodeId, offer } = machine;
      rented.push({ nodeId, providerNodeId, offerId: offer.offerId });
    }
    const outcome = { rented, refusals: [...refusals.values()] };
    if (rented.length > 0) this.#byToken.set(request.clientToken, { request, outcome });
    return outcome;
  }

  #sold(offerId: string, request: RentRequest): Offer {
    const offer = this.#offers.get(offerId);
    if (offer !== undefined) return offer;
    throw new PlatformError(
      `cannot ${attemptOf(request)}: offer ${offerId} is not sold here; list the offers again`,
      { code: "invalid_request", retryable: false, details: detailsOf(request) },
    );
  }

  /** A machine by the first offer that has not been refused to this request. */
  #rentOne(
    request: RentRequest,
    nodeId: string,
    choice: { readonly offers: readonly Offer[]; readonly refusals: Map<string, RentRefusal> },
  ): Machine | undefined {
    const rng = this.#options.rng.fork(`rent-${this.#rentCount++}`);
    for (const offer of choice.offers) {
      if (choice.refusals.has(offer.offerId)) continue;
      const refused = this.#refusal(offer, rng.fork("refusal"));
      if (refused !== undefined) {
        choice.refusals.set(offer.offerId, refused);
        continue;
      }
      const machine = this.#newMachine({ request, nodeId, offer }, rng);
      this.#machines.set(machine.providerNodeId, machine);
      return machine;
    }
    return undefined;
  }

  #refusal(offer: Offer, rng: Rng): RentRefusal | undefined {
    const { offerId } = offer;
    const { quotaLimits = {}, refusalFraction = 0 } = this.#options;
    for (const quotaGroup of offer.quotaGroups) {
      const limit = quotaLimits[quotaGroup] ?? Infinity;
      const used = this.#liveCount((other) => other.quotaGroups.includes(quotaGroup));
      if (used < limit) continue;
      const scope = { kind: "quota", quotaGroup } as const;
      return { offerId, reason: `quota ${quotaGroup} is used up (${limit})`, scope };
    }
    const free = this.#capacityOf(offer) - this.#liveCount((o) => o.offerId === offerId);
    if (free > 0 && rng.next() >= refusalFraction) return undefined;
    return { offerId, reason: `no ${offer.instanceType} now`, scope: { kind: "offer" } };
  }

  #newMachine(rent: Pick<Machine, "request" | "nodeId" | "offer">, rng: Rng): Machine {
    const { slowBootFraction = 0, slowBootFactor = DEFAULT_SLOW_BOOT_FACTOR } = this.#options;
    const launchedAtMs = this.#now();
    const slow = rng.fork("boot").next() < slowBootFraction;
    return {
      ...rent,
      providerNodeId: `fake-${String(this.#machines.size + 1).padStart(6, "0")}`,
      launchedAtMs,
      runningAtMs: launchedAtMs + rent.offer.bootMs * (slow ? slowBootFactor : 1),
      reclaimNoticeAtMs: launchedAtMs + lifetimeMs(rent.offer, rng.fork("reclaim")),
      releasedAtMs: Infinity,
    };
  }

  #nodeOf(machine: Machine): ProviderNode {
    const { providerNodeId, nodeId, launchedAtMs } = machine;
    const { clientToken, tags } = machine.request;
    const booting = this.#now() < machine.runningAtMs;
    const state = this.#isLive(machine) ? (booting ? "booting" : "running") : "terminated";
    const shown = { ...tags, [BATCH_TAG]: clientToken };
    return { providerNodeId, nodeId, clientToken, state, launchedAtMs, tags: shown };
  }

  #endOf(machine: Machine): number {
    return Math.min(machine.releasedAtMs, machine.reclaimNoticeAtMs + this.#noticeMs);
  }

  #isLive(machine: Machine): boolean {
    return this.#now() < this.#endOf(machine);
  }

  #liveCount(matches: (offer: Offer) => boolean): number {
    let count = 0;
    for (const machine of this.#machines.values()) {
      if (this.#isLive(machine) && matches(machine.offer)) count += 1;
    }
    return count;
  }

  #capacityOf(offer: Offer): number {
    return this.#capacity.get(offer.offerId) ?? offer.nodeCountMax;
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}

function outOfReach(attempted: string): PlatformError {
  return new PlatformError(`could not ${attempted}: its region is out of reach; repeat it later`, {
    code: "unavailable",
    retryable: true,
  });
}

/** A draw of the time until a reclaim notice; infinite when the offer is never reclaimed. */
function lifetimeMs(offer: Offer, rng: Rng): number {
  const hazardPerHour = -Math.log1p(-offer.reclaimFractionPerHour);
  if (hazardPerHour <= 0) return Infinity;
  return (-Math.log1p(-rng.next()) / hazardPerHour) * MS_PER_HOUR;
}

function replay(earlier: Answered, request: RentRequest): RentOutcome {
  const { nodeIds, offers } = earlier.request;
  const idOf = ({ offerId }: Offer): string => offerId;
  const same =
    nodeIds.join() === request.nodeIds.join() &&
    offers.map(idOf).join() === request.offers.map(idOf).join();
  if (same) return earlier.outcome;
  throw tokenConflict(request, earlier.request);
}
