/** The requests of one container that are on their way to the server. */
import { giveBack } from "../../sdk/protocol/index.ts";
import type { ToRunner } from "../runners/protocol.ts";
import {
  isBlobRequest,
  problemAnswer,
  type RelayedAnswer,
  type RelayedRequest,
  type Relay,
} from "./call-relay.ts";

export interface ContainerRequestsOptions {
  readonly containerId: string;
  readonly relay: Relay;
  /** Resolves when the runner's end of the channel has taken it. */
  readonly send: (message: ToRunner, body: Uint8Array) => Promise<void>;
}

/** Requests that one container may have open at once; each waits for a result at most. */
const OPEN_MAX = 512;
/** Of them, those that may move blobs at once; others wait. Each may hold 64 MiB of memory. */
const BLOBS_MAX = 4;

export class ContainerRequests {
  readonly #options: ContainerRequestsOptions;
  readonly #open = new Map<number, AbortController>();
  /** Requests that move blobs and wait for others that do. */
  readonly #waiting: (() => void)[] = [];
  #blobCount = 0;

  constructor(options: ContainerRequestsOptions) {
    this.#options = options;
  }

  /** Sends a request on; its answer goes to the runner, unless it was cancelled meanwhile. */
  begin(requestId: number, request: RelayedRequest): void {
    if (this.#open.has(requestId)) return;
    if (this.#open.size >= OPEN_MAX) {
      const detail = `a container may have ${OPEN_MAX} requests open at once`;
      void this.#answer(requestId, problemAnswer(429, "rate_limited", detail));
      return;
    }
    const controller = new AbortController();
    this.#open.set(requestId, controller);
    const relayed = this.#relay(requestId, request, controller);
    if (isBlobRequest(request)) this.#beginBlob(relayed);
    else void relayed();
  }

  /** Nobody waits for the answer any more. */
  cancel(requestId: number): void {
    this.#open.get(requestId)?.abort();
    this.#open.delete(requestId);
  }

  /** The container is gone. */
  close(): void {
    for (const controller of this.#open.values()) controller.abort();
    this.#open.clear();
  }

  #relay(
    requestId: number,
    request: RelayedRequest,
    controller: AbortController,
  ): () => Promise<void> {
    return async () => {
      // It may have been cancelled while it waited.
      if (this.#open.get(requestId) !== controller) return;
      const { relay, containerId } = this.#options;
      const answer = await relay(containerId, request, controller.signal);
      // An answer that came early leaves the request on its way.
      if (answer.status >= 200 && answer.status < 300) giveBack(request.body);
      if (this.#open.get(requestId) !== controller) return;
      this.#open.delete(requestId);
      await this.#answer(requestId, answer);
    };
  }

  /** A blob counts until the runner has taken it, so that one that does not read holds few. */
  #beginBlob(relayed: () => Promise<void>): void {
    const run = (): void => {
      this.#blobCount += 1;
      void relayed().finally(() => {
        this.#blobCount -= 1;
        this.#waiting.shift()?.();
      });
    };
    if (this.#blobCount < BLOBS_MAX) run();
    else this.#waiting.push(run);
  }

  async #answer(requestId: number, answer: RelayedAnswer): Promise<void> {
    const { status, retryAfter, body } = answer;
    const message = { type: "response", requestId, status } as const;
    await this.#options.send(retryAfter === undefined ? message : { ...message, retryAfter }, body);
    giveBack(body);
  }
}
