/** The inputs of a runner that are HTTP requests, and their streams. */
import type { FromRunner, ToRunner } from "../../protocol.ts";
import { PieceStream, StreamResetError } from "../../../streams/piece-stream.ts";
import type { Piece } from "../../../streams/piece.ts";
import type { WebRequest, WebResult, WebWish } from "../../web-message.ts";
import type { RunningInput } from "../running-inputs.ts";
import type { UserProgram } from "../user-program.ts";
import { forward } from "./port-forward.ts";
import { requestOf, responseOf } from "./user-response.ts";
import { WebAnswer } from "./web-answer.ts";

/** Where pieces are sent: the channel to the agent. */
interface Channel {
  send(message: FromRunner, bodies?: readonly Uint8Array[]): void;
}

/** An input that is an HTTP request. */
export interface WebInput {
  readonly running: RunningInput;
  readonly request: unknown;
  readonly wish: WebWish;
  /** When it came, by `performance.now()`. */
  readonly cameAtMs: number;
}

type Handler = (request: Request) => unknown;

/** Whether arguments are an HTTP request. @throws what a sandbox that has ended says */
export function isWebInput(
  { isWeb = false, admitTunnel }: Pick<UserProgram, "isWeb" | "admitTunnel">,
  args: unknown,
): boolean {
  if (isWeb || admitTunnel === undefined || !Array.isArray(args)) return isWeb;
  const [request] = args as readonly unknown[];
  if (typeof request !== "object" || request === null || !("isTunnel" in request)) return false;
  admitTunnel();
  return true;
}

const NOTHING = new Uint8Array(0);

export class WebInputs {
  readonly #channel: Channel;
  readonly #streams = new Map<string, PieceStream>();

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** A piece from the server; one of a stream that is gone is dropped. */
  take({ streamId, piece }: Extract<ToRunner, { type: "stream" }>, body: Uint8Array): void {
    this.#streams.get(streamId)?.hear(piece, body);
  }

  /**
   * Answers a request by the user's code, or by the server on a port of this container.
   *
   * @throws what the user's code throws, and Error when the client has gone.
   */
  async answer(input: WebInput, handler: Handler): Promise<WebResult> {
    const { running, wish } = input;
    const request = webRequestOf(input.request);
    if (wish === "unwanted") throw clientGone();
    const withinMs = Math.max(0, wish.withinMs - (performance.now() - input.cameAtMs));
    const { inputId } = running;
    const stream = this.#open(running, withinMs > 0);
    const send = (piece: Piece): void => this.#send(inputId, piece, NOTHING);
    const answer = new WebAnswer({ stream, send, withinMs, nowMs: () => performance.now() });
    try {
      return await this.#respond(request, { stream, answer, running, handler });
    } catch (error) {
      stream.destroy(new Error("the endpoint failed"));
      throw error;
    } finally {
      answer.close();
    }
  }

  async #respond(
    request: WebRequest,
    { stream, answer, running, handler }: Responding,
  ): Promise<WebResult> {
    const { port } = request;
    if (port !== undefined) return forward({ ...request, port }, stream, answer);
    const given = await handler(requestOf(request, stream, running.signal));
    const { head, body } = await responseOf(given, request.method);
    const result = await answer.send(head, body);
    // What the client still sends is not wanted; the server ends the stream.
    stream.resume();
    return result;
  }

  #open(running: RunningInput, isAttached: boolean): PieceStream {
    const { inputId } = running;
    const send = (piece: Piece, body: Uint8Array): void => this.#send(inputId, piece, body);
    const stream = new PieceStream(isAttached ? send : () => undefined);
    this.#streams.set(inputId, stream);
    stream.on("error", (error) => {
      // Not of an error of the response's own body.
      if (error instanceof StreamResetError) running.abort(error);
    });
    stream.once("close", () => {
      if (this.#streams.get(inputId) === stream) this.#streams.delete(inputId);
    });
    if (isAttached) this.#send(inputId, { kind: "begin" }, NOTHING);
    return stream;
  }

  #send(streamId: string, piece: Piece, body: Uint8Array): void {
    const message = { type: "stream", streamId, piece } as const;
    this.#channel.send(message, body.byteLength === 0 ? [] : [body]);
  }
}

interface Responding {
  readonly stream: PieceStream;
  readonly answer: WebAnswer;
  readonly running: RunningInput;
  readonly handler: Handler;
}

function clientGone(): Error {
  const error = new Error("the client went away, or has seen the beginning of another answer");
  error.name = "ClientGoneError";
  return error;
}

/** @throws TypeError when the input is no HTTP request. */
function webRequestOf(value: unknown): WebRequest {
  const args: readonly unknown[] = Array.isArray(value) ? value : [];
  const [request] = args;
  const isRequest = typeof request === "object" && request !== null && "url" in request;
  if (isRequest) return request as WebRequest;
  throw new TypeError("the function is a web endpoint: it is called by its URL");
}
