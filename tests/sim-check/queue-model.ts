/**
 * Redis with its BullMQ queues, as the dispatcher uses them: jobs that are locked for a time.
 *
 * A model of what `server/calls/function-queue.ts` relies on: a lock that is not renewed ends and
 * the job waits again; a leased job hides behind a delay until its holder is silent; only the
 * holder of a lock finishes a job. It outlives the processes that use it, can be out of reach and
 * can lose everything. Time is its own, whatever the clocks of its users say.
 */
import { PlatformError } from "../../core/index.ts";
import type { InputRange, LeasedRange, RangeQueue } from "../../server/calls/function-queue.ts";
import { LOCK_MS } from "../../server/calls/function-queue.ts";
import type { Lifetime } from "./lifetime.ts";

interface Job {
  readonly id: string;
  readonly range: InputRange;
  readonly addedAtMs: number;
  state: "waiting" | "active" | "delayed";
  holder: Lifetime | undefined;
  untilMs: number;
}

/** A lock that ended although the process that had it lives. */
export interface LostLock {
  readonly functionId: string;
  readonly range: InputRange;
  /** When it ended; it is found when somebody asks for a job. */
  readonly endedAtMs: number;
}

export interface QueueModelOptions {
  readonly nowMs: () => number;
  readonly onLostLock: (lost: LostLock) => void;
}

export class QueueModel {
  readonly #options: QueueModelOptions;
  readonly #jobs = new Map<string, Job[]>();
  #taken = 0;
  /** Out of reach while this is so. */
  isAway = false;

  constructor(options: QueueModelOptions) {
    this.#options = options;
  }

  /** Jobs of a function, in any state. */
  depthOf(functionId: string): number {
    return this.#jobs.get(functionId)?.length ?? 0;
  }

  /** Everything is gone, as after a restart without a file. */
  lose(): void {
    this.#jobs.clear();
  }

  /** The queue of a function as one process has it. */
  open(functionId: string, life: Lifetime): RangeQueue {
    const jobs = (): Job[] => this.#jobsOf(functionId);
    /** What this process leased without taking it; it may take the same job later. */
    const leased = new Set<string>();
    const port = {
      add: (ranges: readonly InputRange[]) => this.#add(jobs(), ranges),
      take: () => this.#take(functionId, life),
      finish: ({ leaseId }: LeasedRange) =>
        leased.delete(leaseId)
          ? this.#remove(jobs(), leaseId)
          : this.#finish(jobs(), leaseId, life),
      putBack: ({ leaseId }: LeasedRange) => {
        leased.delete(leaseId);
        return this.#putBack(jobs(), leaseId, life);
      },
      renew: (leases: readonly LeasedRange[]) => {
        const ids = leases.map(({ leaseId }) => leaseId);
        return this.#renew(jobs(), { ids, leased }, life);
      },
      depth: async () => this.#reach(() => jobs().length),
      close: () => Promise.resolve(),
      store: (range: InputRange, id: string) => this.#store(jobs(), { range, id }, life),
    };
    const queue = life.port("queue", port);
    return {
      ...port,
      add: (ranges) => queue.add(ranges),
      take: () => queue.take(),
      finish: (lease) => queue.finish(lease),
      putBack: (lease) => queue.putBack(lease),
      renew: (leases) => queue.renew(leases),
      depth: () => queue.depth(),
      lease: (range) => {
        const leaseId = `leased-${range.callId}-${range.from}`;
        leased.add(leaseId);
        const taken = { ...range, leaseId, addedAtMs: this.#options.nowMs() };
        return { range: taken, stored: queue.store(range, leaseId) };
      },
    };
  }

  #jobsOf(functionId: string): Job[] {
    const jobs = this.#jobs.get(functionId) ?? [];
    this.#jobs.set(functionId, jobs);
    return jobs;
  }

  async #add(jobs: Job[], ranges: readonly InputRange[]): Promise<void> {
    await this.#reach(() => {
      const addedAtMs = this.#options.nowMs();
      for (const { callId, from, to } of ranges) {
        this.#taken += 1;
        const range = { callId, from, to };
        const id = `job-${this.#taken}`;
        jobs.push({ id, range, addedAtMs, state: "waiting", holder: undefined, untilMs: 0 });
      }
    });
  }

  async #store(
    jobs: Job[],
    { range, id }: { readonly range: InputRange; readonly id: string },
    holder: Lifetime,
  ): Promise<void> {
    await this.#reach(() => {
      if (jobs.some((job) => job.id === id)) return;
      const addedAtMs = this.#options.nowMs();
      jobs.push({ id, range, addedAtMs, state: "delayed", holder, untilMs: addedAtMs + LOCK_MS });
    });
  }

  async #take(functionId: string, life: Lifetime): Promise<LeasedRange | undefined> {
    return this.#reach(() => {
      this.#expire(functionId);
      const job = this.#jobsOf(functionId).find(({ state }) => state === "waiting");
      if (job === undefined) return undefined;
      job.state = "active";
      job.holder = life;
      job.untilMs = this.#options.nowMs() + LOCK_MS;
      return { ...job.range, leaseId: job.id, addedAtMs: job.addedAtMs };
    });
  }

  #expire(functionId: string): void {
    for (const job of this.#jobsOf(functionId)) {
      if (job.state === "waiting" || job.untilMs > this.#options.nowMs()) continue;
      const isHeld = job.holder?.isDead === false;
      job.state = "waiting";
      job.holder = undefined;
      if (isHeld) {
        this.#options.onLostLock({ functionId, range: job.range, endedAtMs: job.untilMs });
      }
    }
  }

  /** A leased job that somebody else has by now is found finished there. */
  async #remove(jobs: Job[], leaseId: string): Promise<void> {
    await this.#reach(() => {
      const index = jobs.findIndex(({ id }) => id === leaseId);
      if (index >= 0 && jobs[index]?.state !== "active") jobs.splice(index, 1);
    });
  }

  async #finish(jobs: Job[], leaseId: string, life: Lifetime): Promise<void> {
    await this.#reach(() => {
      const index = jobs.findIndex(({ id }) => id === leaseId);
      const job = jobs[index];
      if (job?.state !== "active" || job.holder !== life) {
        throw new Error(`missing lock for job ${leaseId}`);
      }
      jobs.splice(index, 1);
    });
  }

  async #putBack(jobs: Job[], leaseId: string, life: Lifetime): Promise<void> {
    await this.#reach(() => {
      const job = jobs.find(({ id }) => id === leaseId);
      if (job?.holder !== life) throw new Error(`missing lock for job ${leaseId}`);
      job.state = "waiting";
      job.holder = undefined;
    });
  }

  /** Locks of what was taken, and delays of what was leased and is still hidden. */
  async #renew(
    jobs: Job[],
    { ids, leased }: { readonly ids: readonly string[]; readonly leased: Set<string> },
    life: Lifetime,
  ): Promise<void> {
    await this.#reach(() => {
      for (const id of ids) {
        const job = jobs.find((one) => one.id === id);
        const isHidden = job?.state === "delayed";
        if (leased.has(id) && !isHidden) leased.delete(id);
        const isOurs = job?.state === "active" && job.holder === life;
        const isRenewed = job !== undefined && (leased.has(id) || isOurs);
        if (isRenewed) job.untilMs = this.#options.nowMs() + LOCK_MS;
      }
    });
  }

  async #reach<Value>(act: () => Value): Promise<Value> {
    if (this.isAway) {
      throw new PlatformError("Redis is out of reach", { code: "unavailable", retryable: true });
    }
    return Promise.resolve(act());
  }
}
