/** The yardstick: the same Redis and BullMQ with nothing of ours around them. */
import { Queue, QueueEvents, Worker } from "bullmq";
import type { Redis } from "ioredis";

const PREFIX = "raw";
const CONCURRENCY = 100;

export class RawQueue {
  readonly #connections: readonly Redis[];
  readonly #queue: Queue<number, number>;
  readonly #events: QueueEvents;
  readonly #worker: Worker<number, number>;

  /** @param connect A fresh connection to the Redis that the platform uses. */
  constructor(connect: () => Redis) {
    const [queue, worker, events] = [connect(), connect(), connect()];
    this.#connections = [queue, worker, events];
    this.#queue = new Queue("raw", { connection: queue, prefix: PREFIX });
    this.#events = new QueueEvents("raw", { connection: events, prefix: PREFIX });
    this.#worker = new Worker("raw", (job) => Promise.resolve(job.data), {
      connection: worker,
      prefix: PREFIX,
      concurrency: CONCURRENCY,
    });
  }

  async ready(): Promise<void> {
    await Promise.all([this.#events.waitUntilReady(), this.#worker.waitUntilReady()]);
  }

  /** One job, from `add` to its result. */
  async roundTrip(value: number): Promise<number> {
    // Kept: a job that is removed at once can end before its end is waited for.
    const job = await this.#queue.add("raw", value);
    return job.waitUntilFinished(this.#events);
  }

  /** Adds `count` jobs and resolves when all are processed. */
  async drain(count: number): Promise<void> {
    const done = new Promise<void>((resolve) => {
      let left = count;
      const onCompleted = (): void => {
        left -= 1;
        if (left > 0) return;
        this.#worker.off("completed", onCompleted);
        resolve();
      };
      this.#worker.on("completed", onCompleted);
    });
    const jobs = Array.from({ length: count }, (_, value) => ({
      name: "raw",
      data: value,
      opts: { removeOnComplete: true },
    }));
    await this.#queue.addBulk(jobs);
    await done;
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#events.close();
    await this.#queue.obliterate();
    await this.#queue.close();
    for (const connection of this.#connections) connection.disconnect();
  }
}
