/**
 * Hands the inputs of one function to its containers and records their results.
 *
 * Ranges are taken from the queue only as containers have room. Every input held here is in
 * exactly one place: waiting, or in one container. It leaves through a recorded result or goes
 * back to waiting when its container is gone; a range leaves the queue when all its inputs have
 * results. An input that was in a dying container together with others runs alone the next
 * time, so that the one to blame is known.
 *
 * One class, since every method moves inputs between the same few places and the rule above
 * holds only if no one else can. What needs no place (whom to give what, windows, blame) is pure
 * and stands in assign.ts, window.ts and settlement.ts.
 */
import type { AgentResult } from "../../sandbox/index.ts";
import { ON_TIME_MS, OVERDUE_MS } from "../../scheduler/index.ts";
import type { WireError } from "../../sdk/protocol/index.ts";
import { assignInputs, type InputConcurrency } from "./assign.ts";
import type { ContainerEnd, DispatcherPort } from "./dispatcher-port.ts";
import type { InputRange, LeasedRange, RangeQueue } from "./function-queue.ts";
import { inputIdOf, type LocalInput, type LocalLease } from "./input.ts";
import { exhaustionOf, failureOf, settlementOf, type Settlement } from "./settlement.ts";
import { RangeLine } from "./range-line.ts";
import { Resting } from "./resting.ts";
import type { RetryRule } from "./retry.ts";
import { RunTimes } from "./run-times.ts";
import { Slots, type Slot } from "./slots.ts";
import { windowFor } from "./window.ts";

/** Inputs of one queue job. */
export const RANGE_INPUTS_MAX = 200;
/** Times an input may be lost with a container that the platform did not end before it fails. */
export const ATTEMPTS_MAX = 10;
/** A container that runs one input this long is a place to take waiting inputs back from. */
const STEAL_AFTER_MS = 200;

const NO_RETRIES: RetryRule = { count: 0, initialDelayMs: 0, backoff: 1, maxDelayMs: 0 };
const ONE_AT_A_TIME: InputConcurrency = { target: 1, max: 1 };

export class FunctionDispatcher {
  readonly #queue: RangeQueue;
  readonly #line: RangeLine;
  readonly #port: DispatcherPort;
  readonly #concurrency: InputConcurrency;
  /** Its containers and what each has. */
  readonly slots = new Slots();
  readonly #held = new Map<string, LocalInput>();
  readonly #leases = new Set<LocalLease>();
  /** Inputs in containers whose call was cancelled: they never wait again. */
  readonly #unwanted = new WeakSet<LocalInput>();
  #waiting: LocalInput[] = [];
  /** Waiting inputs that must run alone. */
  #suspects: LocalInput[] = [];
  /** Inputs that failed and are tried again, and when. */
  readonly #resting: Resting;
  readonly #runTimes = new RunTimes();
  /** Inputs that had a container within `ON_TIME_MS`, since this was made. */
  onTimeCount = 0;
  #taking = false;
  /** Somebody asked to pump while inputs were being taken: look once more after it. */
  #askedAgain = false;
  #closed = false;

  /**
   * @param concurrency How many inputs a container runs at once; one unless given.
   * @param retries How failures are tried again; not at all unless given.
   */
  constructor(
    queue: RangeQueue,
    port: DispatcherPort,
    concurrency: InputConcurrency = ONE_AT_A_TIME,
    retries: RetryRule = NO_RETRIES,
  ) {
    this.#queue = queue;
    this.#line = new RangeLine(queue, () => port.nowMs());
    this.#port = port;
    this.#concurrency = concurrency;
    this.#resting = new Resting(retries);
  }

  /**
   * Moving average of one input's run time; undefined until enough have run to tell. The first
   * inputs of a container run slower than the rest, and must not make a fleet.
   */
  get serviceMs(): number | undefined {
    return this.#runTimes.isTelling ? this.#runTimes.latelyMs : undefined;
  }

  /** The same over many thousands: steadier, and slower to follow a change. */
  get meanServiceMs(): number | undefined {
    return this.#runTimes.isTelling ? this.#runTimes.meanMs : undefined;
  }

  /** Inputs in containers now. */
  get runningCount(): number {
    const idleCount = this.#waiting.length + this.#suspects.length + this.#resting.size;
    return this.#held.size - idleCount;
  }

