/**
 * A server in memory that speaks the calls part of the API over real HTTP, for tests.
 *
 * Inputs are answered in the order the test chooses by `answer`; requests can be made to fail.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  AppendInputsHeader,
  CallStatus,
  CreateCallHeader,
  ResultItem,
  WireError,
} from "../protocol/index.ts";
import {
  decodeFrame,
  decodeValue,
  encodeFrame,
  encodeValue,
  splitBody,
} from "../protocol/index.ts";

export type Answer = { readonly value: unknown } | { readonly error: WireError } | "never";

export interface FakeServerOptions {
  /** What an input gives; its arguments as the user passed them. */
  readonly answer?: (args: unknown[], index: number) => Answer;
  /** Called for each request before it is handled; true breaks the connection instead. */
  readonly breaks?: (request: string) => boolean;
  /** Called for each request; a number is answered as that status. */
  readonly refuses?: (request: string) => number | undefined;
  /** Handles what this server does not know; false leaves it to a 404. */
  readonly others?: (name: string, body: Buffer, response: ServerResponse, url: URL) => boolean;
  /** Results per page at most. */
  readonly pageSize?: number;
  /** Reorders results of one batch of inputs before they are recorded. */
  readonly shuffle?: (results: FakeResult[]) => FakeResult[];
  /** Why calls without a result say that they wait. */
  readonly pendingReason?: () => string | undefined;
}

export interface FakeResult {
  readonly item: ResultItem;
  readonly payload: Uint8Array;
}

interface FakeCall {
  readonly header: CreateCallHeader;
  readonly seen: Set<number>;
  readonly results: FakeResult[];
  final: boolean;
  cancelled: boolean;
  waiters: (() => void)[];
}

export class FakeServer {
  readonly calls = new Map<string, FakeCall>();
  /** `METHOD /path` of every request, in order, query left out. */
  readonly requests: string[] = [];
  readonly tokens = new Set<string | undefined>();
  /** The id under which every function is found; a test changes it to deploy anew. */
  functionId = "fn_1";
  readonly #options: FakeServerOptions;
  readonly #server = createServer((request, response) => void this.#handle(request, response));

  constructor(options: FakeServerOptions = {}) {
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  /** Lets results of "never" inputs appear. */
  finish(callId: string, index: number, value: unknown): void {
    const call = this.calls.get(callId);
    if (call === undefined) throw new Error(`no call ${callId}`);
    this.#record(call, [resultOf(index, { value })]);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://fake");
    const name = `${request.method} ${url.pathname}`;
    this.requests.push(name);
    this.tokens.add(request.headers.authorization);
    const body = await readBody(request);
    if (this.#options.breaks?.(name) === true) {
      request.socket.destroy();
      return;
    }
    const status = this.#options.refuses?.(name);
    if (status === undefined) await this.#route(name, url, body, response);
    else problem(response, status);
  }

  async #route(name: string, url: URL, body: Buffer, response: ServerResponse): Promise<void> {
    const [, , kind = "", id = "", what = ""] = url.pathname.split("/");
    if (this.#options.others?.(name, body, response, url) === true) return;
    if (kind === "apps") this.#lookup(url, response);
    else if (kind === "functions") await this.#create(id, body, response);
    else if (kind === "calls") await this.#routeCall(what, id, url, body, response);
    else problem(response, 404, name);
  }

  async #routeCall(
    what: string,
    id: string,
    url: URL,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    if (what === "inputs") this.#append(id, body, response);
    else if (what === "results") await this.#results(id, url, response);
    else if (what === "cancel") this.#cancel(id, response);
    else this.#withCall(id, response, (call) => json(response, this.#waitingStatusOf(call)));
  }

