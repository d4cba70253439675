/**
 * The gateway: HTTP requests to functions become calls, and what the functions answer goes back
 * to the clients as it comes.
 *
 * A request is written to the ledger like any call and waits for a container as any input does.
 * Its body and its response are not: they go through the agent's link as a stream of pieces
 * (sandbox/streams), with back-pressure from the client to the function and the other way.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, IdSource } from "../../core/index.ts";
import type { Piece, WebRequest, WebWish } from "../../sandbox/index.ts";
import { ANSWER_WITHIN_MS } from "../../sdk/protocol/index.ts";
import type { Authenticator } from "../auth/tokens.ts";
import { RefusedError } from "../http/problem.ts";
import { endWith } from "../http/upgrades.ts";
import type { CallService, WebContext, WebService } from "../services.ts";
import type { CallRecord, Registry } from "../store/record-store.ts";
import { ContainerStreams } from "./container-streams.ts";
import { Exchange } from "./exchange.ts";
import { lostError, noUpgradeError, nothingHere, tooLateError } from "./failures.ts";
import {
  answerUpgrade,
  redirectToResult,
  sendBody,
  writeBody,
  writeHead,
  writeProblem,
  writeResult,
} from "./reply.ts";
import { recordedResult, stopping, waitForOpening, type Started } from "./waiting.ts";
import { addressOf, admit, findPlace, portOf, webRequestOf, type WebPlace } from "./web-request.ts";

export interface WebGatewayOptions {
  readonly calls: Pick<CallService, "create" | "results" | "cancel">;
  readonly callOf: (callId: string) => Promise<CallRecord | undefined>;
  readonly registry: Pick<Registry, "list" | "getFunction">;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Known to this platform alone: URLs of tunnels are made with it. */
  readonly key: Uint8Array;
  /** Sends a piece to a container; it is lost when its node is not connected. */
  readonly sendPiece: (
    containerId: string,
    streamId: string,
    piece: Piece,
    body: Uint8Array,
  ) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Calls remembered whose clients were sent to their results. */
const LATE_MAX = 10_000;

export class WebGateway implements WebService {
  /** What agents say of streams. */
  readonly streams = new ContainerStreams();
  readonly #options: WebGatewayOptions;
  readonly #late = new Set<string>();

  constructor(options: WebGatewayOptions) {
    this.#options = options;
  }