  /** Inputs held here, waiting or in containers. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** When the oldest input of a container began, as far as we can tell; undefined for none. */
  runsSinceMs(containerId: string): number | undefined {
    return this.slots.headSinceMs(containerId);
  }

  inflightCount(containerId: string): number {
    return this.slots.get(containerId)?.inflight.size ?? 0;
  }

  /**
   * Puts inputs in the queue. Resolves when Redis has them; the ledger had them before. A single
   * input goes straight to a container that has nothing to do, if nothing else waits.
   */
  async enqueue(callId: string, from: number, to: number): Promise<void> {
    if (to - from === 1 && this.#isIdle()) return this.#handOver({ callId, from, to });
    const ranges: InputRange[] = [];
    for (let start = from; start < to; start += RANGE_INPUTS_MAX) {
      ranges.push({ callId, from: start, to: Math.min(to, start + RANGE_INPUTS_MAX) });
    }
    const added = this.#line.add(ranges);
    // Asked for at once: Redis answers in order.
    this.pump();
    await added;
    this.pump();
  }

  /**
   * A container is ready for inputs.
   *
   * @param startMs How long it took from its place on a node to here.
   */
  containerReady(containerId: string, startMs = 0): void {
    this.slots.ensure(containerId).startMs = startMs;
    this.pump();
  }

  /** The link to a container's agent broke: what was on its way is lost, until the agent is back. */
  containerCutOff(containerId: string): void {
    const slot = this.slots.get(containerId);
    if (slot !== undefined) slot.unsureIds = new Set(slot.inflight.keys());
  }

  /**
   * An agent came back with a container that still has these inputs: they count as in it, so
   * that they are not handed out a second time. Others that it had never arrived and wait again.
   */
  containerHolds(containerId: string, inputs: readonly LocalInput[]): void {
    const slot = this.slots.ensure(containerId);
    slot.isUsed = inputs.length > 0 && this.#concurrency.isSingleUse === true;
    for (const input of inputs) {
      const known = this.#held.get(input.inputId);
      if (known !== undefined) this.#unwait((other) => other === known);
      const held = known ?? input;
      this.#held.set(held.inputId, held);
      slot.inflight.set(held.inputId, held);
    }
    const arrived = new Set(inputs.map(inputIdOf));
    const isLost = (id: string): boolean => slot.unsureIds.has(id) && !arrived.has(id);
    const lost = [...slot.inflight.values()].filter(({ inputId }) => isLost(inputId));
    slot.unsureIds = new Set();
    for (const { inputId } of lost) slot.inflight.delete(inputId);
    this.#excuse(lost, containerId);
    this.#requeue(lost);
  }

  /** A container gets nothing more, and gives back what it has not begun. */
  containerDrains(containerId: string): void {
    const slot = this.slots.get(containerId);
    if (slot === undefined) return;
    slot.isDraining = true;
    const inputIds = [...slot.inflight.keys()];
    if (inputIds.length > 0) this.#port.takeBack(containerId, inputIds, false);
  }

  /** A container that was to drain gets inputs again. */
  containerStays(containerId: string): void {
    const slot = this.slots.get(containerId);
    if (slot !== undefined) slot.isDraining = false;
    this.pump();
  }

  /** A container is gone; what it had without a result waits again, or fails after too often. */
  containerGone(containerId: string, end: ContainerEnd): void {
    const slot = this.slots.get(containerId);
    if (slot === undefined) return;
    this.slots.delete(containerId);
    const orphans = [...slot.inflight.values()];
    for (const input of orphans) input.suspect ||= end === "died";
    if (end === "stopped") this.#excuse(orphans, containerId);
    this.#requeue(orphans);
  }

  /** Results from a container. Resolves when they are recorded; then the agent may forget them. */
  async results(
    containerId: string,
    results: readonly AgentResult[],
    payloads: readonly Uint8Array[],
  ): Promise<void> {
    const slot = this.slots.get(containerId);
    const settlements: Settlement[] = [];
    const returned: LocalInput[] = [];
    for (const [position, result] of results.entries()) {
      const input = this.#takeOut(slot, result.inputId);
      if (input === undefined) continue;
      if (result.outcome === "returned") {
        returned.push(input);
        continue;
      }
      if (result.outcome === "succeeded") this.#runTimes.note(result.runMs);
      else if (this.#restAfter(input, result)) continue;
      settlements.push(settlementOf(input, containerId, result, payloads[position]));
    }
    if (slot !== undefined && settlements.length > 0) slot.headSinceMs = this.#port.nowMs();
    this.#wait(returned);
    this.pump();
    await this.#settle(settlements);
  }

  /** Fails every input that waits here; the function cannot start. */
  async failWaiting(error: WireError): Promise<void> {
    await this.#takeWhile(() => this.#waiting.length < RANGE_INPUTS_MAX);
    const waiting = this.#unwait(() => true);
    await this.#settle(waiting.map((input) => failureOf(input, error)));
  }

  /** Forgets the waiting inputs of a cancelled call and takes the others back where possible. */
  cancelCall(callId: string): void {
    for (const input of this.#unwait((other) => other.callId === callId)) this.#release(input);
    for (const slot of this.slots.all()) {
      const own = [...slot.inflight.values()].filter((input) => input.callId === callId);
      for (const input of own) this.#unwanted.add(input);
      if (own.length > 0) this.#port.takeBack(slot.containerId, own.map(inputIdOf), true);
    }
  }

  /** Hands out what can be handed out; cheap when there is nothing to do. */
  pump(): void {
    if (this.#closed) return;
    if (this.#resting.size > 0) this.#wait(this.#resting.takeRested(this.#port.nowMs()));
    this.#handOut();
    this.#stealForIdle();
    if (!this.#wantsMore()) return;
    if (this.#taking) {
      this.#askedAgain = true;
      return;
    }
    this.#taking = true;
    this.#takeWhile(() => this.#wantsMore())
      .catch((error: unknown) => this.#port.onError(error, "taking inputs from the queue"))
      .finally(() => {
        this.#taking = false;
        if (!this.#askedAgain) return;
        this.#askedAgain = false;
        this.pump();
      });
  }

  /** Extends the locks of everything taken. */
  async renewLeases(): Promise<void> {
    const admitted = [...this.#leases].map((lease) => lease.range);
    await this.#queue.renew([...admitted, ...this.#line.held]);
  }

  /** Jobs in the queue, waiting or taken by anybody. */
  async queueDepth(): Promise<number> {
    return this.#queue.depth();
  }

  /** Gives back what is unfinished and closes the queue. */
  async close(): Promise<void> {
    this.#closed = true;
    const leases = [...this.#leases];
    this.#leases.clear();
    await this.#line.putBack();
    await Promise.allSettled(leases.map((lease) => this.#queue.putBack(lease.range)));
    await this.#queue.close();
  }

  /** Inputs that a container may hold when those in it run fast. */
  #window(): number {
    if (this.#concurrency.isSingleUse === true) return 1;
    return Math.max(this.#concurrency.max, windowFor(this.#runTimes.latelyMs));
  }

  /** Inputs that this one may hold now: none may wait there behind a long one. */
  #holdMax(slot: Slot): number {
    if (slot.isDraining || slot.isUsed) return 0;
    for (const input of slot.inflight.values()) if (input.suspect) return 0;
    return this.#runsLong(slot) ? this.#concurrency.max : this.#window();
  }

  #wantsMore(): boolean {
    return !this.#line.isDry && this.#hasRoom();
  }

  #hasRoom(): boolean {
    const window = this.#window();
    let room = 0;
    for (const slot of this.slots.open()) room += Math.max(0, window - slot.inflight.size);
    // One range ahead keeps containers busy while the next one is being taken.
    const ahead = this.slots.size > 0 && window > 1 ? RANGE_INPUTS_MAX : 0;
    return this.#waiting.length < room + ahead;
  }

  /** Inputs that its containers are through with before one that comes now is overdue. */
  #runnableUntilOverdue(): number {
    const runMs = this.#runTimes.latelyMs ?? OVERDUE_MS;
    const lanes = this.slots.open().length * this.#concurrency.max;
    return Math.ceil((lanes * OVERDUE_MS) / Math.max(1, runMs));
  }

  /** Whether a container has nothing to do and nothing waits, here or, as far as known, queued. */
  #isIdle(): boolean {
    const isEmpty = this.#waiting.length + this.#suspects.length === 0 && this.#line.isEmpty;
    if (!isEmpty || this.#closed) return false;
    return this.slots.open().some((slot) => slot.inflight.size === 0);
  }

  async #handOver(range: InputRange): Promise<void> {
    const { range: leased, stored } = this.#queue.lease(range);
    await Promise.all([this.#admit(leased), stored]);
  }

  async #takeWhile(wanted: () => boolean): Promise<void> {
    while (!this.#closed && wanted()) {
      const range = await this.#line.next(this.#runnableUntilOverdue());
      if (range === undefined) return;
      await this.#admit(range);
    }
  }

  /** Loads the inputs of a range that is ours, and hands out what can be. */
  async #admit(range: LeasedRange): Promise<void> {
    const lease: LocalLease = { range, openCount: 0 };
    this.#leases.add(lease);
    for (const loaded of await this.#load(lease)) {
      const inputId = inputIdOf(loaded);
      if (this.#held.has(inputId)) continue;
      const input: LocalInput = { ...loaded, inputId, lease };
      lease.openCount += 1;
      this.#held.set(inputId, input);
      this.#waiting.push(input);
    }
    if (lease.openCount === 0) this.#finishLease(lease);
    this.#handOut();
  }

  /** What a lease is about; one that cannot be read goes back and is not renewed any more. */
  async #load(lease: LocalLease): ReturnType<DispatcherPort["loadOpen"]> {
    try {
      return await this.#port.loadOpen(lease.range);
    } catch (error) {
      this.#leases.delete(lease);
      // What cannot be given back comes back when its lock ends.
      await this.#queue.putBack(lease.range).catch((failure: unknown) => {
        this.#port.onError(failure, `giving back a range of call ${lease.range.callId}`);
      });
      throw error;
    }
  }

  #handOut(): void {
    const reserved = this.#handOutSuspects();
    if (this.#waiting.length === 0) return;
    const rooms = this.slots
      .all()
      .filter((slot) => slot !== reserved)
      .map((slot) => ({
        containerId: slot.containerId,
        inflightCount: slot.inflight.size,
        holdMax: this.#holdMax(slot),
      }));
    let next = 0;
    const assignments = assignInputs(this.#waiting.length, rooms, this.#concurrency);
    for (const { containerId, inputCount } of assignments) {
      const inputs = this.#waiting.slice(next, next + inputCount);
      if (this.#send(containerId, inputs)) next += inputCount;
    }
    if (next > 0) this.#waiting = this.#waiting.slice(next);
  }

  /** Gives each suspect an empty container; gives the one that is to run empty for the next. */
  #handOutSuspects(): Slot | undefined {
    const slots = this.slots.open().toSorted((a, b) => a.inflight.size - b.inflight.size);
    for (const slot of slots) {
      const [suspect] = this.#suspects;
      if (suspect === undefined) return undefined;
      if (slot.inflight.size > 0) return slot;
      if (this.#send(slot.containerId, [suspect])) this.#suspects.shift();
    }
    return undefined;
  }

  #send(containerId: string, inputs: readonly LocalInput[]): boolean {
    const slot = this.slots.get(containerId);
    if (slot === undefined || !this.#port.sendInputs(containerId, inputs)) return false;
    if (slot.inflight.size === 0) slot.headSinceMs = this.#port.nowMs();
    slot.isUsed = this.#concurrency.isSingleUse === true;
    const onTime = inputs.filter((input) => input.attempts === 0 && this.#isOnTime(input, slot));
    this.onTimeCount += onTime.length;
    slot.startMs = 0;
    for (const input of inputs) {
      input.attempts += 1;
      slot.inflight.set(input.inputId, input);
    }
    this.#port.noteAttempts(inputs, containerId);
    return true;
  }

  /** Whether an input had a container soon enough; the start of one that is there counts not. */
  #isOnTime({ lease }: LocalInput, { startMs }: Slot): boolean {
    const addedAtMs = lease?.range.addedAtMs ?? 0;
    return this.#port.nowMs() - startMs - addedAtMs <= ON_TIME_MS;
  }

  /** Takes back inputs that wait behind a long one while another container has nothing to do. */
  #stealForIdle(): void {
    if (this.#waiting.length > 0) return;
    const idle = this.slots.open().filter((slot) => slot.inflight.size === 0);
    if (idle.length === 0) return;
    const nowMs = this.#port.nowMs();
    const { max } = this.#concurrency;
    for (const slot of this.slots.all()) {
      if (slot.inflight.size <= max || !this.#runsLong(slot)) continue;
      if (nowMs - slot.takenBackAtMs < STEAL_AFTER_MS) continue;
      this.#port.takeBack(slot.containerId, [...slot.inflight.keys()].slice(max), false);
      slot.takenBackAtMs = nowMs;
    }
  }

  #runsLong(slot: Slot): boolean {
    return slot.inflight.size > 0 && this.#port.nowMs() - slot.headSinceMs >= STEAL_AFTER_MS;
  }

  /** What the platform did to inputs is held against none of them. */
  #excuse(inputs: readonly LocalInput[], containerId: string): void {
    for (const input of inputs) input.excusedAttempts += 1;
    if (inputs.length > 0) this.#port.excuseAttempts(inputs, containerId);
  }

  #requeue(inputs: readonly LocalInput[]): void {
    const spent = inputs.filter(isSpent);
    this.#wait(inputs.filter((input) => !isSpent(input)));
    this.#settle(spent.map((input) => exhaustionOf(input, ATTEMPTS_MAX))).catch((thrown: unknown) =>
      this.#port.onError(thrown, "recording exhausted inputs"),
    );
    this.#port.onLoadChanged();
    this.pump();
  }

  /** Puts inputs back to the front of those that wait; what nobody wants any more is dropped. */
  #wait(all: readonly LocalInput[]): void {
    const inputs = all.filter((input) => !this.#unwanted.has(input));
    for (const input of all) if (this.#unwanted.has(input)) this.#release(input);
    if (inputs.length === 0) return;
    this.#suspects.push(...inputs.filter((input) => input.suspect));
    this.#waiting = [...inputs.filter((input) => !input.suspect), ...this.#waiting];
  }

  /** Takes the waiting inputs that match out of the wait. */
  #unwait(matches: (input: LocalInput) => boolean): LocalInput[] {
    const taken = [...this.#waiting, ...this.#suspects, ...this.#resting.inputs].filter(matches);
    for (const input of taken) this.#resting.delete(input);
    this.#waiting = this.#waiting.filter((input) => !matches(input));
    this.#suspects = this.#suspects.filter((input) => !matches(input));
    return taken;
  }

  /** Lets an input that failed rest before it is tried again; false when that was its last try. */
  #restAfter(input: LocalInput, { error }: AgentResult): boolean {
    if (this.#unwanted.has(input)) return false;
    if (!this.#resting.add(input, error, this.#port.nowMs())) return false;
    this.#port.noteFailures([input]);
    return true;
  }

  async #settle(settlements: readonly Settlement[]): Promise<void> {
    if (settlements.length === 0) return;
    await this.#port.record(settlements);
    for (const { input } of settlements) this.#release(input);
    this.#port.onLoadChanged();
  }

  /** The input of a result: from its container, or from the wait when it was given up there. */
  #takeOut(slot: Slot | undefined, inputId: string): LocalInput | undefined {
    const inflight = slot?.inflight.get(inputId);
    if (inflight !== undefined) {
      slot?.inflight.delete(inputId);
      return inflight;
    }
    const held = this.#held.get(inputId);
    if (held !== undefined) this.#unwait((other) => other === held);
    return held;
  }

  #release(input: LocalInput): void {
    if (this.#held.get(input.inputId) !== input) return;
    this.#held.delete(input.inputId);
    const { lease } = input;
    if (lease === undefined) return;
    lease.openCount -= 1;
    if (lease.openCount === 0) this.#finishLease(lease);
  }

  /**
   * Nobody waits for it, so it comes after those who wait have their answer. A range that stays
   * behind is found finished later and dropped.
   */
  #finishLease(lease: LocalLease): void {
    if (!this.#leases.delete(lease)) return;
    setImmediate(() => {
      if (this.#closed) return;
      this.#queue.finish(lease.range).catch((error: unknown) => {
        this.#port.onError(error, `finishing a range of call ${lease.range.callId}`);
      });
    });
  }
}

/** Whether it was lost too often; what the platform did to it does not count. */
function isSpent({ attempts, excusedAttempts }: LocalInput): boolean {
  return attempts - excusedAttempts >= ATTEMPTS_MAX;
}