  #waitingStatusOf(call: FakeCall): CallStatus {
    const pendingReason = this.#options.pendingReason?.();
    return { ...statusOf(call), ...(pendingReason === undefined ? {} : { pendingReason }) };
  }

  #lookup(url: URL, response: ServerResponse): void {
    const [, , , app = "", , name = ""] = url.pathname.split("/");
    if (name === "missing") problem(response, 404, `there is no function ${name}`);
    else json(response, { functionId: this.functionId, app, name });
  }

  async #create(functionId: string, body: Buffer, response: ServerResponse): Promise<void> {
    if (functionId !== this.functionId) {
      problem(response, 404, `there is no function ${functionId}`);
      return;
    }
    const { header, body: payloads } = decodeFrame<CreateCallHeader>(body);
    const known = this.calls.get(header.callId);
    const call = known ?? newCall(header);
    this.calls.set(header.callId, call);
    this.#takeInputs(call, 0, splitBody(payloads, header.sizes), header.final);
    await this.#page(call, { cursor: 0, limit: 1_000, waitMs: header.waitMs }, response);
  }

  #append(callId: string, body: Buffer, response: ServerResponse): void {
    const { header, body: payloads } = decodeFrame<AppendInputsHeader>(body);
    this.#withCall(callId, response, (call) => {
      const pieces = splitBody(payloads, header.sizes);
      this.#takeInputs(call, header.startIndex, pieces, header.final);
      json(response, statusOf(call));
    });
  }

  #takeInputs(call: FakeCall, start: number, payloads: Uint8Array[], final: boolean): void {
    call.final ||= final;
    const fresh: FakeResult[] = [];
    payloads.forEach((payload, offset) => {
      const index = start + offset;
      if (call.seen.has(index)) return;
      call.seen.add(index);
      const args = decodeValue(payload) as unknown[];
      const answer = this.#options.answer?.(args, index) ?? { value: args[0] };
      if (answer !== "never") fresh.push(resultOf(index, answer));
    });
    this.#record(call, this.#options.shuffle?.(fresh) ?? fresh);
  }

  #record(call: FakeCall, results: FakeResult[]): void {
    call.results.push(...results);
    const { waiters } = call;
    call.waiters = [];
    for (const wake of waiters) wake();
  }

  async #results(callId: string, url: URL, response: ServerResponse): Promise<void> {
    const call = this.calls.get(callId);
    if (call === undefined) {
      problem(response, 404, `there is no call ${callId}`);
      return;
    }
    const number = (name: string): number => Number(url.searchParams.get(name));
    await this.#page(
      call,
      { cursor: number("cursor"), limit: number("limit"), waitMs: number("waitMs") },
      response,
    );
  }

  async #page(
    call: FakeCall,
    query: { cursor: number; limit: number; waitMs: number },
    response: ServerResponse,
  ): Promise<void> {
    const isEmpty = (): boolean => call.results.length <= query.cursor && !isOver(call);
    if (isEmpty() && query.waitMs > 0) {
      await new Promise<void>((resolve) => {
        call.waiters.push(resolve);
        response.once("close", resolve);
      });
    }
    const limit = Math.min(query.limit, this.#options.pageSize ?? Infinity);
    const page = call.results.slice(query.cursor, query.cursor + limit);
    const header = {
      callId: call.header.callId,
      results: page.map(({ item }) => item),
      nextCursor: query.cursor + page.length,
      status: statusOf(call),
    };
    response.end(
      encodeFrame(
        header,
        page.map(({ payload }) => payload),
      ),
    );
  }

  #cancel(callId: string, response: ServerResponse): void {
    this.#withCall(callId, response, (call) => {
      call.cancelled = true;
      this.#record(call, []);
      json(response, statusOf(call));
    });
  }

  #withCall(callId: string, response: ServerResponse, act: (call: FakeCall) => void): void {
    const call = this.calls.get(callId);
    if (call === undefined) problem(response, 404, `there is no call ${callId}`);
    else act(call);
  }
}

/** Runs `body` with a server that is closed afterwards. */
export async function withFakeServer(
  options: FakeServerOptions,
  body: (server: FakeServer) => Promise<void>,
): Promise<void> {
  const server = new FakeServer(options);
  await server.listen();
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

function newCall(header: CreateCallHeader): FakeCall {
  return { header, seen: new Set(), results: [], final: false, cancelled: false, waiters: [] };
}

function isOver(call: FakeCall): boolean {
  return call.cancelled || (call.final && call.results.length === call.seen.size);
}

function statusOf(call: FakeCall): CallStatus {
  const running = isOver(call) ? "finished" : "running";
  return {
    callId: call.header.callId,
    functionId: "fn_1",
    kind: call.header.kind,
    state: call.cancelled ? "cancelled" : running,
    inputCount: call.seen.size,
    finishedCount: call.results.length,
    failedCount: call.results.filter(({ item }) => item.outcome !== "succeeded").length,
    final: call.final,
    createdAtMs: 0,
  };
}

function resultOf(index: number, answer: Exclude<Answer, "never">): FakeResult {
  const payload = "value" in answer ? encodeValue(answer.value) : new Uint8Array(0);
  const base = { index, bytes: payload.byteLength, attempts: 1, runMs: 1 };
  const item: ResultItem =
    "value" in answer
      ? { ...base, outcome: "succeeded" }
      : { ...base, outcome: "failed", error: answer.error };
  return { item, payload };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function json(response: ServerResponse, body: unknown): void {
  response.setHeader("content-type", "application/json").end(JSON.stringify(body));
}

function problem(response: ServerResponse, status: number, detail = `status ${status}`): void {
  response.statusCode = status;
  response.setHeader("content-type", "application/problem+json");
  response.end(JSON.stringify({ detail, status, requestId: "re_1", retryable: status >= 500 }));
}