  /**
   * What is to become of the response of a web request, asked as its input leaves for a
   * container. One whose client is not here is run for its result, unless it may have been
   * answered before.
   */
  claim(
    { inputId, attempts }: { readonly inputId: string; readonly attempts: number },
    containerId: string,
  ): WebWish {
    const end = this.streams.get(inputId);
    if (end instanceof Exchange) return end.claim(containerId);
    return attempts === 0 || this.#late.has(inputId) ? { withinMs: 0 } : "unwanted";
  }

  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    { requestId, signal }: WebContext,
  ): Promise<void> {
    await this.#serve(
      request,
      async (place, hidden) => {
        const sent = await webRequestOf(request, place, { hidden });
        const started = this.#start(place, sent, request);
        await this.#during(started, () => this.#reply(started, response, signal));
      },
      (error) => writeProblem(response, error, requestId),
    );
  }

  async upgrade(
    request: IncomingMessage,
    socket: Duplex,
    rest: Uint8Array,
    { requestId, signal }: WebContext,
  ): Promise<void> {
    await this.#serve(
      request,
      async (place, hidden) => {
        if (portOf(place) === undefined) throw noUpgradeError();
        const upgrade = request.headers.upgrade ?? "websocket";
        const sent = await webRequestOf(request, place, { hidden, upgrade });
        const started = this.#start(place, sent, request);
        await this.#during(started, async () => {
          const { callId, exchange } = started;
          const head = await waitForOpening(this.#options, started, signal);
          const { stream } = exchange;
          if (head.kind !== "head" || stream === undefined) throw tooLateError(callId);
          await answerUpgrade(socket, rest, { head, callId, stream });
        });
      },
      (error) => endWith(socket, error, requestId),
    );
  }

  async result(
    callId: string,
    request: IncomingMessage,
    response: ServerResponse,
    { requestId, signal }: WebContext,
  ): Promise<void> {
    try {
      const place = await this.#placeOf(callId);
      const asked = { method: "OPTIONS", headers: request.headers };
      await admit(asked, place, this.#options.authenticator);
      const who = { workspaceId: place.workspaceId, tokenId: "gateway" };
      const waitMs = place.stored.spec.web?.answerWithinMs ?? ANSWER_WITHIN_MS;
      const recorded = await recordedResult(this.#options.calls, who, { callId, waitMs, signal });
      if (recorded === undefined && signal.aborted) throw stopping();
      if (recorded === undefined) redirectToResult(response, callId);
      else writeResult(response, recorded, callId);
    } catch (error) {
      writeProblem(response, error, requestId);
    }
  }

  /** Finds the function that a request is for, checks that it may, and lets it be answered. */
  async #serve(
    request: IncomingMessage,
    answer: (place: WebPlace, hidden: readonly string[]) => Promise<void>,
    refuse: (error: unknown) => void,
  ): Promise<void> {
    try {
      const address = addressOf(request.url ?? "");
      if (address === undefined) throw nothingHere();
      const place = await findPlace(this.#options, address);
      await answer(place, await admit(request, place, this.#options.authenticator));
    } catch (error) {
      refuse(error);
    }
  }

  /** The function whose call it is. @throws PlatformError `not_found` */
  async #placeOf(callId: string): Promise<WebPlace> {
    const call = await this.#options.callOf(callId);
    const { registry } = this.#options;
    const stored = call === undefined ? undefined : await registry.getFunction(call.functionId);
    if (stored?.spec.web === undefined) throw nothingHere();
    const { workspaceId } = stored.deployment;
    return { stored, workspaceId, prefix: "", path: "/" };
  }

  #start({ stored, workspaceId }: WebPlace, sent: WebRequest, request: IncomingMessage): Started {
    const { ids, clock, sendPiece } = this.#options;
    const callId = ids.next("ca");
    const streamId = `${callId}.0`;
    const withinMs = stored.spec.web?.answerWithinMs ?? ANSWER_WITHIN_MS;
    const { streamsBody = false, upgrades = false } = sent;
    const exchange = new Exchange({
      streamId,
      streamsBody,
      untilMs: clock.nowMs() + withinMs,
      nowMs: () => clock.nowMs(),
      send: (containerId, piece, body) => sendPiece(containerId, streamId, piece, body),
      onBegun: (stream) => {
        if (streamsBody) this.#sendBody(request, started);
        else if (!upgrades) stream.end();
      },
    });
    const who = { workspaceId, tokenId: "gateway" };
    const { functionId } = stored;
    const isSent = !streamsBody;
    const started: Started = { exchange, callId, functionId, who, request: sent, withinMs, isSent };
    return started;
  }

  #sendBody(request: IncomingMessage, started: Started): void {
    const { exchange } = started;
    if (exchange.stream === undefined) return;
    sendBody(request, exchange.stream).then(
      () => (started.isSent = true),
      (error: unknown) => {
        // A function that answers before it has read everything is in its right.
        if (error instanceof RefusedError) exchange.fail(error);
      },
    );
  }

  /** Does `work` while agents are heard for the request; if it fails, the call is cancelled. */
  async #during(started: Started, work: () => Promise<void>): Promise<void> {
    const { exchange, callId, who } = started;
    const { calls, onError } = this.#options;
    this.streams.add(exchange);
    try {
      await work();
    } catch (error) {
      exchange.close("the client went away");
      calls.cancel(who, callId).catch((thrown: unknown) => {
        onError(thrown, `cancelling call ${callId}, whose client has gone`);
      });
      throw error;
    } finally {
      this.streams.remove(exchange);
    }
  }

  /** Sends the response on, or says where it will be. */
  async #reply(started: Started, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { exchange, callId } = started;
    const waited = await waitForOpening(this.#options, started, signal);
    switch (waited.kind) {
      case "head": {
        const { stream } = exchange;
        if (stream === undefined) throw lostError("its container ended", callId);
        writeHead(response, waited, callId);
        await writeBody(response, stream);
        // What the client still sends is not wanted.
        stream.destroy();
        return;
      }
      case "late":
        if (!started.isSent) throw tooLateError(callId);
        exchange.leave();
        this.#noteLate(exchange.streamId);
        redirectToResult(response, callId);
        return;
      case "result":
        writeResult(response, waited, callId);
        return;
      case "lost":
        throw waited.error ?? lostError(waited.reason, callId);
    }
  }

  #noteLate(inputId: string): void {
    this.#late.add(inputId);
    const [oldest] = this.#late;
    if (this.#late.size > LATE_MAX && oldest !== undefined) this.#late.delete(oldest);
  }
}
