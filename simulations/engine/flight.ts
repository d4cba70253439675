/**
 * One run: the events of users, containers and machines in order of time, and between them the
 * rounds of placement and of capacity, as production makes them.
 *
 *     arrivals, ends of runs, starts, boots, reclaims   as they happen
 *     placement                                         when something begins to wait or room
 *                                                       comes, 1 ms apart or more
 *     floors and idle containers                        every second
 *     capacity: policy, then pool                       every `controlMs`
 *
 * A run begins under way: run and start times are known, and the machines of the first decision,
 * made for the trace's first rates, are there at once.
 *
 * Time does not pass while something is decided. Everything follows from the world, the policy
 * and the seed.
 */
import {
  countingIds,
  createRng,
  MS_PER_SECOND,
  type IdPrefix,
  type IdSource,
  type Rng,
} from "../../core/index.ts";
import type { CapacityAnswer, CapacityPolicy, FunctionLoad } from "../capacity-policy.ts";
import type { SimulationResult } from "../result.ts";
import { durationMsOf } from "../traces/trace.ts";
import type { World } from "../world.ts";
import { Arrivals } from "./arrivals.ts";
import type { Container } from "./function-state.ts";
import { Dispatch } from "./dispatch.ts";
import { Fleet } from "./fleet.ts";
import type { FunctionState } from "./function-state.ts";
import { expectedContainers, functionsOf, ratio, reportsOf } from "./functions.ts";
import type { FlightState } from "./flight-state.ts";
import { Market } from "./market.ts";
import { Placing, seenOf } from "./placing.ts";
import { Recorder } from "./recorder.ts";
import { Timetable, type Step } from "./timetable.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { WorkLog } from "./work-log.ts";

/** Where a run is; given between control ticks. */
export interface Progress {
  readonly nowMs: number;
  readonly untilMs: number;
  readonly inputs: number;
  readonly nodes: number;
  /** Where it went on, for a run that had been stopped; else 0. */
  readonly begunAtMs: number;
}

export interface FlightOptions {
  readonly seed: number;
  /** Least time between two rounds of placement, above 0; 1 ms when absent. */
  readonly placeEveryMs?: number;
  /** Called often, between control ticks. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  /** Where another run of the same world, kind of policy and seed was. Taken over, not copied. */
  readonly from?: FlightState;
  /** Asked between control ticks: what is given is called with where the run is, and may not keep it. */
  readonly checkpoint?: () => ((state: FlightState) => void) | undefined;
}

const PLACE_EVERY_MS = 1;
/** Idle containers give way to those that wait in rounds that are so far apart. */
const EVICT_EVERY_MS = 100;
const PROGRESS_EVERY_TICKS = 100;
/** Memory of the smoothed arrival rate. */
const RATE_MEMORY_MS = 20 * MS_PER_SECOND;

export class Flight {
  readonly #world: World;
  readonly #policy: CapacityPolicy;
  readonly #options: FlightOptions;
  readonly #clock = new VirtualClock();
  readonly #timetable = new Timetable();
  readonly #recorder: Recorder;
  readonly #functions: readonly FunctionState[];
  readonly #arrivals: Arrivals;
  readonly #dispatch: Dispatch;
  readonly #market: Market;
  readonly #fleet: Fleet;
  readonly #placing: Placing;
  readonly #work: WorkLog;
  #rates: Float64Array<ArrayBuffer>;
  readonly #idCounts = new Map<IdPrefix, number>();
  readonly #untilMs: number;
  #plans = { plans: 0, fallbacks: 0, gapSum: 0, unmetHours: 0 };
  #ticks = 0;
  /** When the next round of placement is due; `Infinity` while nothing asks for one. */
  #roundAtMs = 0;
  #roundedAtMs = -Infinity;
  #events = 0;

