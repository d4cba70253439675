/** The requests of one container that are on their way to the server. */
import type { ToRunner } from "../runners/protocol.ts";
import {
  problemAnswer,
  type RelayedAnswer,
  type RelayedRequest,
  type Relay,
} from "./call-relay.ts";

export interface ContainerRequestsOptions {
  readonly containerId: string;
  readonly relay: Relay;
  readonly send: (message: ToRunner, body: Uint8Array) => void;
}

/** Requests that one container may have open at once; each waits for a result at most. */
const OPEN_MAX = 512;

export class ContainerRequests {
  readonly #options: ContainerRequestsOptions;
  readonly #open = new Map<number, AbortController>();

  constructor(options: ContainerRequestsOptions) {
    this.#options = options;
  }

  /** Sends a request on; its answer goes to the runner, unless it was cancelled meanwhile. */
  begin(requestId: number, request: RelayedRequest): void {
    if (this.#open.has(requestId)) return;
    if (this.#open.size >= OPEN_MAX) {
      const detail = `a container may have ${OPEN_MAX} requests open at once`;
      this.#answer(requestId, problemAnswer(429, "rate_limited", detail));
      return;
    }
    const controller = new AbortController();
    this.#open.set(requestId, controller);
    const { relay, containerId } = this.#options;
    void relay(containerId, request, controller.signal).then((answer) => {
      if (this.#open.get(requestId) !== controller) return;
      this.#open.delete(requestId);
      this.#answer(requestId, answer);
    });
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

  #answer(requestId: number, { status, retryAfter, body }: RelayedAnswer): void {
    const message = { type: "response", requestId, status } as const;
    this.#options.send(retryAfter === undefined ? message : { ...message, retryAfter }, body);
  }
}
