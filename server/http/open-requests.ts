import type { FastifyReply } from "fastify";

/** Requests that wait for something; all can be told at once that the server closes. */
export class OpenRequests {
  readonly #open = new Set<AbortController>();
  #isClosing = false;

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Runs `work` with a signal that aborts when the client has gone or the server closes. */
  async run<Result>(
    reply: FastifyReply,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const controller = new AbortController();
    const leave = (): void => controller.abort();
    this.#open.add(controller);
    reply.raw.once("close", leave);
    if (this.#isClosing || reply.raw.destroyed) leave();
    try {
      return await work(controller.signal);
    } finally {
      this.#open.delete(controller);
      reply.raw.off("close", leave);
    }
  }

  /** Aborts everything that runs, and at once whatever begins later. */
  close(): void {
    this.#isClosing = true;
    for (const controller of this.#open) controller.abort();
  }
}