  constructor(world: World, policy: CapacityPolicy, options: FlightOptions) {
    this.#world = world;
    this.#policy = policy;
    this.#options = options;
    this.#untilMs = durationMsOf(world.trace);
    const rng = createRng(options.seed);
    const ids = countingIds(this.#idCounts);
    this.#recorder = new Recorder(this.#untilMs, world.trace.windowMs);
    this.#functions = functionsOf(world, rng);
    this.#rates = new Float64Array(this.#functions.length);
    this.#arrivals = new Arrivals(world.trace, rng.fork("arrivals"), world.arrivalCv);
    this.#work = new WorkLog(this.#functions);
    this.#dispatch = new Dispatch({
      recorder: this.#recorder,
      onDirty: (owner) => this.#dirty(owner),
      onIdle: () => {
        if (world.evictsIdle) this.#room(EVICT_EVERY_MS);
      },
      onGone: (container, nowMs) => this.#gone(container, nowMs),
    });
    this.#market = this.#newMarket(rng.fork("market"));
    this.#fleet = this.#newFleet(ids);
    this.#placing = new Placing({
      functions: this.#functions,
      dispatch: this.#dispatch,
      ids,
      rng: rng.fork("placing"),
      clock: this.#clock,
      policy: world.policy.scheduler,
      nodes: () => this.#fleet.schedulable,
      evictsIdle: world.evictsIdle,
      onPlaced: (container, nowMs) => this.#placed(container, nowMs),
    });
    if (options.from !== undefined) this.#resume(options.from);
  }

  /** Flies to the end of the trace. @throws the signal's reason when it is aborted. */
  async run(): Promise<SimulationResult> {
    const { controlMs } = this.#world;
    for (let atMs = this.#ticks * controlMs; atMs < this.#untilMs; atMs += controlMs) {
      this.#options.checkpoint?.()?.(this.#save(atMs));
      this.#options.signal?.throwIfAborted();
      this.#clock.set(atMs);
      await this.#control(atMs);
      this.#flyUntil(Math.min(this.#untilMs, atMs + controlMs));
      if (this.#ticks % PROGRESS_EVERY_TICKS === 0) this.#tell(atMs);
      this.#ticks += 1;
    }
    this.#clock.set(this.#untilMs);
    this.#tell(this.#untilMs);
    return this.#finish();
  }

  // ---------------------------------------------------------------- stop and go on

  /** Where the run is at the begin of a control tick, by reference. */
  #save(nowMs: number): FlightState {
    const policy = this.#policy.save?.();
    return {
      ticks: this.#ticks,
      functions: this.#functions.map((owner) => owner.save(nowMs)),
      recorder: this.#recorder.save(),
      arrivals: this.#arrivals.save(),
      work: this.#work.save(),
      dispatch: this.#dispatch.save(),
      market: this.#market.save(),
      timetable: this.#timetable.save(),
      fleet: this.#fleet.save(),
      placing: this.#placing.save(),
      idCounts: this.#idCounts,
      rates: this.#rates,
      plans: this.#plans,
      roundAtMs: this.#roundAtMs,
      roundedAtMs: this.#roundedAtMs,
      events: this.#events,
      ...(policy === undefined ? {} : { policy }),
    };
  }

  #resume(state: FlightState): void {
    const containers = new Map<string, Container>();
    for (const [index, saved] of state.functions.entries()) {
      const own = this.#functions[index]?.resume(saved) ?? [];
      for (const [containerId, container] of own) containers.set(containerId, container);
    }
    this.#ticks = state.ticks;
    this.#recorder.resume(state.recorder);
    this.#arrivals.resume(state.arrivals);
    this.#work.resume(state.work);
    this.#dispatch.resume(state.dispatch, containers);
    this.#market.resume(state.market);
    this.#timetable.resume(state.timetable);
    this.#fleet.resume(state.fleet, containers);
    this.#placing.resume(state.placing, containers);
    for (const [prefix, count] of state.idCounts) this.#idCounts.set(prefix, count);
    this.#rates = state.rates;
    this.#plans = state.plans;
    this.#roundAtMs = state.roundAtMs;
    this.#roundedAtMs = state.roundedAtMs;
    this.#events = state.events;
    if (state.policy !== undefined) this.#policy.resume?.(state.policy);
    this.#clock.set(this.#ticks * this.#world.controlMs);
  }

  // ---------------------------------------------------------------- events

  /** Everything that happens before `untilMs`, with the rounds of placement between. */
  #flyUntil(untilMs: number): void {
    let atMs = this.#clock.nowMs();
    while (atMs < untilMs) {
      const second = (Math.floor(atMs / MS_PER_SECOND) + 1) * MS_PER_SECOND;
      this.#runEvents(Math.min(untilMs, second));
      atMs = Math.min(untilMs, second, this.#roundAtMs);
      this.#clock.set(atMs);
      if (atMs === second) this.#everySecond(atMs);
      if (this.#roundAtMs <= atMs) this.#round(atMs);
    }
  }

  #round(nowMs: number): void {
    this.#roundAtMs = Infinity;
    this.#roundedAtMs = nowMs;
    this.#placing.round(nowMs);
  }

  /** Asks for a round of placement: now, or when the last one is long enough ago. */
  #askForRound(everyMs = PLACE_EVERY_MS): void {
    const { placeEveryMs = everyMs } = this.#options;
    const soonestMs = Math.max(this.#clock.nowMs(), this.#roundedAtMs + placeEveryMs);
    if (soonestMs < this.#roundAtMs) this.#roundAtMs = soonestMs;
  }

  /** Events before `untilMs` and before the next round, which each of them may bring about. */
  #runEvents(untilMs: number): void {
    const arrivals = this.#arrivals;
    const dispatch = this.#dispatch;
    const timetable = this.#timetable;
    let events = 0;
    for (;;) {
      const comesMs = arrivals.nextMs;
      const endsMs = dispatch.nextEndMs;
      const otherMs = timetable.nextMs;
      const first = comesMs < endsMs ? comesMs : endsMs;
      const nextMs = otherMs < first ? otherMs : first;
      if (nextMs >= untilMs || nextMs >= this.#roundAtMs) break;
      events += 1;
      this.#clock.set(nextMs);
      if (nextMs === otherMs) this.#carryOut(timetable.take());
      else if (nextMs === endsMs) dispatch.endRun(nextMs);
      else this.#arrive(nextMs);
    }
    this.#events += events;
  }

  #carryOut(step: Step | undefined): void {
    if (step?.kind === "started") this.#started(step.containerId);
    else if (step !== undefined) this.#market.carryOut(step);
  }

  #arrive(nowMs: number): void {
    const owner = this.#functions[this.#arrivals.take()];
    if (owner === undefined) return;
    const serviceMs = owner.drawServiceMs();
    this.#work.add(owner, nowMs, serviceMs);
    this.#dispatch.arrive(owner, nowMs, serviceMs);
  }

  #everySecond(nowMs: number): void {
    const { busyGpus, heldGpus, queued } = this.#dispatch;
    const { readyGpus, paidGpus } = this.#fleet;
    this.#recorder.sample({ busyGpus, heldGpus, readyGpus, paidGpus, queued });
    if (nowMs % this.#recorder.bucketMs === 0) this.#recorder.endBucket();
    for (const owner of this.#functions) owner.noteArrivals(nowMs);
    this.#placing.markDue(nowMs);
    this.#roundAtMs = nowMs;
  }

  // ---------------------------------------------------------------- containers and nodes

  #dirty(owner: FunctionState): void {
    owner.isDirty = true;
    // Where containers wait for room already, one more changes nothing until there is some.
    if (owner.pending.length === 0) this.#askForRound();
  }

  #placed(container: Container, nowMs: number): void {
    this.#fleet.admit(container);
    const { owner } = container;
    const { coldMs, snapshotMs } = owner.spec.start;
    const startMs = owner.hasSnapshot && snapshotMs !== undefined ? snapshotMs : coldMs;
    const { containerId } = container;
    this.#timetable.at(nowMs + startMs, { kind: "started", containerId });
  }

  #started(containerId: string): void {
    const container = this.#placing.placed.get(containerId);
    if (container?.state !== "starting") return;
    container.owner.hasSnapshot = true;
    this.#dispatch.ready(container, this.#clock.nowMs());
  }

  #gone(container: Container, nowMs: number): void {
    this.#placing.placed.delete(container.containerId);
    this.#fleet.dismiss(container, nowMs);
    this.#room();
  }

  #room(everyMs = PLACE_EVERY_MS): void {
    this.#placing.noteRoom();
    if (this.#placing.isWaiting) this.#askForRound(everyMs);
  }

  #newMarket(rng: Rng): Market {
    return new Market({
      market: this.#world.market,
      rng,
      timetable: this.#timetable,
      nowMs: () => this.#clock.nowMs(),
      bill: (machine, fromMs, untilMs) => this.#recorder.bill(machine, fromMs, untilMs),
      onMachine: (machine, event) => this.#fleet.noteMachine(machine, event, this.#clock.nowMs()),
    });
  }

  #newFleet(ids: IdSource): Fleet {
    return new Fleet({
      market: this.#market,
      clock: this.#clock,
      ids,
      policy: this.#policy.pool,
      onDrained: (nodeId, nowMs) => {
        for (const one of this.#fleet.containersOn(nodeId)) this.#dispatch.leave(one, nowMs);
      },
      onLost: (nodeId, nowMs) => {
        for (const one of this.#fleet.containersOn(nodeId)) this.#dispatch.end(one, nowMs);
      },
      onReady: () => this.#room(),
    });
  }

  // ---------------------------------------------------------------- capacity

  async #control(nowMs: number): Promise<void> {
    const loads = this.#functions.map((owner) => this.#loadOf(owner));
    const recorder = this.#recorder;
    const answer = await this.#policy.decide({
      nowMs,
      offers: this.#fleet.openOffers(),
      fleet: this.#fleet.present(),
      functions: loads,
      started: recorder.startedSinceLook,
      missed: recorder.missedSinceLook,
    });
    recorder.startedSinceLook = 0;
    recorder.missedSinceLook = 0;
    recorder.bufferGpus = answer.bufferGpuCount;
    this.#notePlan(answer);
    const containers = [...this.#placing.placed.values()].map(seenOf);
    const waiting = this.#functions.flatMap(({ pending }) => pending.map(seenOf));
    await this.#fleet.tick(answer.lines, containers, waiting);
    recorder.nodesMax = Math.max(recorder.nodesMax, this.#fleet.nodeCount);
  }

  #notePlan({ plan }: CapacityAnswer): void {
    if (plan === undefined) return;
    const hours = this.#world.controlMs / (3_600 * MS_PER_SECOND);
    this.#plans.plans += 1;
    this.#plans.fallbacks += Number(plan.isFallback);
    this.#plans.gapSum += plan.gapFraction;
    this.#plans.unmetHours += plan.unmetContainers * hours;
  }

  #loadOf(owner: FunctionState): FunctionLoad {
    const { spec, meanServiceMs: serviceMs, index } = owner;
    const { controlMs, trace } = this.#world;
    const isFirst = this.#clock.nowMs() === 0;
    const firstRate = trace.series[index]?.perSecond[0] ?? 0;
    const seen = (owner.arrivedSinceLook * MS_PER_SECOND) / controlMs;
    const arrivedPerSecond = isFirst ? firstRate : seen;
    const before = isFirst ? firstRate : (this.#rates[index] ?? 0);
    const share = 1 - Math.exp(-controlMs / RATE_MEMORY_MS);
    const arrivalsPerSecond = before + share * (arrivedPerSecond - before);
    this.#rates[index] = arrivalsPerSecond;
    owner.arrivedSinceLook = 0;
    const { busyPeak } = owner;
    owner.busyPeak = owner.busy;
    return {
      functionId: spec.functionId,
      needs: spec.needs,
      arrivedPerSecond,
      arrivalsPerSecond,
      serviceMs,
      running: owner.running,
      backlog: owner.queue.length,
      containers: isFirst ? expectedContainers(owner, firstRate) : owner.containers.size,
      waiting: isFirst ? 0 : owner.pending.length,
      concurrency: spec.concurrency,
      floor: spec.minContainers,
      maxContainers: spec.maxContainers,
      busyPeak,
    };
  }

  // ---------------------------------------------------------------- the end

  #tell(nowMs: number): void {
    const { ended } = this.#dispatch;
    const { nodeCount: nodes } = this.#fleet;
    const begunAtMs = (this.#options.from?.ticks ?? 0) * this.#world.controlMs;
    this.#options.onProgress?.({ nowMs, untilMs: this.#untilMs, inputs: ended, nodes, begunAtMs });
  }

  #finish(): SimulationResult {
    const nowMs = this.#untilMs;
    const recorder = this.#recorder;
    this.#market.settle();
    this.#dispatch.settle(nowMs);
    recorder.endBucket();
    let unserved = 0;
    for (const owner of this.#functions) {
      for (const arrivedMs of owner.queue.arrivals()) {
        unserved += 1;
        recorder.inputDone(owner, arrivedMs, nowMs - arrivedMs, nowMs - arrivedMs);
      }
      for (const container of owner.containers) {
        if (container.nodeId === undefined) continue;
        recorder.gpu.held += (owner.gpuCount * (nowMs - container.placedAtMs)) / MS_PER_SECOND;
      }
    }
    const inputs = this.#functions.reduce((sum, owner) => sum + owner.inputs, 0);
    const { counts } = this.#market;
    const { plans, fallbacks, gapSum, unmetHours } = this.#plans;
    return {
      world: this.#world.name,
      policy: this.#policy.name,
      seed: this.#options.seed,
      fromMs: 0,
      untilMs: nowMs,
      inputs,
      events: this.#events,
      cost: recorder.costReport(),
      gpu: recorder.gpuReport(),
      waits: {
        slot: recorder.slotWaits.quantiles(),
        firstInstruction: recorder.firstWaits.quantiles(),
        missFraction: ratio(recorder.missed, recorder.slotWaits.count),
        coldStartFraction: ratio(recorder.coldInputs, recorder.slotWaits.count),
      },
      functions: reportsOf(this.#functions),
      badWindowFraction: recorder.badWindowFraction,
      fleet: {
        ...counts,
        releases: this.#fleet.releases,
        nodesMax: recorder.nodesMax,
        retries: recorder.retries,
        unserved,
      },
      plans: {
        plans,
        fallbacks,
        meanGapFraction: ratio(gapSum, plans),
        unmetContainerHours: unmetHours,
      },
      bounds: this.#work.bounds(this.#world),
      timeline: recorder.timeline((count) => this.#work.offeredGpus(recorder.bucketMs, count)),
    };
  }
}
