/**
 * The clouds of a simulation: what can be rented at each moment, and what becomes of machines.
 *
 * Boots, failed launches and reclaims are drawn when a machine is rented, each from a stream of
 * its own; availability traces and events change the market as time goes on. When fewer machines
 * may be held than are, the rest is taken back, drawn at random, with the market's notice.
 * Billing runs from the launch to the end of the machine, at the price of each moment.
 */
import {
  MS_PER_HOUR,
  MS_PER_SECOND,
  type CloudName,
  type Offer,
  type Rng,
  type RngState,
} from "../../core/index.ts";
import { BATCH_TAG, type RentOutcome, type RentRequest } from "../../providers/index.ts";
import { isMatch } from "../offer-match.ts";
import type { MarketEvent, OfferMatch, SimulatedMarket } from "../world.ts";
import { normalDraws, type Draws, type DrawsState } from "../chance.ts";
import type { Bill, Machine, MachineEvent } from "./machine.ts";
import type { MarketStep, Timetable } from "./timetable.ts";

export interface MarketOptions {
  readonly market: SimulatedMarket;
  readonly rng: Rng;
  readonly timetable: Timetable;
  readonly nowMs: () => number;
  readonly bill: Bill;
  readonly onMachine: (machine: Machine, event: MachineEvent) => void;
}

/** An offer as it is now. */
interface Stall {
  offer: Offer;
  readonly basePrice: number;
  traceMax: number;
  eventMax: number;
  readonly machines: Set<Machine>;
}

/** A market that was written down. Plain data. */
export interface MarketState {
  readonly counts: MarketCounts;
  readonly stalls: Map<string, Stall>;
  readonly machines: Map<string, Machine>;
  readonly outUntilMs: Map<CloudName, number>;
  readonly boot: DrawsState;
  readonly launch: RngState;
  readonly reclaim: RngState;
  readonly pick: RngState;
  readonly born: number;
}

export interface MarketCounts {
  launches: number;
  launchFailures: number;
  refusals: number;
  reclaims: number;
}

/** No boot is faster than this share of its mean. */
const BOOT_FRACTION_MIN = 0.2;

export class Market {
  counts: MarketCounts = { launches: 0, launchFailures: 0, refusals: 0, reclaims: 0 };
  readonly #options: MarketOptions;
  #stalls = new Map<string, Stall>();
  #machines = new Map<string, Machine>();
  #outUntilMs = new Map<CloudName, number>();
  /** Offers whose reclaims are in a measured trace: they are not drawn as well. */
  readonly #replayed: ReadonlySet<string>;
  readonly #bootNormal: Draws;
  readonly #chance: { readonly launch: Rng; readonly reclaim: Rng; readonly pick: Rng };
  #born = 0;

