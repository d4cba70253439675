/** Requests of the user's code to the platform, by way of the node agent. */
import type { ToRunner } from "../protocol.ts";
import type { RunnerChannel } from "./channel.ts";

/** What the SDK in the user's bundle asks; see its `ContainerLink`. */
export interface ServerRequest {
  readonly method: string;
  readonly path: string;
  readonly contentType?: string | undefined;
  readonly body?: Uint8Array | undefined;
  /** Where the body of the answer is put, if it is large and just as many bytes. */
  readonly place?: Uint8Array | undefined;
}

export interface ServerAnswer {
  readonly status: number;
  readonly retryAfter?: string | undefined;
  readonly body: Uint8Array;
}

const NOTHING = new Uint8Array(0);

type AnswerMessage = Extract<ToRunner, { type: "response" }>;

interface OpenRequest {
  readonly resolve: (answer: ServerAnswer) => void;
  readonly place: Uint8Array | undefined;
}

export class ServerRequests {
  readonly #channel: Pick<RunnerChannel, "send" | "sendUnchanging">;
  readonly #open = new Map<number, OpenRequest>();
  #lastId = 0;

  constructor(channel: Pick<RunnerChannel, "send" | "sendUnchanging">) {
    this.#channel = channel;
  }

  /** Sends one and waits for its answer. Rejects with the signal's reason when that aborts. */
  async request(request: ServerRequest, signal?: AbortSignal): Promise<ServerAnswer> {
    signal?.throwIfAborted();
    this.#lastId += 1;
    const requestId = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<ServerAnswer>();
    const giveUp = (): void => {
      if (!this.#open.delete(requestId)) return;
      this.#channel.send({ type: "request_cancel", requestId });
      reject(signal?.reason as Error);
    };
    this.#open.set(requestId, { resolve, place: request.place });
    signal?.addEventListener("abort", giveUp, { once: true });
    const { method, path, contentType, body = NOTHING } = request;
    const message = { type: "request", requestId, method, path } as const;
    const whole = contentType === undefined ? message : { ...message, contentType };
    this.#channel.sendUnchanging(whole, body);
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Where the body of an answer is put that has begun to come. */
  placeOf({ requestId }: Pick<AnswerMessage, "requestId">): Uint8Array | undefined {
    return this.#open.get(requestId)?.place;
  }

  /** An answer came; one that nobody waits for any more is dropped. */
  receive(answer: AnswerMessage, body: Uint8Array): void {
    const { requestId, status, retryAfter } = answer;
    const asked = this.#open.get(requestId);
    this.#open.delete(requestId);
    asked?.resolve({ status, retryAfter, body });
  }
}
