/** The API's calls and functions, typed. */
import {
  FRAME_MEDIA_TYPE,
  type AppendInputsHeader,
  type CallStatus,
  type CreateCallHeader,
  type FunctionInfo,
  type FunctionVariant,
  type ResultItem,
  type ResultsHeader,
  type ScalingUpdate,
  type ValuesHeader,
  type VariantHeader,
} from "../protocol/api.ts";
import { decodeFrame, encodeFrame, splitBody } from "../protocol/frames.ts";
import type { ChunkStore } from "../protocol/large-payload.ts";
import { inPassing } from "./in-passing.ts";
import { chunkStoreOf } from "./large-values.ts";
import { strangeAnswer } from "./problems.ts";
import { Transport, type TransportOptions } from "./transport.ts";

/** Settings of a `Client`; each has a default. */
export type ClientOptions = TransportOptions;

/** A recorded result and its payload (empty unless it succeeded). */
export interface ReceivedResult extends ResultItem {
  readonly payload: Uint8Array;
}

/** One page of results, in the order in which they were recorded. */
export interface ResultsPage {
  readonly results: readonly ReceivedResult[];
  readonly nextCursor: number;
  readonly status: CallStatus;
}

/** One page of what a generator yielded, in order. */
export interface ValuesPage {
  readonly payloads: readonly Uint8Array[];
  readonly nextCursor: number;
  readonly status: CallStatus;
}

export interface ResultsQuery {
  readonly cursor: number;
  readonly limit: number;
  readonly waitMs: number;
}

/** A cancel is not worth a long wait for a server that is away. */
const CANCEL_RETRY_FOR_MS = 5_000;

/**
 * A connection to one server. Cheap to make; nothing is opened before the first request, and
 * idle connections close by themselves.
 */
export class Client {
  readonly transport: Transport;
  /** Where payloads that are too large for a frame are kept. */
  readonly chunks: ChunkStore;

  constructor(options: ClientOptions = {}, transport: Transport = new Transport(options)) {
    this.transport = transport;
    this.chunks = chunkStoreOf(this.transport);
  }

  /**
   * The same connection, all of whose requests end when the signal aborts, with its reason.
   * Absent: the same.
   */
  until(signal: AbortSignal | undefined): Client {
    return signal === undefined ? this : new Client({}, this.transport.until(signal));
  }

  /** The function deployed under this name. @throws NotFoundError, or the signal's reason. */
  lookupFunction(app: string, name: string, signal?: AbortSignal): Promise<FunctionInfo> {
    return this.transport.json<FunctionInfo>({
      method: "GET",
      path: `/v1/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}`,
      signal,
    });
  }

  /** A variant of a function: with other options, or of a class with parameters. */
  openVariant(
    functionId: string,
    header: VariantHeader,
    params: Uint8Array | undefined,
    signal?: AbortSignal,
  ): Promise<FunctionVariant> {
    return this.transport.json<FunctionVariant>({
      method: "POST",
      path: `/v1/functions/${encodeURIComponent(functionId)}/variants`,
      body: encodeFrame(header, params === undefined ? [] : [params]),
      contentType: FRAME_MEDIA_TYPE,
      signal,
    });
  }

  /** Changes how a function scales, at once. @throws NotFoundError when it runs no more */
  scaleFunction(
    functionId: string,
    update: ScalingUpdate,
    signal?: AbortSignal,
  ): Promise<FunctionInfo> {
    return this.transport.json<FunctionInfo>({
      method: "PATCH",
      path: `/v1/functions/${encodeURIComponent(functionId)}/scaling`,
      body: JSON.stringify(update),
      contentType: "application/json",
      signal,
    });
  }

  /** Starts a call, and gives its results so far after at most `header.waitMs`. */
  async createCall(
    functionId: string,
    header: CreateCallHeader,
    payloads: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<ResultsPage> {
    const bytes = await this.transport.send({
      method: "POST",
      path: `/v1/functions/${encodeURIComponent(functionId)}/calls`,
      body: encodeFrame(header, payloads),
      contentType: FRAME_MEDIA_TYPE,
      waitMs: header.waitMs,
      signal,
    });
    return parsePage(bytes);
  }

  /** Adds inputs to an open map. */
  appendInputs(
    callId: string,
    header: AppendInputsHeader,
    payloads: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<CallStatus> {
    return this.transport.json<CallStatus>({
      method: "POST",
      path: `/v1/calls/${encodeURIComponent(callId)}/inputs`,
      body: encodeFrame(header, payloads),
      contentType: FRAME_MEDIA_TYPE,
      signal,
    });
  }

  /** How far a call is. */
  callStatus(callId: string, signal?: AbortSignal): Promise<CallStatus> {
    return this.transport.json<CallStatus>({
      method: "GET",
      path: `/v1/calls/${encodeURIComponent(callId)}`,
      signal,
    });
  }

  /** Results after `query.cursor`, as soon as there are any, else after `query.waitMs`. */
  async results(callId: string, query: ResultsQuery, signal?: AbortSignal): Promise<ResultsPage> {
    const { cursor, limit, waitMs } = query;
    const bytes = await this.transport.send({
      method: "GET",
      path: `/v1/calls/${encodeURIComponent(callId)}/results?cursor=${cursor}&limit=${limit}&waitMs=${waitMs}`,
      waitMs,
      signal,
    });
    return parsePage(bytes);
  }

  /** Values that a generator yielded, after `query.cursor`, as soon as there are any. */
  async values(callId: string, query: ResultsQuery, signal?: AbortSignal): Promise<ValuesPage> {
    const { cursor, limit, waitMs } = query;
    const bytes = await this.transport.send({
      method: "GET",
      path: `/v1/calls/${encodeURIComponent(callId)}/values?cursor=${cursor}&limit=${limit}&waitMs=${waitMs}`,
      waitMs,
      signal,
    });
    try {
      const { header, body } = decodeFrame<ValuesHeader>(bytes);
      const { nextCursor, status } = header;
      return { payloads: splitBody(body, header.sizes), nextCursor, status };
    } catch (cause) {
      throw strangeAnswer(cause);
    }
  }

  /** Ends a call: inputs without a result get none. */
  cancelCall(callId: string, signal?: AbortSignal): Promise<CallStatus> {
    return this.transport.json<CallStatus>({
      method: "POST",
      path: `/v1/calls/${encodeURIComponent(callId)}/cancel`,
      retryForMs: CANCEL_RETRY_FOR_MS,
      signal,
    });
  }
}

/** Cancels a call whose end is told by something else already; see `inPassing`. */
export function cancelInPassing(client: Client, callId: string): Promise<void> {
  return inPassing((limit) => client.cancelCall(callId, limit));
}

let shared: Client | undefined;

/** The client of this process, on the environment's settings. */
export function defaultClient(): Client {
  shared ??= new Client();
  return shared;
}

function parsePage(bytes: Uint8Array): ResultsPage {
  try {
    const { header, body } = decodeFrame<ResultsHeader>(bytes);
    const payloads = splitBody(
      body,
      header.results.map((result) => result.bytes),
    );
    const results = header.results.map((result, position) => ({
      ...result,
      payload: payloads[position] ?? new Uint8Array(0),
    }));
    return { results, nextCursor: header.nextCursor, status: header.status };
  } catch (cause) {
    throw strangeAnswer(cause);
  }
}
