/**
 * What an agent and the runner inside a container say to each other: frames over one
 * full-duplex socket, which the runner has as its standard input. Standard output and error
 * stay the user's, also for programs that the user's code starts.
 */
import type { WireError } from "../../sdk/protocol/index.ts";

/** Where in an archive of Python files the function is. */
export interface PythonEntry {
  /** Name of the module, as it is imported. */
  readonly module: string;
  /** Name of a function in it, or of a class and its method: `Model.predict`. */
  readonly handler: string;
}

/** To the runner. `boot` carries the code as its body, `inputs` their payloads in order. */
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
    }
  | {
      readonly type: "inputs";
      readonly inputs: readonly { readonly inputId: string; readonly bytes: number }[];
    }
  /** Give back those of these inputs that have not begun. */
  | { readonly type: "cancel"; readonly inputIds: readonly string[] };

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

/** From the runner. `results` carries the payloads of the successes as its body, in order. */
export type FromRunner =
  | { readonly type: "ready" }
  | { readonly type: "load_failed"; readonly error: WireError }
  | { readonly type: "results"; readonly results: readonly RunnerResult[] }
  | {
      readonly type: "logs";
      readonly lines: readonly RunnerLine[];
      /** Bytes that the runner dropped because more was printed than it could hold. */
      readonly droppedBytes: number;
    }
  /** The user's code ended the process while this input ran. */
  | { readonly type: "exiting"; readonly exitCode: number; readonly inputId?: string };
