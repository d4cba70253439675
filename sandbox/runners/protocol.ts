/**
 * What an agent and the runner inside a container say to each other: frames over one
 * full-duplex socket, which the runner has as its standard input. Standard output and error
 * stay the user's, also for programs that the user's code starts.
 */
import type { WireError } from "../../sdk/protocol/index.ts";
import type { Piece } from "../streams/piece.ts";
import type { WebWish } from "./web-message.ts";

/** An input on its way into a container. */
export interface InputHeader {
  readonly inputId: string;
  readonly bytes: number;
  /** Its values are read as they are yielded; so many are with the reader already. */
  readonly skip?: number;
  /** It is an HTTP request, and this is to become of the response. */
  readonly web?: WebWish;
}

/** A value that a generator yielded, by its position among them all. */
export interface ValueHeader {
  readonly inputId: string;
  readonly sequence: number;
  readonly bytes: number;
}

/** Where in an archive of Python files the function is. */
export interface PythonEntry {
  /** Name of the module, as it is imported. */
  readonly module: string;
  /** Name of a function in it, or of a class and its method: `Model.predict`. */
  readonly handler: string;
  /** What inputs that run at once run in; threads unless given. */
  readonly workers?: "threads" | "processes";
  /** The function starts an HTTP server, which is awaited on this port and gets the inputs. */
  readonly port?: number;
}

/**
 * To the runner. `boot` carries the code as its body and then the payload of the parameters;
 * `inputs` their payloads in order.
 */
export type ToRunner =
  | {
      readonly type: "boot";
      readonly functionName: string;
      readonly appName: string;
      /** The whole environment of the user's code. */
      readonly env: Readonly<Record<string, string>>;
      /** Inputs to run at once; one unless given. */
      readonly maxInputs?: number;
      /** Where the function is, for the runner of Python. */
      readonly python?: PythonEntry;
      /** Bytes at the end of the body that are the payload of a class's parameters. */
      readonly paramsBytes?: number;
    }
  /**
   * The first half of a boot whose memory may be kept: load the code and run what may run before
   * an image is made. The body is that of `boot`. There is no secret, identity or network yet.
   */
  | {
      readonly type: "load";
      readonly functionName: string;
      readonly appName: string;
      /** Variables that images of its memory may hold; none unless given. */
      readonly env?: Readonly<Record<string, string>>;
      readonly python?: PythonEntry;
      readonly maxInputs?: number;
      readonly paramsBytes?: number;
    }
  /**
   * The second half, after `loaded` or in a process restored from an image made then. The body
   * is fresh entropy, which every generator is seeded from before anything of the user runs.
   */
  | {
      readonly type: "enter";
      readonly env: Readonly<Record<string, string>>;
      /** The process will not be told of what comes over the channel and must look by itself. */
      readonly isDeaf?: boolean;
    }
  | {
      readonly type: "inputs";
      readonly inputs: readonly InputHeader[];
    }
  /** The reader of a generator's values has those before this position. */
  | { readonly type: "credit"; readonly inputId: string; readonly consumed: number }
  /** A step of a byte stream; the body is its data. */
  | { readonly type: "stream"; readonly streamId: string; readonly piece: Piece }
  /** Give back those of these inputs that have not begun. */
  | { readonly type: "cancel"; readonly inputIds: readonly string[] }
  /** Tell those of these inputs that run that their results are wanted no more. */
  | { readonly type: "abort"; readonly inputIds: readonly string[] }
  /**
   * End in peace: give back what has not begun, tell what runs, run the exit hooks, exit. Only
   * successes are told of from now on; whatever else ran runs again elsewhere.
   */
  | { readonly type: "leave" }
  /** The server's answer to a request; its body is that of the answer. */
  | {
      readonly type: "response";
      readonly requestId: number;
      readonly status: number;
      readonly retryAfter?: string;
    };

/** One result; `returned` means that it did not begin. */
export interface RunnerResult {
  readonly inputId: string;
  readonly outcome: "succeeded" | "failed" | "returned";
  readonly bytes: number;
  readonly error?: WireError;
  readonly runMs: number;
  /** Its share of that time, when others ran at once with it; absent means all of it. */
  readonly busyMs?: number;
}

export interface RunnerLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  readonly inputId?: string;
}

/** The user's code is there and takes inputs. */
export interface ReadyMessage {
  readonly type: "ready";
  /** It has exit hooks, so that it is worth to say "leave" and to wait. */
  readonly leaves?: boolean;
  /** Milliseconds that the user's module took to load, and its hooks after that. */
  readonly loadMs?: number;
  readonly enterMs?: number;
}

/** From the runner. `values` carries payloads as its body, and so does `results`: it carries the payloads of the successes as its body, in order. */
export type FromRunner =
  | ReadyMessage
  /** The process has taken `boot` or `load` and goes on to load the code. */
  | { readonly type: "begun" }
  /** `load` is done and the process waits; with `obstacle` no image may be made of it. */
  | { readonly type: "loaded"; readonly obstacle?: string }
  /** The process has taken `enter`, seeded its generators, and goes on to `ready`. */
  | { readonly type: "entered" }
  | { readonly type: "load_failed"; readonly error: WireError }
  | { readonly type: "results"; readonly results: readonly RunnerResult[] }
  | { readonly type: "values"; readonly values: readonly ValueHeader[] }
  | {
      readonly type: "logs";
      readonly lines: readonly RunnerLine[];
      /** Bytes that the runner dropped because more was printed than it could hold. */
      readonly droppedBytes: number;
    }
  /** A step of the byte stream of an input, which has the input's id; the body is its data. */
  | { readonly type: "stream"; readonly streamId: string; readonly piece: Piece }
  /** The user's code asks the server something; the body is that of the request. */
  | {
      readonly type: "request";
      readonly requestId: number;
      readonly method: string;
      readonly path: string;
      readonly contentType?: string;
    }
  /** Nobody waits for that answer any more. */
  | { readonly type: "request_cancel"; readonly requestId: number }
  /** The user's code ended the process while this input ran. */
  | { readonly type: "exiting"; readonly exitCode: number; readonly inputId?: string };
