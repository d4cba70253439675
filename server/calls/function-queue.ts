/**
 * The queue of one function: a BullMQ queue whose jobs are ranges of inputs of one call.
 *
 * A job carries no payload, only `(callId, from, to)`: the ledger is the truth and the queue can
 * be rebuilt from it. Jobs are taken by hand, when a container has room, so a function without
 * containers holds nothing here. A taken job is locked; the lock is renewed by `renew` and a
 * holder that dies loses it, so that another server takes the job again (at least once; the
 * ledger keeps the first result of an input and drops later ones).
 *
 * A range whose inputs are handed over at once is leased without being taken: its job is put in
 * with a delay of `LOCK_MS`, which hides it from everybody until its holder has been silent that
 * long. So nobody waits for Redis, and a holder that dies loses it just the same.
 */
import { Queue, Worker, type Job } from "bullmq";
import type { Redis } from "ioredis";

/** Inputs `from` (included) to `to` (excluded) of one call. */
export interface InputRange {
  readonly callId: string;
  readonly from: number;
  readonly to: number;
}

/** A range that we took; `leaseId` is unique among those held. */
export interface LeasedRange extends InputRange {
  readonly leaseId: string;
  /** When it was put in the queue. */
  readonly addedAtMs: number;
}

/** What the dispatcher needs of a queue. */
export interface RangeQueue {
  /** Enqueues ranges, in order, in one round trip. */
  add(ranges: readonly InputRange[]): Promise<void>;
  /** Puts in a range that is ours from the start; `stored` resolves when Redis has it. */
  lease(range: InputRange): { readonly range: LeasedRange; readonly stored: Promise<void> };
  /** The oldest waiting range, locked for us; undefined when none waits. One round trip. */
  take(): Promise<LeasedRange | undefined>;
  /** Removes a range whose inputs all have results. */
  finish(lease: LeasedRange): Promise<void>;
  /** Gives a range back unfinished. */
  putBack(lease: LeasedRange): Promise<void>;
  /** Extends the locks of `leases` by LOCK_MS. */
  renew(leases: readonly LeasedRange[]): Promise<void>;
  /** Jobs waiting and taken, by anybody. */
  depth(): Promise<number>;
  close(): Promise<void>;
}

export interface FunctionQueueOptions {
  readonly functionId: string;
  readonly connection: Redis;
  readonly prefix: string;
  readonly nowMs: () => number;
  /** Told about connection trouble; BullMQ reconnects by itself. */
  readonly onError: (error: Error) => void;
}

/** How long a lock lasts without renewal; a crashed server's jobs come back after this. */
export const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5_000;
/** A job may be taken over from crashed servers as often as needed. */
const STALLED_COUNT_MAX = 1_000_000;

const JOB_OPTIONS = { removeOnComplete: true, removeOnFail: true } as const;

export class FunctionQueue implements RangeQueue {
  readonly #jobs = new Map<string, Job<InputRange>>();
  /** Jobs that were leased without being taken, on their way into Redis or there. */
  readonly #leased = new Map<string, Promise<Job<InputRange>>>();
  readonly #queue: Queue<InputRange>;
  readonly #worker: Worker<InputRange>;
  readonly #lockToken: string;
  readonly #nowMs: () => number;
  #closed = false;

  constructor(options: FunctionQueueOptions) {
    const { functionId, connection, prefix, onError } = options;
    this.#nowMs = options.nowMs;
    this.#queue = new Queue<InputRange>(functionId, { connection, prefix });
    this.#worker = new Worker<InputRange>(functionId, null, {
      connection,
      prefix,
      autorun: false,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: STALLED_COUNT_MAX,
    });
    this.#lockToken = this.#worker.id;
    this.#queue.on("error", onError);
    this.#worker.on("error", onError);
    this.#worker.startStalledCheckTimer().catch(onError);
  }

  async add(ranges: readonly InputRange[]): Promise<void> {
    const [first] = ranges;
    if (first === undefined) return;
    if (ranges.length === 1) {
      await this.#queue.add("inputs", first, JOB_OPTIONS);
      return;
    }
    await this.#queue.addBulk(ranges.map((data) => ({ name: "inputs", data, opts: JOB_OPTIONS })));
  }

  lease(range: InputRange): { readonly range: LeasedRange; readonly stored: Promise<void> } {
    // BullMQ reads a colon in an id as its own.
    const leaseId = `leased-${range.callId}-${range.from}`;
    const options = { ...JOB_OPTIONS, jobId: leaseId, delay: LOCK_MS };
    // After this turn: the input leaves for its container first.
    const adding = new Promise((resolve) => setImmediate(resolve)).then(() =>
      this.#queue.add("inputs", range, options),
    );
    this.#leased.set(leaseId, adding);
    return {
      range: { ...range, leaseId, addedAtMs: this.#nowMs() },
      stored: adding.then(() => undefined),
    };
  }

  async take(): Promise<LeasedRange | undefined> {
    const next = { block: false };
    const job = (await this.#worker.getNextJob(this.#lockToken, next)) as Job<InputRange> | null;
    const leaseId = job?.id;
    if (job === null || leaseId === undefined) return undefined;
    this.#jobs.set(leaseId, job);
    return { ...job.data, leaseId, addedAtMs: job.timestamp };
  }

  async finish(lease: LeasedRange): Promise<void> {
    const leased = await this.#releaseLeased(lease);
    // Its delay may be over and somebody may have it: then it is found finished there.
    if (leased !== undefined) await this.#queue.remove(lease.leaseId);
    else await this.#release(lease)?.moveToCompleted("", this.#lockToken, false);
  }

  async putBack(lease: LeasedRange): Promise<void> {
    const leased = await this.#releaseLeased(lease);
    if (leased !== undefined) await leased.promote();
    else await this.#release(lease)?.moveToWait(this.#lockToken);
  }

  async renew(leases: readonly LeasedRange[]): Promise<void> {
    const ids = leases.map((lease) => lease.leaseId);
    const taken = ids.filter((leaseId) => this.#jobs.has(leaseId));
    const tokens = taken.map(() => this.#lockToken);
    if (taken.length > 0) await this.#worker.extendJobLocks(taken, tokens, LOCK_MS);
    for (const leaseId of ids) await this.#hide(leaseId);
  }

  /** Keeps a leased job hidden; one that came out of hiding is another's by now, and stays so. */
  async #hide(leaseId: string): Promise<void> {
    const job = await this.#leased.get(leaseId);
    try {
      await job?.changeDelay(LOCK_MS);
    } catch (error) {
      // The others must be renewed all the same, unless nothing can be.
      if (await job?.isDelayed()) throw error;
      this.#leased.delete(leaseId);
    }
  }

  async depth(): Promise<number> {
    return this.#queue.getJobCountByTypes("wait", "active", "delayed", "prioritized");
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#worker.close(true);
    await this.#queue.close();
  }

  async #releaseLeased(lease: LeasedRange): Promise<Job<InputRange> | undefined> {
    const leased = this.#leased.get(lease.leaseId);
    this.#leased.delete(lease.leaseId);
    return leased;
  }

  #release(lease: LeasedRange): Job<InputRange> | undefined {
    const job = this.#jobs.get(lease.leaseId);
    this.#jobs.delete(lease.leaseId);
    return job;
  }
}
