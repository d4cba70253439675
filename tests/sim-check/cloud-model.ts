/**
 * A cloud whose interfaces fail and lie: lost answers, late, old and flickering listings, wrong
 * states, releases that are accepted and forgotten. The machines themselves are those of
 * `providers/fake`, on true time; what they are is the truth that checkers compare with.
 */
import { MS_PER_MINUTE, PlatformError, type Offer, type Rng } from "../../core/index.ts";
import { createFakeProvider, type FakeProvider } from "../../providers/fake/index.ts";
import type { NodeListing, Provider, ProviderNode, RentRequest } from "../../providers/index.ts";
import type { CallFault } from "./lifetime.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How a cloud lies; chances are of one call or of one machine in it, 0..1. */
export interface CloudLies {
  readonly visibilityMs: number;
  readonly flickerFraction: number;
  readonly staleFraction: number;
  readonly wrongStateFraction: number;
  readonly failureFraction: number;
  readonly forgottenReleaseFraction: number;
}

export interface CloudModelOptions {
  readonly time: VirtualTime;
  readonly rng: Rng;
  readonly offers: readonly Offer[];
  readonly lies: CloudLies;
  readonly noticeMs: number;
}

/** Machines this young may be missing from a listing. */
const YOUNG_MS = MS_PER_MINUTE;

export class CloudModel {
  readonly truth: FakeProvider;
  /** When each machine was first asked to be released, by provider id. */
  readonly releasedAtMs = new Map<string, number>();
  /** Told before a request takes effect. */
  onRent: (request: RentRequest) => void = () => undefined;
  onRelease: (providerNodeIds: readonly string[]) => void = () => undefined;
  /** Whether it lies and fails now. */
  isHonest = false;
  /** Whether no call is answered at all. */
  isOut = false;
  readonly #options: CloudModelOptions;
  readonly #rng: Rng;
  #lastListing: readonly ProviderNode[] = [];

  constructor(options: CloudModelOptions) {
    this.#options = options;
    const { time, rng, offers, noticeMs } = options;
    this.#rng = rng.fork("lies");
    const clock = time.clock();
    this.truth = createFakeProvider({ clock, rng: rng.fork("machines"), offers, noticeMs });
  }

  /** Every machine as it is, the ended ones of the last hour included. */
  machines(): Promise<readonly ProviderNode[]> {
    return Promise.resolve(this.truth.machines());
  }

  /** How the next call fails, if it does. */
  faultOf(): CallFault | undefined {
    if (this.isOut) return { error: failure("unavailable"), when: "before" };
    if (this.isHonest || this.#rng.next() >= this.#options.lies.failureFraction) return undefined;
    // A throttled call has had no effect.
    const isThrottled = this.#rng.below(3) === 0;
    if (isThrottled) return { error: failure("rate_limited"), when: "before" };
    const when = this.#rng.below(2) === 0 ? "before" : "after";
    return { error: failure("unavailable"), when };
  }

  /** The port, as it answers. */
  desk(): Provider {
    return {
      cloud: this.truth.cloud,
      listOffers: () => this.truth.listOffers(),
      interruptions: () => this.truth.interruptions(),
      close: () => Promise.resolve(),
      listNodes: () => this.#list(),
      rent: (request) => {
        this.onRent(request);
        return this.truth.rent(request);
      },
      release: (ids) => this.#release(ids),
    };
  }

  async #list(): Promise<NodeListing> {
    const { nodes: machines, unseen } = await this.truth.listNodes();
    if (this.isHonest) return { nodes: machines, unseen };
    const { staleFraction } = this.#options.lies;
    const isStale = this.#rng.next() < staleFraction;
    const before = this.#lastListing;
    this.#lastListing = machines.flatMap((machine) => this.#listed(machine));
    return { nodes: isStale ? before : this.#lastListing, unseen };
  }

  #listed(machine: ProviderNode): readonly ProviderNode[] {
    const { visibilityMs, flickerFraction, wrongStateFraction } = this.#options.lies;
    const ageMs = this.#options.time.nowMs() - machine.launchedAtMs;
    if (ageMs < visibilityMs) return [];
    if (ageMs < YOUNG_MS && this.#rng.next() < flickerFraction) return [];
    const isWrong = this.#rng.next() < wrongStateFraction;
    return [isWrong && machine.state === "running" ? { ...machine, state: "booting" } : machine];
  }

  #release(ids: readonly string[]): Promise<void> {
    this.onRelease(ids);
    const nowMs = this.#options.time.nowMs();
    const isForgotten =
      !this.isHonest && this.#rng.next() < this.#options.lies.forgottenReleaseFraction;
    for (const id of ids) {
      if (!isForgotten) this.releasedAtMs.set(id, this.releasedAtMs.get(id) ?? nowMs);
    }
    return isForgotten ? Promise.resolve() : this.truth.release(ids);
  }
}

function failure(code: "unavailable" | "rate_limited"): PlatformError {
  return new PlatformError(`the cloud says ${code}`, { code, retryable: true });
}
