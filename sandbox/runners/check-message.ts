/**
 * Messages from a runner, checked. User code shares the runner's process and can write whatever
 * it likes to the channel, so nothing of it is believed before it has the right shape.
 */
import type { WireError } from "../../sdk/protocol/index.ts";
import { pieceOf } from "../streams/check-piece.ts";
import type {
  FromRunner,
  ReadyMessage,
  RunnerLine,
  RunnerResult,
  ValueHeader,
} from "./protocol.ts";

const CAUSES_MAX = 16;
const OUTCOMES = ["succeeded", "failed", "returned"] as const;
const STREAMS = ["stdout", "stderr"] as const;
const ERROR_CODES = ["not_serializable", "payload_too_large"] as const;

/** A runner said something that is not in its protocol. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** The message that a frame's header is, with its known fields only. @throws ProtocolError */
export function checkMessage(header: unknown): FromRunner {
  const message = objectOf(header, "a message");
  switch (message["type"]) {
    case "ready":
      return readyOf(message);
    case "loaded": {
      const obstacle = optionalText(message["obstacle"], "obstacle");
      return { type: "loaded", ...(obstacle === undefined ? {} : { obstacle }) };
    }
    case "begun":
    case "entered":
      return { type: message["type"] };
    case "load_failed":
      return { type: "load_failed", error: errorOf(message["error"]) };
    case "results":
      return { type: "results", results: listOf(message["results"], "results").map(resultOf) };
    default:
      return laterMessageOf(message);
  }
}

function readyOf({ leaves, loadMs, enterMs }: Readonly<Record<string, unknown>>): ReadyMessage {
  return {
    type: "ready",
    ...(leaves === true ? { leaves } : {}),
    ...(loadMs === undefined ? {} : { loadMs: amountOf(loadMs, "loadMs") }),
    ...(enterMs === undefined ? {} : { enterMs: amountOf(enterMs, "enterMs") }),
  };
}

/** One of those that come while inputs run. */
function laterMessageOf(message: Readonly<Record<string, unknown>>): FromRunner {
  switch (message["type"]) {
    case "logs":
      return {
        type: "logs",
        lines: listOf(message["lines"], "lines").map(lineOf),
        droppedBytes: amountOf(message["droppedBytes"], "droppedBytes"),
      };
    case "values":
      return { type: "values", values: listOf(message["values"], "values").map(valueOf) };
    case "stream": {
      const piece = pieceOf(message["piece"]);
      if (piece === undefined) throw new ProtocolError("a step of a stream is none");
      return { type: "stream", streamId: textOf(message["streamId"], "streamId"), piece };
    }
    case "request":
      return requestOf(message);
    case "request_cancel":
      return { type: "request_cancel", requestId: amountOf(message["requestId"], "requestId") };
    case "exiting": {
      const inputId = optionalText(message["inputId"], "inputId");
      const exitCode = numberOf(message["exitCode"], "exitCode");
      return { type: "exiting", exitCode, ...(inputId === undefined ? {} : { inputId }) };
    }
    default:
      throw new ProtocolError("a message of an unknown type");
  }
}

function requestOf(message: Readonly<Record<string, unknown>>): FromRunner {
  const contentType = optionalText(message["contentType"], "contentType");
  return {
    type: "request",
    requestId: amountOf(message["requestId"], "requestId"),
    method: textOf(message["method"], "method"),
    path: textOf(message["path"], "path"),
    ...(contentType === undefined ? {} : { contentType }),
  };
}

function valueOf(given: unknown): ValueHeader {
  const value = objectOf(given, "a value");
  return {
    inputId: textOf(value["inputId"], "inputId"),
    sequence: amountOf(value["sequence"], "sequence"),
    bytes: amountOf(value["bytes"], "bytes"),
  };
}

function resultOf(value: unknown): RunnerResult {
  const result = objectOf(value, "a result");
  const error = result["error"] === undefined ? undefined : errorOf(result["error"]);
  const busyMs = result["busyMs"] === undefined ? undefined : amountOf(result["busyMs"], "busyMs");
  return {
    inputId: textOf(result["inputId"], "inputId"),
    outcome: oneOf(OUTCOMES, result["outcome"], "outcome"),
    bytes: amountOf(result["bytes"], "bytes"),
    runMs: amountOf(result["runMs"], "runMs"),
    ...(error === undefined ? {} : { error }),
    ...(busyMs === undefined ? {} : { busyMs }),
  };
}

function lineOf(value: unknown): RunnerLine {
  const line = objectOf(value, "a line");
  const inputId = optionalText(line["inputId"], "inputId");
  return {
    stream: oneOf(STREAMS, line["stream"], "stream"),
    text: textOf(line["text"], "text"),
    ...(inputId === undefined ? {} : { inputId }),
  };
}

function errorOf(value: unknown, depth = 0): WireError {
  const error = objectOf(value, "an error");
  const { cause, code: given } = error;
  const stack = optionalText(error["stack"], "stack");
  const code = ERROR_CODES.find((known) => known === given);
  const hasCause = cause !== undefined && depth < CAUSES_MAX;
  return {
    name: textOf(error["name"], "name"),
    message: textOf(error["message"], "message"),
    ...(stack === undefined ? {} : { stack }),
    ...(hasCause ? { cause: errorOf(cause, depth + 1) } : {}),
    ...(code === undefined ? {} : { code }),
  };
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null) return { ...value };
  throw new ProtocolError(`${what} is no object`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ProtocolError(`${what} is no list`);
}

function textOf(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new ProtocolError(`${what} is no text`);
}

function optionalText(value: unknown, what: string): string | undefined {
  return value === undefined ? undefined : textOf(value, what);
}

function numberOf(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  throw new ProtocolError(`${what} is no number`);
}

function amountOf(value: unknown, what: string): number {
  const amount = numberOf(value, what);
  if (amount >= 0) return amount;
  throw new ProtocolError(`${what} is below 0`);
}

function oneOf<Choice extends string>(
  choices: readonly Choice[],
  value: unknown,
  what: string,
): Choice {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new ProtocolError(`${what} is none of ${choices.join(", ")}`);
}