  constructor(options: MarketOptions) {
    this.#options = options;
    const { market, rng, timetable } = options;
    this.#bootNormal = normalDraws(rng.fork("boot"));
    this.#chance = {
      launch: rng.fork("launch"),
      reclaim: rng.fork("reclaim"),
      pick: rng.fork("pick"),
    };
    this.#replayed = new Set(market.availability.flatMap(({ offerIds }) => offerIds));
    for (const offer of market.offers) {
      this.#stalls.set(offer.offerId, {
        offer,
        basePrice: offer.priceMicroUsdPerHour,
        traceMax: Infinity,
        eventMax: Infinity,
        machines: new Set(),
      });
    }
    for (const event of market.events) timetable.at(event.atMs, { kind: "event", event });
    for (const traceIndex of market.availability.keys()) this.#follow(traceIndex, 0);
  }

  /** What it holds, by reference. */
  save(): MarketState {
    const { launch, reclaim, pick } = this.#chance;
    return {
      counts: this.counts,
      stalls: this.#stalls,
      machines: this.#machines,
      outUntilMs: this.#outUntilMs,
      boot: this.#bootNormal.save(),
      launch: launch.save(),
      reclaim: reclaim.save(),
      pick: pick.save(),
      born: this.#born,
    };
  }

  /** Takes the place of what it holds; its steps come back with the timetable. */
  resume(state: MarketState): void {
    this.counts = state.counts;
    this.#stalls = state.stalls;
    this.#machines = state.machines;
    this.#outUntilMs = state.outUntilMs;
    this.#bootNormal.resume(state.boot);
    this.#chance.launch.resume(state.launch);
    this.#chance.reclaim.resume(state.reclaim);
    this.#chance.pick.resume(state.pick);
    this.#born = state.born;
  }

  /** Something of its own is due. */
  carryOut(due: MarketStep): void {
    switch (due.kind) {
      case "boot":
        this.#boot(due.machine);
        return;
      case "reclaim":
        this.#reclaim(due.machine);
        return;
      case "end":
        this.#end(due.machine);
        return;
      case "event":
        this.#happen(due.event);
        return;
      case "follow":
        this.#follow(due.traceIndex, due.step);
    }
  }

  get clouds(): readonly CloudName[] {
    return [...new Set([...this.#stalls.values()].map(({ offer }) => offer.cloud))].sort();
  }

  /** Offers of one cloud at their present prices. */
  offersOf(cloud: CloudName): readonly Offer[] {
    return [...this.#stalls.values()]
      .filter(({ offer }) => offer.cloud === cloud)
      .map(({ offer }) => offer);
  }

  get offers(): readonly Offer[] {
    return [...this.#stalls.values()].map(({ offer }) => offer);
  }

  /** Machines that cost money. */
  get machines(): ReadonlyMap<string, Machine> {
    return this.#machines;
  }

  /** Whether the interfaces of a cloud fail now. */
  isOut(cloud: CloudName): boolean {
    return (this.#outUntilMs.get(cloud) ?? 0) > this.#options.nowMs();
  }

  rent({ offers, nodeIds, clientToken, tags }: RentRequest): RentOutcome {
    const rented: { nodeId: string; providerNodeId: string; offerId: string }[] = [];
    const refusals: RentOutcome["refusals"][number][] = [];
    for (const { offerId } of offers) {
      const stall = this.#stalls.get(offerId);
      if (stall === undefined || rented.length === nodeIds.length) continue;
      const room = Math.max(0, limitOf(stall) - stall.machines.size);
      const taken = nodeIds.slice(rented.length, rented.length + room);
      for (const nodeId of taken) {
        const machine = this.#launch(stall, nodeId, { ...tags, [BATCH_TAG]: clientToken });
        rented.push({ nodeId, providerNodeId: machine.providerNodeId, offerId });
      }
      if (rented.length === nodeIds.length) continue;
      this.counts.refusals += 1;
      refusals.push({ offerId, reason: "no capacity", scope: { kind: "offer" } });
    }
    return { rented, refusals };
  }

  release(providerNodeId: string): void {
    const machine = this.#machines.get(providerNodeId);
    if (machine !== undefined) this.#end(machine);
  }

  /** Bills everything up to now; for the end of a run. */
  settle(): void {
    for (const machine of this.#machines.values()) this.#billUp(machine);
  }

  #launch(stall: Stall, nodeId: string, tags: Readonly<Record<string, string>>): Machine {
    const { market, nowMs, timetable } = this.#options;
    const { offer } = stall;
    const index = this.#born;
    this.#born += 1;
    const atMs = nowMs();
    const fails = this.#chance.launch.next() < market.launchFailureFraction;
    const stretch = Math.max(BOOT_FRACTION_MIN, 1 + market.bootSpreadFraction * this.#bootNormal());
    // A run begins with a fleet: its first machines are there at once.
    const bootMs = atMs === 0 ? 0 : offer.bootMs * stretch;
    const bootedAtMs = fails && atMs > 0 ? Infinity : atMs + bootMs;
    const providerNodeId = `m-${index}`;
    const clientToken = tags[BATCH_TAG] ?? "";
    const listed = { providerNodeId, nodeId, clientToken, launchedAtMs: atMs, tags };
    const machine: Machine = {
      index,
      providerNodeId,
      nodeId,
      offer,
      launchedAtMs: atMs,
      bootedAtMs,
      isBooted: false,
      isGone: false,
      reclaimAtMs: undefined,
      billedUntilMs: atMs,
      priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
      listed: { ...listed, state: "booting" },
    };
    this.counts.launches += 1;
    if (fails) this.counts.launchFailures += 1;
    this.#options.onMachine(machine, "launched");
    stall.machines.add(machine);
    this.#machines.set(providerNodeId, machine);
    timetable.at(bootedAtMs, { kind: "boot", machine });
    timetable.at(atMs + this.#drawLifeMs(offer), { kind: "reclaim", machine });
    return machine;
  }

  #boot(machine: Machine): void {
    if (machine.isGone) return;
    machine.isBooted = true;
    machine.listed = { ...machine.listed, state: "running" };
    this.#options.onMachine(machine, "booted");
  }

  /** Constant hazard: with a fraction f an hour, exponential with rate -ln(1 - f). */
  #drawLifeMs({ offerId, reclaimFractionPerHour }: Offer): number {
    if (reclaimFractionPerHour <= 0 || this.#replayed.has(offerId)) return Infinity;
    const perHour = -Math.log(1 - Math.min(0.999_999, reclaimFractionPerHour));
    return (-Math.log(1 - this.#chance.reclaim.next()) / perHour) * MS_PER_HOUR;
  }

  #reclaim(machine: Machine): void {
    if (machine.isGone || machine.reclaimAtMs !== undefined) return;
    const { nowMs, market, timetable, onMachine } = this.#options;
    this.counts.reclaims += 1;
    machine.reclaimAtMs = nowMs() + market.reclaimNoticeMs;
    if (market.reclaimNoticeMs === 0) {
      this.#end(machine);
      return;
    }
    onMachine(machine, "notice");
    timetable.at(machine.reclaimAtMs, { kind: "end", machine });
  }

  #end(machine: Machine): void {
    if (machine.isGone) return;
    this.#billUp(machine);
    machine.isGone = true;
    this.#machines.delete(machine.providerNodeId);
    this.#stalls.get(machine.offer.offerId)?.machines.delete(machine);
    this.#options.onMachine(machine, "gone");
  }

  #billUp(machine: Machine): void {
    const nowMs = this.#options.nowMs();
    if (nowMs > machine.billedUntilMs) this.#options.bill(machine, machine.billedUntilMs, nowMs);
    machine.billedUntilMs = nowMs;
  }

  #happen(event: MarketEvent): void {
    switch (event.kind) {
      case "capacity":
        for (const stall of this.#matching(event.match)) {
          stall.eventMax = event.nodeCountMax;
          this.#fit(stall);
        }
        return;
      case "price":
        for (const stall of this.#matching(event.match)) this.#reprice(stall, event.factor);
        return;
      case "reclaim":
        for (const stall of this.#matching(event.match)) {
          this.#takeBack(stall, Math.round(event.fraction * stall.machines.size));
        }
        return;
      case "outage":
        for (const cloud of this.clouds) {
          if (event.match.cloud !== undefined && event.match.cloud !== cloud) continue;
          this.#outUntilMs.set(cloud, event.untilMs);
        }
    }
  }

  #matching(match: OfferMatch): readonly Stall[] {
    return [...this.#stalls.values()].filter(({ offer }) => isMatch(offer, match));
  }

  #reprice(stall: Stall, factor: number): void {
    const priceMicroUsdPerHour = Math.round(stall.basePrice * factor);
    for (const machine of stall.machines) {
      this.#billUp(machine);
      machine.priceMicroUsdPerHour = priceMicroUsdPerHour;
    }
    stall.offer = { ...stall.offer, priceMicroUsdPerHour };
  }

  #follow(traceIndex: number, step: number): void {
    const trace = this.#options.market.availability[traceIndex];
    if (trace === undefined) return;
    const { nodeCounts, stepMs, offerIds } = trace;
    const count = nodeCounts[step % nodeCounts.length];
    if (count === undefined) return;
    for (const offerId of offerIds) {
      const stall = this.#stalls.get(offerId);
      if (stall === undefined) continue;
      stall.traceMax = count;
      this.#fit(stall);
    }
    let next = step + 1;
    while (next < step + nodeCounts.length && nodeCounts[next % nodeCounts.length] === count) {
      next += 1;
    }
    this.#options.timetable.at(next * stepMs, { kind: "follow", traceIndex, step: next });
  }

  #fit(stall: Stall): void {
    this.#takeBack(stall, stall.machines.size - limitOf(stall));
  }

  #takeBack(stall: Stall, count: number): void {
    const staying = [...stall.machines].filter(({ reclaimAtMs }) => reclaimAtMs === undefined);
    for (let left = Math.min(count, staying.length); left > 0; left -= 1) {
      const [taken] = staying.splice(this.#chance.pick.below(staying.length), 1);
      if (taken !== undefined) this.#reclaim(taken);
    }
  }
}

function limitOf({ offer, traceMax, eventMax }: Stall): number {
  return Math.min(offer.nodeCountMax, traceMax, eventMax);
}

/** What a machine cost in a stretch of time; whole micro-dollars, rounded once. */
export function costOf(machine: Machine, fromMs: number, untilMs: number): number {
  const seconds = (untilMs - fromMs) / MS_PER_SECOND;
  return Math.round((machine.priceMicroUsdPerHour * seconds * MS_PER_SECOND) / MS_PER_HOUR);
}
